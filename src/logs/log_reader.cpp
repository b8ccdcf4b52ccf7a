// Reading a log across its files.
#include "logs/log_reader.hpp"

#include <sys/stat.h>

#include <iterator>
#include <utility>

#include "logs/cri_line.hpp"

namespace hasup::logs {
namespace {

constexpr std::size_t block = 256 * 1024;

}  // namespace

base::result<void> log_reader::open(std::int64_t since_ns) {
  int code = 0;
  auto all = open_log(path_, code);
  if (all.empty() && code != 0) return base::errno_error("open " + path_, code);
  for (auto& f : all) {
    struct stat s {};
    const bool last = &f == &all.back();
    if (!last && ::fstat(f.fd.get(), &s) == 0 &&
        static_cast<std::int64_t>(s.st_mtim.tv_sec) * 1'000'000'000 + s.st_mtim.tv_nsec < since_ns)
      continue;
    files_.push_back(std::move(f));
  }
  seen_any_ = !files_.empty();
  return {};
}

base::result<void> log_reader::open_tail(std::size_t lines) {
  int code = 0;
  auto all = open_log(path_, code);
  if (all.empty() && code != 0) return base::errno_error("open " + path_, code);
  while (!all.empty()) {
    offset_ = tail_offset(all.back().fd.get(), lines);
    files_.insert(files_.begin(), std::move(all.back()));
    all.pop_back();
    if (lines == 0) break;
  }
  seen_any_ = !files_.empty();
  return {};
}

std::optional<log_line> log_reader::next() {
  for (;;) {
    const auto end = buffer_.find('\n', used_);
    if (end != std::string::npos) {
      const auto line = std::string_view(buffer_).substr(used_, end - used_);
      used_ = end + 1;
      if (auto whole = take_line(line)) return whole;
    } else if (!fill()) {
      return std::nullopt;
    }
  }
}

bool log_reader::fill() {
  buffer_.erase(0, used_);
  used_ = 0;
  for (;;) {
    if (files_.empty()) {
      if (!look_for_newer_files()) return false;
      continue;
    }
    const auto before = buffer_.size();
    buffer_.resize(before + block);
    const auto n = ::pread(files_.front().fd.get(), buffer_.data() + before, block, offset_);
    buffer_.resize(before + (n > 0 ? static_cast<std::size_t>(n) : 0));
    if (n > 0) {
      offset_ += n;
      return true;
    }
    struct stat s {};
    if (files_.size() == 1 && ::fstat(files_.front().fd.get(), &s) == 0 && s.st_size < offset_) {
      offset_ = 0;  // truncated in place
      continue;
    }
    // The end of this file. It is final only when a newer one is there, and then it is read once more: what was
    // written to it until its rotation counts.
    if (files_.size() == 1 && !look_for_newer_files()) return false;
    buffer_.resize(before + block);
    const auto rest = ::pread(files_.front().fd.get(), buffer_.data() + before, block, offset_);
    buffer_.resize(before + (rest > 0 ? static_cast<std::size_t>(rest) : 0));
    if (rest > 0) {
      offset_ += rest;
      return true;
    }
    files_.erase(files_.begin());
    offset_ = 0;
    if (!buffer_.empty() && buffer_.back() != '\n') buffer_ += '\n';  // torn by a crash: it ends here
    if (!buffer_.empty()) return true;
  }
}

bool log_reader::look_for_newer_files() {
  int code = 0;
  auto all = open_log(path_, code);
  if (all.empty()) return false;
  seen_any_ = true;
  if (!files_.empty()) {
    const auto& last = files_.back();
    for (auto it = all.begin(); it != all.end(); ++it)
      if (it->device == last.device && it->inode == last.inode) {
        all.erase(all.begin(), std::next(it));
        break;
      }
    if (all.empty()) return false;
  }
  for (auto& f : all) files_.push_back(std::move(f));
  return true;
}

std::optional<log_line> log_reader::take_line(std::string_view line) {
  const auto parsed = parse_cri(line);
  if (!parsed) return log_line{0, {}, {}, std::string(line)};
  auto& held = held_[parsed->stream == "stdout" ? 0 : 1];
  held.append(parsed->text);
  if (parsed->partial && held.size() < (std::size_t{64} << 20)) return std::nullopt;
  return log_line{parsed->time_ns, std::string(parsed->time), std::string(parsed->stream), std::exchange(held, {})};
}

base::result<std::string> read_tail(const std::string& path, std::size_t lines) {
  log_reader r(path);
  if (const auto opened = r.open_tail(lines); !opened) return opened.error();
  if (r.missing()) return base::errno_error("open " + path, ENOENT);
  std::string text;
  while (const auto line = r.next()) {
    if (!line->time.empty()) text += line->time + " " + line->stream + " F ";
    text += line->text + "\n";
  }
  return {boost::system::in_place_value, std::move(text)};
}

}  // namespace hasup::logs
