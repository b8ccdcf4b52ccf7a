// Whether there is room for a candidate, and what a person is told.
#include "recovery/space_plan.hpp"

#include "recovery/machine.hpp"
#include "unit/recovery/trace.hpp"

#include <limits>

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;
using model::unpack_mode;
using ports::room_found;
using recovery::plan_space;
using recovery::space_need;
using recovery::space_need_of;
using recovery::still_to_write;

namespace {

constexpr std::uint64_t GiB = std::uint64_t{1} << 30U;

struct archive {
  std::string name;
  std::optional<std::uint64_t> size;
  std::optional<std::uint64_t> unpacked;
  unpack_mode unpack = unpack_mode::archive;
  bool stays = false;  // `as`, else `into`
};

space_need need_of(const std::vector<archive>& archives, const room_found& room = {}) {
  ports::candidate c;
  model::recovery_plan plan;
  for (const auto& a : archives) {
    model::snapshot s;
    s.name = a.name;
    s.size = a.size;
    s.unpacked = a.unpacked;
    c.snapshots.push_back(s);
    model::archive_spec spec;
    spec.unpack = a.unpack;
    (a.stays ? spec.as : spec.into) = "x";
    plan.archives.push_back(spec);
  }
  return space_need_of(c, plan, room);
}

space_need need(std::uint64_t to_fetch, std::uint64_t unpacked, bool guessed = false, bool unknown = false) {
  return {{{"a", to_fetch}}, unpacked, 0, guessed, unknown, 0};
}

// All of a need but the names of its archives.
bool same(const space_need& a, const space_need& b) {
  return a.to_fetch() == b.to_fetch() && a.unpacked == b.unpacked && a.guessed == b.guessed && a.unknown == b.unknown;
}

room_found with_free(std::uint64_t bytes) {
  room_found r;
  r.free_bytes = bytes;
  return r;
}

// Its snapshots are single files, which are linked where they are not compressed.
recovery::frozen leap_of_files() {
  auto plan = leap();
  plan.data_dir = "/data";
  for (auto& p : plan.recipe.plans) p.archives[0].unpack = unpack_mode::decompress;
  return plan;
}

}  // namespace

TEST_CASE("what an archive needs follows from its size, its form and what a manifest says") {
  struct row {
    archive a;
    space_need is;
  };
  const std::vector<row> table{
      {{"a.tar.zst", 60, 150}, need(60, 150)},
      {{"a.tar.zst", 60, {}}, need(60, 180, true)},
      {{"a.tgz", 60, {}}, need(60, 180, true)},
      {{"a.tar", 60, {}}, need(60, 60)},
      {{"a.tar", 60, 50}, need(60, 50)},
      {{"latest", 60, {}}, need(60, 180, true)},  // an archive of unknown form
      {{"s.bin.zst", 60, {}, unpack_mode::decompress, true}, need(60, 180, true)},
      {{"s.bin.zst", 60, 90, unpack_mode::decompress, true}, need(60, 90)},
      {{"s.bin", 60, {}, unpack_mode::decompress, true}, need(60, 0)},    // linked
      {{"s.bin", 60, {}, unpack_mode::decompress, false}, need(60, 60)},  // copied
      {{"s.bin.zst", 60, {}, unpack_mode::none, true}, need(60, 0)},
      {{"s.bin.zst", 60, 90, unpack_mode::none, false}, need(60, 60)},
      {{"a.tar.zst", {}, {}}, need(0, 0, false, true)},
  };
  for (const auto& r : table) {
    INFO(r.a.name << " " << r.is.to_fetch() << " " << r.is.unpacked);
    CHECK(same(need_of({r.a}), r.is));
  }
  CHECK(same(need_of({{"a.tar.zst", 60, 150}, {"b.tar", 10, {}}}), need(70, 160)));
  CHECK(same(need_of({{"a.tar.zst", 60, 150}, {"b.tar", {}, {}}}), need(60, 150, false, true)));
}

