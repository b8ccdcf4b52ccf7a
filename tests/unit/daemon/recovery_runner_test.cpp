// The recovery runner against a host that answers from inside its calls, later, or never.
#include "daemon/recovery_runner.hpp"

#include <algorithm>
#include <deque>
#include <iostream>
#include <optional>

#include "journal/journal_text.hpp"
#include "recovery/freeze.hpp"
#include "recovery/progress.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using daemon::recovery_outcome;
using daemon::recovery_runner;

namespace {

// Plays a unit whose node is good and whose sources have two snapshots. Answers are queued, or given at once.
class fake_host : public daemon::recovery_host {
 public:
  explicit fake_host(bool at_once) : at_once_(at_once) {
    unit_.id.unit = "leap";
    unit_.data.dir = "/data";
    unit_.recovery.recipe = "nodeos";
    unit_.recovery.budget_count = 0;
    model::probe p;
    p.checks.resize(1);
    p.checks[0].head.number = "/head_block_num";
    unit_.startup = p;
    recipe_.name = "nodeos";
    recipe_.confirm = model::confirm_when::advancing;
    recipe_.confirm_advancing_for = std::chrono::seconds(60);
    recipe_.first_start_append = {"--snapshot", "${archive.snapshot.path}"};
    recipe_.plans.resize(1);
    recipe_.plans[0].name = "state only";
    recipe_.plans[0].wipe = {"state"};
    recipe_.plans[0].refused_by = {"missed a block in"};
    recipe_.plans[0].archives.resize(1);
    recipe_.plans[0].archives[0].as = "snapshot";
  }

  recovery_runner* runner = nullptr;
  std::vector<std::string> calls;
  std::vector<std::string> records;
  std::vector<std::pair<recovery_outcome, std::string>> outcomes;
  std::vector<std::string> shown;
  std::vector<std::string> discarded_sha256;
  std::optional<ports::worker_failure> fail_fetch_of;  // of the newest
  bool node_is_good = true;
  bool node_says_refused = false;
  bool disk_answers = true;
  std::function<void()> waiting_disk;
  unsigned depth = 0;
  unsigned deepest = 0;

  model::unit unit_;
  model::recipe recipe_;

  const model::unit& unit() const override { return unit_; }
  const model::recipe& recipe() const override { return recipe_; }

