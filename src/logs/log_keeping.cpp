// The files behind a retention plan.
#include "logs/log_keeping.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include "logs/zst_file.hpp"

namespace hasup::logs {
namespace {

constexpr std::string_view packed = ".zst";
constexpr unsigned highest_number = 100'000;

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);
}

// N of "NAME.log.N" or "NAME.log.N.zst".
std::optional<rotated_file> parse_name(std::string_view name, std::string_view log_name) {
  if (!name.starts_with(log_name) || name.size() <= log_name.size() + 1 || name[log_name.size()] != '.')
    return std::nullopt;
  name.remove_prefix(log_name.size() + 1);
  rotated_file f;
  f.compressed = name.ends_with(packed);
  if (f.compressed) name.remove_suffix(packed.size());
  const auto [end, ec] = std::from_chars(name.data(), name.data() + name.size(), f.number);
  if (ec != std::errc{} || end != name.data() + name.size() || f.number == 0 || f.number > highest_number)
    return std::nullopt;
  return f;
}

class keeper {
 public:
  keeper(const std::string& path, const retention& rule, std::int64_t now_ns)
      : path_(path), rule_(rule), now_ns_(now_ns), temporary_(path + ".zst.tmp") {}

  keeping_report run() {
    directory_.reset(::open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory_) return problem("open " + directory_of(path_)), std::move(report_);
    ::unlink(temporary_.c_str());  // of a keeper that did not come to its end
    remove_packed_originals();
    // Compressed first: more fits into the sum then.
    auto any_sum = rule_;
    any_sum.max_total = 0;
    const auto plan = plan_retention(list(), any_sum, now_ns_);
    remove(plan.remove);
    for (const auto& f : plan.compress) compress(f);
    if (rule_.max_total > 0) remove(plan_retention(list(), rule_, now_ns_).remove);
    return std::move(report_);
  }

 private:
  // Shims rename under a shared lock and never wait for it.
  class alone {
   public:
    explicit alone(int directory) : directory_(directory) {
      while (::flock(directory_, LOCK_EX) != 0 && errno == EINTR) {
      }
    }
    ~alone() { ::flock(directory_, LOCK_UN); }
    alone(const alone&) = delete;
    alone& operator=(const alone&) = delete;

   private:
    int directory_;
  };

  void problem(const std::string& doing) { report_.problems.push_back(base::errno_error(doing).message); }

  [[nodiscard]] std::string name_of(const rotated_file& f) const {
    return path_ + "." + std::to_string(f.number) + (f.compressed ? std::string(packed) : "");
  }

  std::vector<rotated_file> list() {
    std::vector<rotated_file> all;
    const std::unique_ptr<DIR, int (*)(DIR*)> d(::opendir(directory_of(path_).c_str()), ::closedir);
    if (!d) return all;
    const auto log_name = path_.substr(path_.rfind('/') + 1);
    while (const auto* entry = ::readdir(d.get())) {
      auto f = parse_name(entry->d_name, log_name);
      struct stat s {};
      if (!f || ::fstatat(::dirfd(d.get()), entry->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(s.st_mode))
        continue;
      f->bytes = static_cast<std::uint64_t>(s.st_size);
      f->written_ns = origin_of(s).written_ns;
      f->inode = s.st_ino;
      all.push_back(*f);
    }
    return all;
  }

  // A crash between the rename and the end of the original leaves both.
  void remove_packed_originals() {
    const alone lock(directory_.get());
    const auto all = list();
    for (const auto& f : all) {
      if (!f.compressed) continue;
      const rotated_file plain{f.number, false};
      struct stat s {};
      const base::unique_fd fd(::open(name_of(f).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      const auto origin = fd ? read_origin(fd.get()) : std::nullopt;
      if (origin && ::lstat(name_of(plain).c_str(), &s) == 0 && *origin == origin_of(s))
        ::unlink(name_of(plain).c_str());
    }
  }

  void remove(const std::vector<rotated_file>& files) {
    if (files.empty()) return;
    const alone lock(directory_.get());
    // Since the decision a shim may have moved every file on by some numbers: the same files are meant.
    const auto now = list();
    for (const auto& f : files) {
      const auto it = std::find_if(now.begin(), now.end(), [&](const rotated_file& n) {
        return n.inode == f.inode && n.bytes == f.bytes && n.written_ns == f.written_ns;
      });
      if (it == now.end()) continue;
      if (::unlink(name_of(*it).c_str()) == 0)
        ++report_.removed;
      else if (errno != ENOENT)
        problem("delete " + name_of(*it));
    }
  }

  void compress(const rotated_file& f) {
    const base::unique_fd from(::open(name_of(f).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat s {};
    if (!from || ::fstat(from.get(), &s) != 0 || !S_ISREG(s.st_mode)) return;  // rotated away: next time
    if (s.st_ino != f.inode) return;
    const base::unique_fd to(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!to) return problem("create " + temporary_);
    const auto done = compress_file(from.get(), to.get());
    // Who may read the log may read it still.
    const bool same_owner =
        ::fchown(to.get(), s.st_uid, s.st_gid) == 0 || (s.st_uid == ::geteuid() && s.st_gid == ::getegid());
    if (!done || !same_owner || ::fchmod(to.get(), s.st_mode & 0777) != 0) {
      if (done)
        problem("set the owner of " + temporary_);
      else
        report_.problems.push_back("compress " + name_of(f) + ": " + done.error().message);
      ::unlink(temporary_.c_str());
      return;
    }
    put_in_place(f, s);
  }

  void put_in_place(rotated_file f, const struct stat& original) {
    const alone lock(directory_.get());
    for (; f.number <= highest_number; ++f.number) {
      struct stat s {};
      if (::lstat(name_of(f).c_str(), &s) != 0 && f.number > rule_.max_files + 1) break;
      if (s.st_ino != original.st_ino || s.st_dev != original.st_dev) continue;
      rotated_file compressed = f;
      compressed.compressed = true;
      if (::rename(temporary_.c_str(), name_of(compressed).c_str()) != 0) return problem("rename " + temporary_);
      ::fsync(directory_.get());
      if (::unlink(name_of(f).c_str()) != 0) return problem("delete " + name_of(f));
      ++report_.compressed;
      return;
    }
    ::unlink(temporary_.c_str());  // the original was the oldest and is gone
  }

  const std::string& path_;
  const retention& rule_;
  std::int64_t now_ns_;
  std::string temporary_;
  base::unique_fd directory_;
  keeping_report report_;
};

}  // namespace

bool lock_keeping(const std::string& directory, base::unique_fd& lock) {
  lock.reset(::open((directory + "/.keeping").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  return lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0;
}

keeping_report keep_log(const std::string& path, const retention& rule, std::int64_t now_ns) {
  return keeper(path, rule, now_ns).run();
}

}  // namespace hasup::logs
