// Which chunks of an archive are asked for.
#include "snapshot/delta/missing_chunks.hpp"

#include <catch2/catch.hpp>

#include "snapshot/delta/repacker.hpp"
#include "zstd_packing.hpp"

using namespace hasup;
using namespace hasup::test;
using snapshot::chunk_index;
using snapshot::missing_chunks;
using ids = std::vector<missing_chunks::id>;

namespace {

std::string framed(const std::string& content, int level = 3) {
  return *snapshot::compress_frame(level, content);
}

chunk_index index_of(const std::vector<std::string>& contents) {
  chunk_index out;
  for (const auto& c : contents) out.chunks.push_back(snapshot::chunk_of(c, framed(c)));
  return out;
}

}  // namespace

TEST_CASE("a frame is wanted at every place where the archive has it", "[delta]") {
  const std::vector<std::string> contents{noise(1000, 1), noise(800, 2), noise(1000, 1), noise(1000, 3)};
  const auto index = index_of(contents);
  missing_chunks missing(index, {});
  const auto size = index.chunks[0].packed;
  CHECK(missing.total() == 3 * size + index.chunks[1].packed);
  CHECK(missing.largest_frame() == size);
  CHECK(missing.largest_content() == 1000);
  CHECK(missing.wants_frame_of(size));
  CHECK_FALSE(missing.wants_frame_of(size + 1));
  CHECK(missing.with_frame(size, index.chunks[0].packed_digest) == ids{0, 2});
  CHECK(missing.with_frame(size - 1, index.chunks[0].packed_digest).empty());
  CHECK(missing.with_frame(size, index.chunks[1].packed_digest).empty());
  CHECK(missing.with_content(1000, index.chunks[3].digest) == ids{3});
  CHECK(missing.place_of(1) == snapshot::byte_span{size, size + index.chunks[1].packed});

  missing.found(0);
  missing.found(0);
  CHECK(missing.with_frame(size, index.chunks[0].packed_digest) == ids{2});
  for (const missing_chunks::id i : {1U, 2U}) missing.found(i);
  CHECK_FALSE(missing.empty());
  missing.found(3);
  CHECK(missing.empty());
  CHECK_FALSE(missing.wants_frame_of(size));
}

TEST_CASE("what is here already is not wanted, what is here in part is", "[delta]") {
  const auto index = index_of({noise(1000, 1), noise(1000, 2), noise(1000, 3)});
  const auto size = index.chunks[0].packed;
  snapshot::byte_spans have;
  have.add({0, size + 1});
  missing_chunks missing(index, have);
  CHECK(missing.with_frame(size, index.chunks[0].packed_digest).empty());
  CHECK(missing.with_frame(size, index.chunks[1].packed_digest) == ids{1});
  have.add({0, 3 * size});
  CHECK(missing_chunks(index, have).empty());
  CHECK(missing_chunks({}, {}).empty());
}

TEST_CASE("content is packed as the maker did, whatever his level was", "[delta]") {
  std::string text;
  for (unsigned i = 0; i < 40'000; ++i) text += std::to_string(i * i % 7919) + (i % 3 == 0 ? " block " : " ");
  for (const int level : {1, 3, 9, 19}) {
    INFO("level " << level);
    snapshot::repacker again;
    // The first does not compress, so that every level fits.
    for (const auto& content : {noise(100'000), text, text.substr(7)}) {
      const auto frame = framed(content, level);
      const auto made = again.frame_of(content, snapshot::chunk_of(content, frame));
      REQUIRE(made);
      CHECK(*made == frame);
    }
    CHECK_FALSE(again.hopeless());
  }
}

TEST_CASE("where another libzstd packed it, little is tried", "[delta]") {
  snapshot::repacker again;
  unsigned tried = 0;
  for (; !again.hopeless(); ++tried) {
    REQUIRE(tried < 100);
    const auto content = noise(1000, tried);
    CHECK_FALSE(again.frame_of(content, snapshot::chunk_of(content, framed(content) + "other")));
  }
  CHECK(tried < 10);
  const auto content = noise(1000);
  CHECK_FALSE(again.frame_of(content, snapshot::chunk_of(content, framed(content))));
}
