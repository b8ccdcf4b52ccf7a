#include "cli/new_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/unique_fd.hpp"
#include "cli/context.hpp"

namespace hasup::cli {
namespace {

// Leaves nothing of a file that could not be completed.
class temporary_file {
 public:
  explicit temporary_file(std::string pattern)
      : path_(std::move(pattern)), fd_(::mkostemp(path_.data(), O_CLOEXEC)) {}
  ~temporary_file() {
    if (fd_) ::unlink(path_.c_str());
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  bool fill(std::string_view contents, unsigned mode) {
    return fd_ && write_all(fd_.get(), contents) && ::fchmod(fd_.get(), mode) == 0 && ::fsync(fd_.get()) == 0;
  }
  bool move_to(const std::string& path, bool overwrite) {
    const unsigned flags = overwrite ? 0 : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, path.c_str(), flags) != 0) return false;
    fd_.reset();
    return true;
  }

 private:
  std::string path_;
  base::unique_fd fd_;
};

}  // namespace

base::result<void> write_new_file(const std::string& path, std::string_view contents, unsigned mode, bool overwrite) {
  temporary_file file(path + ".XXXXXX");
  if (!file.fill(contents, mode) || !file.move_to(path, overwrite)) return base::errno_error("write " + path);
  const base::unique_fd directory{
      ::open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!directory || ::fsync(directory.get()) != 0) return base::errno_error("sync the directory of " + path);
  return {};
}

}  // namespace hasup::cli
