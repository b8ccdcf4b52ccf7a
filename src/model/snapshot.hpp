// A snapshot archive on a backup host, as a listing shows it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"

namespace hasup::model {

// Another source that lists a file of the same name and size, or another way to the same file.
struct snapshot_mirror {
  std::string url;
  std::string source;
  std::string sha256;  // as below
  unsigned source_nth = 0;
  std::string beside{};  // as below
  std::string sha256_by{};
  std::map<std::string, std::string> digests{};
  std::string digests_by{};
  std::optional<base::wall_time> time{};  // as its own source says it

  friend bool operator==(const snapshot_mirror&, const snapshot_mirror&) = default;
};

struct snapshot {
  std::string name;                     // file name, no slash
  std::string url;                      // where to fetch it
  std::string source;                   // the source it was listed by
  std::optional<std::uint64_t> size;    // bytes
  std::optional<base::wall_time> time;  // of last modification or from the name
  // A manifest's, else from the pattern's (?P<block>…) or the first 8 hex digits of a nodeos name.
  std::optional<std::uint64_t> block;
  std::string sha256;  // lower-case hex where a manifest or a listing says it; ""
  std::vector<snapshot_mirror> mirrors{};
  std::string chunks{};    // URL of the index of its chunks (snapshot/delta/chunk_index.hpp); "" = none is known
  std::string chain_id{};  // as a manifest says them; ""
  std::string node_version{};
  std::string set{};  // of which backup it is, as a manifest says it: archives with the same word fit together; ""
  std::optional<std::uint64_t> unpacked{};  // bytes that it takes unpacked, as a manifest says them
  bool block_is_guess = false;  // the only number in its name, which may be a date: good enough to order by
  std::string sha256_by{};      // who says it: "manifest.json"; "" = not known
  std::string sha256_else{};    // who says another one, and which: "the listing says …"; "" = nobody
  unsigned source_nth = 0;      // of the sources with that URL, which may differ in how to get in (model/source.hpp)

  std::string beside{};  // the address beside which its side files stand, where that is not `url`; ""

  // Further ones that an index says, lower-case hex by kind ("sha512", "blake2b", "md5"), and who says them.
  std::map<std::string, std::string> digests{};
  std::string digests_by{};

  friend bool operator==(const snapshot&, const snapshot&) = default;
};

}  // namespace hasup::model
