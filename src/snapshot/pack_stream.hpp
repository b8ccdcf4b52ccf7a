// What the packing program says to the sending one over a pipe: the archive's bytes, then what was made of it, or
// why nothing was. A stream without such an end is one whose packer died: nothing of it is published.
//
//   'd' LENGTH BYTES    bytes of the archive
//   'i' LENGTH BYTES    bytes of the index of its chunks; after the last 'd'
//   'r' LENGTH JSON     a worker_result; the end
//
// LENGTH: 4 bytes, little-endian.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ports/worker_job.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

outcome<void> write_packed(int fd, std::string_view bytes);
outcome<void> write_packed_index(int fd, std::string_view bytes);
outcome<void> write_pack_end(int fd, const ports::worker_result& result);

struct packed_end {
  ports::worker_result made;
  std::string index;
};
// Reads up to the end, and gives what it says. `take` gets the bytes; its failure ends it. `stop` is asked after each
// interruption.
outcome<packed_end> read_packed(int fd, const std::function<outcome<void>(std::string_view)>& take,
                                const std::function<bool()>& stop);

}  // namespace hasup::snapshot
