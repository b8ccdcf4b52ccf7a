// When the old state is deleted before the new one is unpacked, what must be sure before, and what is said and done.
#include "recovery/space_plan.hpp"
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;
using model::space_policy;
using recovery::decide_space;

namespace {

ports::room_found room_of(std::uint64_t free, std::uint64_t state, std::optional<std::uint64_t> freed = {}) {
  ports::room_found r;
  r.free_bytes = free;
  r.state = {state, state};
  r.freed = {freed.value_or(state), freed.value_or(state)};
  return r;
}

// A snapshot of 1000 bytes that is linked into the staging directory; its node makes a state as large as the old one.
recovery::frozen small_disk(space_policy space = space_policy::automatic) {
  auto plan = leap();
  plan.data_dir = "/data";
  plan.space = space;
  plan.asked.explained = true;
  for (auto& p : plan.recipe.plans) p.archives[0].unpack = model::unpack_mode::decompress;
  return plan;
}

constexpr std::uint64_t state = 5000;
const auto tight = room_of(1200, state);  // for the archive, but not for a second state

// Up to the point where the archive is here.
void until_here(trace& t, recovery::frozen plan) {
  t.room = tight;
  t.begin(std::move(plan)).quiesced().done().listed({one_candidate(0, "s3"), one_candidate(0, "s2", 90)}).take();
}

ports::worker_result is_wiped() {
  ports::worker_result r;
  r.wiped = true;
  return r;
}

// To where the node was started on the new state.
void until_started(trace& t) {
  until_here(t, small_disk());
  t.fetched().done(is_wiped());
  t.room = room_of(1200 + state, 0);
  t.unpacked().done(is_wiped()).started().take();
}

}  // namespace

TEST_CASE("which way a candidate goes") {
  struct row {
    std::string about;
    space_policy space;
    bool by_hand, explained;
    ports::room_found room;
    bool fits, in_place;
  };
  const std::vector<row> table{
      {"room for both", space_policy::automatic, false, true, room_of(6000, state), true, false},
      {"to the byte", space_policy::automatic, false, true, room_of(5999, state), true, true},
      {"explained", space_policy::automatic, false, true, tight, true, true},
      {"by hand", space_policy::automatic, true, false, tight, true, true},
      {"unexplained", space_policy::automatic, false, false, tight, false, false},
      {"stage", space_policy::stage, true, true, tight, false, false},
      {"told, with room for both", space_policy::in_place, false, false, room_of(6000, state), true, true},
      {"told, unexplained", space_policy::in_place, false, false, tight, true, true},
      {"the archive must fit beside it", space_policy::in_place, false, true, room_of(1000, state), true, true},
      {"and one byte less", space_policy::in_place, false, true, room_of(999, state), false, true},
      {"and one byte less by itself", space_policy::automatic, false, true, room_of(999, state), false, false},
      {"what deleting frees counts", space_policy::automatic, false, true, room_of(1200, state, 4800), true, true},
      {"and one byte less of that", space_policy::automatic, false, true, room_of(1200, state, 4799), false, false},
      {"nothing is there", space_policy::in_place, false, true, room_of(1200, 0), true, false},
      {"deleting would free nothing", space_policy::in_place, false, true, room_of(6000, state, 0), true, false},
      {"nor make room for both", space_policy::in_place, false, true, room_of(5999, state, 0), false, false},
  };
  for (const auto& r : table) {
    auto plan = small_disk(r.space);
    plan.asked.by_hand = r.by_hand;
    plan.asked.explained = r.explained;
    const auto is = decide_space(plan, one_candidate(0, "s3"), r.room);
    INFO(r.about << ": " << is.text);
    CHECK(is.fits == r.fits);
    CHECK(is.in_place == r.in_place);
  }
}

