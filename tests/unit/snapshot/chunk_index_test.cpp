// The index beside an archive: what was written is read again, and nothing else is.
#include "snapshot/delta/chunk_index.hpp"

#include <zstd.h>

#include <catch2/catch.hpp>

#include "show_result.hpp"
#include "snapshot/delta/frame.hpp"

using namespace hasup;
using namespace std::string_literals;
using namespace hasup::snapshot;

namespace {

chunk_index some_index(std::size_t chunks) {
  chunk_index out;
  out.archive = sha256_of("the archive");
  for (std::size_t i = 0; i < chunks; ++i) {
    const auto content = "content " + std::to_string(i);
    out.chunks.push_back({i * 1000 + 1, i * 100'000, sha256_of("frame " + content), sha256_of(content)});
  }
  return out;
}

// As whoever made the text meant it: with the checksum of what it is now.
std::string with_checksum(std::string text, std::size_t header) {
  std::string all = text.substr(0, header - 32) + text.substr(header);
  all.replace(0, 5, std::string("\0ZCK1", 5));
  const auto digest = sha256_of(all);
  return text.replace(header - 32, 32, std::string(digest.begin(), digest.end()));
}

std::string why(const std::string& text) {
  const auto read = read_chunk_index(text);
  return read ? "" : read.error().message;
}

}  // namespace

TEST_CASE("an index is read as it was written") {
  for (const std::size_t n : {1U, 2U, 150U}) {
    const auto index = some_index(n);
    const auto text = write_chunk_index(index);
    CHECK(text.substr(0, 5) == std::string("\0ZHR1", 5));
    const auto read = read_chunk_index(text);
    REQUIRE(read);
    CHECK(*read == index);
  }
  auto large = some_index(3);
  large.doublings = 3;
  const auto read = read_chunk_index(write_chunk_index(large));
  REQUIRE(read);
  CHECK(*read == large);
}

TEST_CASE("an index is written as it was always written") {
  chunk_index one;
  one.archive.fill('a');
  one.chunks.push_back({300, 5, {}, {}});
  one.chunks[0].packed_digest.fill('p');
  one.chunks[0].digest.fill('d');
  const auto text = write_chunk_index(one);
  const std::string nothing(64, '\0');
  const auto body = std::string(32, 'a') + "\x84\x82\x07\x81\x81\x82" + nothing + "\x80\x80" + std::string(32, 'p') +
                    std::string(32, 'd') + "\x2c\x82\x85" + "\x80";
  CHECK(text.substr(0, 8) == std::string("\0ZHR1\x81\x2c\x81", 8));
  CHECK(text.substr(40) == body);
}

TEST_CASE("an index that is cut off, longer or changed anywhere is refused") {
  const auto text = write_chunk_index(some_index(3));
  for (std::size_t n = 0; n < text.size(); ++n) CHECK_FALSE(read_chunk_index(text.substr(0, n)).has_value());
  CHECK_FALSE(read_chunk_index(text + "x").has_value());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(read_chunk_index(changed).has_value());
  }
  CHECK(why("") == "the chunk index is no detached header of a zchunk file");
  CHECK(why(text.substr(0, 100)) == "the chunk index is cut off, or longer than it says");
}

TEST_CASE("an index that its maker has made to do harm is refused") {
  auto index = some_index(1);
  const auto text = write_chunk_index(index);
  const std::size_t header = 40;  // the lead: 5 + 1 + 2 + 32
  REQUIRE(with_checksum(text, header) == text);
  const auto changed = [&](std::size_t at, char to) {
    auto out = text;
    out[at] = to;
    return why(with_checksum(out, header));
  };
  CHECK(changed(72, '\x80') ==
        "the chunk index is of a kind that is not known here, or without checksums of the content");
  CHECK(changed(73, '\x80') == "the chunk index is about chunks that are not compressed with zstd");
  CHECK(changed(76, '\x80') == "the chunk index has checksums of another kind than sha256");
  CHECK(changed(77, '\xff') == "the chunk index says that it has more chunks than it can have");
  CHECK(changed(77, '\x81') == "the chunk index has no chunks");
  CHECK(changed(77 + 65, '\x85') == "the chunk index has a dictionary, which nothing here can use");
  CHECK(changed(text.size() - 1, '\x81') == "the chunk index goes on after its chunks");
  index.doublings = 4;
  CHECK(why(write_chunk_index(index)) == "the chunk index is of an archive that is cut in an unknown way");
  index.doublings = 0;
  index.chunks[0].size = ~std::uint64_t{0};
  CHECK(why(write_chunk_index(index))
            .starts_with("the chunk index has a chunk of 1 bytes that become 18446744073709551615"));
  index.chunks[0].size = most_in_chunk;
  CHECK(why(write_chunk_index(index)).empty());
  index.chunks[0].packed = ~std::uint64_t{0};
  CHECK(why(write_chunk_index(index)).starts_with("the chunk index has a chunk of 18446744073709551615 bytes"));
  index.chunks[0].packed = 0;
  CHECK(why(write_chunk_index(index)).starts_with("the chunk index has a chunk of 0 bytes"));
}

TEST_CASE("a frame is the same whoever makes it, and unpacks to its content") {
  frame_maker maker(3);
  for (const std::string& content : {std::string(300'000, 'x'), std::string("short"), std::string()}) {
    std::string made(frame_bound(content.size()), '\0');
    const auto n = maker.make(content, made.data(), made.size());
    REQUIRE(n);
    made.resize(*n);
    const auto again = compress_frame(3, content);
    REQUIRE(again);
    CHECK(*again == made);
    std::string out(content.size() + 1, '\0');
    CHECK(ZSTD_decompress(out.data(), out.size(), made.data(), made.size()) == content.size());
    CHECK(out.substr(0, content.size()) == content);
    const auto c = chunk_of(content, made);
    CHECK((c.size == content.size() && c.packed == made.size()));
    CHECK((c.digest == sha256_of(content) && c.packed_digest == sha256_of(made)));
  }
  CHECK(sha256_of("abc")[0] == 0xba);
}
