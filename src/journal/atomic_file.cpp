#include "journal/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>

#include "base/unique_fd.hpp"
#include "journal/file_io.hpp"

namespace hasup::journal {

base::result<void> write_atomic(const std::string& path, std::string_view contents, unsigned mode) {
  const std::string temporary = path + ".new";
  base::unique_fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file) return base::errno_error("create " + temporary);
  const auto give_up = [&](const std::string& what) {
    auto e = base::errno_error(what);
    ::unlink(temporary.c_str());
    return base::result<void>(std::move(e));
  };
  if (::fchmod(file.get(), mode) != 0) return give_up("set the mode of " + temporary);
  if (!write_fully(file.get(), contents)) return give_up("write " + temporary);
  if (::fsync(file.get()) != 0) return give_up("sync " + temporary);
  file.reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0) return give_up("rename " + temporary + " to " + path);
  return sync_directory_of(path);
}

void write_atomic_on(boost::asio::any_io_executor disk, boost::asio::any_io_executor loop, std::string path,
                     std::string contents, std::function<void(base::result<void>)> then) {
  boost::asio::post(disk,
                    [loop, path = std::move(path), contents = std::move(contents), then = std::move(then)]() mutable {
                      auto done = write_atomic(path, contents);
                      boost::asio::post(loop, [done = std::move(done), then = std::move(then)] { then(done); });
                    });
}

base::result<std::string> read_whole(const std::string& path) {
  const base::unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return base::errno_error("open " + path);
  return read_fully(file.get(), path);
}

base::result<void> remove_durably(const std::string& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return base::errno_error("delete " + path);
  }
  return sync_directory_of(path);
}

}  // namespace hasup::journal
