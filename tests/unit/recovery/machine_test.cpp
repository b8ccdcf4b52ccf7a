// The recovery machine's decisions off the main ways: each case is one promise.
#include "recovery/candidates.hpp"
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;
using recovery::exit_kind;

namespace {

const std::vector<ports::candidate> two = {one_candidate(0, "s3"), one_candidate(0, "s2")};

}  // namespace

TEST_CASE("a spent budget refuses, and a person goes beyond it") {
  auto plan = leap();
  plan.budget_count = 2;
  plan.budget_within = std::chrono::hours(24);
  trace t;
  const base::wall_time now{std::chrono::hours(1000)};
  t.state.remembered.swaps = {now - std::chrono::hours(30), now - std::chrono::hours(2), now - std::chrono::hours(1)};
  CHECK(has(t.begin(plan).take(), "finished refused: the budget of 2 recoveries within 1d is used up"));
  plan.asked.by_hand = true;
  CHECK(has(t.begin(plan).take(), "write begun"));
}

TEST_CASE("the budget also ends a recovery between two candidates") {
  auto plan = leap();
  plan.budget_count = 1;
  trace t;
  t.until_running(plan, two);
  t.exited(1, exit_kind::recover, "dirty database").quiesced().take();
  const auto text = t.done().take();
  CHECK(has(text, "finished rolled_back: the budget of 1 recoveries"));
  CHECK(has(text, "the old state is back as it was"));
}

TEST_CASE("a roll back that is not exact is never called so, by this hasupd or the next") {
  ports::worker_result back;
  back.inexact = "what the node wrote to blocks meanwhile stays (the file system has no reflinks)";
  const std::string said = "the old state is back, but " + back.inexact;
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3"), one_candidate(1, "s3")});
  t.exited(0, exit_kind::unexplained, "unexplained", "missed a block in trace_history.log").quiesced().take();
  CHECK(has(t.done(back).take(), "recovery_rolled_back: " + said + "\n"));
  t.fetched().unpacked().done().started().take();
  SECTION("a later one that is exact does not make up for it") {}
  SECTION("known to the journal") {
    trace again;
    again.feed(recovery::resume_wanted{t.state.done, true});
    t = std::move(again);
  }
  t.exited(254, exit_kind::unexplained, "unexplained").quiesced().take();
  const auto text = t.done().take();
  INFO(text);
  CHECK(has(text, "recovery_rolled_back: " + said + "\n"));
  CHECK(has(text, "finished rolled_back: no snapshot is left to try"));
  CHECK_FALSE(has(text, "as it was"));
}

TEST_CASE("what could not be renamed is refused before anything is fetched, and with it its whole plan") {
  trace t;
  t.room->not_swappable = {"/data/state is a symbolic link", ""};
  SECTION("another plan is tried at once") {
    t.begin(leap()).quiesced().done();
    t.listed({one_candidate(0, "s3"), one_candidate(0, "s2"), one_candidate(1, "f3")});
    const auto text = t.take();
    CHECK(has(text, "s3 is not used: /data/state is a symbolic link"));
    CHECK_FALSE(has(text, "trying s2"));
    CHECK(has(text, "worker fetch f3"));
  }
  SECTION("there is none") {
    t.begin(leap()).quiesced().done().listed(two);
    const auto text = t.take();
    CHECK_FALSE(has(text, "worker fetch"));
    CHECK(has(text,
              "finished unavailable: no snapshot is left to try; last: /data/state is a symbolic link; the old "
              "state is untouched"));
  }
  CHECK(t.state.remembered.swaps.empty());
}

TEST_CASE("a swap that renamed nothing does not count towards the budget") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3")}).fetched().unpacked();
  REQUIRE(t.state.remembered.swaps.size() == 1);
  ports::worker_result r;
  r.failure = ports::worker_failure::refused;
  r.error = "/data/state is a symbolic link";
  std::size_t counted = 0;
  SECTION("it was refused before") {}
  SECTION("its record is there, so it may have") {
    r.half_swapped = true;
    counted = 1;
  }
  SECTION("nobody knows how far it came") {
    r = ports::internal_failure("killed");
    t.done(r).timer().done(r).timer();
    counted = 1;
  }
  t.done(r);
  CHECK(t.state.remembered.swaps.size() == counted);
  CHECK(t.state.done.swaps.size() == counted);
  trace again;  // the journal says so, too
  again.feed(recovery::resume_wanted{t.state.done});
  CHECK(again.state.remembered.swaps.size() == counted);
}

TEST_CASE("after a roll back no end says that nothing was touched") {
  ports::worker_result back;
  back.inexact = "what the node wrote to blocks meanwhile stays";
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3"), one_candidate(0, "s2")});
  t.exited(1, exit_kind::recover, "dirty database").quiesced().done(back).take();
  const auto internal = ports::internal_failure("no worker");
  ports::worker_result seen;
  SECTION("stopped") {
    t.stop().done();
  }
  SECTION("no room any more") {
    t.failed(ports::worker_failure::no_space, "disk full");
  }
  SECTION("a worker that fails again and again") {
    for (unsigned i = 1; i < recovery::tries_of_a_worker; ++i) t.done(internal).timer();
    t.done(internal);
  }
  SECTION("the next hasupd finds that somebody has the data open") {
    seen.failure = ports::worker_failure::writer;
    seen.writer = ports::writer_info{};
  }
  SECTION("the next hasupd finds that the volume is away") {
    seen.mounted = false;
  }
  SECTION("a swap that is refused") {
    t.fetched("bb").unpacked().take();
    t.failed(ports::worker_failure::refused, "a link").quiesced().done();
  }
  if (seen.writer || !seen.mounted) {
    trace again;
    again.feed(recovery::resume_wanted{t.state.done}).quiesced().done(seen);
    if (seen.writer) again.quiesced().done(seen);  // it might have been a reader's
    t = std::move(again);
  }
  const auto text = t.take();
  INFO(text);
  CHECK(has(text, "finished "));
  CHECK(has(text, "the old state is back, but what the node wrote to blocks meanwhile stays"));
  CHECK_FALSE(has(text, "touched"));
  CHECK_FALSE(has(text, "as it was"));
}

TEST_CASE("an empty list refuses with what the sources said") {
  trace t;
  t.begin(leap()).quiesced().done();
  ports::worker_result r;
  r.notes = {"http://backup/: nothing matches snapshot-*.bin"};
  CHECK(has(t.done(r).take(), "finished unavailable: no snapshot to recover from; http://backup/: nothing matches"));
}

