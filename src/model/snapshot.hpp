// A snapshot archive on a backup host, as a listing shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"

namespace hasup::model {

// Another source that lists a file of the same name and size.
struct snapshot_mirror {
  std::string url;
  std::string source;
  std::string sha256;  // as below

  friend bool operator==(const snapshot_mirror&, const snapshot_mirror&) = default;
};

struct snapshot {
  std::string name;                     // file name, no slash
  std::string url;                      // where to fetch it
  std::string source;                   // the source it was listed by
  std::optional<std::uint64_t> size;    // bytes
  std::optional<base::wall_time> time;  // of last modification or from the name
  std::optional<std::uint64_t> block;  // from the pattern's (?P<block>…) or the first 8 hex digits of a nodeos name
  std::string sha256;                  // lower-case hex where a manifest says it; ""
  std::vector<snapshot_mirror> mirrors{};

  friend bool operator==(const snapshot&, const snapshot&) = default;
};

}  // namespace hasup::model
