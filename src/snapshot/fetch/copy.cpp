#include "snapshot/fetch/copy.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/pace.hpp"

namespace hasup::snapshot {
namespace {

using clock = std::chrono::steady_clock;

class copying {
 public:
  copying(const std::string& path, job_control& control, const model::snapshot& s, const download_options& options,
          part_file& part, download_report& report)
      : path_(path), control_(control), snapshot_(s), options_(options), part_(part), report_(report) {}

  outcome<void> run() {
    if (auto ready = prepare(); !ready) return ready;
    auto done = read_all();
    if (done) return unchanged();
    // What is here is kept for the next job, unless the disk itself is what fails.
    if (auto kept = part_.checkpoint_now(note()); !kept && done.error().kind != ports::worker_failure::no_space)
      return kept;
    return done;
  }

 private:
  [[nodiscard]] failure unreachable(std::string what) const {
    return {ports::worker_failure::unreachable, std::move(what), snapshot_.name};
  }
  [[nodiscard]] resume_note note() const {
    return {snapshot_.url, file_validator(before_), size_, options_.digest, {}};
  }

  outcome<void> prepare() {
    source_.reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!source_ || ::fstat(source_.get(), &before_) != 0)
      return unreachable(base::errno_error("open " + path_, errno).message);
    if (!S_ISREG(before_.st_mode)) return unreachable(path_ + " is not a file");
    size_ = static_cast<std::uint64_t>(before_.st_size);
    if (snapshot_.size && *snapshot_.size != size_) return other_size(snapshot_, size_);
    if (size_ == 0) return bad_snapshot(snapshot_.name, path_ + " is empty");
    const auto usable = [this](const resume_note& n) {
      if (!options_.in_pieces || n.total != size_) return false;
      const bool same_digest = !options_.digest.empty() && n.digest == options_.digest;
      return same_digest || (n.url == snapshot_.url && n.validator == file_validator(before_));
    };
    if (auto opened = part_.open(usable); !opened) return opened;
    report_.resumed = part_.bytes() > 0;
    report_.validator = file_validator(before_);
    control_.begin("fetch", snapshot_.name, without_password(snapshot_.source), size_, part_.bytes());
    return part_.reserve(size_);
  }

  outcome<void> read_all() {
    pace rate(options_.max_rate);
    std::vector<char> buffer(static_cast<std::size_t>(rate.buffer_size(1)));
    while (const auto gap = next_gap(part_.have(), {}, size_, buffer.size())) {
      if (control_.cancelled()) return cancelled();
      const auto n = ::pread(source_.get(), buffer.data(), gap->size(), static_cast<off_t>(gap->first));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return unreachable(base::errno_error("read " + path_, errno).message);
      if (n == 0) return unreachable(changed());
      if (auto added = part_.write(gap->first, buffer.data(), static_cast<std::size_t>(n)); !added) return added;
      if (auto kept = part_.checkpoint(note()); !kept) return kept;
      rate.add(static_cast<std::uint64_t>(n), clock::now());
      while (rate.owed(clock::now()).count() > 0 && !control_.cancelled())
        std::this_thread::sleep_for(std::min(rate.owed(clock::now()), std::chrono::milliseconds(50)));
      control_.advance(part_.bytes());
    }
    return {};
  }

  [[nodiscard]] std::string changed() const { return path_ + " changed while it was read"; }

  outcome<void> unchanged() {
    struct stat after {};
    if (::fstat(source_.get(), &after) == 0 && file_validator(after) == file_validator(before_)) return {};
    if (auto removed = part_.remove(); !removed) return removed;
    return unreachable(changed());
  }

  const std::string& path_;
  job_control& control_;
  const model::snapshot& snapshot_;
  const download_options& options_;
  part_file& part_;
  download_report& report_;
  base::unique_fd source_;
  struct stat before_ {};
  std::uint64_t size_ = 0;
};

}  // namespace

outcome<void> copy_archive(const std::string& path, job_control& control, const model::snapshot& s,
                           const download_options& options, part_file& part, download_report& report) {
  return copying(path, control, s, options, part, report).run();
}

}  // namespace hasup::snapshot