TEST_CASE("what is in the cache already is not fetched once more") {
  const auto here = [](std::uint64_t bytes, bool whole) {
    room_found r;
    r.cached = {{"other.tar", true, 1000}, {"a.tar", whole, bytes}};
    return need_of({{"a.tar", 60, {}}}, r);
  };
  CHECK(same(here(20, false), need(40, 60)));
  CHECK(same(here(60, false), need(0, 60)));
  CHECK(same(here(64, true), need(0, 60)));
  CHECK(same(here(80, false), need(0, 60)));
  CHECK(same(here(20, true), need(60, 60)));  // another file of that name: it goes only when the new one is whole
}

TEST_CASE("what the node itself makes of an archive is reckoned as large as the old state") {
  room_found room;
  room.state = {70};
  const auto loaded = need_of({{"s.bin", 60, {}, unpack_mode::decompress, true}}, room);
  CHECK(loaded.rebuilt == 70);
  CHECK(loaded.total() == 130);
  CHECK(has(plan_space("s3", "/data", loaded, with_free(0), 0).text,
            "(60B to fetch, 0B unpacked, 70B for the state that the node makes of it, as now)"));
  CHECK(need_of({{"s.tar", 60, {}}}, room).rebuilt == 0);
}

TEST_CASE("sizes beyond all measure do not wrap around") {
  const auto n = need_of({{"a.tar.zst", std::numeric_limits<std::uint64_t>::max() - 1, {}}});
  CHECK(n.total() == std::numeric_limits<std::uint64_t>::max());
  CHECK_FALSE(plan_space("a", "/data", n, with_free(GiB), 0).fits);
}

TEST_CASE("it fits to the byte, and one byte less is a refusal") {
  struct row {
    std::uint64_t free, staging, min_free, promised;
    bool fits;
  };
  for (const auto& r : std::vector<row>{{210, 0, 0, 0, true},
                                        {209, 0, 0, 0, false},
                                        {260, 0, 50, 0, true},
                                        {259, 0, 50, 0, false},
                                        {200, 10, 0, 0, true},
                                        {200, 9, 0, 0, false},
                                        {270, 0, 50, 10, true},
                                        {269, 0, 50, 10, false},
                                        {40, 0, 50, 0, false},
                                        {0, 0, 0, 0, false}}) {
    auto room = with_free(r.free);
    room.staging = r.staging;
    room.promised = r.promised;
    INFO(r.free << " " << r.staging << " " << r.min_free << " " << r.promised);
    CHECK(plan_space("s3", "/data", need(60, 150), room, r.min_free).fits == r.fits);
  }
  CHECK(plan_space("s3", "/data", need(0, 0), with_free(0), 0).fits);
  CHECK(plan_space("s3", "/data", need(60, 150, false, true), with_free(0), 0).fits);
}

TEST_CASE("a refusal says the numbers and what can be done") {
  auto room = with_free(130 * GiB);
  CHECK(plan_space("s3", "/data", need(60 * GiB, 150 * GiB), room, 50 * GiB).text ==
        "s3 needs 210GiB (60GiB to fetch, 150GiB unpacked); /data has 130GiB free, 50GiB must stay free "
        "(data.min_free): 130GiB short. Make room there, or lower data.min_free");
  room.cached = {{"s1", true, 12 * GiB}, {"s3", false, 3 * GiB}};
  room.promised = 20 * GiB;
  room.promised_to = {"evm", "miner@1"};
  room.staging = 5 * GiB;
  CHECK(plan_space("s3", "/data", need(60 * GiB, 180 * GiB, true), room, 0).text ==
        "s3 needs 240GiB (60GiB to fetch, 180GiB unpacked, which is a guess of 3 times the archive: no manifest says "
        "it); /data has 130GiB free and 5.0GiB that an earlier try unpacked and that go first, 20GiB are for the "
        "recovery of evm, miner@1: 125GiB short. Make room there (15GiB are archives in /data/.hasup/cache)");
}