TEST_CASE("never by itself on a guess of the size, but when told") {
  const auto guessed = one_candidate(0, "s3.zst");  // three times 1000 bytes, unpacked, and the state
  auto room = room_of(8000, state);
  room.promised = 1000;
  auto plan = small_disk();
  const auto is = decide_space(plan, guessed, room);
  CHECK_FALSE(is.fits);
  CHECK(has(is.text, "not deleted by itself, since how large the new one will be is not known"));
  CHECK(has(is.text, "(recovery.space = \"in_place\" does it)"));
  plan.space = space_policy::in_place;
  CHECK(decide_space(plan, guessed, room).in_place);
  auto unknown = guessed;
  unknown.snapshots[0].size.reset();
  CHECK(decide_space(plan, unknown, room).fits);
  plan.space = space_policy::automatic;
  CHECK_FALSE(decide_space(plan, unknown, room).in_place);
}

TEST_CASE("the sums say what is deleted, and what is short") {
  CHECK(has(decide_space(small_disk(), one_candidate(0, "s3"), tight).text,
            "/data has 1.2KiB free and 4.9KiB that the old state takes; there is no room for both"));
  auto plan = small_disk();
  plan.asked.explained = false;
  CHECK(
      has(decide_space(plan, one_candidate(0, "s3"), tight).text,
          "short. Make room there; it would fit in the place of the old state, which is not deleted by itself, since "
          "no class of the recipe explains what has happened"));
  plan.space = space_policy::in_place;
  CHECK(has(decide_space(plan, one_candidate(0, "s3"), room_of(900, state)).text, "100B short. Make room there"));
}

TEST_CASE("in place the archive is fetched and verified before the old state is deleted, then unpacked") {
  trace t;
  until_here(t, small_disk());
  t.fetched();
  CHECK(t.take() == R"(write fetched
recovery_fetched: fetched s3 (2.0KiB, sha256 verified)
write wiping
recovery_wiping: s3 is here and verified; deleting the old state to make room for it: there is no way back
worker wipe s3 / state only
)");
  CHECK(recovery::phase_of(t.state) == "wipe");
  CHECK_FALSE(recovery::before_swap(t.state));
  t.done(is_wiped());
  CHECK(t.take() == R"(write wiped
recovery_wiped: the old state is deleted; unpacking s3
worker unpack s3 / state only
)");
  t.unpacked();
  CHECK(t.take() == R"(write staged
recovery_staged: staged s3
write swapping
recovery_swapping: putting s3 in the place of the old state, which is deleted
worker swap s3 / state only
)");
  t.done(is_wiped()).started().startup_passed().head(101).after(std::chrono::minutes(2)).head(102).take();
  t.done();
  CHECK(has(t.take(), "finished recovered: recovered from s3"));
}

TEST_CASE("the old state is not deleted for what is not proved") {
  trace t;
  until_here(t, small_disk(space_policy::in_place));
  ports::worker_result r;
  r.sha256 = {"aa"};
  t.done(r);
  const auto text = t.take();
  CHECK(has(text,
            "recovery_dropped: s3 is not used: it has neither a checksum nor a signature, and the old state is "
            "deleted only for what is proved"));
  CHECK(has(text, "trying s2"));
  CHECK_FALSE(has(text, "wiping"));
}

TEST_CASE("how much room there is counts when the old state is to go, not only when the download began") {
  trace t;
  until_here(t, small_disk());
  SECTION("others have filled the disk") {
    t.room = room_of(100, state, 4800);
    t.fetched();
    const auto text = t.take();
    CHECK(has(text, "recovery_dropped: s3 is not used: s3 needs 4.9KiB"));
    CHECK_FALSE(has(text, "wiping"));
  }
  SECTION("the archive that is here is not counted once more") {
    t.room = room_of(0, state);
    t.fetched();
    CHECK(has(t.take(), "worker wipe s3"));
  }
  SECTION("there is room for both now") {
    t.room = trace::plenty();
    t.fetched();
    const auto text = t.take();
    CHECK(has(text, "there is room for both by now, so the old state stays until the new one is confirmed"));
    CHECK(has(text, "worker unpack s3 / state only"));
    CHECK_FALSE(has(text, "wiping"));
  }
  SECTION("it cannot be seen") {
    t.room.reset();
    t.fetched();
    CHECK(has(t.take(), "worker measure"));
    t.failed(ports::worker_failure::internal, "killed by signal 9");
    const auto text = t.take();
    CHECK(has(text, "the old state is not deleted on a guess"));
    CHECK_FALSE(has(text, "wiping"));
  }
}

