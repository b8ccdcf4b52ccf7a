#include "cli/recovery_history.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using cli::past_recoveries;

namespace {

struct story {
  std::vector<control::event> events;

  story& add(std::string kind, std::string state, std::string reason, std::string outcome = "") {
    control::event e;
    e.seq = events.size() + 1;
    e.at = base::wall_time{} + std::chrono::seconds(events.size());
    e.unit = "leap";
    e.instance = 0;
    e.kind = std::move(kind);
    e.state = std::move(state);
    e.reason = std::move(reason);
    if (!outcome.empty()) e.detail["outcome"] = std::move(outcome);
    events.push_back(std::move(e));
    return *this;
  }
  story& begun() {
    return add("recovering", "recovering", "exited with code 2: dirty database; recovering")
        .add("recovery_began", "recovering", "exited with code 2: dirty database; recovering");
  }
  [[nodiscard]] cli::past_recovery only() const {
    const auto all = past_recoveries(events);
    REQUIRE(all.size() == 1);
    return all[0];
  }
};

std::string line(const cli::past_recovery& r) {
  return cli::render_history({r}, cli::terminal{});
}

}  // namespace

TEST_CASE("an earlier recovery is called by its outcome") {
  const auto of = [](const char* outcome, const char* state) {
    return story().begun().add("recovery_ended", "recovering", "the reason", outcome).add(state, state, "why").only();
  };
  CHECK(of("recovered", "running").result == "recovered");
  CHECK(of("rolled_back", "failed").result == "rolled_back");
  CHECK(of("refused", "failed").result == "failed");
  CHECK(of("unavailable", "failed").result == "failed");
  CHECK(of("cancelled", "stopped").result == "cancelled");
  CHECK(of("parked", "stopped").result == "parked");
  CHECK(of("stuck", "failed").result == "stuck");
  CHECK(line(of("refused", "failed")).find("failed after 2s: the reason; why: exited with code 2: dirty database") !=
        std::string::npos);
  // A unit that was healthy before runs again on what it had: that was no recovery.
  const auto back = of("refused", "running");
  CHECK(back.result == "failed");
  CHECK(cli::history_json({back}).find(R"("recovered":false)") != std::string::npos);
}

TEST_CASE("a recovery that was taken back by hand was rolled back") {
  const auto r = story()
                     .begun()
                     .add("recovery_swapped", "recovering", "s3 is in place, the old state is put aside")
                     .add("recovery_rolled_back", "recovering", "the old state is back as it was")
                     .add("recovery_ended", "recovering", "rolled back by hand from s3", "cancelled")
                     .add("failed", "failed", "rolled back by hand from s3")
                     .only();
  CHECK(r.result == "rolled_back");
  CHECK(r.snapshot.empty());
}

TEST_CASE("what was prepared beside a node is one recovery, whatever the node does meanwhile") {
  story s;
  s.add("recovery_began", "running", "recovery asked for by hand").add("became_unhealthy", "running", "head too old");
  CHECK(!s.only().ended);
  auto failed = s;
  CHECK(failed.add("recovery_ended", "running", "no recovery: torn", "refused").only().result == "failed");
  CHECK(failed.only().state == "running");
  s.add("stopping", "stopping", "s3 is ready").add("recovering", "recovering", "s3 is ready");
  s.add("recovery_swapped", "recovering", "s3 is in place")
      .add("recovery_ended", "recovering", "recovered", "recovered");
  s.add("running", "running", "recovered from s3");
  CHECK(s.only().result == "recovered");
  CHECK(s.only().snapshot == "s3");
}

TEST_CASE("of events without an outcome the state that followed tells") {
  CHECK(story().begun().add("running", "running", "recovered from s3").only().result == "recovered");
  CHECK(story().begun().add("failed", "failed", "no snapshot").only().result == "failed");
}