TEST_CASE("for a head that stands still only what is beyond it is taken") {
  auto plan = leap();
  plan.asked.newer_than = 150;
  auto guess = one_candidate(0, "guess", 20'261'122);
  guess.snapshots[0].block_is_guess = true;
  trace t;
  SECTION("the first that is") {
    t.begin(plan).quiesced().done();
    t.listed({guess, one_candidate(0, "silent", std::nullopt), one_candidate(0, "same", 150),
              one_candidate(0, "beyond", 151)});
    CHECK(has(t.take(), "trying beyond"));
    REQUIRE(t.state.done.candidates.size() == 1);
  }
  SECTION("none is") {
    t.begin(plan).quiesced().done();
    t.listed({guess, one_candidate(0, "silent", std::nullopt), one_candidate(0, "same", 150),
              one_candidate(0, "older", 100)});
    const auto said = t.take();
    CHECK(has(said,
              "finished unavailable: no snapshot to recover from that is beyond the own head 150; the newest is "
              "of block 150; 2 of them do not say their block for sure"));
    CHECK(!has(said, "worker fetch"));
    CHECK(!has(said, "worker swap"));
  }
  SECTION("also of archives of one set, all of them") {
    auto set = one_candidate(0, "state", 200);
    set.snapshots.push_back(one_snapshot("blocks", 140));
    CHECK_FALSE(recovery::is_beyond(set, 150));
    set.snapshots[1].block = 200;
    CHECK(recovery::is_beyond(set, 150));
    set.snapshots[1].block.reset();
    CHECK(recovery::is_beyond(set, 150));
    set.snapshots[0].block.reset();
    CHECK_FALSE(recovery::is_beyond(set, 150));
  }
  SECTION("beyond the budget nothing is asked") {
    plan.budget_count = 1;
    t.state.remembered.swaps = {base::wall_time{std::chrono::hours(999)} + std::chrono::minutes(59)};
    CHECK(has(t.begin(plan).take(), "finished refused: the budget of 1 recoveries"));
  }
  SECTION("what a clock stamped that was years ahead does not count, what one was an hour ahead does") {
    plan.budget_count = 1;
    t.state.remembered.swaps = {base::wall_time{std::chrono::hours(1000 + 9000)}};
    CHECK_FALSE(has(t.begin(plan).take(), "finished refused"));
    trace hour;
    hour.state.remembered.swaps = {base::wall_time{std::chrono::hours(1000 + 1)}};
    CHECK(has(hour.begin(plan).take(), "finished refused: the budget of 1 recoveries"));
  }
}

TEST_CASE("a snapshot marked bad is skipped unless it is named") {
  trace t;
  t.begin(leap()).quiesced().done().listed(two).failed(ports::worker_failure::bad_snapshot, "torn");
  t.fetched().unpacked().done().started().startup_passed().head(101).after(std::chrono::minutes(3)).head(300).done();
  CHECK(has(t.take(), "finished recovered: recovered from s2"));

  t.begin(leap()).quiesced().done().listed(two);
  const auto said = t.take();
  CHECK(has(said, "trying s2"));
  CHECK(has(said, "s3 is newer, and is passed over: it is remembered as bad (`hasup reset leap` forgets that)"));
  t.stop();
  t.done();
  t.take();

  auto named = leap();
  named.asked.snapshot = "s3";
  t.begin(named).quiesced().done().listed(two);
  CHECK(has(t.take(), "trying s3"));
  t.fetched();
  CHECK(has(t.take(), "worker unpack s3"));
}

TEST_CASE("only bad snapshots are a refusal that says how to use one") {
  trace t;
  t.state.remembered.bad = {"sha256:aa"};
  auto c = one_candidate(0, "s3");
  c.snapshots[0].sha256 = "aa";
  t.begin(leap()).quiesced().done().take();
  CHECK(has(t.listed({c, c}).take(), "marked bad: s3 (`hasup reset leap` forgets that and tries again"));
}

TEST_CASE("an archive with a bad digest under another name is not used") {
  trace t;
  t.state.remembered.bad = {"sha256:aa"};
  t.begin(leap()).quiesced().done().listed(two).take();
  const auto text = t.fetched("aa").take();
  CHECK(has(text, "s3 is not used: it is the same archive as one that is marked bad"));
  CHECK(has(text, "trying s2"));
}

TEST_CASE("a plan that is not there is refused with the names that are") {
  auto plan = leap();
  plan.asked.plan = "all";
  trace t;
  CHECK(has(t.begin(plan).take(), "has no plan \"all\", only \"state only\", \"full set\""));
}

TEST_CASE("--plan takes that plan only") {
  auto plan = leap();
  plan.asked.plan = "full set";
  trace t;
  t.begin(plan).quiesced().done().take();
  CHECK(has(t.listed({one_candidate(0, "s3"), one_candidate(1, "s3")}).take(), "(plan \"full set\")"));
}

TEST_CASE("a plan that loses what no archive brings is left to a person, who is told of it") {
  auto plan = leap();
  plan.recipe.plans[1].use = model::plan_use::by_hand;
  const std::vector<ports::candidate> both{one_candidate(0, "s3"), one_candidate(1, "s3")};
  const std::string told =
      "; plan \"full set\", which loses what no archive brings of state, blocks, is tried only when a person names "
      "it: "
      "`hasup recover leap --plan \"full set\"`";
  trace t;
  t.until_running(plan, both);
  t.exited(0, exit_kind::unexplained, "unexplained", "missed a block in trace_history.log").quiesced().take();
  const auto text = t.done().take();
  CHECK(has(text, "finished rolled_back: no snapshot is left to try"));
  CHECK(has(text, told));
  CHECK_FALSE(has(text, "trying s3 from http://backup/ (plan \"full set\")"));

  // It may be all that there is.
  trace none;
  none.begin(plan).quiesced().done().take();
  CHECK(has(none.listed({one_candidate(1, "s3")}).take(), told));

  plan.asked.plan = "full set";
  trace named;
  named.begin(plan).quiesced().done().take();
  CHECK(has(named.listed(both).take(), "(plan \"full set\")"));

  plan.asked.plan.clear();
  plan.data_dir = "/data";
  const auto shown = recovery::describe_plan(plan, {}, both, {}, {base::mono_time{}, base::wall_time{}});
  REQUIRE(shown.has_value());
  CHECK(has(shown->text,
            "plan \"full set\" in /data\n  loses what no archive brings of state, blocks: only with --plan \"full "
            "set\"\n"));
}

