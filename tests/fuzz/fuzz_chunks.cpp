// The index of chunks that stands beside an archive.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "expect.hpp"
#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/delta/frame.hpp"

using namespace hasup::snapshot;

namespace {

void check(std::string_view text) {
  const auto index = read_chunk_index(text);
  if (!index) return;
  EXPECT(!index->chunks.empty() && index->chunks.size() <= most_chunks);
  for (const auto& c : index->chunks) EXPECT(c.packed > 0 && c.size <= most_in_chunk);
  const auto again = read_chunk_index(write_chunk_index(*index));
  EXPECT(again.has_value() && *again == *index);
}

std::string number(std::uint64_t n) {
  std::string out;
  for (; n >= 128; n /= 128) out += static_cast<char>(n % 128);
  return out + static_cast<char>(n + 128);
}

// With its checksum right, so that what stands behind it is read.
std::string with_lead(std::string_view header) {
  const auto lead = number(1) + number(header.size());
  const auto digest = sha256_of(std::string("\0ZCK1", 5) + lead + std::string(header));
  return std::string("\0ZHR1", 5) + lead + std::string(digest.begin(), digest.end()) + std::string(header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(with_lead(text));
  return 0;
}
