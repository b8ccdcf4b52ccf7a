#include "journal/file_io.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique_fd.hpp"

namespace hasup::journal {

bool write_fully(int fd, std::string_view contents) {
  while (!contents.empty()) {
    const auto n = ::write(fd, contents.data(), contents.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      if (n == 0) errno = EIO;
      return false;
    }
    contents.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

base::result<std::string> read_fully(int fd, const std::string& path) {
  std::string out;
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const auto n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::errno_error("read " + path);
    if (n == 0) return base::success(std::move(out));
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

base::result<void> sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const base::unique_fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return base::errno_error("open " + directory);
  if (::fsync(fd.get()) != 0) return base::errno_error("sync " + directory);
  return {};
}

}  // namespace hasup::journal
