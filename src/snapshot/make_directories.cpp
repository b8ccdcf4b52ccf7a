#include "snapshot/make_directories.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "snapshot/mount_point.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {
namespace {

constexpr int look = O_PATH | O_CLOEXEC;
constexpr unsigned most_links = 40;

std::deque<std::string> steps_of(const std::string& path) {
  std::deque<std::string> steps;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    if (end > at) steps.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return steps;
}

bool is_inside(const std::string& path, const std::string& directory) {
  return !directory.empty() && path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

bool exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0;
}

// Root for as long as it lives again afterwards. The worker has one thread.
class as_user {
 public:
  explicit as_user(const ports::worker_job& job)
      : groups_(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0))) {
    if (::getgroups(static_cast<int>(groups_.size()), groups_.data()) < 0) return;
    gid_ = ::getegid();
    const std::vector<gid_t> theirs(job.groups.begin(), job.groups.end());
    worked_ = ::setgroups(theirs.size(), theirs.data()) == 0 && ::setegid(job.gid) == 0 && ::seteuid(job.uid) == 0;
  }
  ~as_user() {
    if (::seteuid(0) != 0 || ::setegid(gid_) != 0 || ::setgroups(groups_.size(), groups_.data()) != 0) ::_exit(2);
  }
  as_user(const as_user&) = delete;
  as_user& operator=(const as_user&) = delete;
  [[nodiscard]] bool worked() const { return worked_; }

 private:
  std::vector<gid_t> groups_;
  gid_t gid_ = 0;
  bool worked_ = false;
};

// The way to one directory, from the root on.
class way {
 public:
  way(const ports::worker_job& job, const model::wanted_directory& wanted)
      : job_(job), wanted_(wanted), left_(steps_of(wanted.path)), privileged_(::geteuid() == 0) {}

  outcome<void> go() {
    at_.reset(::open("/", look | O_DIRECTORY));
    if (!at_) return trouble("/", errno);
    while (!left_.empty()) {
      if (const auto checked = check_here(); !checked) return checked;
      const auto step = left_.front();
      left_.pop_front();
      if (auto done = enter(step); !done) return done;
    }
    return boost::system::in_place_value;
  }

 private:
  [[nodiscard]] failure trouble(const std::string& where, int error) const {
    auto f = system_failure("cannot make " + wanted_.path + ": " + where + (user_ ? " (as " + job_.user + ")" : ""),
                            error);
    if (error == EACCES || error == EPERM) f.message += "; " + remedy();
    return f;
  }
  [[nodiscard]] failure unsafe(const std::string& why) const {
    return refusal("will not make " + wanted_.path + ": " + why + "; " + remedy());
  }
  [[nodiscard]] std::string remedy() const {
    return fmt::format("make it by hand (install -d -o {} -m {:04o} {}), or choose another place",
                       job_.user.empty() ? std::to_string(job_.uid) : job_.user, wanted_.mode, wanted_.path);
  }

  [[nodiscard]] bool is_their_group(gid_t gid) const {
    return gid == job_.gid || std::find(job_.groups.begin(), job_.groups.end(), gid) != job_.groups.end();
  }

  // Who could exchange what lies below the place that was reached?
  outcome<void> check_here() {
    if (!privileged_ || user_) return boost::system::in_place_value;
    struct stat st {};
    if (::fstat(at_.get(), &st) != 0) return trouble(path_, errno);
    sticky_ = (st.st_mode & S_ISVTX) != 0;
    const std::string here = path_.empty() ? "/" : path_;
    if (st.st_uid != 0 && st.st_uid != job_.uid)
      return unsafe(fmt::format("{} belongs to user {}, who could put something else there", here, st.st_uid));
    bool theirs = st.st_uid != 0;
    if ((st.st_mode & S_IWOTH) != 0 && !sticky_) return unsafe(here + " can be written by everybody");
    if ((st.st_mode & S_IWGRP) != 0 && st.st_gid != 0 && !sticky_) {
      if (!is_their_group(st.st_gid)) return unsafe(fmt::format("{} can be written by group {}", here, st.st_gid));
      theirs = true;
    }
    shared_ = (st.st_mode & (S_IWOTH | S_IWGRP)) != 0;  // with an ACL the group's bits say what anybody may do
    if (!theirs || job_.uid == 0) return boost::system::in_place_value;
    user_ = std::make_unique<as_user>(job_);
    if (!user_->worked()) return trouble("cannot become " + job_.user, errno);
    return boost::system::in_place_value;
  }

