// What the answer to a request for a file, or for a part of it, means for what is already here. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "snapshot/byte_spans.hpp"
#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

// One version of a file on a host.
struct file_version {
  std::string validator;               // ETag or Last-Modified; "" = the host tells neither
  std::optional<std::uint64_t> total;  // bytes

  friend bool operator==(const file_version&, const file_version&) = default;
};

enum class answer_meaning {
  whole,          // 200: the file from its first byte, whatever was asked for
  piece,          // 206: the bytes that were asked for, of the version that is here
  changed,        // 206 of another version
  wrong,          // 206 that is not what was asked for: this host's ranges are not to be used
  whole_is_here,  // 416: nothing follows what is here
  shorter,        // 416: the file ends before what was asked for
  status,         // anything else
};

// `asked_from`: the first byte of the range, nothing when the whole was asked for. `known`: the version that is here,
// nothing before the first answer. A 206 that joins two versions would be a file that never was.
answer_meaning meaning_of(const remote_answer& answer, std::optional<std::uint64_t> asked_from,
                          const std::optional<file_version>& known);

// What If-Range may name: a strong ETag, else Last-Modified; "" when neither is there.
std::string validator_of(const remote_answer& answer);

struct byte_range {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> total;
};
// "bytes 5-9/10", "bytes 5-9/*", and of a 416 "bytes */10" (first = total).
std::optional<byte_range> parse_content_range(std::string_view text);

// What a person can do about a status that is no success: "HTTP status 403: …".
std::string status_text(long status);
// The host's own words, where it has some.
std::string status_text(const remote_answer& answer);

}  // namespace hasup::snapshot