TEST_CASE("a recovery under way keeps others from what it will still take") {
  auto n = need(60, 150);
  n.archives = {{"a", 60}, {"b", 10}};
  struct row {
    std::string phase, snapshot;
    std::uint64_t done;
    std::optional<std::uint64_t> total;
    std::uint64_t left;
  };
  for (const auto& r : std::vector<row>{{"", "", 0, {}, 220},
                                        {"fetch", "a", 0, {}, 220},  // its room is not taken yet
                                        {"fetch", "a", 0, 60, 160},  // it is
                                        {"fetch", "a", 50, 60, 160},
                                        {"verify", "a", 50, 60, 160},
                                        {"fetch", "b", 0, {}, 220},  // rather too much
                                        {"fetch", "b", 0, 10, 150},
                                        {"fetch", "c", 0, 10, 220},
                                        {"stage", "a", 30, 60, 150}}) {
    ports::worker_progress p;
    p.phase = r.phase;
    p.snapshot = r.snapshot;
    p.bytes_done = r.done;
    p.bytes_total = r.total;
    INFO(r.phase << " " << r.snapshot << " " << r.done);
    CHECK(still_to_write(n, p) == r.left);
  }
  ports::worker_progress p;
  p.phase = "stage";
  p.bytes_total = 60;
  for (const auto& [done, left] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 150}, {30, 75}, {99, 0}}) {
    p.bytes_done = done;
    CHECK(still_to_write(need(60, 150), p) == left);
  }
}

TEST_CASE("a recovery promises its room from the look until its node is beyond the snapshot") {
  trace t;
  t.room.reset();
  auto found = trace::plenty();
  found.device = 7;
  found.state = {500, 0};
  t.begin(leap_of_files()).quiesced().done().listed({one_candidate(0, "s3.zst")}).take();
  CHECK_FALSE(recovery::promised_room(t.state, {}));
  t.measured(found);
  REQUIRE(recovery::promised_room(t.state, {}));
  CHECK(recovery::promised_room(t.state, {})->device == 7);
  CHECK(recovery::promised_room(t.state, {})->bytes == 4500);
  t.fetched();
  CHECK(recovery::promised_room(t.state, {})->bytes == 4500);
  t.unpacked();
  CHECK(recovery::promised_room(t.state, {})->bytes == 500);
  t.done().started().startup_passed().head(100);
  CHECK(recovery::promised_room(t.state, {})->bytes == 500);
  t.after(std::chrono::seconds(1)).head(101);
  CHECK_FALSE(recovery::promised_room(t.state, {}));
}

TEST_CASE("what there is no room for is not fetched, and what still fits is taken") {
  trace t;
  t.room = with_free(2000);
  auto large = one_candidate(0, "large");
  large.snapshots[0].size = 3000;
  t.begin(leap_of_files()).quiesced().done().listed({large, one_candidate(0, "s2.bin")});
  const auto text = t.take();
  CHECK(has(text, "recovery_dropped: large is not used: large needs"));
  CHECK(has(text, "worker fetch s2.bin"));
  CHECK_FALSE(has(text, "worker fetch large"));
}

TEST_CASE("when nothing fits the recovery ends with the numbers; by itself it tries again later") {
  for (const bool by_hand : {false, true}) {
    trace t;
    t.room = with_free(1999);
    auto plan = leap_of_files();
    plan.min_free = 1000;
    plan.asked.by_hand = by_hand;
    auto all = one_candidate(0, "s3.bin");
    t.begin(plan).quiesced().done().listed({all});
    CHECK(has(t.text, by_hand ? "finished refused" : "finished unavailable"));
    CHECK(has(t.text, "s3.bin needs 1000B (1000B to fetch, 0B unpacked); /data has 2.0KiB free"));
    CHECK(has(t.text, "1B short"));
    CHECK(has(t.text, "the old state is untouched"));
    CHECK_FALSE(has(t.text, "worker fetch"));
  }
}

