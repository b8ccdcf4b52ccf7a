// The table at several widths, golden; details; the bar of a recovery.
#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "cli/status_table.hpp"
#include "cli/story.hpp"

using namespace hasup;
using namespace hasup::cli;
using model::unit_state;

namespace {

const base::wall_time now = *base::parse_time("2026-11-21T01:02:03Z");

std::vector<control::instance_status> deployment() {
  std::vector<control::instance_status> all(4);
  auto& leap = all[0];
  leap.unit = "leap";
  leap.state = unit_state::running;
  leap.health = model::health::healthy;
  leap.reason = "readiness passed";
  leap.uptime_s = 512;
  leap.restarts = 1;
  leap.head = model::head{387721720, now - std::chrono::milliseconds(500), ""};
  leap.cpu_percent = 41.5;
  leap.memory_bytes = 8589934592;
  leap.pid = 4711;
  auto& node = all[1];
  node.unit = "eos-evm-node";
  node.state = unit_state::recovering;
  node.reason = "exited with code 2: database dirty; restoring snapshot-2026-11-20.tar.zst";
  node.restarts = 12;
  node.recovery = control::recovery_status{"fetch",
                                           "full set",
                                           "snapshot-2026-11-20.tar.zst",
                                           "https://b/",
                                           4ULL << 30,
                                           8ULL << 30,
                                           210 << 20,
                                           21,
                                           false,
                                           {},
                                           {},
                                           0,
                                           {},
                                           {},
                                           {},
                                           {}};
  for (unsigned i : {2u, 3u}) {
    auto& miner = all[i];
    miner.unit = "miner";
    miner.instance = i - 2;
    miner.instances = 2;
    miner.state = unit_state::waiting;
    miner.reason = "waits for eos-evm-node (healthy)";
    miner.waiting_for = {"eos-evm-node (healthy)"};
  }
  return all;
}

terminal at_width(std::size_t width) {
  terminal t;
  t.width = width;
  return t;
}

void check_width(const std::string& text, std::size_t width) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    CHECK(display_width(text.substr(at, end - at)) <= width);
    at = end + 1;
  }
}

}  // namespace