TEST_CASE("--from needs no source, and the file is looked at before it is taken") {
  auto plan = leap();
  plan.asked.from = "/tmp/mine.bin";
  trace t;
  t.begin(plan).quiesced().take();
  CHECK(has(t.done().take(), "worker select mine.bin"));
  auto seen = recovery::candidate_from_file(plan).value();
  seen.snapshots.front().size = 1000;
  CHECK(has(t.listed({seen}).take(), "trying mine.bin from file:///tmp/"));
}

TEST_CASE("--from of a file for which there is no room is refused with the numbers") {
  auto plan = leap();
  plan.asked.from = "/tmp/mine.bin.zst";
  plan.asked.by_hand = true;
  trace t;
  t.room->free_bytes = 3000;
  t.begin(plan).quiesced().done().take();
  auto seen = recovery::candidate_from_file(plan).value();
  seen.snapshots.front().size = 1000;
  const auto text = t.listed({seen}).take();
  CHECK(has(text, "mine.bin.zst needs 3.9KiB (1000B to fetch, 2.9KiB unpacked, which is a guess"));
  CHECK(has(text, "short. Make room there"));
  CHECK(has(text, "finished refused: no snapshot is left to try"));
  CHECK_FALSE(has(text, "worker fetch"));
}

TEST_CASE("--from of a file that is not there ends at once") {
  auto plan = leap();
  plan.asked.from = "/tmp/mine.bin";
  trace t;
  t.begin(plan).quiesced().done().take();
  const auto text = t.failed(ports::worker_failure::refused, "/tmp/mine.bin: No such file or directory").take();
  CHECK(has(text, "finished refused: /tmp/mine.bin: No such file or directory"));
}

TEST_CASE("an archive that cannot be had is left for the next after five tries, the next after one") {
  trace t;
  t.begin(leap()).quiesced().done().listed(two).take();
  for (int i = 0; i < 4; ++i) t.failed(ports::worker_failure::unreachable, "404").timer();
  t.take();
  CHECK(has(t.failed(ports::worker_failure::unreachable, "404").take(), "trying s2"));
  CHECK(t.state.remembered.bad.empty());
  CHECK(has(t.failed(ports::worker_failure::unreachable, "404").take(),
            "finished unavailable: no snapshot is left to try"));
}

TEST_CASE("a mirror's damaged copy is loaded once: not by a further try, another plan, or as its own host's") {
  const base::wall_time yesterday{std::chrono::hours(24)};
  auto of_a = one_candidate(0, "s3");
  of_a.snapshots[0].mirrors.push_back({"http://b/s3", "http://b/", ""});
  of_a.snapshots[0].mirrors.push_back({"http://c/s3", "http://c/", ""});
  for (auto& m : of_a.snapshots[0].mirrors) m.time = yesterday;
  auto of_b = one_candidate(0, "s3");
  of_b.snapshots[0].source = "http://b/";
  of_b.snapshots[0].url = "http://b/s3";
  of_b.snapshots[0].time = yesterday;
  auto full = of_a;
  full.plan = 1;
  trace t;
  t.begin(leap()).quiesced().done().listed({of_a, of_b, full}).take();
  ports::worker_result away;
  away.failure = ports::worker_failure::unreachable;
  away.error = "503; at http://b/s3 s3 has another sha256";
  away.snapshot = "s3";
  away.damaged_at = {"http://b/"};
  t.room.reset();
  const auto text = t.done(away).take();
  CHECK(has(text, "s3 is not used: 503; at http://b/s3"));
  CHECK(has(text, R"(trying s3 from http://backup/ (plan "full set"))"));
  CHECK_FALSE(has(text, "from http://b/ "));
  CHECK(t.state.remembered.bad == std::vector{recovery::bad_key_of_copy(of_b.snapshots[0])});

  ports::worker_result room;
  room.room = trace::plenty();
  recovery::actions then;
  recovery::next(t.state, recovery::worker_done{room}, {}, then);
  const auto job = std::find_if(then.begin(), then.end(), [](const auto& a) {
    const auto* run = std::get_if<recovery::run_worker>(&a);
    return run != nullptr && run->job.mode == ports::worker_mode::fetch;
  });
  REQUIRE(job != then.end());
  const auto& mirrors = std::get<recovery::run_worker>(*job).job.chosen->snapshots[0].mirrors;
  REQUIRE(mirrors.size() == 1);
  CHECK(mirrors[0].source == "http://c/");
}

TEST_CASE("too little space is refused with the worker's numbers") {
  trace t;
  t.begin(leap()).quiesced().done().listed(two).take();
  CHECK(has(t.failed(ports::worker_failure::no_space, "needs 5GiB, 1GiB is free").take(),
            "finished refused: needs 5GiB, 1GiB is free"));
}

TEST_CASE("a worker that dies is tried three times") {
  trace t;
  t.begin(leap()).quiesced().done().listed(two);
  for (int i = 0; i < 2; ++i) t.failed(ports::worker_failure::internal, "killed").timer();
  t.take();
  CHECK(has(t.failed(ports::worker_failure::internal, "killed").take(), "finished refused: killed"));
}

TEST_CASE("what a snapshot holds beyond the plan is told") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3")}).fetched().take();
  ports::worker_result r;
  r.archive_paths["snapshot"] = "/data/.hasup/staging/archives/snapshot/s.bin";
  r.notes = {"blob of s3 was left out"};
  CHECK(has(t.done(r).take(), "recovery_note: blob of s3 was left out"));
}

TEST_CASE("an argument that names an archive the plan does not keep is found before the swap") {
  auto plan = leap();
  plan.recipe.first_start_append = {"--snapshot", "${archive.snapsot.path}"};
  trace t;
  t.begin(plan).quiesced().done().listed({one_candidate(0, "s3")}).fetched().take();
  const auto text = t.unpacked().take();
  CHECK(has(text, "names the archive \"snapsot\""));
  CHECK(has(text, "finished unavailable"));
  CHECK(!has(text, "swapping"));
}

TEST_CASE("stop before the swap cancels the worker and touches nothing") {
  trace t;
  t.begin(leap()).quiesced().done().listed(two).take();
  CHECK(t.stop().take() == "cancel worker\n");
  CHECK(has(t.failed(ports::worker_failure::internal, "cancelled").take(), "finished cancelled"));
  trace q;
  q.begin(leap()).stop().take();
  CHECK(has(q.quiesced().take(), "finished cancelled"));
}

TEST_CASE("cancel after the swap is told what can be done instead") {
  trace t;
  t.until_running(leap(), two).take();
  CHECK(has(t.feed(recovery::cancel_wanted{}).take(),
            "too late to cancel, s3 is in place; `hasup stop leap` parks it, `hasup recover leap --rollback`"));
}