TEST_CASE("a listing without an end of snapshots that do not fit is left in the end") {
  trace t;
  t.room = with_free(10);
  std::vector<ports::candidate> all;
  for (int i = 0; i < 5000; ++i) all.push_back(one_candidate(0, "s" + std::to_string(i) + ".bin"));
  t.begin(leap_of_files()).quiesced().done().listed(all);
  CHECK(has(t.text, "recovery_dropped: s198.bin is not used"));
  CHECK_FALSE(has(t.text, "recovery_dropped: s199.bin"));
  CHECK(has(t.text, "finished unavailable: 200 snapshots in a row have no room; last: s199.bin needs"));
}

TEST_CASE("one look serves all candidates until something was fetched") {
  trace t;
  t.room.reset();
  auto large = one_candidate(0, "large");
  large.snapshots[0].size = 3000;
  t.begin(leap_of_files())
      .quiesced()
      .done()
      .listed({large, one_candidate(0, "s2.bin"), one_candidate(0, "s1.bin")})
      .take();
  t.measured(with_free(1500));
  CHECK(has(t.text, "worker fetch s2.bin"));
  CHECK_FALSE(has(t.take(), "worker measure"));
  t.failed(ports::worker_failure::bad_snapshot, "damaged");
  CHECK(has(t.take(), "worker measure s1.bin"));
}

TEST_CASE("room that cannot be measured keeps no recovery from its way") {
  trace t;
  t.room.reset();
  t.begin(leap_of_files()).quiesced().done().listed({one_candidate(0, "s3")}).take();
  t.failed(ports::worker_failure::internal, "exited with code 9");
  CHECK(t.take() ==
        "recovery_note: how much room there is could not be measured: exited with code 9\n"
        "worker fetch s3 / state only\n");
}

TEST_CASE("a stop while it looks for room ends it before anything was touched") {
  trace t;
  t.room.reset();
  t.begin(leap_of_files()).quiesced().done().listed({one_candidate(0, "s3")}).take();
  CHECK(t.stop().take() == "cancel worker\n");
  CHECK(has(t.measured(trace::plenty()).take(), "finished cancelled"));
}

TEST_CASE("after a restart the room is looked at anew, with what is in the cache by now") {
  trace t;
  t.begin(leap_of_files()).quiesced().done().listed({one_candidate(0, "s3.bin")}).take();
  trace again;
  again.room = with_free(100);
  again.room->cached = {{"s3.bin", false, 950}};
  again.feed(recovery::resume_wanted{t.state.done, false}).quiesced().done();
  CHECK(has(again.take(), "worker fetch s3.bin"));
}

TEST_CASE("running out of room on the way says what it was reckoned to need") {
  trace t;
  t.begin(leap_of_files()).quiesced().done().listed({one_candidate(0, "s3.zst")}).take();
  t.fetched().take();
  const auto text = t.failed(ports::worker_failure::no_space, "write: No space left on device").take();
  CHECK(has(text, "finished refused: write: No space left on device; before it began: s3.zst needs"));
}

TEST_CASE("a dry run shows the room that each plan needs and what stays aside") {
  const auto plan = leap_of_files();
  auto room = with_free(2000);
  room.state = room.freed = {500, 0};
  const auto text = recovery::describe_room(
      plan, {}, {one_candidate(0, "s3.zst"), one_candidate(0, "s2"), one_candidate(1, "s2.bin")}, room);
  REQUIRE(text.has_value());
  CHECK(has(*text, "room for plan \"state only\": s3.zst needs 4.4KiB"));
  CHECK(has(*text, "it would be refused\n  the old state, 500B, stays until the node is confirmed\n"));
  CHECK(has(*text, "room for plan \"full set\": s2.bin needs 1000B"));
  CHECK_FALSE(has(*text, "roll back"));  // unknown
  room.not_cloned = {"", ""};
  const auto exact = recovery::describe_room(plan, {}, {one_candidate(0, "s2"), one_candidate(1, "s2")}, room);
  CHECK(has(exact.value(), "\n  cloned aside (reflink), so that a roll back is exact: blocks\n"));
  CHECK(exact.value().find("roll back") == exact.value().rfind("roll back"));  // the other plan shares nothing
  room.not_cloned = {"the file system has no reflinks", ""};
  CHECK(has(recovery::describe_room(plan, {}, {one_candidate(0, "s2")}, room).value(),
            "\n  the file system has no reflinks: a roll back keeps what the node wrote to blocks\n"));
  auto shown = recovery::with_room({"", "{}"}, plan, {}, {one_candidate(0, "s2")}, {room, {}, false});
  CHECK(has(shown.value().json, R"("not_cloned":{"state only":"the file system has no reflinks","full set":null})"));
  const auto none = recovery::describe_room(plan, {}, {one_candidate(0, "s3.zst")}, room);
  REQUIRE_FALSE(none.has_value());
  CHECK(has(none.error().message, "There is no room for any of the snapshots."));
  CHECK(recovery::describe_room(plan, {}, {}, room).has_value());
}

