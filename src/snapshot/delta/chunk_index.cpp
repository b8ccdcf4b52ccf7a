// Read by code of our own, not by libzck 1.2.3: that takes a header from a file alone and makes three allocations a
// chunk; it copies the digest of the content without asking whether the header goes on so far (index_read.c), adds up
// lengths without asking whether they fit (also there), and keeps the size of the index in an int. Its writer
// compresses by itself, on one core. That what is written here is the format shows the contract test: unzck reads it.
#include "snapshot/delta/chunk_index.hpp"

#include <algorithm>
#include <optional>

#include "snapshot/delta/content_chunker.hpp"
#include "snapshot/delta/frame.hpp"

namespace hasup::snapshot {
namespace {

using namespace std::string_view_literals;

// https://github.com/zchunk/zchunk/blob/main/zchunk_format.txt
constexpr auto detached_magic = "\0ZHR1"sv;
constexpr auto whole_magic = "\0ZCK1"sv;  // the header's checksum is that of a header with this one
constexpr std::uint64_t is_sha256 = 1;
constexpr std::uint64_t is_zstd = 2;
constexpr std::uint64_t has_optional_elements = 2;
constexpr std::uint64_t has_content_digests = 4;
constexpr std::uint64_t doublings_element = 0x6861;  // ours: one byte
constexpr std::size_t digest_size = chunk_digest{}.size();
constexpr std::size_t least_entry = 2 * digest_size + 2;

void put_number(std::string& out, std::uint64_t n) {
  for (; n >= 128; n /= 128) out += static_cast<char>(n % 128);
  out += static_cast<char>(n + 128);
}

std::string number(std::uint64_t n) {
  std::string out;
  put_number(out, n);
  return out;
}

void put_digest(std::string& out, const chunk_digest& digest) {
  out.append(reinterpret_cast<const char*>(digest.data()), digest.size());
}

void put_chunk(std::string& out, const chunk& c) {
  put_digest(out, c.packed_digest);
  put_digest(out, c.digest);
  put_number(out, c.packed);
  put_number(out, c.size);
}

chunk_digest header_digest(std::string_view lead, std::string_view header) {
  std::string all(whole_magic);
  all += lead.substr(whole_magic.size());
  all += header;
  return sha256_of(all);
}

failure wrong(const std::string& how) {
  return {ports::worker_failure::internal, "the chunk index " + how};
}

class reader {
 public:
  explicit reader(std::string_view text) : left_(text) {}

  [[nodiscard]] std::string_view left() const { return left_; }
  [[nodiscard]] bool bad() const { return bad_; }

  std::string_view bytes(std::uint64_t size) {
    if (bad_ || size > left_.size()) {
      bad_ = true;
      return {};
    }
    const auto out = left_.substr(0, size);
    left_.remove_prefix(size);
    return out;
  }

  // Seven bits a byte, the lowest first; the last byte has its top bit set.
  std::uint64_t number() {
    std::uint64_t out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto one = bytes(1);
      if (bad_) return 0;
      const auto byte = static_cast<unsigned char>(one[0]);
      const std::uint64_t bits = byte & 127U;
      if (shift == 63 && bits > 1) break;
      out |= bits << shift;
      if (byte >= 128) return out;
    }
    bad_ = true;
    return 0;
  }

  chunk_digest digest() {
    chunk_digest out{};
    const auto from = bytes(out.size());
    std::copy(from.begin(), from.end(), out.begin());
    return out;
  }

