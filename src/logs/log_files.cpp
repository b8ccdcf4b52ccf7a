// Finding and opening the files of a log.
#include "logs/log_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "logs/cri_line.hpp"

namespace hasup::logs {
namespace {

constexpr std::size_t block = 64 * 1024;

// What cannot be opened for another reason than that it is missing sets `code`.
std::optional<log_file> open_one(const std::string& name, int flags, int& code) {
  log_file f;
  f.fd.reset(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags));
  if (!f.fd) {
    if (errno != ENOENT) code = errno;
    return std::nullopt;
  }
  struct stat s {};
  if (::fstat(f.fd.get(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  f.device = s.st_dev;
  f.inode = s.st_ino;
  return f;
}

}  // namespace

std::int64_t written_ns(const log_file& f) {
  struct stat s {};
  return ::fstat(f.fd.get(), &s) == 0 ? origin_of(s).written_ns : 0;
}

bool same_text(const log_file& a, const log_file& b) {
  if (a.device == b.device && a.inode == b.inode) return true;  // both are open: the number is not used again
  if (a.compressed == b.compressed && !(a.origin && b.origin)) return false;
  const auto identity = [](const log_file& f) -> std::optional<file_origin> {
    struct stat s {};
    if (f.compressed || ::fstat(f.fd.get(), &s) != 0) return f.origin;
    return origin_of(s);
  };
  const auto left = identity(a), right = identity(b);
  return left && right && *left == *right;
}

std::vector<log_file> open_log(const std::string& path, int& code, links symbolic) {
  const int flags = symbolic == links::refuse ? O_NOFOLLOW : 0;
  std::vector<log_file> all;
  // A number is missing for the moment between the two renames of a rotation; two in a row are the end.
  for (unsigned n = 0, missing = 0; missing < 2; ++n) {
    const auto name = n == 0 ? path : path + "." + std::to_string(n);
    // In this order: a compressed file is there before its original goes.
    auto f = open_one(name, flags, code);
    if (!f && n > 0) {
      f = open_one(name + ".zst", flags, code);
      if (f) {
        f->compressed = true;
        f->origin = read_origin(f->fd.get());
      }
    }
    missing = f ? 0 : missing + 1;
    if (!f || std::any_of(all.begin(), all.end(), [&](const auto& o) { return same_text(o, *f); })) continue;
    all.push_back(std::move(*f));
  }
  std::reverse(all.begin(), all.end());
  return all;
}

std::vector<std::string> list_logs(const std::string& directory) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> d(::opendir(directory.c_str()), ::closedir);
  if (!d) return names;
  constexpr std::string_view suffix = ".log";
  while (const auto* entry = ::readdir(d.get())) {
    const std::string_view name = entry->d_name;
    if (name.size() > suffix.size() && name.ends_with(suffix))
      names.emplace_back(name.substr(0, name.size() - suffix.size()));
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    const auto at = a.find('@'), bt = b.find('@');
    const bool both = at != std::string::npos && bt != std::string::npos && a.substr(0, at) == b.substr(0, bt);
    return both && a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return names;
}

off_t tail_offset(int fd, std::size_t& lines) {
  struct stat s {};
  if (::fstat(fd, &s) != 0) return 0;
  if (lines == 0) return s.st_size;
  off_t begin = s.st_size;  // of `text` in the file
  std::string text;
  std::size_t found = 0;
  off_t answer = s.st_size;
  while (begin > 0) {
    const auto take = static_cast<std::size_t>(std::min<off_t>(begin, static_cast<off_t>(block)));
    std::string more(take, '\0');
    if (::pread(fd, more.data(), take, begin - static_cast<off_t>(take)) != static_cast<ssize_t>(take)) break;
    begin -= static_cast<off_t>(take);
    text.insert(0, more);
    // Whole lines of `text`, from its end; the first one may be torn and waits for the next block.
    for (;;) {
      const auto last = text.find_last_not_of('\n');
      const auto end_of_line = last == std::string::npos ? std::string::npos : text.rfind('\n', last);
      if (last == std::string::npos || (end_of_line == std::string::npos && begin > 0)) break;
      const auto start = end_of_line == std::string::npos ? 0 : end_of_line + 1;
      const auto line = parse_cri(std::string_view(text).substr(start, last + 1 - start));
      if (!line || !line->partial) {
        if (found == lines) {
          lines = 0;
          return answer;
        }
        ++found;
      }
      answer = begin + static_cast<off_t>(start);
      text.resize(start);
    }
  }
  lines -= found;
  return 0;
}

}  // namespace hasup::logs
