#include "snapshot/job_control.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/unique_fd.hpp"

namespace hasup::snapshot {
namespace {

base::result<void> replace_file(const std::string& path, std::string_view text, bool durable) {
  const std::string temporary = path + ".tmp";
  ::unlink(temporary.c_str());
  base::unique_fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return base::errno_error("create " + temporary);
  while (!text.empty()) {
    const auto n = ::write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::errno_error("write " + temporary);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (durable && ::fsync(fd.get()) != 0) return base::errno_error("fsync " + temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return base::errno_error("rename " + temporary);
  if (!durable) return {};
  const auto slash = path.rfind('/');
  const base::unique_fd dir(::open(path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) return base::errno_error("fsync the directory of " + path);
  return {};
}

}  // namespace

void job_control::begin(std::string phase, std::string snapshot, std::string source,
                        std::optional<std::uint64_t> total, std::uint64_t done) {
  now_ = {};
  now_.phase = std::move(phase);
  now_.snapshot = std::move(snapshot);
  now_.source = std::move(source);
  now_.bytes_done = done;
  now_.bytes_total = total;
  measured_ = clock::now();
  measured_done_ = done;
  write();
}

void job_control::advance(std::uint64_t done) {
  now_.bytes_done = done;
  const auto now = clock::now();
  if (!is_due(now)) return;
  const auto span = std::chrono::duration<double>(now - measured_).count();
  if (span > 0 && done >= measured_done_)
    now_.bytes_per_s = static_cast<std::uint64_t>(static_cast<double>(done - measured_done_) / span);
  if (span > 4) {
    measured_ = now;
    measured_done_ = done;
  }
  write();
}

void job_control::begin_files(std::string phase, std::optional<std::uint64_t> total) {
  now_ = {};
  now_.phase = std::move(phase);
  now_.files_total = total;
  write();
}

void job_control::count_file() {
  ++now_.files_done;
  if (is_due(clock::now())) write();
}

bool job_control::is_due(clock::time_point now) const {
  return (!progress_path_.empty() || told_) && now - written_ >= std::chrono::milliseconds(500);
}

void job_control::write() {
  written_ = clock::now();
  if (told_) told_(now_);
  // Progress is only for show: a full disk must not fail the job because of it.
  if (!progress_path_.empty()) (void)replace_file(progress_path_, ports::encode(now_), false);
}

std::uint64_t milliseconds_since(job_control::clock::time_point began) {
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(job_control::clock::now() - began);
  return static_cast<std::uint64_t>(took.count());
}

base::result<void> write_result(const std::string& path, const ports::worker_result& result) {
  return replace_file(path, ports::encode(result), true);
}

}  // namespace hasup::snapshot