TEST_CASE("a person rolls back while the node runs on what was restored") {
  trace t;
  t.until_running(leap(), two).startup_passed().take();
  CHECK(t.feed(recovery::roll_back_wanted{}).take() ==
        "no timer\nwrite rolling_back\n"
        "recovery_rolling_back: rolled back by hand from s3; putting the old state back\nno timer\nstop node\n");
  CHECK(t.exited(0, exit_kind::unexplained, "").take() == "quiesce\n");
  CHECK(has(t.quiesced().take(), "worker roll_back"));
  const auto text = t.done().take();
  CHECK(has(text, "finished cancelled: rolled back by hand from s3; the old state is back as it was"));
  CHECK(t.state.remembered.bad.empty());
}

TEST_CASE("a roll back by hand waits for what is under way and needs something that was replaced") {
  trace early;
  early.begin(leap()).quiesced().done().listed(two).take();
  CHECK(has(early.feed(recovery::roll_back_wanted{}).take(), "nothing was replaced yet"));

  trace swapping;
  swapping.begin(leap()).quiesced().done().listed(two).fetched().unpacked().take();
  CHECK(swapping.feed(recovery::roll_back_wanted{}).take() == "write undo_wanted\n");
  trace after_a_crash;
  CHECK(has(after_a_crash.feed(recovery::resume_wanted{swapping.state.done, false}).take(), "write rolling_back"));
  CHECK(has(after_a_crash.quiesced().done().take(), "finished cancelled"));
  CHECK(has(swapping.done().take(), "write rolling_back"));

  trace starting;
  starting.until_first_start(leap(), two).take();
  CHECK(starting.feed(recovery::roll_back_wanted{}).take() == "write undo_wanted\nstop node\n");
  trace still_alive;
  CHECK(has(still_alive.feed(recovery::resume_wanted{starting.state.done, true}).take(), "stop node"));
  CHECK(has(starting.started().take(), "stop node"));

  trace pausing;
  pausing.until_running(leap(), two).killed().take();
  CHECK(has(pausing.feed(recovery::roll_back_wanted{}).take(), "write rolling_back"));
  CHECK(has(pausing.timer().quiesced().done().take(), "finished cancelled"));

  trace stopping;
  stopping.until_running(leap(), two).stop(true).take();
  CHECK(has(stopping.feed(recovery::roll_back_wanted{}).take(), "write rolling_back"));
  CHECK(has(stopping.exited(0, exit_kind::unexplained, "").quiesced().done().take(), "finished cancelled"));
}

TEST_CASE("a roll back by hand ends a recovery that would go on with the next snapshot") {
  trace t;
  t.until_running(leap(), two).exited(1, exit_kind::unexplained, "").take();
  CHECK(has(t.feed(recovery::roll_back_wanted{}).take(), "write rolling_back"));
  CHECK(has(t.quiesced().done().take(), "finished cancelled: rolled back by hand"));
}

TEST_CASE("a parked recovery is rolled back from its journal") {
  trace t;
  t.until_running(leap(), two).stop(true).exited(0, exit_kind::unexplained, "");
  const auto done = t.state.done;
  trace again;
  again.feed(recovery::resume_wanted{done, false}).feed(recovery::roll_back_wanted{}).take();
  const auto text = again.quiesced().done().take();
  CHECK(has(text, "finished cancelled"));
}

TEST_CASE("cancel ends an asking recovery, a resumed one asks again") {
  auto plan = leap();
  plan.mode = model::recovery_mode::ask;
  trace t;
  t.begin(plan).quiesced().done().listed(two).fetched().unpacked();
  const auto done = t.state.done;
  t.take();
  CHECK(has(t.feed(recovery::cancel_wanted{}).take(), "finished cancelled"));
  trace again;
  CHECK(has(again.feed(recovery::resume_wanted{done, false}).take(), "finished asking"));
}

TEST_CASE("a held start is tried three times, then the old state comes back and nobody is blamed") {
  trace t;
  t.until_running(leap(), two);
  for (int i = 0; i < 2; ++i) t.exited(1, exit_kind::hold, "disk full").timer().done().started();
  t.take();
  t.exited(1, exit_kind::hold, "disk full").quiesced();
  const auto text = t.done().take();
  CHECK(has(text, "3 times in a row; this is not the snapshot's fault"));
  CHECK(has(text, "finished rolled_back"));
  CHECK(t.state.remembered.bad.empty());
}

TEST_CASE("a crash by a signal of its own is the snapshot's fault, a program that is missing is not") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).take();
  recovery::node_exited crash;
  crash.status.signal = 11;
  crash.class_name = "killed by signal 11";
  t.feed(crash).quiesced();
  CHECK(has(t.done().take(), "trying s2"));
  CHECK(!t.state.remembered.bad.empty());

  trace missing;
  missing.until_first_start(leap(), two).take();
  recovery::node_exited never_ran;
  never_ran.kind = exit_kind::hold;
  never_ran.class_name = "missing program";
  never_ran.evidence = "nodeos: No such file or directory";
  CHECK(has(missing.feed(never_ran).take(),
            "the node could not be started: missing program (nodeos: No such file or directory); again in 1s"));
  CHECK(missing.state.remembered.bad.empty());
}

TEST_CASE("only time in which the node could have started counts for giving its start up") {
  trace t;
  t.until_running(leap(), two);
  for (int i = 0; i < 8; ++i) {
    t.exited(0, exit_kind::environment, "port in use").timer().done();
    // What the unit requires was away.
    t.after(std::chrono::hours(2)).feed(recovery::start_waited{std::chrono::hours(2)}).started();
    t.after(std::chrono::minutes(3));
  }
  CHECK(!has(t.take(), "write rolling_back"));
  // 24 minutes of its own so far, of 30.
  t.exited(0, exit_kind::environment, "port in use").timer().done().started();
  CHECK(!has(t.take(), "write rolling_back"));
  t.after(std::chrono::minutes(7)).exited(0, exit_kind::environment, "port in use");
  CHECK(has(t.take(), "write rolling_back"));
}

TEST_CASE("time in which the volume of its data was not there does not count for giving its start up") {
  trace t;
  t.until_running(leap(), two);
  for (int i = 0; i < 5; ++i) t.exited(0, exit_kind::environment, "port in use").timer().done().started();
  t.there->mounted = false;
  t.exited(0, exit_kind::environment, "port in use").timer();
  t.after(std::chrono::minutes(31)).timer();
  t.there->mounted = true;
  t.timer().done().started();
  t.exited(0, exit_kind::environment, "port in use");
  CHECK(!has(t.take(), "write rolling_back"));
}

