#include "recovery/pace.hpp"

#include "recovery/machine.hpp"
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t gib = std::uint64_t{1} << 30U;
const base::wall_time monday{std::chrono::hours(24 * 365)};

ports::worker_result work(std::uint64_t bytes, std::uint64_t ms, bool unpacked = false) {
  ports::worker_result r;
  r.work_bytes = bytes;
  r.work_ms = ms;
  r.unpacked_ahead = unpacked;
  return r;
}

ports::candidate of_size(std::uint64_t size) {
  auto c = one_candidate(0, "s.bin");
  c.snapshots.front().size = size;
  return c;
}

// Of which so much is not in the cache.
recovery::space_decision way(std::uint64_t to_fetch) {
  recovery::space_decision d;
  d.need.archives = {{"s.bin", to_fetch}};
  return d;
}

}  // namespace

TEST_CASE("only a job that did enough by itself says how fast it goes") {
  recovery::paces known;
  recovery::note_pace(known, ports::worker_mode::fetch, work(1000, 5), monday);
  recovery::note_pace(known, ports::worker_mode::fetch, work(gib, 0), monday);
  auto failed = work(gib, 1000);
  failed.failure = ports::worker_failure::unreachable;
  recovery::note_pace(known, ports::worker_mode::fetch, failed, monday);
  recovery::note_pace(known, ports::worker_mode::swap, work(gib, 1000), monday);
  CHECK(known == recovery::paces{});
  recovery::note_pace(known, ports::worker_mode::fetch, work(gib, 10'000, true), monday);
  REQUIRE(known.fetch);
  CHECK(known.fetch->took == 10s);
  CHECK(known.fetch->unpacked);
  CHECK_FALSE(known.unpack);
  recovery::note_pace(known, ports::worker_mode::unpack, work(gib, 4'000), monday);
  CHECK(known.unpack->took == 4s);
}

TEST_CASE("the time of the next is that of the last by its size, without what is in the cache") {
  recovery::paces known;
  known.fetch = {gib, 10s, monday, false};
  known.unpack = {gib, 4s, monday - 1h, false};
  const auto e = recovery::estimate_time(known, of_size(3 * gib), way(2 * gib), false);
  CHECK(e.fetch == 20s);
  CHECK(e.unpack == 12s);
  CHECK(e.total() == 32s);
  CHECK(e.measured_at == monday - 1h);
  const auto text = recovery::text_of(e, false, true, false);
  CHECK(has(text, "about 20s to fetch, about 12s to unpack, as measured 1970-12-31T23:00:00Z"));
  CHECK(has(text, "the node runs on until then, and is down for a rename and its own start"));
  CHECK(has(recovery::text_of(e, false, false, false), "the node is down all that time"));
  CHECK(has(recovery::text_of(e, true, true, false), "down while it is unpacked"));
  const auto cached = recovery::estimate_time(known, of_size(gib), way(0), false);
  CHECK(cached.fetch == 0s);
  CHECK(has(recovery::text_of(cached, false, true, false), "nothing to fetch, about 4s to unpack"));
}

TEST_CASE("what is unpacked while it comes takes no time of its own, unless the old state goes first") {
  recovery::paces known;
  known.fetch = {gib, 10s, monday, true};
  auto beside = way(gib);
  const auto e = recovery::estimate_time(known, of_size(gib), beside, false);
  CHECK(e.total() == 10s);
  CHECK(has(recovery::text_of(e, false, true, false), "about 10s to fetch, unpacked meanwhile"));
  beside.in_place = true;
  const auto in_place = recovery::estimate_time(known, of_size(gib), beside, false);
  CHECK(in_place.fetch == 10s);
  CHECK_FALSE(in_place.unpack);
  CHECK(has(recovery::text_of(in_place, true, true, false), "an unknown time to unpack"));
}

TEST_CASE("what was never measured is unknown, and so is what has no size") {
  const auto e = recovery::estimate_time({}, of_size(gib), way(gib), false);
  CHECK_FALSE(e.total());
  CHECK(has(recovery::text_of(e, false, true, false), "unknown, not measured yet"));
  recovery::paces known;
  known.fetch = {gib, 10s, monday, true};
  auto unsized = way(0);
  unsized.need.unknown = true;
  CHECK_FALSE(recovery::estimate_time(known, of_size(gib), unsized, false).total());
}

TEST_CASE("what a prefetch has unpacked is a rename") {
  const auto e = recovery::estimate_time({}, of_size(gib), way(gib), true);
  CHECK(e.total() == 0s);
  CHECK(has(recovery::text_of(e, false, true, false), "a rename: it is fetched and unpacked already"));
}

TEST_CASE("a dry run tells the time of the first candidate of each plan, for machines too") {
  const auto plan = leap();
  recovery::memory known;
  known.measured.fetch = {gib, 10s, monday, true};
  recovery::dry_run_facts facts;
  facts.room = trace::plenty();
  facts.node_runs = true;
  const std::vector<ports::candidate> all{of_size(2 * gib), of_size(gib)};
  auto told = recovery::with_room({"", "{}"}, plan, known, all, facts);
  CHECK(has(told.value().text, "time for s.bin with plan \"state only\": about 20s to fetch, unpacked meanwhile"));
  CHECK(has(told.value().json, R"("fetch_s":2E1)"));
  CHECK(has(told.value().json, R"("node_runs_meanwhile":true)"));
  CHECK_FALSE(has(told.value().text, "10s to fetch"));

  facts.warm.emplace();
  facts.warm->candidates = {all.front()};
  told = recovery::with_room({"", "{}"}, plan, {}, all, facts);
  CHECK(has(told.value().text, "unknown, not measured yet"));
  CHECK(has(told.value().json, R"("total_s":null)"));
  facts.warm->unpacked = true;
  told = recovery::with_room({"", "{}"}, plan, {}, all, facts);
  CHECK(has(told.value().text, "a rename"));
}

TEST_CASE("a recovery remembers how fast it fetched and unpacked") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s")});
  auto fetched = work(gib, 10'000, true);
  fetched.sha256 = {"aa"};
  t.done(fetched);
  REQUIRE(t.state.remembered.measured.fetch);
  CHECK(t.state.remembered.measured.fetch->bytes == gib);
  t.done(work(gib, 5'000));
  CHECK(t.state.remembered.measured.unpack->took == 5s);
}

TEST_CASE("what nobody says the size of has no time, and that is why") {
  recovery::space_decision no_size;
  no_size.need.unknown = true;
  recovery::paces known;
  known.fetch = {gib, base::duration{10'000}, {}, true};
  const auto e = recovery::estimate_time(known, of_size(gib), no_size, false);
  const auto text = recovery::text_of(e, false, true, false);
  CHECK(has(text, "unknown, its source does not say how large it is"));
  CHECK(!has(text, "not measured"));
}

TEST_CASE("an import is named among what the node is down for") {
  recovery::time_estimate e;
  CHECK(has(recovery::text_of(e, false, true, true), "is down for a rename, the import and its own start"));
  CHECK(
      has(recovery::text_of(e, false, false, true), "for a rename, for the import, and until it has started on it"));
  CHECK(has(recovery::text_of(e, true, true, true), "down while it is unpacked, imported and starts on it"));
}