TEST_CASE("without a terminal the table shows everything in full") {
  CHECK(render_table(deployment(), now, at_width(0)) ==
        R"(UNIT          STATE       HEALTH        HEAD  AGE  UPTIME  RESTARTS  CPU  MEMORY  REASON
leap          running     healthy  387721720   0s   8m32s         1  42%  8.0GiB  readiness passed
eos-evm-node  recovering  -                -    -       -        12    -       -  exited with code 2: database dirty; restoring snapshot-2026-11-20.tar.zst
  > fetch  [############------------]  50%  4.0GiB of 8.0GiB, 210MiB/s, 21s left  snapshot-2026-11-20.tar.zst
miner@0       waiting     -                -    -       -         0    -       -  waits for eos-evm-node (healthy)
miner@1       waiting     -                -    -       -         0    -       -  waits for eos-evm-node (healthy)
)");
}

TEST_CASE("at 120 columns the reason is cut") {
  const auto text = render_table(deployment(), now, at_width(120));
  check_width(text, 120);
  CHECK(text ==
        R"(UNIT          STATE       HEALTH        HEAD  AGE  UPTIME  RESTARTS  CPU  MEMORY  REASON
leap          running     healthy  387721720   0s   8m32s         1  42%  8.0GiB  readiness passed
eos-evm-node  recovering  -                -    -       -        12    -       -  exited with code 2: database dirty; r…
  > fetch  [############------------]  50%  4.0GiB of 8.0GiB, 210MiB/s, 21s left  snapshot-2026-11-20.tar.zst
miner@0       waiting     -                -    -       -         0    -       -  waits for eos-evm-node (healthy)
miner@1       waiting     -                -    -       -         0    -       -  waits for eos-evm-node (healthy)
)");
}

TEST_CASE("at 80 columns the least important columns go first") {
  const auto text = render_table(deployment(), now, at_width(80));
  check_width(text, 80);
  CHECK(text ==
        R"(UNIT          STATE       HEALTH        HEAD  AGE  REASON
leap          running     healthy  387721720   0s  readiness passed
eos-evm-node  recovering  -                -    -  exited with code 2: database…
  > fetch  [############------------]  50%  4.0GiB of 8.0GiB, 210MiB/s, 21s lef…
miner@0       waiting     -                -    -  waits for eos-evm-node (heal…
miner@1       waiting     -                -    -  waits for eos-evm-node (heal…
)");
}

TEST_CASE("no width is exceeded") {
  for (std::size_t width = 40; width < 200; ++width) {
    INFO(width);
    check_width(render_table(deployment(), now, at_width(width)), width);
  }
}

TEST_CASE("columns without a value are left out, notes follow the reason, escapes never reach the terminal") {
  std::vector<control::instance_status> all(1);
  all[0].unit = "x";
  all[0].reason = "a\x1b[31mred\x1b]0;title\a\nline\x07";
  all[0].killed = all[0].config_changed = true;
  all[0].by_hand = {{"instances", "4", "2", "hasup scale", "hasup scale x --reset"}};
  CHECK(render_table(all, now, at_width(0)) ==
        "UNIT  STATE    HEALTH  RESTARTS  REASON\n"
        "x     stopped  -              0  ared line [set by hand] [file changed] [was killed]\n");
  all[0].addresses_changed = "leaps.internal";  // and not its file
  CHECK(render_table(all, now, at_width(0)).find("[addresses changed] [was killed]") != std::string::npos);
}

TEST_CASE("colours mark the state and change no width") {
  auto t = at_width(0);
  t.colour = true;
  const auto coloured = render_table(deployment(), now, t);
  CHECK(coloured.find("\x1b[32mrunning") != std::string::npos);
  const auto plain = render_table(deployment(), now, at_width(0));
  CHECK(printable(coloured) == printable(plain));
}

TEST_CASE("details tell all that is known") {
  auto u = deployment()[0];
  u.since = now - std::chrono::hours(2);
  u.health_since = now - std::chrono::minutes(8);
  u.exit = control::last_exit{2, {}, "dirty database", now - std::chrono::minutes(9)};
  u.desired = model::desired::up;
  u.logs_dropped = 3;
  u.head->peers = 25;
  u.by_hand = {{"instances", "4", "2", "hasup scale", "hasup scale leap --reset"},
               {"enabled", "false", "", "hasup disable", "hasup enable leap --reset"}};
  CHECK(render_details(u, now, at_width(80)) == R"(leap  running, healthy for 8m
  reason      readiness passed
  wanted      up
  process     pid 4711, up 8m32s, cpu 41.5%, memory 8.0GiB
  head        387721720, 0s old (2026-11-21T01:02:02Z), 25 peers
  restarts    1, recoveries 0
  last exit   code 2: dirty database, 9m ago
  by hand     instances = 4 by `hasup scale`, the file says 2; back to the file: hasup scale leap --reset
  by hand     enabled = false by `hasup disable`, over its file, which is broken; back to the file: hasup enable leap --reset
  note        3 log lines were dropped
)");
}

TEST_CASE("the next restart by the clock is told, and what would keep it from being done") {
  control::instance_status u;
  u.unit = "leap";
  u.state = unit_state::running;
  u.scheduled_at = now + std::chrono::hours(3);
  const auto said = [&] {
    const auto text = render_details(u, now, at_width(120));
    const auto at = text.find("schedule ");
    return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
  };
  CHECK(said() == "schedule    restart at 2026-11-21T04:02:03Z, in 3h");
  u.state = unit_state::stopped;
  CHECK(said() == "schedule    restart at 2026-11-21T04:02:03Z, in 3h; skipped unless it runs then");
  u.maintenance = true;
  CHECK(said() == "schedule    restart at 2026-11-21T04:02:03Z, in 3h; skipped while in maintenance");
  u.scheduled_at.reset();
  CHECK(said().empty());
}

TEST_CASE("a recovery of unknown size has no bar") {
  control::recovery_status r;
  r.phase = "select";
  CHECK(render_progress(r, now, terminal{}) == "select");
  r.phase = "fetch";
  r.bytes_done = 1 << 20;
  r.bytes_per_s = 1024;
  CHECK(render_progress(r, now, terminal{}) == "fetch  1.0MiB, 1.0KiB/s");
  r.bytes_total = 1 << 19;  // more than announced
  CHECK(render_progress(r, now, terminal{}).find("100%") != std::string::npos);
}

TEST_CASE("each step of a recovery says how far it is, or how long it has been going") {
  const auto ago = [](int seconds) { return now - std::chrono::seconds(seconds); };
  control::recovery_status r;
  r.snapshot = "s.bin";
  r.began_at = ago(100);
  const auto said = [&](const char* phase) {
    r.phase = phase;
    return render_progress(r, now, terminal{});
  };
  r.phase_since = ago(100);
  CHECK(said("quiesce") == "quiesce  1m40s so far  s.bin");
  r.phase_since = ago(60);
  CHECK(said("select") == "select  1m so far (1m40s in all)  s.bin");
  r.bytes_done = 1 << 20;
  r.bytes_total = 4 << 20;
  r.bytes_per_s = 1 << 17;
  r.eta_s = 24;
  CHECK(said("fetch") ==
        "fetch  [######------------------]  25%  1.0MiB of 4.0MiB, 128KiB/s, 24s left, 1m so far (1m40s in all)  "
        "s.bin");
  CHECK(control::progress_text(r, now) == "25%, 1.0MiB of 4.0MiB, 128KiB/s, 24s left, 1m so far (1m40s in all)");
  r.bytes_done = r.bytes_per_s = 0;
  r.bytes_total.reset();
  r.eta_s.reset();
  r.files_done = 300;
  CHECK(said("wipe") == "wipe  300 files deleted, 1m so far (1m40s in all)  s.bin");
  r.files_total = 1200;
  CHECK(said("clean_up") ==
        "clean_up  [######------------------]  25%  300 of 1200 files deleted, 1m so far (1m40s in all)  s.bin");
  r.files_done = 0;
  r.files_total.reset();
  r.gives_up_at = now + std::chrono::hours(23);
  CHECK(said("import") == "import  gives up in 23h unless it ends, 1m so far (1m40s in all)  s.bin");
  CHECK(said("first_start") == "first_start  gives up in 23h, 1m so far (1m40s in all)  s.bin");
  r.gives_up_at = now + std::chrono::minutes(29);
  r.confirms_at = now + std::chrono::seconds(80);
  r.head = 101;
  CHECK(said("confirm") ==
        "confirm  head 101, confirmed when it advances for 1m20s more, gives up in 29m without an advance, 1m so far "
        "(1m40s in all)  s.bin");
}

TEST_CASE("fine is running and healthy, or completed") {
  control::instance_status u;
  CHECK_FALSE(is_fine(u));
  u.state = unit_state::completed;
  CHECK(is_fine(u));
  u.state = unit_state::running;
  CHECK_FALSE(is_fine(u));
  u.health = model::health::healthy;
  CHECK(is_fine(u));
  u.state = unit_state::recovering;
  CHECK_FALSE(is_fine(u));
}

TEST_CASE("a story has the evidence, what was tried, what comes next and what to do") {
  control::why_report w;
  w.instances.resize(1);
  auto& s = w.instances[0];
  s.status = deployment()[1];
  s.evidence = {"database dirty flag set"};
  s.grounds = "2s after its start";
  s.advice = "nothing to do";
  s.tried = {"restored a.bin: refused"};
  s.next = "the older snapshot b.bin";
  s.actions = {"hasup recover eos-evm-node --cancel"};
  control::event e;
  e.at = now;
  e.unit = "eos-evm-node";
  e.kind = "exited";
  e.reason = "code 2";
  s.events = {e};
  const auto text = render_story(w, now, at_width(0));
  CHECK(text.find(R"(
The log lines that decided
  database dirty flag set

What else decided
  2s after its start

Advice
  nothing to do

What was tried
  restored a.bin: refused

What comes next
  the older snapshot b.bin

What you can do
  hasup recover eos-evm-node --cancel

What happened
  2026-11-21T01:02:03.000Z  eos-evm-node  exited            code 2
)") != std::string::npos);
}

TEST_CASE("a program that could not be run has no exit") {
  control::instance_status u;
  u.unit = "web";
  const auto last_exit = [&](const char* cls) {
    u.exit = control::last_exit{{}, {}, cls, now};
    const auto text = render_details(u, now, terminal{});
    const auto at = text.find("last exit");
    return text.substr(at, text.find('\n', at) - at);
  };
  CHECK(last_exit("missing program") == "last exit   never started: missing program, 0s ago");
  CHECK(last_exit("lost") == "last exit   status lost, 0s ago");
  CHECK(last_exit("permission denied") == "last exit   status lost: permission denied, 0s ago");
  u.reason = "/etc/passwd: cannot run the program: Permission denied; run.user must be allowed to execute it";
  CHECK(last_exit("permission denied") == "last exit   never started: permission denied, 0s ago");
  u.exit = control::last_exit{2, {}, "dirty database", now};
  CHECK(render_details(u, now, terminal{}).find("last exit   code 2: dirty database") != std::string::npos);
}
