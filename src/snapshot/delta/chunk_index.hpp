// Which pieces an archive is made of: a zchunk header of its own (magic "\0ZHR1") beside the archive. The archive
// itself stays an ordinary .tar.zst; each of its frames is one chunk of the format, cut where the content says so,
// and header (with the magic "\0ZCK1") and archive together are a zchunk file.
//
// Nothing here needs to be trusted: what is put together by an index counts once the digest of the whole archive
// fits.
//
// Format: https://github.com/zchunk/zchunk/blob/main/zchunk_format.txt
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

using chunk_digest = std::array<unsigned char, 32>;  // sha256

struct chunk {
  std::uint64_t packed = 0;  // bytes of its frame in the archive; frames follow each other without gaps
  std::uint64_t size = 0;    // bytes when unpacked
  chunk_digest packed_digest{};
  chunk_digest digest{};  // of what it unpacks to

  friend bool operator==(const chunk&, const chunk&) = default;
};

struct chunk_index {
  std::vector<chunk> chunks;  // in the order of the archive
  chunk_digest archive{};     // of the whole file
  unsigned doublings = 0;     // of content_chunker: how its content was cut, so that a file at hand is cut likewise

  friend bool operator==(const chunk_index&, const chunk_index&) = default;
};

// The name of the index beside an archive.
inline constexpr std::string_view chunk_index_suffix = ".chunks";
// More is neither written nor read: an archive of about 380 GiB. Its index has 12 MiB, and with what is made of it a
// fetch stays in the memory that it may have.
inline constexpr std::size_t most_chunks = 170'000;
inline constexpr std::size_t most_in_chunk = std::size_t{16} << 20U;

std::string write_chunk_index(const chunk_index& index);
// `text` may be hostile: its size is bounded by who reads it, all else is checked here.
outcome<chunk_index> read_chunk_index(std::string_view text);

}  // namespace hasup::snapshot