  void run_worker(ports::worker_job job) override {
    calls.push_back("worker " + std::string(ports::worker_mode_names.text(job.mode)));
    ports::worker_result r;
    if (job.mode == ports::worker_mode::inspect) {
      r.data_dir_exists = r.has_own_dir = true;
      r.data_dir_empty = false;
      r.half_swapped = runner->touched();
      if (r.half_swapped) r.swap_phase = "swapped";
    }
    if (job.mode == ports::worker_mode::select) r.candidates = {candidate("s2", 200), candidate("s1", 100)};
    if (job.mode == ports::worker_mode::measure) r.room.emplace().free_bytes = std::uint64_t{1} << 40U;
    if (job.mode == ports::worker_mode::fetch) {
      block_ = *job.chosen->snapshots[0].block;
      if (fail_fetch_of && job.chosen->snapshots[0].name == "s2") r.failure = *fail_fetch_of;
      r.error = r.ok() ? "" : "sha256 differs";
      r.sha256 = {"aa" + job.chosen->snapshots[0].name};
    }
    if (job.mode == ports::worker_mode::unpack) r.archive_paths["snapshot"] = "/s.bin";
    answer([this, r] { runner->on_worker_done(r); });
  }
  void take_up_worker(ports::candidate) override {
    calls.push_back("take up");
    answer([this] { runner->on_taken_up(std::nullopt, {}); });
  }
  void cancel_worker() override {
    calls.push_back("cancel worker");
    later_.clear();
    ports::worker_result r;
    r.failure = ports::worker_failure::internal;
    r.error = "cancelled";
    answer([this, r] { runner->on_worker_done(r); });
  }
  void quiesce(bool /*readers*/) override {
    calls.push_back("quiesce");
    answer([this] { runner->on_quiesced(); });
  }
  void release_readers() override { calls.push_back("release"); }
  void start_node(std::vector<std::string> append, std::vector<std::string>) override {
    calls.push_back("start" + std::string(append.empty() ? "" : " with arguments"));
    answer([this] { runner->on_node_started(); });
    if (node_says_refused && block_ == 200)
      return exit_with("info x\nerror missed a block in trace_history.log\nbye\n");
    if (!node_is_good) return exit_with("bye\n");
    // A node takes its time, even where all else answers at once.
    later_.push_back([this] { runner->on_startup_passed(); });
    for (std::uint64_t i = 0; i < 5; ++i)
      later_.push_back([this, i] {
        now_ += std::chrono::seconds(30);
        model::head h;
        h.number = block_ + i;
        runner->on_head(h);
      });
  }
  void stop_node() override {
    calls.push_back("stop");
    model::exit_status s;
    s.code = 0;
    unit::classification c;
    c.action = unit::exit_action::restart;
    answer([this, s, c] { runner->on_node_exited(s, c); });
  }
  void journal(std::string record, std::function<void()> then) override {
    records.push_back(std::move(record));
    if (disk_answers)
      answer(std::move(then));
    else
      waiting_disk = std::move(then);
  }
  void journal_clear(std::function<void()> then) override {
    records.clear();
    answer(std::move(then));
  }
  void report(std::string kind, std::string) override { calls.push_back(std::move(kind)); }
  void show_progress() override {
    const auto v = runner->view();
    shown.push_back(v.phase + "/" + v.snapshot + "/" + v.plan);
  }
  recovery::others_seen others() override { return {}; }
  void discard_archives(std::vector<std::string> names, std::vector<std::string> sha256) override {
    for (const auto& n : names) calls.push_back("discard " + n);
    discarded_sha256 = std::move(sha256);
  }
  void finished(recovery_outcome outcome, std::string reason) override {
    outcomes.emplace_back(outcome, std::move(reason));
  }
  // The other member of its group, if there is one; its unit is named likewise.
  fake_host* other = nullptr;
  std::vector<std::string> group_members() const override {
    return other ? std::vector<std::string>{other->unit_.id.unit} : std::vector<std::string>{};
  }
  bool group_asks() const override { return false; }
  void begin_group() override {
    if (other != nullptr) other->runner->forget_giving_up();
  }
  void call_group(const std::vector<std::string>&, const std::string& set) override {
    recovery::options o;
    o.leader = unit_.id.unit;
    o.set = set;
    o.yes = true;
    other->runner->begin("the group is restored", std::move(o));
  }
  std::vector<recovery::member_view> group_views() const override {
    if (other == nullptr) return {};
    auto v = other->runner->group_view();
    v.unit = other->unit_.id.unit;
    return {v};
  }
  void group_moved() override {
    for (auto* host : {this, other})
      later_.push_back([host] {
        if (host->runner->active()) host->runner->on_group();
      });
  }

  base::mono_time now() const override { return base::mono_time(now_); }
  base::wall_time wall_now() const override { return base::wall_time(now_); }
  void start_timer(base::duration after) override { timer_ = after; }
  void cancel_timer() override { timer_.reset(); }

  // Gives the queued answers, and lets timers expire, until there is nothing left.
  void live(std::size_t at_most = 10'000) {
    for (; at_most > 0; --at_most) {
      if (later_.empty()) {
        if (!timer_ || !outcomes.empty()) return;
        now_ += *timer_;
        timer_.reset();
        runner->on_timer();
        continue;
      }
      auto next = std::move(later_.front());
      later_.pop_front();
      next();
    }
  }

