#include "base/small_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/byte_size.hpp"
#include "base/unique_fd.hpp"

namespace hasup::base {

result<std::string> read_small_file(const std::string& path, std::size_t limit) {
  const unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return errno_error("open " + path);
  if (!S_ISREG(st.st_mode)) return error{path + " is not a regular file"};
  std::string text(limit + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto n = ::read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read " + path);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > limit) return error{path + " is larger than " + format_byte_size(limit)};
  text.resize(size);
  return success(std::move(text));
}

}  // namespace hasup::base