 private:
  std::string_view left_;
  bool bad_ = false;
};

// What stands before the index. Elements of others may be passed over.
outcome<void> read_optional_elements(reader& in, chunk_index& out) {
  const auto count = in.number();
  for (std::uint64_t i = 0; i < count && !in.bad(); ++i) {
    const auto id = in.number();
    const auto element = in.bytes(in.number());
    if (id != doublings_element || in.bad()) continue;
    out.doublings = element.size() == 1 ? static_cast<unsigned char>(element[0]) : 256U;
    if (out.doublings > content_chunker::most_doublings)
      return wrong("is of an archive that is cut in an unknown way");
  }
  return {};
}

outcome<void> read_chunks(std::string_view text, std::vector<chunk>& out) {
  reader in(text);
  if (in.number() != is_sha256) return wrong("has checksums of another kind than sha256");
  const auto count = in.number();
  if (in.bad() || count > in.left().size() / least_entry || count > most_chunks + 1)
    return wrong("says that it has more chunks than it can have");
  if (count < 2) return wrong("has no chunks");
  in.bytes(2 * digest_size);
  if (in.number() != 0 || in.number() != 0) return wrong("has a dictionary, which nothing here can use");
  out.reserve(count - 1);
  for (std::uint64_t i = 1; i < count; ++i) {
    chunk c;
    c.packed_digest = in.digest();
    c.digest = in.digest();
    c.packed = in.number();
    c.size = in.number();
    if (in.bad()) return wrong("ends in the middle of a chunk");
    if (c.packed == 0 || c.packed > frame_bound(most_in_chunk) || c.size > most_in_chunk)
      return wrong("has a chunk of " + std::to_string(c.packed) + " bytes that become " + std::to_string(c.size) +
                   ", which is none of a size that is possible");
    out.push_back(c);  // most_chunks times the largest is far below 2^64: whoever adds them up needs no care
  }
  if (!in.left().empty()) return wrong("goes on after its last chunk");
  return {};
}

}  // namespace

std::string write_chunk_index(const chunk_index& index) {
  std::string chunks = number(is_sha256) + number(index.chunks.size() + 1);
  chunks.reserve(chunks.size() + (index.chunks.size() + 1) * (2 * digest_size + 6));
  put_chunk(chunks, {});  // the dictionary that there is not
  for (const auto& c : index.chunks) put_chunk(chunks, c);
  std::string header;
  header.reserve(chunks.size() + 64);
  put_digest(header, index.archive);
  if (index.doublings == 0) {
    header += number(has_content_digests) + number(is_zstd);
  } else {
    header += number(has_content_digests | has_optional_elements) + number(is_zstd);
    header += number(1) + number(doublings_element) + number(1) + static_cast<char>(index.doublings);
  }
  header += number(chunks.size());
  header += chunks;
  header += number(0);  // signatures
  std::string out(detached_magic);
  out += number(is_sha256) + number(header.size());
  put_digest(out, header_digest(out, header));
  return out + header;
}

outcome<chunk_index> read_chunk_index(std::string_view text) {
  reader in(text);
  if (in.bytes(detached_magic.size()) != detached_magic) return wrong("is no detached header of a zchunk file");
  if (in.number() != is_sha256) return wrong("has a checksum of another kind than sha256");
  const auto size = in.number();
  const auto lead = text.substr(0, text.size() - in.left().size());
  const auto digest = in.digest();
  if (in.bad() || size != in.left().size()) return wrong("is cut off, or longer than it says");
  if (header_digest(lead, in.left()) != digest) return wrong("is damaged: it does not have its checksum");
  chunk_index out;
  out.archive = in.digest();
  const auto flags = in.number();
  if ((flags & ~has_optional_elements) != has_content_digests)
    return wrong("is of a kind that is not known here, or without checksums of the content");
  if (in.number() != is_zstd) return wrong("is about chunks that are not compressed with zstd");
  if ((flags & has_optional_elements) != 0)
    if (auto read = read_optional_elements(in, out); !read) return read.error();
  const auto chunks = in.bytes(in.number());
  if (in.bad()) return wrong("ends before its chunks");
  if (auto read = read_chunks(chunks, out.chunks); !read) return read.error();
  if (in.number() != 0 || in.bad() || !in.left().empty()) return wrong("goes on after its chunks");
  return out;
}

}  // namespace hasup::snapshot
