// The file that an archive is read from: whole, or still on its way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>

#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// Knows how much of a file has come.
class arrival {
 public:
  arrival() = default;
  arrival(const arrival&) = delete;
  arrival& operator=(const arrival&) = delete;
  virtual ~arrival() = default;

  // Waits until all bytes below `end` are there; fewer come back when the file ends before. A failure when it will
  // not come any more, or `stop` says that nobody wants it. From any thread.
  virtual outcome<std::uint64_t> wait_for(std::uint64_t end, const std::stop_token& stop) = 0;
  // Waits until it is whole, verified, and in the cache under its name.
  virtual outcome<void> wait_for_all() = 0;
};

struct archive_file {
  archive_file(int whole) : fd(whole) {}  // NOLINT(google-explicit-constructor): most are
  archive_file(int part, arrival& a) : fd(part), coming(&a) {}

  int fd;                     // borrowed
  arrival* coming = nullptr;  // borrowed
};

// Reads until `size` bytes or the file's end.
outcome<std::size_t> read_at(const archive_file& file, char* data, std::size_t size, std::uint64_t offset,
                             const std::stop_token& stop = {});

// Waits until the whole file is in the cache.
outcome<void> wait_for_all(const archive_file& file);

}  // namespace hasup::snapshot