  // One answer; false when none is queued.
  bool step() {
    if (later_.empty()) return false;
    auto next = std::move(later_.front());
    later_.pop_front();
    next();
    return true;
  }

  [[nodiscard]] bool called(const std::string& what) const {
    return std::find(calls.begin(), calls.end(), what) != calls.end();
  }

 private:
  void answer(std::function<void()> f) {
    if (!at_once_) {
      later_.push_back(std::move(f));
      return;
    }
    deepest = std::max(deepest, ++depth);
    f();
    --depth;
  }

  void exit_with(const std::string& output) {
    model::exit_status s;
    s.code = 0;
    unit::classification c;
    answer([this, s, c, output] { runner->on_node_exited(s, c, output); });
  }

  static ports::candidate candidate(const std::string& name, std::uint64_t block) {
    ports::candidate c;
    c.snapshots.resize(1);
    c.snapshots[0].name = name;
    c.snapshots[0].url = "http://backup/" + name;
    c.snapshots[0].source = "http://backup/";
    c.snapshots[0].block = block;
    c.snapshots[0].set = "set of " + name;
    return c;
  }

  bool at_once_;
  std::deque<std::function<void()>> later_;
  std::optional<base::duration> timer_;
  base::duration now_{1'000'000'000};
  std::uint64_t block_ = 200;
};

// A host with its runner.
struct pair_of {
  fake_host host;
  recovery_runner runner;