TEST_CASE("what will come to a volume is a guess by what stands there now, and is told") {
  room_found room = with_free(100 * GiB);
  room.state = {10 * GiB};
  room.freed = {10 * GiB};
  room.volumes = {{"state", 40 * GiB, 0, {30 * GiB}, {30 * GiB}}};
  const auto told = [&](std::uint64_t unpacked, std::uint64_t min_free = 0) {
    const auto p = plan_space("s", "/data", need(1 * GiB, unpacked), room, min_free);
    CHECK(p.fits);  // copying it there looks for itself
    return p.text.find(" short, if so") != std::string::npos;
  };
  CHECK_FALSE(told(40 * GiB));  // three quarters of it
  CHECK_FALSE(told(53 * GiB));
  CHECK(told(60 * GiB));
  CHECK(plan_space("s", "/data", need(1 * GiB, 60 * GiB), room, 0)
            .text.find(
                "/data/state has 40GiB for the 45GiB of it that come there, by what is there now: 5.0GiB short") !=
        std::string::npos);
  CHECK(told(53 * GiB, 2 * GiB));
  room.volumes[0].staging = 5 * GiB;  // goes first
  CHECK_FALSE(told(60 * GiB));
  room.volumes[0].state = {0};
  room.state = {0};
  CHECK_FALSE(told(90 * GiB));  // nothing is known
}

TEST_CASE("for what nobody knows to fit on a volume the old state is deleted only when told") {
  auto plan = leap();
  plan.data_dir = "/data";
  plan.asked.by_hand = true;
  ports::candidate c;
  c.snapshots.push_back({"s.tar", "", "", 60 * GiB, {}, {}, ""});
  plan.recipe.plans.resize(1);
  plan.recipe.plans[0].archives.resize(1);
  plan.recipe.plans[0].archives[0].as.clear();
  plan.recipe.plans[0].archives[0].into = ".";
  plan.recipe.plans[0].archives[0].unpack = unpack_mode::archive;
  room_found room = with_free(100 * GiB);
  room.state = {30 * GiB};
  room.freed = {30 * GiB};
  plan.space = model::space_policy::automatic;
  CHECK(recovery::decide_space(plan, c, room).in_place);
  room.volumes = {{"state", 40 * GiB, 0, {50 * GiB}, {50 * GiB}}};
  const auto refused = recovery::decide_space(plan, c, room);
  INFO(refused.text);
  CHECK_FALSE(refused.fits);
  CHECK(refused.text.find("how much of the new one comes to its volumes is not known") != std::string::npos);
  plan.space = model::space_policy::in_place;
  CHECK(recovery::decide_space(plan, c, room).in_place);
  // What would be deleted for it stays where a volume is not seen to have the room.
  room.volumes[0].freed = {0};
  room.volumes[0].free_bytes = 1 * GiB;
  const auto kept = recovery::decide_space(plan, c, room);
  INFO(kept.text);
  CHECK_FALSE(kept.fits);
  CHECK(kept.text.find("short, if so. Make room there") != std::string::npos);
}
