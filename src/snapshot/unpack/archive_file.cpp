#include "snapshot/unpack/archive_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace hasup::snapshot {

outcome<std::size_t> read_at(const archive_file& file, char* data, std::size_t size, std::uint64_t offset,
                             const std::stop_token& stop) {
  if (file.coming != nullptr) {
    const auto there = file.coming->wait_for(offset + size, stop);
    if (!there) return there.error();
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, *there > offset ? *there - offset : 0));
  }
  std::size_t done = 0;
  while (done < size) {
    const auto n = ::pread(file.fd, data + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("read from the cache", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

outcome<void> wait_for_all(const archive_file& file) {
  return file.coming != nullptr ? file.coming->wait_for_all() : outcome<void>();
}

}  // namespace hasup::snapshot