  outcome<void> enter(const std::string& step) {
    const std::string there = path_ + "/" + step;
    base::unique_fd next;
    for (int tries = 0; !next; ++tries) {
      next.reset(::openat(at_.get(), step.c_str(), look | O_NOFOLLOW));
      if (next) break;
      if (errno != ENOENT || tries > 3) return trouble(there, errno);
      if (::mkdirat(at_.get(), step.c_str(), 0700) == 0) return make(step, there);
      if (errno != EEXIST) return trouble(there, errno);
    }
    struct stat st {};
    if (::fstat(next.get(), &st) != 0) return trouble(there, errno);
    if (S_ISLNK(st.st_mode)) return follow(step, there);
    if (!S_ISDIR(st.st_mode)) return refusal("cannot make " + wanted_.path + ": " + there + " is no directory");
    return reached(std::move(next), there);
  }

  outcome<void> reached(base::unique_fd place, const std::string& path) {
    at_ = std::move(place);
    path_ = path;
    return boost::system::in_place_value;
  }

  // As the user it leads where he may go; as root only if nobody else could have made the link.
  outcome<void> follow(const std::string& step, const std::string& there) {
    if (privileged_ && !user_ && shared_) return unsafe(there + " is a link in a directory that others can write");
    if (++links_ > most_links) return trouble(there, ELOOP);
    std::array<char, PATH_MAX> text{};
    const auto length = ::readlinkat(at_.get(), step.c_str(), text.data(), text.size());
    if (length < 0) return trouble(there, errno);
    const std::string target(text.data(), static_cast<std::size_t>(length));
    auto steps = steps_of(target);
    left_.insert(left_.begin(), steps.begin(), steps.end());
    if (!target.starts_with('/')) return boost::system::in_place_value;
    base::unique_fd root(::open("/", look | O_DIRECTORY));
    if (!root) return trouble("/", errno);
    return reached(std::move(root), "");
  }

  // It is ours, empty and closed to all others until it has its mode and then its owner.
  outcome<void> make(const std::string& step, const std::string& there) {
    base::unique_fd made(::openat(at_.get(), step.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made) return trouble(there, errno);
    const bool last = left_.empty();
    if (::fchmod(made.get(), last ? wanted_.mode : 0755) != 0) return trouble(there, errno);
    const bool give = last && privileged_ && !user_ && (job_.uid != ::geteuid() || job_.gid != ::getegid());
    if (give && ::fchown(made.get(), job_.uid, job_.gid) != 0) return trouble(there, errno);
    return reached(std::move(made), there);
  }

  const ports::worker_job& job_;
  const model::wanted_directory& wanted_;
  std::deque<std::string> left_;
  base::unique_fd at_;
  std::string path_;
  std::unique_ptr<as_user> user_;  // from the first directory on that the user can change
  unsigned links_ = 0;
  const bool privileged_;
  bool sticky_ = false;
  bool shared_ = false;
};

outcome<void> refuse_lost_data(const ports::worker_job& job, const std::string& wanted) {
  if (job.may_make_data) return boost::system::in_place_value;
  auto dirs = job.also;
  dirs.push_back(job.data_dir);
  for (const auto& dir : dirs) {
    if (!is_inside(wanted, dir) || exists(dir)) continue;
    return refusal("the data directory " + dir +
                   " is gone, and this unit has run before: hasup makes no empty one in its place. Bring it back (is "
                   "its volume mounted?), or make it by hand to start from nothing");
  }
  return boost::system::in_place_value;
}

outcome<void> make_one(const ports::worker_job& job, const model::wanted_directory& wanted,
                       std::vector<std::string>& made) {
  struct stat st {};
  if (::stat(wanted.path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return boost::system::in_place_value;
    return refusal("cannot make " + wanted.path + ": it is there, but no directory; move it away");
  }
  if (const auto allowed = refuse_lost_data(job, wanted.path); !allowed) return allowed;
  if (auto done = way(job, wanted).go(); !done) return done;
  made.push_back(wanted.path);
  return boost::system::in_place_value;
}

}  // namespace

ports::worker_result make_directories(const ports::worker_job& job) {
  ports::worker_result out;
  out.unmounted = first_unmounted(job.mounts);
  out.mounted = out.unmounted.empty();
  if (!out.mounted) return out;
  for (const auto& wanted : job.directories) {
    const auto done = make_one(job, wanted, out.made);
    if (done) continue;
    out.failure = done.error().kind;
    out.error = done.error().message;
    return out;
  }
  return out;
}

}  // namespace hasup::snapshot
