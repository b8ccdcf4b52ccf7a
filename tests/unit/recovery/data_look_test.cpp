// What is looked at before anything of a swapped state is moved or started by a hasupd that did not do so itself.
#include "recovery/data_look.hpp"

#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;
using recovery::mark;

namespace {

recovery::progress at(mark m) {
  recovery::progress p;
  p.plan = leap();
  p.plan.data_dir = "/data";
  p.at = m;
  return p;
}

ports::worker_result by_a_stranger() {
  auto r = trace::all_there();
  r.failure = ports::worker_failure::writer;
  r.writer = ports::writer_info{};
  r.writer->pid = 7;
  r.writer->command = "redis-server";
  r.writer->path = "/data/dump.rdb";
  return r;
}

// A directory on the disk below a volume that is not mounted.
ports::worker_result below_the_volume() {
  ports::worker_result r;
  r.data_dir_exists = true;
  r.missing = {"state/shared_memory.bin"};
  return r;
}

const std::vector<mark> in_place{mark::swapped, mark::importing, mark::imported, mark::first_start, mark::loaded};

}  // namespace

TEST_CASE("what is in place is gone on with, and nothing else") {
  for (const auto m : in_place) {
    CHECK(why_data_waits(at(m), trace::all_there()).empty());
    auto r = trace::all_there();
    r.half_swapped = false;
    r.swap_phase.clear();
    CHECK(has(why_data_waits(at(m), r), "/data is not as the recovery left it, without .hasup/swap.json"));
    r.half_swapped = true;
    CHECK(has(why_data_waits(at(m), r), "cannot be read"));
    for (const auto* phase : {"intent", "confirmed", "rolling_back", "wiped"}) {
      r.swap_phase = phase;
      CHECK(has(why_data_waits(at(m), r), std::string("says ") + phase));
    }
  }
}

TEST_CASE("a directory that is not the one that the recovery worked in is no data") {
  auto all = in_place;
  for (const auto m : {mark::swapping, mark::confirmed, mark::rolling_back, mark::wiping}) all.push_back(m);
  for (const auto m : all) {
    CHECK(has(why_data_waits(at(m), below_the_volume()), "/data has no .hasup"));
    CHECK(has(why_data_waits(at(m), ports::worker_result{}), "/data is not there"));
    auto unmounted = trace::all_there();
    unmounted.mounted = false;
    unmounted.unmounted = "/mnt";
    CHECK(why_data_waits(at(m), unmounted) == "/mnt is not mounted");
    CHECK(has(why_data_waits(at(m), by_a_stranger()), "process 7 (redis-server) has /data/dump.rdb open"));
    CHECK(has(why_data_waits(at(m), ports::internal_failure("no worker")), "cannot be inspected: no worker"));
  }
}

TEST_CASE("confirmed, the record may be gone, but not what was confirmed") {
  auto r = trace::all_there();
  r.swap_phase = "confirmed";
  CHECK(why_data_waits(at(mark::confirmed), r).empty());
  r.half_swapped = false;
  r.swap_phase.clear();
  CHECK(why_data_waits(at(mark::confirmed), r).empty());
  r.missing = {"state/shared_memory.bin"};
  CHECK(has(why_data_waits(at(mark::confirmed), r), "has no state/shared_memory.bin"));
  r.missing.clear();
  r.data_dir_empty = true;
  CHECK(has(why_data_waits(at(mark::confirmed), r), "is empty"));
}

TEST_CASE("a start waits for room, what is moved does not") {
  auto r = trace::all_there();
  r.free_bytes = 9;
  CHECK(why_data_waits(at(mark::loaded), r).empty());
  CHECK(has(why_start_waits(at(mark::loaded), r, 10), "only 9B free under /data, and the start waits for 10B"));
  CHECK(why_start_waits(at(mark::loaded), r, 9).empty());
  r.least_free = "/history";
  CHECK(has(why_start_waits(at(mark::loaded), r, 10), "only 9B free under /history, "));
}