TEST_CASE("a taken port is waited for as long as confirm.within") {
  trace t;
  t.until_running(leap(), two);
  for (int i = 0; i < 8; ++i) t.exited(0, exit_kind::environment, "port in use").timer().done().started();
  CHECK(!has(t.take(), "write rolling_back"));
  t.after(std::chrono::minutes(31)).exited(0, exit_kind::environment, "port in use");
  CHECK(has(t.take(), "write rolling_back"));
  CHECK(t.state.remembered.bad.empty());
}

TEST_CASE("a node cut off after it had loaded may be dirty: the same snapshot once more, without blame") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).take();
  t.killed().timer().started().take();
  t.exited(2, exit_kind::recover, "dirty database").quiesced();
  const auto text = t.done().take();
  CHECK(has(text, "write rolled_back"));
  CHECK(has(text, "trying s3"));
  CHECK(t.state.remembered.bad.empty());
}

TEST_CASE("a full disk cuts a node off as well: what it finds damaged then is not the snapshot's fault") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).take();
  t.exited(1, exit_kind::hold, "disk full").timer().started().take();
  t.exited(2, exit_kind::recover, "dirty database").quiesced();
  CHECK(has(t.done().take(), "trying s3"));
  CHECK(t.state.remembered.bad.empty());

  // The same in a first start on a state that is not wiped again before the next.
  auto unpacked = leap();
  unpacked.recipe.first_start_append.clear();
  for (auto& plan : unpacked.recipe.plans) {
    plan.archives[0].as.clear();
    plan.archives[0].into = "state";
  }
  trace first;
  first.until_running(unpacked, two).take();
  first.exited(1, exit_kind::hold, "disk full").timer().done().started().take();
  first.exited(2, exit_kind::recover, "dirty database").quiesced();
  CHECK(has(first.done().take(), "trying s3"));
  CHECK(first.state.remembered.bad.empty());
}

TEST_CASE("a node whose head stands still is waited for while nothing shows that others advance") {
  trace t;
  const bool was_loaded = GENERATE(false, true);
  t.until_running(leap(), two).startup_passed().head(100);
  if (was_loaded) t.head(101);
  t.take();
  const auto last = was_loaded ? 101U : 100U;
  t.after(std::chrono::minutes(30)).head(last);
  const auto said = t.timer(false, "there is no [recovery.reference] to ask").take();
  CHECK(has(said,
            "recovery_stands: the head did not advance within 30m on s3, and nothing shows that others advance "
            "(there is no [recovery.reference] to ask): it runs and is waited for, and nothing is held against "
            "the snapshot; `hasup recover leap --rollback` puts the old state back\ntimer 1m\n"));
  CHECK(recovery::outlook_of(t.state).stands);
  CHECK_FALSE(recovery::outlook_of(t.state).gives_up_at);
  for (int i = 0; i < 29; ++i) {
    t.after(std::chrono::minutes(1)).head(last);
    CHECK(t.timer(false, "").take() == "timer 1m\n");
  }
  t.after(std::chrono::minutes(1)).head(last);
  CHECK(has(t.timer(false, "").take(), "recovery_stands"));  // told once more
  SECTION("the chain goes on") {
    t.head(102).after(std::chrono::minutes(2)).head(103);
    CHECK(has(t.take(), "write confirmed"));
  }
  SECTION("others advance") {
    t.timer(true, "http://b has 110");
    CHECK(has(t.take(), "the head did not advance within 30m on s3, and others advance: http://b has 110"));
    t.exited(0, exit_kind::environment, "stopped").quiesced();
    CHECK(has(t.done().take(), "trying s2"));
  }
  SECTION("it does not answer any more") {
    t.after(std::chrono::minutes(2)).timer(false, "");
    CHECK(has(t.take(), "rolling_back"));
  }
  SECTION("a person does not wait") {
    t.feed(recovery::roll_back_wanted{});
    CHECK(has(t.take(), "write rolling_back"));
  }
  CHECK(t.state.remembered.bad.empty());
}

TEST_CASE("a node that does not say its head any more is rolled back and the next is tried, without blame") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(100).take();
  CHECK(t.after(std::chrono::minutes(10)).timer().take() == "timer 20m\n");
  t.after(std::chrono::minutes(20)).timer();
  CHECK(has(t.text, "the head did not advance within 30m on s3"));
  CHECK(has(t.take(), "stop node"));
  t.exited(0, exit_kind::environment, "stopped").quiesced();
  CHECK(has(t.done().take(), "trying s2"));
  CHECK(t.state.remembered.bad.empty());
}

TEST_CASE("loading takes as long as it takes until startup has passed") {
  trace t;
  t.until_running(leap(), two).take();
  CHECK(t.after(std::chrono::hours(10)).timer().take() == "timer 14h\n");
  t.after(std::chrono::hours(14)).timer();
  CHECK(has(t.take(), "the node did not start within 1d"));
}

TEST_CASE("healthy is no proof of a first block where there is a head") {
  trace t;
  t.until_running(leap(), two).startup_passed().take();
  CHECK(!has(t.healthy().take(), "loaded"));
  CHECK(!has(t.head(100).healthy().take(), "loaded"));
  CHECK(has(t.head(101).take(), "loaded"));
}

TEST_CASE("without a head healthy counts, for as long as advancing would") {
  auto plan = leap();
  plan.has_head = false;
  trace t;
  t.until_running(plan, two).startup_passed().take();
  t.healthy();
  CHECK(has(t.text, "write loaded"));
  CHECK(has(t.take(), "timer 2m"));
  CHECK(has(t.after(std::chrono::minutes(2)).timer().take(), "write confirmed"));
}

