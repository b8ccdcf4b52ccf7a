// Golden traces of the recovery machine: what it does on the main ways, action by action.
#include "recovery/candidates.hpp"
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;
using recovery::exit_kind;

TEST_CASE("the whole way from a dirty database to a confirmed node") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3"), one_candidate(0, "s2")});
  t.fetched().unpacked().done();
  CHECK(t.take() == R"(write begun
recovery_began: dirty database
quiesce
worker inspect
worker select
write selected
write trying
recovery_selected: trying s3 from http://backup/ (plan "state only")
worker fetch s3 / state only
write fetched
recovery_fetched: fetched s3 (2.0KiB, sha256 verified)
worker unpack s3 / state only
write staged
recovery_staged: staged s3
write swapping
recovery_swapping: putting the old state aside and s3 in its place
worker swap s3 / state only
write swapped
recovery_swapped: s3 is in place, the old state is put aside
write first_start
recovery_first_start: first start on s3
start node --snapshot /data/.hasup/staging/archives/snapshot/s.bin
)");
  t.started().startup_passed().head(100);
  CHECK(t.take() == "timer 1d\ntimer 30m\ntimer 30m\n");
  t.after(std::chrono::seconds(1)).head(101);
  CHECK(t.take() == "write loaded\nrecovery_loaded: head 101 is beyond s3\ntimer 30m\n");
  t.after(std::chrono::seconds(90)).head(150);
  CHECK(t.take() == "timer 30m\n");
  t.after(std::chrono::seconds(40)).head(180).done();
  CHECK(t.take() == R"(write confirmed
recovery_confirmed: the head advances, now 180
no timer
release readers
worker clean_up s3 / state only
no timer
clear journal
release readers
finished recovered: recovered from s3 (plan "state only")
)");
}

TEST_CASE("what was at hand of a snapshot is told, and why it was of no use") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3")}).take();
  ports::worker_result r;
  r.sha256 = {"aa"};
  r.verified = true;
  r.bytes = 2048;
  r.at_hand = 1024;
  r.notes = {"one of the two is not used"};
  CHECK(t.done(r).take() == R"(write fetched
recovery_note: one of the two is not used
recovery_fetched: fetched s3 (2.0KiB, of which 1.0KiB were at hand, sha256 verified)
worker unpack s3 / state only
)");
}

TEST_CASE("a damaged archive is left for the older one before anything is touched") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3"), one_candidate(0, "s2")}).take();
  t.failed(ports::worker_failure::bad_snapshot, "sha256 is bb, not aa");
  CHECK(t.take() == R"(write dropped
recovery_dropped: s3 is not used: sha256 is bb, not aa
write trying
recovery_selected: trying s2 from http://backup/ (plan "state only")
worker fetch s2 / state only
)");
  CHECK(t.state.remembered.bad.size() == 1);
  t.failed(ports::worker_failure::bad_snapshot, "truncated");
  CHECK(t.take() == R"(write dropped
recovery_dropped: s2 is not used: truncated
no timer
clear journal
release readers
finished unavailable: no snapshot is left to try; last: truncated; the old state is untouched
)");
  CHECK(t.state.remembered.swaps.empty());
}

TEST_CASE("a refusal tries the next plan with the same snapshot, a breakdown the older snapshot") {
  trace t;
  t.until_running(leap(),
                  {one_candidate(0, "s3"), one_candidate(0, "s2"), one_candidate(1, "s3"), one_candidate(1, "s2")});
  t.take();
  t.exited(0, exit_kind::unexplained, "unexplained", "missed a block in trace_history.log").quiesced().done();
  CHECK(t.take() == R"(no timer
write dropped
write rolling_back
recovery_rolling_back: the node refused it with plan "state only": missed a block in trace_history.log; putting the old state back
quiesce
worker roll_back s3 / state only
write rolled_back
recovery_rolled_back: the old state is back as it was
write trying
recovery_selected: trying s3 from http://backup/ (plan "full set")
release readers
worker fetch s3 / full set
)");
  CHECK(t.state.remembered.bad.empty());
  t.fetched().unpacked().done().started().take();
  t.exited(254, exit_kind::unexplained, "unexplained").quiesced().done();
  CHECK(t.take() == R"(no timer
write dropped
write rolling_back
recovery_rolling_back: the node ended with code 254: unexplained; putting the old state back
quiesce
worker roll_back s3 / full set
write rolled_back
recovery_rolled_back: the old state is back as it was
write trying
recovery_selected: trying s2 from http://backup/ (plan "state only")
release readers
worker fetch s2 / state only
)");
  CHECK(t.state.remembered.bad.size() == 2);  // by its listing and by its digest
  CHECK(t.state.remembered.swaps.size() == 2);
}