  explicit pair_of(bool at_once, daemon::recovery_settings settings = {})
      : host(at_once), runner(host, std::move(settings)) {
    host.runner = &runner;
  }
};

}  // namespace

TEST_CASE("a recovery comes to its end whether answers come at once or later") {
  for (const bool at_once : {false, true}) {
    pair_of p(at_once);
    p.runner.begin("dirty database", {});
    CHECK(p.runner.active());
    p.host.live();
    REQUIRE(p.host.outcomes.size() == 1);
    CHECK(p.host.outcomes[0].first == recovery_outcome::recovered);
    CHECK(p.host.outcomes[0].second == "recovered from s2 (plan \"state only\")");
    CHECK(p.host.records.empty());
    CHECK(!p.runner.active());
    CHECK(p.runner.view().phase.empty());
    CHECK(p.runner.memory().swaps.size() == 1);
    // An answer from inside a call is queued: the only nesting is the host's own call.
    CHECK(p.host.deepest <= 1);
  }
}

TEST_CASE("nobody of a group acts on a confirmation that is not on the disk yet") {
  pair_of a(false);
  pair_of b(false);
  a.host.other = &b.host;
  b.host.other = &a.host;
  b.host.unit_.id.unit = "index";
  for (auto* host : {&a.host, &b.host}) host->unit_.recovery.group = "evm";
  a.runner.begin("dirty database", {});
  const auto at = [](const fake_host& h, const std::string& record) {
    return std::any_of(h.records.begin(), h.records.end(), [&](const std::string& r) {
      return r.find("\"record\":\"" + record + "\"") != std::string::npos;
    });
  };
  // Both nodes advance until the leader writes its decision, which the disk keeps to itself.
  while (!at(a.host, "confirmed")) {
    a.host.disk_answers = !at(a.host, "loaded");
    const bool more = a.host.step();
    REQUIRE((b.host.step() || more));
  }
  REQUIRE(a.host.waiting_disk);
  CHECK(a.runner.group_view().deciding);
  CHECK(a.runner.group_view().at == recovery::member_stage::ready);
  while (a.host.step() || b.host.step()) {
  }
  CHECK(!at(b.host, "confirmed"));
  CHECK(b.host.outcomes.empty());

  a.host.disk_answers = true;
  std::exchange(a.host.waiting_disk, {})();
  while (a.host.step() || b.host.step()) {
  }
  REQUIRE(a.host.outcomes.size() == 1);
  REQUIRE(b.host.outcomes.size() == 1);
  CHECK(a.host.outcomes[0].first == recovery_outcome::recovered);
  CHECK(b.host.outcomes[0].first == recovery_outcome::recovered);
}

TEST_CASE("a damaged newest snapshot leads to the older one, and the memory changes are told") {
  unsigned told = 0;
  daemon::recovery_settings settings;
  settings.on_memory_changed = [&] { ++told; };
  pair_of p(false, settings);
  p.host.fail_fetch_of = ports::worker_failure::bad_snapshot;
  p.runner.begin("dirty database", {});
  p.host.live();
  REQUIRE(p.host.outcomes.size() == 1);
  CHECK(p.host.outcomes[0].second == "recovered from s1 (plan \"state only\")");
  CHECK(p.runner.memory().bad.size() == 1);
  CHECK(told == 2);
}

TEST_CASE("nothing is done before the record is durable") {
  pair_of p(true);
  p.host.disk_answers = false;
  p.runner.begin("dirty database", {});
  CHECK(p.host.records.size() == 1);
  CHECK(p.host.calls.empty());
  CHECK(p.runner.active());
  p.runner.stop();
  CHECK(p.host.calls.empty());
  p.host.disk_answers = true;
  std::exchange(p.host.waiting_disk, nullptr)();
  CHECK(p.host.called("quiesce"));
  REQUIRE(p.host.outcomes.size() == 1);
  CHECK(p.host.outcomes[0].first == recovery_outcome::cancelled);
}

TEST_CASE("a runner that is gone is not called back by the disk") {
  fake_host host(true);
  host.disk_answers = false;
  {
    recovery_runner runner(host, {});
    host.runner = &runner;
    runner.begin("dirty database", {});
  }
  host.waiting_disk();
  CHECK(host.calls.empty());
}

TEST_CASE("the plan's refusal is found in the raw output") {
  pair_of p(false);
  p.host.node_says_refused = true;
  p.runner.begin("dirty database", {});
  p.host.live();
  REQUIRE(p.host.outcomes.size() == 1);
  CHECK(p.host.outcomes[0].second == "recovered from s1 (plan \"state only\")");
  CHECK(p.host.called("worker roll_back"));
}

TEST_CASE("when no snapshot fits the old state is back") {
  pair_of p(false);
  p.host.node_is_good = false;
  p.runner.begin("dirty database", {});
  p.host.live();
  CHECK(p.host.called("discard s1"));
  CHECK(p.host.called("discard s2"));
  CHECK(p.host.discarded_sha256 == std::vector<std::string>{"aas2", "aas1"});
  REQUIRE(p.host.outcomes.size() == 1);
  CHECK(p.host.outcomes[0].first == recovery_outcome::rolled_back);
  CHECK(std::count(p.host.calls.begin(), p.host.calls.end(), "worker roll_back") == 2);
}

TEST_CASE("the view follows the phases, and the worker tells verify from fetch") {
  pair_of p(false);
  p.runner.begin("dirty database", {});
  CHECK(p.runner.view().phase == "quiesce");
  // The answers up to the selection's: journal, quiesced, inspected, select, journal, journal.
  while (p.runner.view().phase != "fetch" || !p.host.called("worker fetch")) p.host.live(1);
  ports::worker_progress progress;
  progress.phase = "verify";
  progress.bytes_done = 5;
  p.runner.on_worker_progress(progress);
  const auto v = p.runner.view();
  CHECK(v.phase == "verify");
  CHECK(v.snapshot == "s2");
  CHECK(v.source == "http://backup/");
  CHECK(v.plan == "state only");
  CHECK(v.progress.bytes_done == 5);
  CHECK(p.host.shown ==
        std::vector<std::string>{"quiesce//", "select//", "fetch/s2/state only", "verify/s2/state only"});
  const auto since = v.phase_since;
  CHECK(v.began_at <= since);
  progress.bytes_done = 6;
  p.runner.on_worker_progress(progress);
  CHECK(p.runner.view().phase_since == since);
  p.host.live();
  CHECK_FALSE(p.host.called("discard s2"));
  CHECK(p.host.outcomes.at(0).first == recovery_outcome::recovered);
}

TEST_CASE("mode ask waits for a yes") {
  pair_of p(false);
  p.host.unit_.recovery.mode = model::recovery_mode::ask;
  p.runner.begin("dirty database", {});
  p.host.live();
  REQUIRE(p.host.outcomes.size() == 1);
  CHECK(p.host.outcomes[0].first == recovery_outcome::asking);
  CHECK(!p.host.called("worker swap"));
  CHECK(p.runner.active());
  p.host.outcomes.clear();
  p.runner.approve();
  p.host.live();
  CHECK(p.host.outcomes.at(0).first == recovery_outcome::recovered);
}

TEST_CASE("the journal cut at every byte goes on to a whole end") {
  // The file as a whole run leaves it right before it is deleted.
  std::vector<std::string> all;
  {
    pair_of p(false);
    p.host.fail_fetch_of = ports::worker_failure::bad_snapshot;
    p.runner.begin("dirty database", {});
    while (p.host.outcomes.empty()) {
      if (p.host.records.size() > all.size()) all = p.host.records;
      p.host.live(1);
    }
  }
  std::string text(journal::journal_header);
  for (const auto& r : all) text += journal::frame(r);
  std::size_t ends = 0;
  std::optional<std::size_t> last_count;
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const auto read = journal::parse_journal(std::string_view(text).substr(0, size));
    REQUIRE(read.has_value());
    REQUIRE(recovery::replay(read->records).has_value());
    if (last_count == read->records.size()) continue;  // the same records lead to the same end
    last_count = read->records.size();
    ++ends;
    for (const bool node_running : {false, true})
      for (const bool at_once : {false, true}) {
        pair_of p(at_once);
        p.host.records = read->records;
        p.runner.resume(read->records, node_running);
        if (node_running && !at_once) {
          // The adopted node is probed again.
          p.runner.on_startup_passed();
          for (std::uint64_t n = 101; n < 106; ++n) {
            model::head h;
            h.number = n;
            p.runner.on_head(h);
          }
        }
        p.host.live();
        INFO("cut at byte " << size << ", node " << node_running << ", at once " << at_once);
        REQUIRE(!p.host.outcomes.empty());
        const auto expected = read->records.empty() ? recovery_outcome::cancelled : recovery_outcome::recovered;
        const auto how = p.host.outcomes.back().first;
        // With a node that says nothing more it waits, until it gives up and takes the next candidate or the way
        // back.
        CHECK((how == expected || (node_running && how == recovery_outcome::rolled_back)));
        CHECK(p.host.records.empty());
      }
  }
  CHECK(ends == all.size() + 1);
  std::cout << "journal cut at " << text.size() + 1 << " bytes, " << ends << " different ends\n";
}

TEST_CASE("a journal of another data directory touches nothing") {
  pair_of p(false);
  auto f = recovery::freeze(p.host.unit_, p.host.recipe_, "dirty database", {});
  f.data_dir = "/elsewhere";
  p.runner.resume({recovery::encode(recovery::begun{f})});
  REQUIRE(p.host.outcomes.size() == 1);
  CHECK(p.host.outcomes[0].first == recovery_outcome::stuck);
  CHECK(p.host.outcomes[0].second.find("/elsewhere") != std::string::npos);
  CHECK(p.host.calls.empty());
}

TEST_CASE("a journal that cannot be understood touches nothing") {
  pair_of p(false);
  p.runner.resume({"{\"version\":7,\"record\":\"begun\"}"});
  REQUIRE(p.host.outcomes.size() == 1);
  CHECK(p.host.outcomes[0].first == recovery_outcome::stuck);
  CHECK(p.host.calls.empty());
}
