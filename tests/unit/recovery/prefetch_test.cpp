#include "recovery/prefetch.hpp"

#include <chrono>

#include "recovery/candidates.hpp"
#include "show_result.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace std::chrono_literals;
using recovery::prefetch_plan;

namespace {

constexpr std::uint64_t gib = 1ULL << 30U;
const base::wall_time now{1'800'000'000s};

recovery::frozen a_plan() {
  recovery::frozen f;
  f.unit = "leap";
  f.data_dir = "/data";
  f.sources = {model::source("https://backup/leap/")};
  f.recipe.name = "nodeos";
  f.recipe.plans.resize(2);
  for (auto& p : f.recipe.plans) {
    p.archives.resize(1);
    p.archives[0].as = "snapshot";
  }
  f.recipe.plans[0].name = "state only";
  f.recipe.plans[1].name = "full set";
  return f;
}

ports::candidate of(unsigned plan, const std::string& name, base::duration age = 1h, std::uint64_t size = gib) {
  ports::candidate c;
  c.plan = plan;
  c.snapshots.resize(1);
  auto& s = c.snapshots[0];
  s.name = name;
  s.url = "https://backup/leap/" + name;
  s.source = "https://backup/leap/";
  s.size = size;
  s.time = now - age;
  s.unpacked = 2 * size;
  return c;
}

ports::room_found room_of(std::uint64_t free) {
  ports::room_found r;
  r.free_bytes = free;
  r.state = {gib, 3 * gib};
  return r;
}

ports::warm_set warm_of(const recovery::frozen& plan, std::vector<ports::candidate> candidates) {
  ports::warm_set w;
  w.recipe = ports::encode(plan.recipe);
  w.candidates = std::move(candidates);
  w.sha256 = {"ab"};
  w.verified = true;
  w.verified_by = "sha256";
  w.unpacked = true;
  w.at = now - 30min;
  return w;
}

}  // namespace

TEST_CASE("what was fetched beforehand is used for a stuck head only when it is beyond it") {
  auto plan = a_plan();
  auto candidate = of(0, "b.bin.zst");
  candidate.snapshots[0].block = 200;
  const auto warm = warm_of(plan, {candidate});
  plan.asked.newer_than = 199;
  CHECK(recovery::usable(warm, plan, {}, now));
  plan.asked.newer_than = 200;
  CHECK_FALSE(recovery::usable(warm, plan, {}, now));
}

TEST_CASE("what was fetched beforehand is used as long as it would be chosen now") {
  auto plan = a_plan();
  plan.max_snapshot_age = 24h;
  const auto warm = warm_of(plan, {of(0, "b.bin.zst"), of(1, "b.bin.zst")});
  recovery::memory remembered;
  const auto left = recovery::usable(warm, plan, remembered, now);
  REQUIRE(left);
  CHECK(*left == warm.candidates);

  SECTION("not for another recipe") {
    plan.recipe.plans[0].wipe = {"state"};
    CHECK_FALSE(recovery::usable(warm, plan, remembered, now));
  }
  SECTION("not when it has become too old") {
    CHECK(recovery::usable(warm, plan, remembered, now + 23h));
    const auto old = recovery::usable(warm, plan, remembered, now + 24h);
    REQUIRE_FALSE(old);
    CHECK(old.error().message == "b.bin.zst is older than max_snapshot_age = 1d");
  }
  SECTION("one of unknown time ages from its fetch on") {
    auto timeless = warm;
    for (auto& c : timeless.candidates) c.snapshots[0].time.reset();
    CHECK(recovery::usable(timeless, plan, remembered, now + 23h));
    CHECK_FALSE(recovery::usable(timeless, plan, remembered, now + 24h));
  }
  SECTION("not when a node has died of it since") {
    remembered.bad = {recovery::bad_key_of_digest("ab")};
    CHECK_FALSE(recovery::usable(warm, plan, remembered, now));
    remembered.bad = {recovery::bad_key_of_copy(warm.candidates[0].snapshots[0])};
    CHECK_FALSE(recovery::usable(warm, plan, remembered, now));
  }
  SECTION("not without the proof that is asked for now") {
    plan.checksum = model::checksum_policy::required;
    CHECK(recovery::usable(warm, plan, remembered, now));
    auto unverified = warm;
    unverified.verified = false;
    CHECK_FALSE(recovery::usable(unverified, plan, remembered, now));
    plan.public_key = "RWQ";
    CHECK_FALSE(recovery::usable(warm, plan, remembered, now));
  }
  SECTION("not from a source that is none any more") {
    plan.sources = {model::source("https://other/")};
    CHECK_FALSE(recovery::usable(warm, plan, remembered, now));
  }
  SECTION("not as somebody else wrote it") {
    auto other = warm;
    other.candidates[1].plan = 4'000'000'000;
    CHECK_FALSE(recovery::usable(other, plan, remembered, now));
    other = warm;
    other.candidates[1] = of(1, "c.bin.zst");
    CHECK_FALSE(recovery::usable(other, plan, remembered, now));
    other = warm;
    other.candidates[0].snapshots.clear();
    CHECK_FALSE(recovery::usable(other, plan, remembered, now));
  }
  SECTION("for the plan that a person names") {
    plan.asked.plan = "full set";
    const auto named = recovery::usable(warm, plan, remembered, now);
    REQUIRE(named);
    REQUIRE(named->size() == 1);
    CHECK(named->front().plan == 1);
  }
}

TEST_CASE("the newest snapshot is fetched, for all plans that can take it") {
  const auto plan = a_plan();
  const std::vector<ports::candidate> all{of(0, "b.bin.zst"), of(0, "a.bin.zst", 25h), of(1, "b.bin.zst"),
                                          of(1, "a.bin.zst", 25h)};
  const auto p = recovery::plan_prefetch(plan, {}, {}, room_of(100 * gib), all, 0, now);
  REQUIRE(p.what == prefetch_plan::kind::fetch);
  CHECK(p.job.mode == ports::worker_mode::fetch);
  CHECK(p.job.background);
  CHECK(p.job.unpack_ahead);
  CHECK(p.job.chosen == all[0]);
  CHECK(p.job.plan == plan.recipe.plans[0]);
  REQUIRE(p.job.prefetch);
  CHECK(p.job.prefetch->candidates == std::vector<ports::candidate>{all[0], all[2]});
  auto done = *p.job.prefetch;
  done.sha256 = {"ab"};
  CHECK(recovery::usable(done, plan, {}, now));

  SECTION("one that is remembered as bad is not") {
    recovery::memory remembered;
    remembered.bad = {recovery::bad_key_of_copy(all[0].snapshots[0])};
    const auto other = recovery::plan_prefetch(plan, remembered, {}, room_of(100 * gib), all, 0, now);
    REQUIRE(other.what == prefetch_plan::kind::fetch);
    CHECK(other.job.chosen == all[1]);
  }
  SECTION("nothing is a problem when nothing is there") {
    const auto none = recovery::plan_prefetch(plan, {}, {}, room_of(100 * gib), {}, 0, now);
    CHECK(none.what == prefetch_plan::kind::nothing);
    CHECK(none.is_problem);
  }
}

TEST_CASE("what is there stays until a newer one is worth its download") {
  auto plan = a_plan();
  const auto newer = of(0, "b.bin.zst", 1h);
  const auto have = warm_of(plan, {of(0, "a.bin.zst", 5h)});
  const auto decide = [&] {
    return recovery::plan_prefetch(plan, {}, have, room_of(100 * gib), {newer, have.candidates[0]}, 0, now);
  };
  CHECK(decide().what == prefetch_plan::kind::fetch);
  plan.max_snapshot_age = 12h;
  CHECK(decide().what == prefetch_plan::kind::nothing);
  CHECK(decide().why == "a.bin.zst is younger than half of max_snapshot_age");
  plan.max_snapshot_age = 10h;
  CHECK(decide().what == prefetch_plan::kind::fetch);

  const auto same = recovery::plan_prefetch(plan, {}, warm_of(plan, {newer}), room_of(100 * gib), {newer}, 0, now);
  CHECK(same.what == prefetch_plan::kind::nothing);
  CHECK_FALSE(same.is_problem);
  auto packed = warm_of(plan, {newer, of(1, newer.snapshots[0].name)});
  packed.unpacked = false;
  const auto unpack = recovery::plan_prefetch(plan, {}, packed, room_of(100 * gib), {newer}, 0, now);
  REQUIRE(unpack.what == prefetch_plan::kind::unpack);
  CHECK(unpack.job.mode == ports::worker_mode::unpack);
  CHECK(unpack.job.chosen == newer);
  CHECK(unpack.job.prefetch == packed);
  CHECK(unpack.job.background);
  CHECK(recovery::plan_prefetch(plan, {}, packed, room_of(100 * gib), {}, 0, now).what ==
        prefetch_plan::kind::unpack);
  CHECK(recovery::plan_prefetch(plan, {}, packed, room_of(gib), {newer}, 0, now).what ==
        prefetch_plan::kind::nothing);
  CHECK(recovery::plan_prefetch(plan, {}, packed, room_of(100 * gib), {newer}, gib, now).what ==
        prefetch_plan::kind::nothing);
  const auto gone = recovery::plan_prefetch(plan, {}, warm_of(plan, {newer}), room_of(100 * gib), {}, 0, now);
  CHECK(gone.what == prefetch_plan::kind::nothing);
  CHECK_FALSE(gone.is_problem);
}

TEST_CASE("room that is short is not spent on what may never be needed") {
  auto plan = a_plan();
  plan.min_free = 4 * gib;  // and a quarter more: 5 GiB
  const std::vector<ports::candidate> all{of(0, "b.bin.zst")};
  const auto decide = [&](std::uint64_t free, std::uint64_t max_size = 0,
                          std::optional<ports::warm_set> have = std::nullopt) {
    return recovery::plan_prefetch(plan, {}, have, room_of(free), all, max_size, now);
  };
  // 1 GiB to fetch, 2 unpacked, 1 for the state that the node makes of it.
  CHECK(decide(9 * gib).job.unpack_ahead);
  const auto less = decide(9 * gib - 1);
  CHECK(less.what == prefetch_plan::kind::fetch);
  CHECK_FALSE(less.job.unpack_ahead);
  const auto none = decide(7 * gib - 1);
  CHECK(none.what == prefetch_plan::kind::nothing);
  CHECK(none.is_problem);
  CHECK(none.why.find("short") != std::string::npos);

  SECTION("a tenth of what is free stays free whatever min_free says") {
    plan.min_free = 0;
    CHECK(decide(5 * gib).job.unpack_ahead);  // 4 GiB and half a one
    CHECK_FALSE(decide(4 * gib + gib / 4).job.unpack_ahead);
  }
  SECTION("what nobody says the size of is not fetched") {
    auto unknown = all;
    unknown[0].snapshots[0].size.reset();
    const auto p = recovery::plan_prefetch(plan, {}, {}, room_of(100 * gib), unknown, 0, now);
    CHECK(p.what == prefetch_plan::kind::nothing);
    CHECK(p.is_problem);
  }
  SECTION("max_size counts archives and what comes out of them") {
    CHECK(decide(90 * gib, 3 * gib).job.unpack_ahead);
    CHECK_FALSE(decide(90 * gib, 3 * gib - 1).job.unpack_ahead);
    CHECK(decide(90 * gib, 3 * gib - 1).what == prefetch_plan::kind::fetch);
    const auto larger = decide(90 * gib, gib / 2);
    CHECK(larger.what == prefetch_plan::kind::nothing);
    CHECK(larger.why == "b.bin.zst is larger than recovery.prefetch.max_size = 512MiB");
  }
  SECTION("what is of no use makes room") {
    auto old = warm_of(plan, {of(0, "a.bin.zst")});
    old.recipe = "{}";
    CHECK(decide(7 * gib - 1, 0, old).what == prefetch_plan::kind::drop);
    CHECK(decide(7 * gib - 1, 0, warm_of(plan, {of(0, "a.bin.zst")})).what == prefetch_plan::kind::nothing);
  }
}

TEST_CASE("where the old state is deleted first nothing is unpacked beside it") {
  auto plan = a_plan();
  plan.space = model::space_policy::in_place;
  auto room = room_of(100 * gib);
  room.freed = room.state;
  const std::vector<ports::candidate> all{of(0, "b.bin.zst")};
  const auto p = recovery::plan_prefetch(plan, {}, {}, room, all, 0, now);
  REQUIRE(p.what == prefetch_plan::kind::fetch);
  CHECK_FALSE(p.job.unpack_ahead);
  CHECK(
      p.why ==
      "fetching b.bin.zst, which is not unpacked before it is needed: recovery.space = \"in_place\" deletes the old "
      "state first");

  SECTION("nor what is here already") {
    auto warm = warm_of(plan, {of(0, "b.bin.zst")});
    warm.unpacked = false;
    CHECK(recovery::plan_prefetch(plan, {}, warm, room, all, 0, now).what == prefetch_plan::kind::nothing);
  }
  SECTION("unless there is nothing to delete") {
    room.freed = {0, 0};
    CHECK(recovery::plan_prefetch(plan, {}, {}, room, all, 0, now).job.unpack_ahead);
  }
  SECTION("or both stand side by side") {
    plan.space = model::space_policy::automatic;
    CHECK(recovery::plan_prefetch(plan, {}, {}, room, all, 0, now).job.unpack_ahead);
  }
}
