#include "logs/node_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/unique_fd.hpp"

namespace hasup::logs {
namespace {

struct open_file {
  base::unique_fd fd;
  struct stat facts {};
  explicit open_file(const std::string& path)
      : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
    if (fd && (::fstat(fd.get(), &facts) != 0 || !S_ISREG(facts.st_mode))) fd.reset();
  }
  [[nodiscard]] bool is(const file_mark& m) const {
    return fd && facts.st_dev == m.device && facts.st_ino == m.inode;
  }
};

std::string read_end(const open_file& f, std::uint64_t from, std::size_t limit) {
  const auto size = static_cast<std::uint64_t>(f.facts.st_size);
  if (!f.fd || from >= size) return {};
  const bool cut = size - from > limit;
  if (cut) from = size - limit;
  std::string text(static_cast<std::size_t>(size - from), '\0');
  const auto n = ::pread(f.fd.get(), text.data(), text.size(), static_cast<off_t>(from));
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  if (cut) {
    const auto end = text.find('\n');
    text.erase(0, end == std::string::npos ? text.size() : end + 1);
  }
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

}  // namespace

file_mark mark_file(const std::string& path) {
  file_mark m{path};
  const open_file f(path);
  if (!f.fd) return m;
  m.device = f.facts.st_dev;
  m.inode = f.facts.st_ino;
  m.size = static_cast<std::uint64_t>(f.facts.st_size);
  return m;
}

std::string lines_since(const file_mark& mark, std::size_t limit) {
  const open_file now(mark.path);
  if (now.is(mark)) {
    const bool truncated = static_cast<std::uint64_t>(now.facts.st_size) < mark.size;
    return read_end(now, truncated ? 0 : mark.size, limit);
  }
  auto text = read_end(now, 0, limit);
  const open_file before(mark.path + ".1");
  if (mark.inode != 0 && before.is(mark))
    text = read_end(before, mark.size, limit - std::min(limit, text.size())) + text;
  return text;
}

}  // namespace hasup::logs
