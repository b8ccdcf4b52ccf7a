// Reading a log across its files.
#include "logs/log_reader.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "logs/cri_line.hpp"
#include "logs/line_time.hpp"

namespace hasup::logs {
namespace {

constexpr std::size_t block = 256 * 1024;
constexpr std::size_t longest_line = std::size_t{64} << 20;

// The shim's own line.
bool tells_of_a_gap(std::string_view text) {
  return text.starts_with("hasup: ") && text.ends_with(" lines dropped");
}

// Of a file that something else compressed.
std::size_t count_lines(int fd) {
  zst_reader r(fd);
  std::string text(block, '\0');
  std::size_t lines = 0;
  for (ssize_t n = 0; (n = r.read(text.data(), text.size())) > 0;)
    lines += static_cast<std::size_t>(std::count(text.begin(), text.begin() + n, '\n'));
  return lines;
}

}  // namespace

base::result<void> log_reader::open(std::int64_t since_ns) {
  int code = 0;
  auto all = open_log(path_, code, symbolic());
  if (all.empty() && code != 0) return base::errno_error("open " + path_, code);
  for (auto& f : all)
    if (&f == &all.back() || written_ns(f) >= since_ns) files_.push_back(std::move(f));
  seen_any_ = !files_.empty();
  return {};
}

base::result<void> log_reader::open_tail(std::size_t lines) {
  int code = 0;
  auto all = open_log(path_, code, symbolic());
  if (all.empty() && code != 0) return base::errno_error("open " + path_, code);
  while (!all.empty()) {
    auto& f = all.back();
    if (f.compressed) {
      const std::size_t there = f.origin ? f.origin->lines : count_lines(f.fd.get());
      skip_ = there > lines ? there - lines : 0;
      lines -= std::min(lines, there);
    } else {
      offset_ = tail_offset(f.fd.get(), lines);
    }
    files_.insert(files_.begin(), std::move(f));
    all.pop_back();
    if (lines == 0) break;
  }
  seen_any_ = !files_.empty();
  return {};
}

std::optional<log_line> log_reader::next() {
  if (after_gap_) return std::exchange(after_gap_, std::nullopt);
  for (;;) {
    const auto end = buffer_.find('\n', used_);
    if (end != std::string::npos) {
      const auto line = std::string_view(buffer_).substr(used_, end - used_);
      used_ = end + 1;
      auto whole = take_line(line);
      if (!whole) continue;
      if (skip_ == 0) return whole;
      --skip_;
    } else if (form_ == log_form::plain && buffer_.size() - used_ >= longest_line) {
      return next_unfinished();  // no text at all, or nothing that has lines
    } else if (!fill()) {
      return std::nullopt;
    }
  }
}

std::optional<log_line> log_reader::next_unfinished() {
  for (auto& held : held_) {
    if (held.text.empty()) continue;
    const auto* const stream = &held == &held_[0] ? "stdout" : "stderr";
    return log_line{held.time_ns, std::exchange(held.time, {}), stream, std::exchange(held.text, {}), true};
  }
  if (form_ == log_form::cri || used_ == buffer_.size()) return std::nullopt;
  auto line = plain_line(std::string_view(buffer_).substr(used_));
  line.partial = true;
  used_ = buffer_.size();
  return line;
}

// Truncated, and already longer again than it was: what was read last does not stand where it stood.
bool log_reader::rewritten(int fd) const {
  std::string now(last_bytes_.size(), '\0');
  const auto at = offset_ - static_cast<off_t>(now.size());
  return ::pread(fd, now.data(), now.size(), at) == static_cast<ssize_t>(now.size()) && now != last_bytes_;
}

// False: nothing more is there now.
bool log_reader::read_front() {
  auto& f = files_.front();
  if (f.compressed && !unpacker_) unpacker_.emplace(f.fd.get());
  if (!last_bytes_.empty() && rewritten(f.fd.get())) {
    offset_ = 0;
    last_bytes_.clear();
  }
  const auto before = buffer_.size();
  buffer_.resize(before + block);
  const auto n = unpacker_ ? unpacker_->read(buffer_.data() + before, block)
                           : ::pread(f.fd.get(), buffer_.data() + before, block, offset_);
  buffer_.resize(before + (n > 0 ? static_cast<std::size_t>(n) : 0));
  if (n < 0 && unpacker_) damaged_ = path_ + ".*.zst is damaged: lines of it are missing here";
  if (n <= 0) return false;
  offset_ += n;
  if (form_ == log_form::plain) {
    if (!seen_time_) last_time_ns_ = written_ns(f);
    // Only these are truncated by others (logrotate's copytruncate).
    if (!f.compressed)
      last_bytes_ = buffer_.substr(buffer_.size() - static_cast<std::size_t>(std::min<ssize_t>(n, 64)));
  }
  return true;
}

void log_reader::drop_front() {
  files_.erase(files_.begin());
  unpacker_.reset();
  last_bytes_.clear();
  offset_ = 0;
  skip_ = 0;
  seen_time_ = false;
  if (used_ < buffer_.size() && buffer_.back() != '\n') buffer_ += '\n';  // torn by a crash: it ends here
}

bool log_reader::fill() {
  buffer_.erase(0, used_);
  used_ = 0;
  for (;;) {
    if (files_.empty()) {
      if (!look_for_newer_files()) return false;
      continue;
    }
    if (read_front()) return true;
    auto& front = files_.front();
    struct stat s {};
    if (files_.size() == 1 && !front.compressed && ::fstat(front.fd.get(), &s) == 0 && s.st_size < offset_) {
      offset_ = 0;  // truncated in place
      last_bytes_.clear();
      continue;
    }
    // The end of this file. It is final only when a newer one is there, and then it is read once more: what was
    // written to it until its rotation counts.
    if (files_.size() == 1 && !look_for_newer_files()) return false;
    // A program that was not told of the rotation yet writes to the old file, and none to the new one.
    const bool newer_is_empty =
        files_.size() == 2 && !files_[1].compressed && ::fstat(files_[1].fd.get(), &s) == 0 && s.st_size == 0;
    if (!files_.front().compressed && read_front()) return true;
    if (newer_is_empty && form_ == log_form::plain) {
      look_for_newer_files();
      if (files_.size() == 2) return false;
    }
    drop_front();
    if (!buffer_.empty()) return true;
  }
}

bool log_reader::look_for_newer_files() {
  int code = 0;
  auto all = open_log(path_, code, symbolic());
  if (all.empty()) return false;
  seen_any_ = true;
  if (!files_.empty()) {
    const auto known =
        std::find_if(all.begin(), all.end(), [&](const auto& f) { return same_text(f, files_.back()); });
    if (known != all.end()) all.erase(all.begin(), std::next(known));
    if (all.empty()) return false;
  }
  for (auto& f : all) files_.push_back(std::move(f));
  return true;
}

std::optional<log_line> log_reader::take_line(std::string_view line) {
  if (form_ == log_form::plain) return plain_line(line);
  const auto parsed = parse_cri(line);
  if (!parsed) return log_line{last_time_ns_, {}, {}, std::string(line)};
  last_time_ns_ = parsed->time_ns;
  auto& held = held_[parsed->stream == "stdout" ? 0 : 1];
  if (!held.text.empty() && tells_of_a_gap(parsed->text)) {
    // The end of that line is among what is missing.
    after_gap_ =
        log_line{parsed->time_ns, std::string(parsed->time), std::string(parsed->stream), std::string(parsed->text)};
    return log_line{held.time_ns, std::exchange(held.time, {}), std::string(parsed->stream),
                    std::exchange(held.text, {}), true};
  }
  held.text.append(parsed->text);
  held.time = parsed->time;
  held.time_ns = parsed->time_ns;
  const bool cut = parsed->partial && held.text.size() >= longest_line;
  if (parsed->partial && !cut) return std::nullopt;
  return log_line{parsed->time_ns, std::exchange(held.time, {}), std::string(parsed->stream),
                  std::exchange(held.text, {}), cut};
}

log_line log_reader::plain_line(std::string_view line) {
  if (const auto time = line_time(line)) {
    last_time_ns_ = *time;
    seen_time_ = true;
  }
  return {last_time_ns_, {}, "file", std::string(line)};
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
