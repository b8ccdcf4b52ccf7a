// Where the frames of a file are that may be anything.
#include "snapshot/delta/frame_walk.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "show_result.hpp"
#include "zstd_packing.hpp"

using namespace hasup;
using namespace hasup::test;
using snapshot::frame_walk;
using snapshot::outcome;

namespace {

constexpr std::size_t largest = 100'000;

struct found {
  std::vector<std::pair<std::uint64_t, std::string>> frames;
  std::uint64_t read = 0;  // bytes
};

frame_walk::reader of(const std::string& file, std::uint64_t& read) {
  return [&](std::uint64_t at, char* to, std::size_t size) -> outcome<std::size_t> {
    if (at >= file.size()) return std::size_t{0};
    const auto n = std::min(size, file.size() - static_cast<std::size_t>(at));
    std::memcpy(to, file.data() + at, n);
    read += n;
    return n;
  };
}

found walk(const std::string& file, const frame_walk::hole_skip& skip = {}) {
  found out;
  frame_walk all(of(file, out.read), largest, skip);
  while (true) {
    const auto one = all.next();
    REQUIRE(one);
    if (!*one) return out;
    out.frames.emplace_back((*one)->at, std::string((*one)->bytes));
  }
}

// Many of them, so that the window moves.
std::vector<std::string> many() {
  std::vector<std::string> out;
  for (unsigned i = 0; i < 60; ++i) out.push_back(zstd_frame(noise(8 + 8 * ((i * 1237) % 11'000), i), 1));
  return out;
}

std::string joined(const std::vector<std::string>& parts, const std::string& between = "") {
  std::string out;
  for (const auto& part : parts) out += part + between;
  return out;
}

std::vector<std::string> texts(const found& f) {
  std::vector<std::string> out;
  for (const auto& [at, bytes] : f.frames) out.push_back(bytes);
  return out;
}

}  // namespace

TEST_CASE("every frame of an archive is found, each read once", "[delta]") {
  const auto frames = many();
  const auto file = joined(frames);
  REQUIRE(file.size() > 2'000'000);
  const auto seen = walk(file);
  CHECK((texts(seen) == frames));
  CHECK(seen.read == file.size());
  std::uint64_t at = 0;
  for (const auto& [where, bytes] : seen.frames) {
    CHECK(where == at);
    at += bytes.size();
  }
  CHECK(walk("").frames.empty());
  CHECK(walk("abc").frames.empty());
}

TEST_CASE("skippable frames are passed over, whatever length they claim", "[delta]") {
  const auto frames = many();
  CHECK((texts(walk(joined(frames, skippable_frame("between")))) == frames));
  const auto huge = little_endian(0x184D2A50U) + little_endian(UINT32_MAX);
  CHECK(texts(walk(frames[0] + huge + frames[1])) == std::vector<std::string>{frames[0]});
}

TEST_CASE("of a torn file the whole frames are found", "[delta]") {
  const auto frames = many();
  const auto file = joined(frames);
  for (const std::size_t cut : {std::size_t{1}, frames[0].size() - 1, frames[0].size(), frames[0].size() + 5,
                                file.size() / 2, file.size() - 1}) {
    INFO("cut at " << cut);
    std::size_t whole = 0;
    std::size_t bytes = 0;
    while (bytes + frames[whole].size() <= cut) bytes += frames[whole++].size();
    CHECK(texts(walk(file.substr(0, cut))) ==
          std::vector<std::string>(frames.begin(), frames.begin() + static_cast<long>(whole)));
    // The same from the other side: it begins in the middle of a frame.
    const auto rest = texts(walk(file.substr(cut)));
    const auto wanted = whole + (bytes == cut ? 0 : 1);
    REQUIRE(rest.size() == frames.size() - wanted);
    CHECK(std::equal(rest.begin(), rest.end(), frames.begin() + static_cast<long>(wanted)));
  }
}

TEST_CASE("behind a hole the frames are found again, and the hole is not read", "[delta]") {
  const auto frames = many();
  const std::size_t hole = 200U << 20U;
  const auto first = frames[0] + frames[1].substr(0, frames[1].size() / 2);
  const auto file = first + std::string(hole, '\0') + frames[2];
  const auto skip = [&](std::uint64_t at) -> std::uint64_t {
    return at < first.size() ? at : std::max<std::uint64_t>(at, first.size() + hole);
  };
  const auto seen = walk(file, skip);
  // The torn one may look whole with the zeros behind it; its digest then tells.
  CHECK((seen.frames.front().second == frames[0]));
  CHECK((seen.frames.back().second == frames[2]));
  CHECK(seen.frames.size() <= 3);
  CHECK(seen.read < 8U << 20U);
}

TEST_CASE("damaged frames cost themselves alone", "[delta]") {
  auto frames = many();
  auto damaged = frames;
  damaged[3][0] = 'x';                                          // no magic
  damaged[7][4] = static_cast<char>(damaged[7][4] | 8);         // the reserved bit of its header
  damaged[11] = damaged[11].substr(0, damaged[11].size() / 2);  // cut out of the middle
  // The one that was cut goes on into what follows, for as many bytes as it lacks.
  std::size_t last = 11;
  for (auto lacks = static_cast<std::ptrdiff_t>(frames[11].size() - damaged[11].size()); lacks > 0;)
    lacks -= static_cast<std::ptrdiff_t>(frames[++last].size());
  const auto seen = texts(walk(joined(damaged)));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    INFO("frame " << i << ", " << last);
    const bool hit = i == 3 || i == 7 || (i >= 11 && i <= last);
    const bool found = std::find(seen.begin(), seen.end(), frames[i]) != seen.end();
    CHECK((found || hit));
  }
}

TEST_CASE("one huge frame, or no frame at all, is not read to its end", "[delta]") {
  const auto huge = zstd_frame(noise(150U << 20U), 1);
  const auto seen = walk(huge);
  CHECK(seen.frames.empty());
  CHECK(seen.read < 80U << 20U);
  const auto other = walk(noise(150U << 20U, 3));
  CHECK(other.frames.empty());
  CHECK(other.read < 80U << 20U);
}

TEST_CASE("beginnings without end are not tried for ever", "[delta]") {
  std::string file;
  for (unsigned i = 0; i < 1'000'000; ++i) file += "\x28\xB5\x2F\xFD";
  CHECK(walk(file).frames.empty());
}

TEST_CASE("what cannot be read is said", "[delta]") {
  frame_walk all(
      [](std::uint64_t, char*, std::size_t) -> outcome<std::size_t> {
        return snapshot::failure{ports::worker_failure::internal, "broken disk"};
      },
      largest);
  const auto one = all.next();
  REQUIRE_FALSE(one);
  CHECK(one.error().message == "broken disk");
}