TEST_CASE("what there is instead of the deleted state is not thrown away for what is not its fault") {
  trace t;
  until_started(t);
  SECTION("a chain that stands still after it was loaded") {
    t.startup_passed().head(101).take();
    for (int i = 0; i < 3; ++i) {
      t.after(std::chrono::minutes(31)).timer();
      const auto text = t.take();
      CHECK(has(text, "recovery_waiting: the head did not advance within 30m on s3; it is left running"));
      CHECK_FALSE(has(text, "rolling_back"));
    }
    t.head(102).after(std::chrono::minutes(2)).head(103);
    CHECK(has(t.take(), "write confirmed"));
  }
  SECTION("a configuration that a person has to mend") {
    for (int i = 0; i < 5; ++i) {
      t.exited(254, recovery::exit_kind::hold, "configuration");
      const auto text = t.take();
      CHECK(has(text, "recovery_retry"));
      CHECK_FALSE(has(text, "rolling_back"));
      t.timer().done(is_wiped()).started().take();
    }
  }
}

TEST_CASE("a yes to a state that can come back is none to its deletion") {
  auto plan = small_disk();
  plan.mode = model::recovery_mode::ask;
  trace t;
  until_here(t, plan);
  t.state.done.is_approved = true;  // of an earlier candidate, which was rolled back
  t.fetched();
  CHECK(has(t.take(), "finished asking: s3 is here and verified; the old state would be deleted"));
  t.feed(recovery::approve_wanted{}).quiesced().done();
  CHECK(has(t.take(), "worker wipe"));
}

TEST_CASE("a deletion that may have begun is not taken for none") {
  trace t;
  until_here(t, small_disk());
  t.fetched().take();
  const auto done = t.state.done;
  t.state = {};
  t.feed(recovery::resume_wanted{done}).take();
  t.quiesced().take();
  for (int i = 0; i < 2; ++i) t.failed(ports::worker_failure::refused, "no such user").timer();
  t.take();
  t.failed(ports::worker_failure::refused, "no such user");
  const auto text = t.take();
  CHECK(has(text, "finished stuck: the old state could not be deleted to its end: no such user"));
  CHECK_FALSE(has(text, "clear journal"));
}

TEST_CASE("who asked by hand says yes to the deletion, or has said so") {
  auto plan = small_disk();
  plan.asked.explained = false;
  plan.asked.by_hand = true;
  SECTION("it asks, and goes on after a yes and a look for writers") {
    trace t;
    until_here(t, plan);
    t.fetched();
    CHECK(has(t.take(),
              "finished asking: s3 is here and verified; the old state would be deleted before it is "
              "unpacked, with no way back (plan \"state only\"; block 100); `hasup recover leap --yes` does it, "
              "--cancel does not"));
    CHECK(recovery::before_swap(t.state));
    t.feed(recovery::approve_wanted{}).quiesced().done();
    CHECK(t.take() == R"(write approved
recovery_approved: a person said yes to s3
quiesce
worker inspect s3 / state only
write wiping
recovery_wiping: s3 is here and verified; deleting the old state to make room for it: there is no way back
worker wipe s3 / state only
)");
  }
  SECTION("a no leaves all as it was") {
    trace t;
    until_here(t, plan);
    t.fetched().feed(recovery::cancel_wanted{});
    CHECK(has(t.take(), "finished cancelled: stopped while it asked; nothing was touched"));
  }
  SECTION("a yes in advance is enough") {
    plan.asked.yes = true;
    trace t;
    until_here(t, plan);
    t.fetched();
    CHECK(has(t.take(), "worker wipe"));
  }
  SECTION("mode ask asks once, for the deletion") {
    plan.asked.by_hand = false;
    plan.asked.explained = true;
    plan.mode = model::recovery_mode::ask;
    trace t;
    until_here(t, plan);
    t.fetched();
    CHECK(has(t.take(), "finished asking"));
    t.feed(recovery::approve_wanted{}).quiesced().done().done(is_wiped()).unpacked();
    CHECK(has(t.take(), "worker swap"));
  }
}

