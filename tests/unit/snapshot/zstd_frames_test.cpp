// Where the frames of a zstd file are, and which of them may be decompressed.
#include "snapshot/unpack/zstd_frames.hpp"

#include <catch2/catch.hpp>

#include "zstd_packing.hpp"

using namespace hasup;
using namespace hasup::test;
using snapshot::find_frames;
using stop = snapshot::frame_run::stop;

TEST_CASE("whole frames are found, and the one that does not end is left", "[unpack]") {
  const auto a = zstd_frame("first");
  const auto b = zstd_frame(std::string(300'000, 'b'));
  const auto all = a + skippable_frame("between") + b;
  auto run = find_frames(all.data(), all.size(), {});
  CHECK(run.bytes == all.size());
  CHECK(run.why == stop::batch_full);
  CHECK(run.decompressed == 300'005);
  for (std::size_t cut = 0; cut < all.size(); ++cut) {
    run = find_frames(all.data(), cut, {});
    const auto skip = skippable_frame("between").size();
    const auto whole = cut < a.size() ? 0 : cut < a.size() + skip ? a.size() : a.size() + skip;
    INFO("cut at " << cut);
    CHECK(run.bytes == whole);
    CHECK(run.why == (cut == whole ? stop::batch_full : stop::incomplete));
  }
  // A frame that does not say its size has a bound all the same.
  const auto silent = zstd_frame(std::string(300'000, 'c'), 3, 0, false);
  run = find_frames(silent.data(), silent.size(), {});
  CHECK(run.bytes == silent.size());
  CHECK(run.decompressed >= 300'000);
  CHECK(run.decompressed < 700'000);
}

TEST_CASE("small frames are put together, a large one stands alone", "[unpack]") {
  const auto a = zstd_frame(std::string(1000, 'a'));
  const auto b = zstd_frame(std::string(10'000, 'b'));
  const auto all = a + a + b + a;
  snapshot::frame_limits limits;
  limits.batch = 2500;
  CHECK(find_frames(all.data(), all.size(), limits).bytes == 2 * a.size());
  CHECK(find_frames(all.data() + 2 * a.size(), b.size() + a.size(), limits).bytes == b.size());
  CHECK(find_frames(all.data() + 2 * a.size(), b.size() + a.size(), limits).decompressed == 10'000);
}

TEST_CASE("what is no frame, and a frame that looks back too far, are told of where they begin", "[unpack]") {
  const auto a = zstd_frame("a");
  const auto wide = zstd_frame(std::string(100'000, 'w'), 3, 27, false);
  snapshot::frame_limits limits;
  limits.window = 1U << 20U;
  auto run = find_frames((a + wide + a).data(), 2 * a.size() + wide.size(), limits);
  CHECK(run.bytes == a.size());
  CHECK(run.why == stop::too_wide);
  CHECK(run.window == 1U << 27U);
  const std::string text = a + "no frame at all";
  run = find_frames(text.data(), text.size(), {});
  CHECK(run.bytes == a.size());
  CHECK(run.why == stop::unknown);
}

TEST_CASE("a stream goes on with frames that are large, need no more memory, and are seen whole enough", "[unpack]") {
  using snapshot::is_large_frame;
  const auto frame = [](std::size_t size, bool says) { return zstd_frame(std::string(size, 'f'), 3, 17, says); };
  const auto large = frame(100'000, true), small = frame(1000, true), silent = frame(1000, false);
  const auto goes_on = [](const std::string& text) {
    return is_large_frame(text.data(), text.size(), 1U << 17, 50'000);
  };
  CHECK(goes_on(large));
  CHECK_FALSE(goes_on(small));
  CHECK(goes_on(silent));  // it may be large
  CHECK(goes_on(skippable_frame("1234") + skippable_frame("") + large));
  CHECK_FALSE(goes_on(skippable_frame("1234") + small));
  CHECK_FALSE(goes_on(skippable_frame(std::string(100, 'x')).substr(0, 50)));
  CHECK_FALSE(goes_on(zstd_frame(std::string(100'000, 'w'), 3, 27, false)));  // a larger window
  CHECK_FALSE(goes_on("no frame at all"));
  for (std::size_t cut = 0; cut < 5; ++cut) CHECK_FALSE(goes_on(large.substr(0, cut)));
}

TEST_CASE("the window of whole frames is the widest of them", "[unpack]") {
  const auto all = zstd_frame("a") + zstd_frame(std::string(200'000, 'w'), 3, 17, false) + skippable_frame("x");
  const auto run = find_frames(all.data(), all.size(), {});
  CHECK(run.bytes == all.size());
  CHECK(run.widest == 1U << 17U);
}
