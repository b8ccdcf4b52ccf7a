#include "recovery/candidates.hpp"
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;

namespace {

const std::vector<ports::candidate> two{one_candidate(0, "s3"), one_candidate(0, "s2")};

// The next hasupd, while a worker still fetches s3, or unpacks it.
trace next_hasupd(bool is_fetched) {
  trace t;
  t.begin(leap()).quiesced().done().listed(two);
  if (is_fetched) t.fetched();
  trace again;
  again.workers_live = true;
  again.feed(recovery::resume_wanted{t.state.done});
  again.take();
  CHECK(again.quiesced().take() == "take up s3\n");
  CHECK(recovery::phase_of(again.state) == (is_fetched ? "stage" : "fetch"));
  return again;
}

recovery::taken_up heard(ports::worker_mode mode, ports::worker_failure failure = ports::worker_failure::none) {
  recovery::taken_up e;
  e.what = mode;
  e.result.failure = failure;
  e.result.error = failure == ports::worker_failure::none ? "" : "sha256 differs";
  return e;
}

}  // namespace

TEST_CASE("a fetch that outlives hasupd is waited for, and found in the cache") {
  auto t = next_hasupd(false);
  CHECK(t.feed(heard(ports::worker_mode::fetch)).take() == "worker inspect s3 / state only\n");
  CHECK(t.done().take() == "worker fetch s3 / state only\n");
}

TEST_CASE("what a person forgave during a recovery is not brought back by its journal, nor by its end") {
  trace t;
  t.begin(leap()).quiesced().done().listed(two);
  t.failed(ports::worker_failure::bad_snapshot, "sha256 differs").fetched().unpacked().done();
  REQUIRE(t.state.remembered.bad.size() == 1);
  REQUIRE(t.state.remembered.swaps.size() == 1);
  trace again;
  const auto goes_on = [&] { again.feed(recovery::resume_wanted{t.state.done}); };
  SECTION("a journal is ahead of the intent file") {
    goes_on();
    CHECK(again.state.remembered.bad.size() == 1);
    CHECK(again.state.remembered.swaps.size() == 1);
  }
  SECTION("unless it was forgiven since") {
    recovery::forget_bad_and_swaps(t.state.remembered);
    again.state.remembered = t.state.remembered;
    goes_on();
    CHECK(again.state.remembered.bad.empty());
    CHECK(again.state.remembered.swaps.empty());
    // What it has dropped it goes on without.
    again.quiesced().done().started().exited(1, recovery::exit_kind::unexplained, "unexplained").quiesced().done();
    CHECK_FALSE(has(again.text, "trying s3"));
    CHECK(again.state.remembered.bad.size() == 2);  // s2 and its digest, found since
  }
  SECTION("which is over with the next recovery") {
    recovery::forget_bad_and_swaps(again.state.remembered);
    again.begin(leap());
    CHECK_FALSE(again.state.remembered.forgiven);
  }
}

TEST_CASE("an archive that was found bad meanwhile is not fetched again") {
  auto t = next_hasupd(false);
  const auto text = t.feed(heard(ports::worker_mode::fetch, ports::worker_failure::bad_snapshot)).take();
  INFO(text);
  CHECK(has(text, "write dropped"));
  CHECK(has(text, "recovery_dropped: s3 is not used: sha256 differs"));
  CHECK(has(text, "worker fetch s2"));
  CHECK_FALSE(t.state.remembered.bad.empty());
}

TEST_CASE("what was unpacked meanwhile is not unpacked again, and everything is looked at before the swap") {
  auto t = next_hasupd(true);
  auto e = heard(ports::worker_mode::unpack);
  e.result.archive_paths["snapshot"] = "/data/.hasup/staging/archives/snapshot/s.bin";
  CHECK(has(t.feed(e).take(), "write staged\nrecovery_staged: staged s3\nquiesce\n"));
  CHECK(t.quiesced().take() == "worker inspect s3 / state only\n");
  CHECK(has(t.done().take(), "write swapping"));
}

TEST_CASE("where no worker is left, or it failed for want of anything but a good archive, it goes on as ever") {
  for (const auto& e : {recovery::taken_up{}, heard(ports::worker_mode::fetch, ports::worker_failure::internal),
                        heard(ports::worker_mode::fetch, ports::worker_failure::unreachable),
                        heard(ports::worker_mode::unpack, ports::worker_failure::no_space)}) {
    auto t = next_hasupd(false);
    CHECK(t.feed(e).take() == "worker inspect s3 / state only\n");
    CHECK(t.state.remembered.bad.empty());
  }
}

TEST_CASE("a stop ends what was taken up, and what it says then is not listened to") {
  auto t = next_hasupd(false);
  CHECK(t.stop().take() == "cancel worker\n");
  CHECK(has(t.feed(heard(ports::worker_mode::fetch)).take(),
            "finished cancelled: stopped before anything was touched"));
}

TEST_CASE("beside a node that runs nothing is quiesced for it") {
  auto plan = leap();
  plan.asked.beside = plan.asked.by_hand = true;
  trace t;
  t.begin(plan).listed(two);
  trace again;
  again.workers_live = true;
  CHECK(has(again.feed(recovery::resume_wanted{t.state.done, true, true}).take(), "take up s3\n"));
  CHECK(again.feed(heard(ports::worker_mode::fetch)).take() == "worker fetch s3 / state only\n");
  CHECK(has(again.fetched().unpacked().take(), "quiesce\n"));
}