TEST_CASE("beside a node that runs the archive comes first, then it is stopped") {
  auto plan = small_disk(space_policy::in_place);
  plan.asked.by_hand = plan.asked.yes = plan.asked.beside = true;
  trace t;
  t.room = tight;
  t.begin(plan).listed({one_candidate(0, "s3")}).take();
  t.fetched();
  CHECK(has(t.take(), "quiesce\n"));
  t.quiesced().done();
  CHECK(has(t.take(), "worker wipe s3 / state only"));
}

TEST_CASE("a deletion that is refused before it began leaves the old state") {
  trace t;
  until_here(t, small_disk());
  t.fetched().take();
  t.failed(ports::worker_failure::writer, "process 7 has it open");
  CHECK(has(t.take(),
            "clear journal\nrelease readers\nfinished refused: process 7 has it open; the old state is "
            "untouched"));
}

TEST_CASE("a deletion that cannot be ended is tried again, then left with its journal") {
  trace t;
  until_here(t, small_disk());
  t.fetched().take();
  auto half = ports::internal_failure("killed by signal 9");
  for (int i = 0; i < 2; ++i) t.done(half).timer();
  t.take();
  t.done(half);
  const auto text = t.take();
  CHECK(has(text,
            "finished stuck: the old state could not be deleted to its end: killed by signal 9; `hasup start "
            "leap` goes on with that, s3 is in .hasup/cache"));
  CHECK_FALSE(has(text, "clear journal"));
}

TEST_CASE("when all candidates fail after the deletion nothing is started, and a person is told what can be done") {
  trace t;
  until_started(t);
  t.exited(134, recovery::exit_kind::unexplained, "unexplained").quiesced();
  CHECK(
      has(t.take(), "recovery_rolling_back: the node ended with code 134: unexplained; taking away what it brought"));
  t.done(is_wiped());
  auto text = t.take();
  CHECK(has(text, "recovery_rolled_back: what it brought is taken away; the old state was deleted"));
  CHECK(has(text, "worker fetch s2 / state only"));
  t.fetched("bb");
  text = t.take();
  CHECK_FALSE(has(text, "wiping"));  // there is nothing left to delete
  CHECK(has(text, "worker unpack s2"));
  t.unpacked().done(is_wiped()).started().exited(134, recovery::exit_kind::unexplained, "unexplained").quiesced();
  t.take();
  t.done(is_wiped());
  text = t.take();
  CHECK(has(text, "finished emptied: no snapshot is left to try"));
  CHECK(has(text,
            "the old state was deleted to make room and cannot be put back, so nothing is started: `hasup "
            "recover leap` tries again"));
  CHECK(has(text, "what was fetched is in /data/.hasup/cache"));
  CHECK_FALSE(has(text, "the old state is back"));
  CHECK_FALSE(has(text, "release readers"));
}

TEST_CASE("there is no way back by hand, and it is too late to cancel") {
  trace t;
  until_here(t, small_disk());
  t.fetched().take();
  t.feed(recovery::roll_back_wanted{});
  CHECK(has(t.take(), "recovery_not_rolled_back: the old state was deleted to make room"));
  t.feed(recovery::cancel_wanted{});
  CHECK(has(t.take(), "recovery_not_cancelled: too late to cancel, the old state is deleted; `hasup stop leap`"));
  t.done(is_wiped()).unpacked().done(is_wiped()).started().take();
  CHECK_FALSE(t.state.done.can_roll_back());
  t.feed(recovery::roll_back_wanted{});
  CHECK(has(t.take(), "there is nothing to put back"));
}

