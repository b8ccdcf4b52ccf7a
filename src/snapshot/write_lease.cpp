#include "snapshot/write_lease.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>

#include "base/unique_fd.hpp"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

namespace hasup::snapshot {
namespace {

struct dir_closer {
  void operator()(DIR* d) const { ::closedir(d); }
};
using dir_stream = std::unique_ptr<DIR, dir_closer>;

// About three system calls each: more files take longer than looking at the processes.
constexpr std::size_t most_files = 20'000;

// Those where an open file counts on the inode that was asked, also while it is only mapped, which an overlay does
// not do, and where all writers are of this machine, which a network does not know.
bool counts_writers(int fd) {
  constexpr std::array<long, 5> known{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
                                      F2FS_SUPER_MAGIC};
  struct statfs fs {};
  return ::fstatfs(fd, &fs) == 0 &&
         std::find(known.begin(), known.end(), static_cast<long>(fs.f_type)) != known.end();
}

class asking {
 public:
  explicit asking(const std::vector<std::string>& without) : without_(without.begin(), without.end()) {}
  void root(const std::string& path) {
    base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) return walk(std::move(fd), path);
    if (errno != ENOENT && errno != ENOTDIR) cannot_ask(path);
  }
  [[nodiscard]] lease_answer answer() && { return std::move(answer_); }
  [[nodiscard]] bool over() const { return answer_.who != writing::nobody; }

 private:
  void walk(base::unique_fd fd, const std::string& path) {
    struct stat st {};
    if (::fstat(fd.get(), &st) != 0) return cannot_ask(path);
    if (devices_.insert(st.st_dev).second && !counts_writers(fd.get())) return cannot_ask(path);
    const dir_stream dir(::fdopendir(fd.get()));
    if (!dir) return cannot_ask(path);
    static_cast<void>(fd.release());  // it is the stream's now
    errno = 0;
    while (const dirent* e = ::readdir(dir.get())) {
      const std::string_view name = e->d_name;
      if (name != "." && name != "..") entry(::dirfd(dir.get()), *e, path);
      if (over()) return;
      errno = 0;
    }
    if (errno != 0) cannot_ask(path);
  }

  void entry(int dir, const dirent& e, const std::string& above) {
    auto type = e.d_type;
    if (type == DT_UNKNOWN) {
      struct stat st {};
      if (::fstatat(dir, e.d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) return gone_or_unknown(above + "/" + e.d_name);
      type = S_ISREG(st.st_mode) ? DT_REG : S_ISDIR(st.st_mode) ? DT_DIR : DT_LNK;
    }
    if (type != DT_REG && type != DT_DIR) return;
    if (type == DT_REG && ++files_ > most_files) return cannot_ask(above);
    const auto path = above + "/" + e.d_name;
    if (type == DT_DIR && without_.contains(path)) return;
    base::unique_fd fd(
        ::openat(dir, e.d_name,
                 O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (type == DT_DIR ? O_DIRECTORY : 0)));
    if (!fd) return gone_or_unknown(path);
    if (type == DT_DIR) return walk(std::move(fd), path);
    if (::fcntl(fd.get(), F_SETLEASE, F_RDLCK) == 0) return;  // and closing gives it back
    answer_ = {errno == EAGAIN ? writing::somebody : writing::unknown, path};
  }

  void gone_or_unknown(const std::string& path) {
    if (errno != ENOENT) cannot_ask(path);
  }
  void cannot_ask(const std::string& path) { answer_ = {writing::unknown, path}; }

  lease_answer answer_;
  std::set<std::string> without_;
  std::set<dev_t> devices_;
  std::size_t files_ = 0;
};

}  // namespace

lease_answer ask_for_writers(const std::vector<std::string>& dirs, const std::vector<std::string>& without) {
  asking a(without);
  for (const auto& dir : dirs) {
    if (a.over()) break;
    a.root(dir);
  }
  return std::move(a).answer();
}

}  // namespace hasup::snapshot