TEST_CASE("an archive has to bring what must exist, unless the node makes it in its first start") {
  auto plan = leap();
  auto& recipe = plan.recipe;
  const auto to_bring = [&](std::size_t i = 0) { return recovery::must_be_brought(recipe, recipe.plans[i]); };
  CHECK(to_bring().empty());  // of the snapshot that is its argument
  std::swap(recipe.first_start_append, recipe.import_command);
  CHECK(to_bring().empty());
  std::swap(recipe.first_start_append, recipe.import_command);
  recipe.plans[1].archives[0].as.clear();
  recipe.plans[1].archives[0].into = ".";
  CHECK(to_bring().empty());
  CHECK(to_bring(1) == recipe.must_exist);  // this plan has no archive for the argument
  recipe.first_start_append = {"--replay"};
  CHECK(to_bring(1).empty());
  recipe.first_start_append.clear();
  CHECK(to_bring(1) == recipe.must_exist);

  recipe.plans.erase(recipe.plans.begin());
  trace t;
  std::vector<ports::worker_job> jobs;
  const auto feed = [&](const recovery::event& e) {
    recovery::actions out;
    recovery::next(t.state, e, {}, out);
    for (const auto& a : out)
      if (const auto* run = std::get_if<recovery::run_worker>(&a)) jobs.push_back(run->job);
  };
  t.begin(plan).quiesced().done().listed(two);
  ports::worker_result got;
  got.sha256 = {"aa"};
  feed(recovery::worker_done{got});
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].mode == ports::worker_mode::unpack);
  CHECK(jobs[0].must_bring == recipe.must_exist);
  t.take();
  const auto text = t.failed(ports::worker_failure::bad_snapshot, "s3 does not bring state/shared_memory.bin").take();
  CHECK(has(text, "recovery_dropped: s3 is not used: s3 does not bring state/shared_memory.bin"));
  CHECK(has(text, "trying s2"));
  CHECK_FALSE(t.state.remembered.bad.empty());
}

TEST_CASE("confirm healthy may ask for some time") {
  auto plan = leap();
  plan.recipe.confirm = model::confirm_when::healthy;
  plan.recipe.confirm_healthy_for = std::chrono::minutes(2);
  plan.recipe.first_start_append.clear();
  plan.has_head = GENERATE(true, false);
  trace t;
  t.until_running(plan, {one_candidate(0, "s3", std::nullopt)}).startup_passed().take();
  CHECK(has(t.healthy().take(), "write loaded"));
  CHECK(has(t.after(std::chrono::minutes(1)).healthy().take(), "timer 1m"));
  SECTION("if it still is") {
    CHECK(has(t.after(std::chrono::minutes(1)).timer().take(), "write confirmed"));
  }
  SECTION("which it is not") {
    t.feed(recovery::health_seen{model::health::unhealthy});
    CHECK_FALSE(has(t.after(std::chrono::minutes(1)).timer().take(), "confirmed"));
    CHECK(has(t.after(std::chrono::minutes(5)).healthy().take(), "write confirmed"));
  }
}

TEST_CASE("confirm healthy is done at the first healthy answer") {
  auto plan = leap();
  plan.recipe.confirm = model::confirm_when::healthy;
  plan.recipe.first_start_append.clear();
  trace t;
  t.until_running(plan, {one_candidate(0, "s3", std::nullopt)}).startup_passed().head(5);
  CHECK(!has(t.take(), "loaded"));
  CHECK(has(t.healthy().take(), "write confirmed"));
}

TEST_CASE("where no probe says how the node is, it has to run for as long as a head would have to move") {
  auto plan = leap();
  plan.recipe.confirm = model::confirm_when::healthy;
  plan.recipe.first_start_append.clear();
  plan.has_head = plan.tells_health = false;
  trace t;
  // As the runner tells it at the spawn, having nobody to ask.
  const auto spawned = [&] { t.until_running(plan, {two}).startup_passed().healthy(); };
  SECTION("and its death before that puts the old state back") {
    spawned();
    CHECK(has(t.text, "write loaded"));
    CHECK_FALSE(has(t.take(), "confirmed"));
    t.after(std::chrono::minutes(2) - base::duration{1}).timer();
    CHECK_FALSE(has(t.take(), "confirmed"));
    t.exited(1, exit_kind::unexplained, "unexplained");
    CHECK(has(t.take(), "write rolling_back"));
  }
  SECTION("after that it is confirmed") {
    spawned();
    CHECK(has(t.take(), "timer 2m\n"));
    CHECK(has(t.after(std::chrono::minutes(2)).timer().take(), "write confirmed"));
  }
  SECTION("however short a time without an advance would be too long") {
    plan.recipe.confirm_within = std::chrono::seconds(10);
    spawned();
    t.take();
    for (int seconds = 0; seconds < 110; seconds += 10) t.after(std::chrono::seconds(10)).timer();
    CHECK_FALSE(has(t.take(), "rolling_back"));
    CHECK(has(t.after(std::chrono::seconds(10)).timer().take(), "write confirmed"));
  }
  SECTION("a longer healthy_for counts") {
    plan.recipe.confirm_healthy_for = std::chrono::minutes(5);
    spawned();
    CHECK(has(t.take(), "timer 5m\n"));
  }
}

TEST_CASE("a date that was taken for the snapshot's block is none that the head must pass") {
  auto dated = one_candidate(0, "snapshot-1763700000", 1'763'700'000);
  dated.snapshots[0].block_is_guess = true;
  trace t;
  t.until_running(leap(), {dated}).startup_passed().head(77).take();
  CHECK(has(t.head(78).take(), "write loaded"));
  CHECK(has(t.after(std::chrono::minutes(2)).head(79).take(), "write confirmed"));
}

TEST_CASE("a snapshot without a known block is loaded when the head moves") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3", std::nullopt)}).startup_passed().head(77).head(77).take();
  CHECK(has(t.head(78).take(), "write loaded"));
}

TEST_CASE("a restored node serves from its confirmation on, while it runs") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101);
  CHECK_FALSE(recovery::serves(t.state));
  t.after(std::chrono::minutes(2)).head(102);
  REQUIRE(has(t.take(), "worker clean_up"));
  CHECK(recovery::serves(t.state));
  t.failed(ports::worker_failure::internal, "EIO");  // the old state is not deleted yet
  CHECK(recovery::serves(t.state));
  SECTION("not when it ended") {
    t.exited(1, exit_kind::unexplained, "unexplained");
    CHECK_FALSE(recovery::serves(t.state));
    t.started();
    CHECK(recovery::serves(t.state));
  }
  SECTION("not when it is to be stopped") {
    t.stop();
    CHECK_FALSE(recovery::serves(t.state));
  }
}

TEST_CASE("the arguments are gone once it is loaded") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).take();
  t.exited(0, exit_kind::environment, "port in use");
  CHECK(has(t.timer().take(), "start node\n"));
}

TEST_CASE("a breakdown after loading is the snapshot's fault") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).take();
  t.exited(254, exit_kind::unexplained, "unexplained").quiesced();
  CHECK(has(t.done().take(), "trying s2"));
  CHECK(t.state.remembered.bad.size() == 2);
}