TEST_CASE("a recovery that is taken up looks before it starts, moves or deletes anything") {
  const auto from = GENERATE(mark::swapped, mark::first_start, mark::loaded, mark::confirmed, mark::rolling_back);
  trace t;
  std::string then = "start node";
  if (from == mark::swapped) {
    t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3")}).fetched().unpacked();
    REQUIRE(apply(t.state.done, recovery::swapped{}).has_value());
  } else {
    t.until_running(leap(), {one_candidate(0, "s3")}).startup_passed();
  }
  if (from == mark::first_start) then = "worker rewipe";
  if (from == mark::loaded || from == mark::confirmed) t.head(101);
  if (from == mark::confirmed) {
    t.after(std::chrono::minutes(3)).head(300);
    then = "worker clean_up";
  }
  if (from == mark::rolling_back) {
    t.exited(1, recovery::exit_kind::recover, "dirty database");
    then = "worker roll_back";
  }
  REQUIRE(t.state.done.at == from);
  trace again;
  again.there.reset();
  again.feed(recovery::resume_wanted{t.state.done});
  if (has(again.text, "quiesce\n")) again.quiesced();
  const auto looks = again.take();
  INFO(looks);
  CHECK(has(looks, "worker inspect"));
  CHECK_FALSE(has(looks, then));
  auto waits = again.done(below_the_volume()).take();
  CHECK(has(waits, "recovery_waiting: "));
  CHECK(has(waits, "timer 1s"));
  CHECK(has(again.timer().take(), "worker inspect"));
  waits = again.done(below_the_volume()).take();
  CHECK_FALSE(has(waits, "recovery_waiting: "));  // told once
  CHECK(has(waits, "timer 2s"));
  CHECK(has(again.timer().done(by_a_stranger()).take(), "process 7 (redis-server)"));
  SECTION("goes on when all is there") {
    CHECK(has(again.timer().done(trace::all_there()).take(), then));
  }
  SECTION("a person stops it, and it stays as it is") {
    CHECK(has(again.stop().take(), "finished parked"));
  }
  SECTION("also while it looks") {
    CHECK(has(again.timer().stop().take(), "cancel worker"));
    CHECK(has(again.done().take(), "finished parked"));
  }
}

TEST_CASE("a node that ended is started once more after a look") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3")}).startup_passed().head(101).killed();
  t.there.reset();
  t.take();
  const auto looks = t.timer().take();
  CHECK(has(looks, "worker inspect"));
  CHECK_FALSE(has(looks, "start node"));
  SECTION("it is there") {
    CHECK(has(t.done(trace::all_there()).take(), "start node"));
  }
  SECTION("a person wants the old state, and somebody has removed what says where it is") {
    t.feed(recovery::roll_back_wanted{}).take();
    auto seen = trace::all_there();
    seen.half_swapped = false;
    seen.swap_phase.clear();
    const auto ended = t.done(seen).take();
    CHECK(has(ended, "finished refused: .hasup/swap.json of"));
    CHECK_FALSE(has(ended, "old state is back"));
    CHECK_FALSE(has(ended, "worker roll_back"));
  }
  SECTION("a person wants the old state, and its disk is not there") {
    t.feed(recovery::roll_back_wanted{}).take();
    CHECK(has(t.done(below_the_volume()).take(), "recovery_waiting: "));
    auto other = trace::all_there();
    other.mounted = false;
    other.unmounted = "/data/state, as its recovery knows it,";
    CHECK_FALSE(has(t.timer().done(other).take(), "rolling_back"));
    other.other_volume = true;
    const auto told = t.timer().done(other).take();
    CHECK(has(told, "another file system is there"));
    CHECK_FALSE(has(told, "rolling_back"));
  }
  SECTION("a person wants the old state while it looks") {
    const auto wanted = t.feed(recovery::roll_back_wanted{}).take();
    CHECK(has(wanted, "write undo_wanted"));
    CHECK_FALSE(has(wanted, "quiesce"));
    CHECK(has(t.done(trace::all_there()).take(), "write rolling_back"));
  }
}