TEST_CASE("a backup host that is down is asked five times, then the old state is left as it is") {
  trace t;
  t.begin(leap()).quiesced().done().take();
  std::string waits;
  for (int i = 0; i < 5; ++i) {
    t.failed(ports::worker_failure::unreachable, "http://backup/: connection refused");
    if (i < 4) t.timer();
  }
  CHECK(t.take() == R"(recovery_retry: http://backup/: connection refused; again in 1s
timer 1s
worker select
recovery_retry: http://backup/: connection refused; again in 2s
timer 2s
worker select
recovery_retry: http://backup/: connection refused; again in 4s
timer 4s
worker select
recovery_retry: http://backup/: connection refused; again in 8s
timer 8s
worker select
no timer
clear journal
release readers
finished unavailable: no source can be reached: http://backup/: connection refused; the old state is untouched
)");
}

TEST_CASE("a node that was killed in its first start is started again on a rewiped state") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3")}).take();
  t.killed().timer().done();
  CHECK(t.take() == R"(no timer
recovery_retry: the node ended with signal 9 (KILL); again in 1s
timer 1s
worker rewipe s3 / state only
write first_start
recovery_first_start: first start on s3
start node --snapshot /data/.hasup/staging/archives/snapshot/s.bin
)");
  CHECK(t.state.remembered.bad.empty());
}

TEST_CASE("a process that has the data open is named, and nothing is touched") {
  trace t;
  t.begin(leap()).quiesced().take();
  ports::worker_result r;
  r.failure = ports::worker_failure::writer;
  r.writer = ports::writer_info{4711, "nodeos --data-dir /data", "/data/state/shared_memory.bin"};
  t.done(r).quiesced().take();  // it was no reader's
  t.done(r);
  CHECK(t.take() == R"(no timer
clear journal
release readers
finished refused: process 4711 (nodeos --data-dir /data) has /data/state/shared_memory.bin open; nothing was touched, stop it and then `hasup start leap`, or take it over with `hasup start --adopt leap`
)");
}

TEST_CASE("who asked for a recovery and met another process is told to ask again") {
  auto plan = leap();
  plan.asked.by_hand = true;
  trace t;
  t.begin(plan).quiesced().take();
  ports::worker_result r;
  r.failure = ports::worker_failure::writer;
  r.writer = ports::writer_info{4711, "nodeos", "/data/state/shared_memory.bin"};
  t.done(r).quiesced().take();  // it was no reader's
  CHECK(t.done(r).take().find("nothing was touched, stop it and then `hasup recover leap`\n") != std::string::npos);
}

TEST_CASE("what is asked says how far back the snapshot goes, as far as that is sure") {
  auto c = one_candidate(0, "a", 100);
  c.snapshots.push_back(one_snapshot("b", 90));
  CHECK(recovery::as_of(c) == "block 100");
  c.snapshots[0].block_is_guess = true;
  c.snapshots[0].time = base::wall_time{};
  c.snapshots[1].time = base::wall_time{} + std::chrono::hours(1);
  CHECK(recovery::as_of(c) == "block 90, of 1970-01-01T01:00:00Z");
  c.snapshots[1].block.reset();
  CHECK(recovery::as_of(c) == "of 1970-01-01T01:00:00Z");
  CHECK(recovery::as_of(one_candidate(0, "a", std::nullopt)).empty());
}