TEST_CASE("an interrupted swap of a lost journal is undone first") {
  trace t;
  t.begin(leap()).quiesced().take();
  ports::worker_result r;
  r.half_swapped = true;
  CHECK(t.done(r).take() == "quiesce\n");  // nobody is to read it
  CHECK(has(t.quiesced().done(r).take(), "worker roll_back"));
  CHECK(t.readers_down == std::vector<bool>{false, true});
  const auto undone = t.done().take();
  CHECK(has(undone, "release readers\nworker select"));
}

TEST_CASE("what reads the data goes down only when all is ready to replace it") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3")}).fetched();
  CHECK(t.readers_down == std::vector<bool>{false});
  CHECK(t.state.readers == recovery::readers_of_data::released);
  t.take();
  CHECK(has(t.unpacked().take(), "write swapping"));
  CHECK(t.readers_down == std::vector<bool>{false, true});
  CHECK(t.state.readers == recovery::readers_of_data::down);
}

TEST_CASE("who has the data open at the first look may be a reader's: it is looked again without them") {
  trace t;
  t.begin(leap()).quiesced().take();
  ports::worker_result held;
  held.failure = ports::worker_failure::writer;
  held.writer = ports::writer_info{7, "rpc", "/data/state/shared_memory.bin"};
  CHECK(t.done(held).take() == "quiesce\n");
  CHECK(t.readers_down == std::vector<bool>{false, true});
  SECTION("it was") {
    CHECK(has(t.quiesced().done().take(), "release readers\nworker select"));
  }
  SECTION("it was not") {
    CHECK(has(t.quiesced().done(held).take(), "finished refused: process 7"));
  }
}

TEST_CASE("after a roll back the readers of the old state run while the next is fetched") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3"), one_candidate(0, "s2")});
  t.exited(1, exit_kind::recover, "database dirty").quiesced().take();
  CHECK(has(t.done().take(), "release readers\nworker fetch s2"));
  CHECK(has(t.fetched("bb").unpacked().take(), "write swapping"));
  CHECK(t.readers_down == std::vector<bool>{false, true, true, true});
}

TEST_CASE("a recovery that is taken up before it touched the data leaves the readers alone, later it does not") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3")}).fetched();
  trace staged;
  staged.feed(recovery::resume_wanted{t.state.done});
  CHECK(staged.readers_down == std::vector<bool>{false});
  t.unpacked();
  trace swapping;
  swapping.feed(recovery::resume_wanted{t.state.done});
  CHECK(swapping.readers_down == std::vector<bool>{true});
}

TEST_CASE("an unmounted volume is no empty state") {
  trace t;
  t.begin(leap()).quiesced().take();
  ports::worker_result r;
  r.mounted = false;
  CHECK(has(t.done(r).take(), "finished refused: the volume of the data directory is not mounted"));
}

TEST_CASE("old state that cannot be deleted is tried again, with the node running") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).after(std::chrono::minutes(3)).head(300).take();
  CHECK(has(t.failed(ports::worker_failure::internal, "EIO").take(), "the old state is not deleted yet: EIO"));
  CHECK(has(t.timer().take(), "worker clean_up"));
  t.killed();
  CHECK(has(t.done().take(), "start node\n"));
  CHECK(has(t.started().take(), "finished recovered"));
}

TEST_CASE("a stop during the clean-up ends parked with nothing left to do") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).after(std::chrono::minutes(3)).head(300).take();
  CHECK(t.stop().take() == "stop node\n");
  t.done();
  CHECK(t.take().empty());
  const auto text = t.exited(0, exit_kind::environment, "stopped").take();
  CHECK(has(text, "clear journal"));
  CHECK(has(text, "finished parked: stopped; the recovery was complete"));
}

TEST_CASE("a stop does not wait for old state that cannot be deleted, and the next start goes on with that") {
  trace t;
  t.until_running(leap(), two).startup_passed().head(101).after(std::chrono::minutes(3)).head(300).take();
  SECTION("a try has just failed") {
    t.failed(ports::worker_failure::internal, "EROFS").take();
    CHECK(t.stop().take() == "stop node\n");
    t.exited(0, exit_kind::environment, "stopped");
  }
  SECTION("one is under way, and waited for") {
    t.stop();
    t.exited(0, exit_kind::environment, "stopped").take();
    CHECK(t.stop().take().empty());
    t.failed(ports::worker_failure::internal, "EROFS");
  }
  SECTION("one is under way, and not waited for") {
    t.stop();
    t.exited(0, exit_kind::environment, "stopped").take();
    CHECK(t.stop(true).take() == "cancel worker\n");
    t.failed(ports::worker_failure::internal, "cancelled");
  }
  const auto text = t.take();
  INFO(text);
  CHECK(has(text, "finished parked: stopped; the old state is not deleted yet"));
  CHECK_FALSE(has(text, "clear journal"));
  trace next;
  next.feed(recovery::resume_wanted{t.state.done, false});
  CHECK(has(next.take(), "worker clean_up"));
  CHECK(has(next.failed(ports::worker_failure::internal, "EROFS").take(), "start node\n"));
  CHECK(has(next.started().timer().done().take(), "finished recovered"));
}

TEST_CASE("a second begin and stray answers change nothing") {
  trace t;
  t.begin(leap()).take();
  t.begin(leap()).done().started().timer().head(5).healthy().startup_passed().exited(1, exit_kind::recover, "x");
  CHECK(t.take().empty());
  trace idle;
  idle.quiesced().done().started().timer().stop().feed(recovery::approve_wanted{}).feed(recovery::cancel_wanted{});
  CHECK(idle.take().empty());
}

TEST_CASE("what a journal knows and the memory does not is put into the memory") {
  trace t;
  t.until_running(leap(), two).exited(1, exit_kind::recover, "dirty database").quiesced();
  const auto done = t.state.done;
  trace fresh;
  fresh.feed(recovery::resume_wanted{done, false});
  CHECK(fresh.state.remembered.swaps.size() == 1);
  CHECK(fresh.state.remembered.bad.size() == 1);
}

TEST_CASE("phases are named as status shows them") {
  trace t;
  CHECK(recovery::phase_of(t.state) == "");
  CHECK(recovery::phase_of(t.begin(leap()).state) == "quiesce");
  CHECK(recovery::phase_of(t.quiesced().state) == "quiesce");
  CHECK(recovery::phase_of(t.done().state) == "select");
  CHECK(recovery::phase_of(t.listed(two).state) == "fetch");
  CHECK(recovery::phase_of(t.fetched().state) == "stage");
  CHECK(recovery::phase_of(t.unpacked().state) == "swap");
  CHECK(recovery::phase_of(t.done().started().state) == "first_start");
  CHECK(recovery::phase_of(t.startup_passed().head(101).state) == "confirm");
  CHECK(recovery::phase_of(t.after(std::chrono::minutes(3)).head(300).state) == "clean_up");
  CHECK(recovery::phase_of(t.done().state) == "");
}

