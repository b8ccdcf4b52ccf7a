// DATA_DIR/.hasup/cache/NAME.seal: says that cache/NAME is whole and what its digest was, and by size, time and inode
// that it is still the same file. Beside an unfinished NAME.part, NAME.resume says which version of which file it is,
// and which of its bytes are there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "snapshot/byte_spans.hpp"
#include "snapshot/disk.hpp"

namespace hasup::snapshot {

struct cache_seal {
  std::string sha256;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t inode = 0;
  std::string url;          // where it came from
  std::string validator;    // ETag or Last-Modified of that answer; ""
  std::string checked{};    // the announced digest that it had, "md5:…"; ""
  std::string signed_by{};  // the public key of a signature that it had; ""

  friend bool operator==(const cache_seal&, const cache_seal&) = default;
};

// What was put into an unfinished archive without a host.
struct seed_mark {
  std::uint64_t bytes = 0;
  std::string archive{};  // sha256 of the whole, as the index said by which it was put there; "" = nothing was
  bool done = false;      // all that was at hand has been looked at

  friend bool operator==(const seed_mark&, const seed_mark&) = default;
};

struct resume_note {
  std::string url;
  std::string validator;
  std::optional<std::uint64_t> total;
  std::string digest{};  // announced for the whole file; ""
  byte_spans here{};     // durable
  seed_mark seeds{};
};

// Nothing when there is no seal, it cannot be read, or the file is not the one it was made for.
outcome<std::optional<cache_seal>> read_seal(int own, const std::string& name);
outcome<void> write_seal(int own, const disk& d, const std::string& name, const cache_seal& seal);

std::optional<resume_note> read_resume_note(int own, const std::string& name);
outcome<void> write_resume_note(int own, const disk& d, const std::string& name, const resume_note& note);

}  // namespace hasup::snapshot