TEST_CASE("a stop after the deletion parks, and the next start unpacks what is here without asking a host") {
  trace t;
  until_here(t, small_disk());
  t.fetched().stop();
  t.done(is_wiped());
  CHECK(has(t.take(), "finished parked"));
  auto seen = is_wiped();
  seen.half_swapped = true;
  t.feed(recovery::resume_wanted{t.state.done}).quiesced().done(seen);
  const auto text = t.take();
  CHECK(has(text, "worker unpack s3 / state only"));
  CHECK_FALSE(has(text, "worker fetch"));
  CHECK_FALSE(has(text, "roll_back"));
}

TEST_CASE("a journal that is lost after the deletion is found out by the marker") {
  trace t;
  t.begin(small_disk()).quiesced().take();
  auto seen = is_wiped();
  seen.half_swapped = true;
  CHECK(t.done(seen).take() == "quiesce\n");  // nobody is to read it
  CHECK(t.readers_down == std::vector<bool>{false, true});
  t.quiesced().done(seen);
  const auto first = t.take();
  CHECK(has(first, "write wiped"));
  CHECK(has(first, "worker roll_back"));
  t.done(is_wiped());
  CHECK(t.take() == R"(recovery_wiped: the old state was deleted by an earlier recovery; this one goes on without it
worker select
)");
  t.failed(ports::worker_failure::refused, "no source");
  CHECK(has(t.take(), "finished emptied: no source; the old state was deleted"));
}

TEST_CASE("without room after the deletion a smaller snapshot is tried") {
  trace t;
  until_here(t, small_disk());
  t.fetched().done(is_wiped()).take();
  t.room = room_of(1200 + state, 0);
  t.failed(ports::worker_failure::no_space, "the disk is full");
  const auto text = t.take();
  CHECK(has(text, "s3 is not used: the disk is full"));
  CHECK(has(text, "worker fetch s2"));
}

TEST_CASE("a recovery in place keeps from others only what it will take beside the old state") {
  trace t;
  until_here(t, small_disk());
  const auto promised = recovery::promised_room(t.state, {});
  REQUIRE(promised);
  CHECK(promised->bytes == 1000);  // of the state that the node makes, nothing: it takes the place of the old one
  t.fetched().done(is_wiped());
  ports::worker_progress p;
  p.phase = "stage";
  CHECK(recovery::promised_room(t.state, p)->bytes == state);
}

TEST_CASE("a dry run says that there is no way back, and asks") {
  auto plan = small_disk();
  plan.asked.by_hand = true;
  const auto text = recovery::describe_room(plan, {}, {one_candidate(0, "s3")}, tight);
  REQUIRE(text.has_value());
  CHECK(has(*text,
            "the old state, 4.9KiB, is deleted once the archive is here and verified: from then on there is no "
            "way back; that is asked first (--yes)\n"));
  plan.space = space_policy::in_place;
  const auto whole = recovery::describe_plan(plan, {}, {one_candidate(0, "s3")}, {}, {});
  REQUIRE(whole.has_value());
  CHECK(has(whole->text, "replaced, deleted before the new one is unpacked, with no way back: state\n"));
}

TEST_CASE("where the old state is deleted already, what is being unpacked is waited for before anything else") {
  trace t;
  until_here(t, small_disk());
  REQUIRE(has(t.fetched().done(is_wiped()).take(), "worker unpack s3"));
  trace again;
  again.workers_live = true;
  again.feed(recovery::resume_wanted{t.state.done}).take();
  CHECK(again.quiesced().take() == "take up s3\n");
  CHECK(recovery::promised_room(again.state, {}).has_value());
  auto none = again;
  none.there.reset();
  CHECK(has(none.feed(recovery::taken_up{}).take(), "worker inspect"));
  recovery::taken_up done;
  done.what = ports::worker_mode::unpack;
  done.result.archive_paths["snapshot"] = "/data/.hasup/staging/archives/snapshot/s.bin";
  CHECK(has(again.feed(done).take(), "write staged"));
}