TEST_CASE("beside a node that runs all is staged before it is stopped") {
  auto plan = leap();
  plan.asked.by_hand = plan.asked.beside = true;
  trace t;
  auto text = t.begin(plan).listed(two).fetched().take();
  CHECK(!has(text, "quiesce"));
  CHECK(!has(text, "worker inspect"));
  text = t.unpacked().take();
  CHECK(has(text, "write staged"));
  CHECK(has(text, "quiesce"));
  CHECK(!has(text, "write swapping"));
  CHECK(has(t.quiesced().take(), "worker inspect"));
  CHECK(has(t.done().take(), "write swapping"));
}

TEST_CASE("what was prefetched is taken for a head that stands still, while the node runs") {
  auto plan = leap();
  plan.asked.beside = true;
  plan.asked.newer_than = 150;
  plan.sources = {model::source("http://backup/")};
  const auto c = one_candidate(0, "s3", 300);
  ports::worker_result looked;
  looked.warm = ports::warm_set{ports::encode(plan.recipe), {c}, {"aa"}, true, "sha256", "", true, {}};
  looked.room.emplace();
  looked.room->free_bytes = 1'000'000'000;
  looked.room->state = looked.room->freed = {1000, 1000};
  trace t;
  t.room.reset();  // the look waits
  auto text = t.begin(plan).take();
  CHECK(has(text, "worker measure"));
  CHECK(!has(text, "quiesce"));
  SECTION("it is beyond") {
    text = t.done(looked).take();
    CHECK(has(text, "recovery_warm"));
    CHECK(has(text, "worker fetch s3"));
    CHECK(!has(text, "worker select"));
    CHECK(!has(text, "quiesce"));
  }
  SECTION("it is not") {
    looked.warm->candidates[0].snapshots[0].block = 150;
    CHECK(has(t.done(looked).take(), "worker select"));
  }
  SECTION("nobody can look: the sources are asked") {
    CHECK(has(t.failed(ports::worker_failure::internal, "killed").take(), "worker select"));
  }
}

TEST_CASE("beside a node that runs a snapshot that cannot be had ends it without a stop") {
  auto plan = leap();
  plan.asked.by_hand = plan.asked.beside = true;
  trace t;
  t.begin(plan).listed({one_candidate(0, "s3")});
  const auto text = t.failed(ports::worker_failure::bad_snapshot, "torn").take();
  CHECK(!has(text, "quiesce"));
  CHECK(has(text, "finished refused: no snapshot is left to try; last: torn; the old state is untouched"));
}

TEST_CASE("beside a node that runs in mode ask the question comes before the stop") {
  auto plan = leap();
  plan.asked.by_hand = plan.asked.beside = true;
  plan.mode = model::recovery_mode::ask;
  trace t;
  auto text = t.begin(plan).listed(two).fetched().unpacked().take();
  CHECK(!has(text, "quiesce"));
  CHECK(has(text, "finished asking"));
  CHECK(has(t.feed(recovery::approve_wanted{}).take(), "quiesce"));
  t.quiesced();
  CHECK(has(t.done().take(), "write swapping"));
}

TEST_CASE(
    "what was prepared beside a node goes on beside it after a death of hasupd, and without it when it is gone") {
  auto plan = leap();
  plan.asked.by_hand = plan.asked.beside = true;
  trace t;
  t.begin(plan).listed(two).take();
  for (const bool beside : {true, false}) {
    trace again;
    recovery::resume_wanted e{t.state.done, beside, beside};
    const auto text = again.feed(e).take();
    CHECK(has(text, "worker fetch s3") == beside);
    CHECK(has(text, "quiesce") == !beside);
  }
}

TEST_CASE("a dry run names what would be replaced and which snapshots fit") {
  recovery::memory remembered;
  remembered.bad = {"sha256:aa"};
  auto bad = one_candidate(0, "s4", 400);
  bad.snapshots[0].sha256 = "aa";
  const recovery::instant now{base::mono_time{}, base::wall_time{}};
  auto plan = leap();
  plan.data_dir = "/data";
  const auto text =
      recovery::describe_plan(plan, remembered, {bad, one_candidate(0, "s3", 300)}, {"http://two/ is down"}, now);
  REQUIRE(text.has_value());
  CHECK(text->text == R"(A recovery of leap with recipe nodeos would do this:
plan "state only" in /data
  replaced, put aside until the node is confirmed: state
  left in place: blocks; never touched: protocol_features
  1. s3 from http://backup/ (block 300, 1000B)
plan "full set" in /data
  replaced, put aside until the node is confirmed: state, blocks
  left in place: nothing; never touched: protocol_features
  no snapshot fits
marked bad, not used unless named with --snapshot: s4
note: http://two/ is down
)");

  CHECK(text->json.find(R"("name":"s3")") != std::string::npos);
  CHECK(text->json.find(R"("marked_bad":["s4"])") != std::string::npos);

  plan.asked.from = "/tmp/mine.bin";
  const auto mine = recovery::candidate_from_file(plan);
  REQUIRE(mine.has_value());
  const auto of_file = recovery::describe_plan(plan, remembered, {*mine}, {}, now);
  REQUIRE(of_file.has_value());
  CHECK(of_file->text.find("1. mine.bin from file:///tmp/") != std::string::npos);
  CHECK(of_file->text.find("full set") == std::string::npos);
  plan.asked.from.clear();

  plan.asked.snapshot = "s9";
  const auto no_name = recovery::describe_plan(plan, remembered, {one_candidate(0, "s3", 300)}, {}, now);
  REQUIRE(!no_name.has_value());
  CHECK(no_name.error().message.find("no snapshot to recover from that is named s9") != std::string::npos);
  plan.asked.snapshot.clear();
  plan.asked.plan = "foo";
  const auto no_plan = recovery::describe_plan(plan, remembered, {one_candidate(0, "s3", 300)}, {}, now);
  REQUIRE(!no_plan.has_value());
  CHECK(no_plan.error().message == "recipe nodeos has no plan \"foo\", only \"state only\", \"full set\"");
  CHECK(!recovery::describe_plan(leap(), remembered, {}, {}, now).has_value());
}