TEST_CASE("mode ask prepares everything, waits for a person and looks for writers again") {
  auto plan = leap();
  plan.mode = model::recovery_mode::ask;
  trace t;
  t.begin(plan).quiesced().done().listed({one_candidate(0, "s3")}).fetched().take();
  t.unpacked();
  CHECK(t.take() == R"(write staged
recovery_staged: staged s3
finished asking: s3 is ready to replace the state (plan "state only"; block 100); `hasup recover leap --yes` does it, --cancel does not
)");
  CHECK(recovery::phase_of(t.state) == "stage");
  t.feed(recovery::approve_wanted{}).quiesced().done();
  CHECK(t.take() == R"(write approved
recovery_approved: a person said yes to s3
quiesce
worker inspect s3 / state only
write swapping
recovery_swapping: putting the old state aside and s3 in its place
worker swap s3 / state only
)");
}

TEST_CASE("a swap that is refused is undone and leaves the old state") {
  trace t;
  t.begin(leap()).quiesced().done().listed({one_candidate(0, "s3")}).fetched().unpacked().take();
  t.failed(ports::worker_failure::writer, "process 7 (nodeos) has it open").quiesced().done();
  CHECK(t.take() == R"(write rolling_back
recovery_rolling_back: process 7 (nodeos) has it open; putting the old state back
quiesce
worker roll_back s3 / state only
write rolled_back
recovery_rolled_back: the old state is back as it was
no timer
clear journal
release readers
finished refused: process 7 (nodeos) has it open; the old state is untouched
)");
}

TEST_CASE("a stop waits for the first new block, and parks the recovery") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3")}).startup_passed().take();
  t.stop().stop();
  CHECK(t.take() ==
        "recovery_stop_waits: the stop waits for the first block beyond s3, before which the restored state would be "
        "lost; `hasup stop --force` does not wait\n");
  t.head(101).exited(0, exit_kind::environment, "stopped");
  CHECK(t.take() == R"(write loaded
recovery_loaded: head 101 is beyond s3
no timer
stop node
no timer
finished parked: stopped; `hasup start leap` goes on with the recovery
)");
  t.feed(recovery::resume_wanted{t.state.done, false});
  CHECK(t.take() == "recovery_resumed: going on with the recovery of leap: dirty database\nstart node\n");
  t.started().startup_passed().head(102).after(std::chrono::minutes(3)).head(200).done();
  CHECK(t.take().find("finished recovered") != std::string::npos);
}

TEST_CASE("a forced stop does not wait, and the next start begins with a rewipe") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3")}).take();
  t.stop(true).exited(0, exit_kind::environment, "stopped");
  CHECK(t.take() == R"(no timer
stop node
no timer
finished parked: stopped; `hasup start leap` goes on with the recovery
)");
  t.feed(recovery::resume_wanted{t.state.done, false}).quiesced().done();
  CHECK(t.take() == R"(recovery_resumed: going on with the recovery of leap: dirty database
quiesce
worker rewipe s3 / state only
write first_start
recovery_first_start: first start on s3
start node --snapshot /data/.hasup/staging/archives/snapshot/s.bin
)");
}

TEST_CASE("a roll back that fails ends stuck, keeps the journal and can be tried again") {
  trace t;
  t.until_running(leap(), {one_candidate(0, "s3")});
  t.exited(1, exit_kind::recover, "dirty database").quiesced();
  for (int i = 0; i < 4; ++i) t.failed(ports::worker_failure::internal, "I/O error").timer();
  t.take();
  t.failed(ports::worker_failure::internal, "I/O error");
  CHECK(t.take() ==
        "no timer\nfinished stuck: the old state could not be put back: I/O error; it is safe in .hasup/aside of the "
        "data directory, `hasup start leap` tries again\n");
  t.feed(recovery::resume_wanted{t.state.done, false}).quiesced().done();
  CHECK(t.take().find("finished rolled_back") != std::string::npos);
}
