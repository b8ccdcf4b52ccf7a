// Drives the recovery machine by hand and writes down what it wants, one line an action, for golden traces.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/joined.hpp"
#include "recovery/machine.hpp"

namespace hasup::tests {

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline model::snapshot one_snapshot(const std::string& name, std::optional<std::uint64_t> block) {
  model::snapshot s;
  s.name = name;
  s.url = "http://backup/" + name;
  s.source = "http://backup/";
  s.size = 1000;
  s.block = block;
  return s;
}

inline ports::candidate one_candidate(unsigned plan, const std::string& name,
                                      std::optional<std::uint64_t> block = 100) {
  ports::candidate c;
  c.plan = plan;
  c.snapshots.push_back(one_snapshot(name, block));
  return c;
}

// nodeos in small: two plans, an argument for the first start.
inline recovery::frozen leap() {
  recovery::frozen f;
  f.unit = "leap";
  f.why = "dirty database";
  f.recipe.name = "nodeos";
  f.recipe.must_exist = {"state/shared_memory.bin"};
  f.recipe.keep = {"protocol_features"};
  f.recipe.confirm = model::confirm_when::advancing;
  f.recipe.confirm_within = std::chrono::minutes(30);
  f.recipe.confirm_advancing_for = std::chrono::minutes(2);
  f.recipe.first_start_append = {"--snapshot", "${archive.snapshot.path}"};
  model::archive_spec archive;
  archive.match = "snapshot-*.bin";
  archive.as = "snapshot";
  model::recovery_plan state_only;
  state_only.name = "state only";
  state_only.wipe = {"state"};
  state_only.shared = {"blocks"};
  state_only.refused_by = {"missed a block in"};
  state_only.archives = {archive};
  model::recovery_plan full = state_only;
  full.name = "full set";
  full.wipe = {"state", "blocks"};
  full.shared.clear();
  full.refused_by.clear();
  f.recipe.plans = {state_only, full};
  return f;
}

class trace {
 public:
  recovery::state state;
  std::string text;
  // What the look for room finds; it is answered by itself, and not traced. Nothing: the look is traced and waits.
  std::optional<ports::room_found> room = plenty();

  // What the looks beyond the swap find; likewise.
  std::optional<ports::worker_result> there = all_there();

  // A worker of an earlier hasupd still runs: taking it up is traced and waits. Else it is answered by itself.
  bool workers_live = false;

  static ports::worker_result all_there() {
    ports::worker_result r;
    r.data_dir_exists = r.has_own_dir = r.half_swapped = true;
    r.data_dir_empty = false;
    r.swap_phase = "swapped";
    return r;
  }

  static ports::room_found plenty() {
    ports::room_found r;
    r.free_bytes = std::uint64_t{1} << 40U;
    return r;
  }

  // Of each quiesce, whether the readers of the data go down too. Right before it is touched this is all that there
  // is to do; it is answered by itself, and not traced. Nor is it traced that what an earlier hasupd held is let go.
  std::vector<bool> readers_down;

  trace& feed(const recovery::event& e) {
    const bool was_inspected = state.inspected;
    bool unknown = state.readers == recovery::readers_of_data::unknown;
    recovery::actions out;
    recovery::next(state, e, {now_, base::wall_time(now_.time_since_epoch())}, out);
    bool measures = false, looks = false, nothing_lives = false, quiesces = false;
    for (const auto& a : out) {
      const bool releases = std::holds_alternative<recovery::release_readers>(a);
      if (releases && std::exchange(unknown, false) && recovery::before_swap(state) &&
          !recovery::phase_of(state).empty())
        continue;
      const auto* q = std::get_if<recovery::quiesce>(&a);
      if (q != nullptr) readers_down.push_back(q->readers);
      if (q != nullptr && was_inspected && state.inspected && recovery::before_swap(state)) {
        quiesces = true;
        continue;
      }
      const auto* job = std::get_if<recovery::run_worker>(&a);
      if (room && job != nullptr && job->job.mode == ports::worker_mode::measure)
        measures = true;
      else if (!workers_live && std::holds_alternative<recovery::take_up_worker>(a))
        nothing_lives = true;
      else if (there && job != nullptr && std::holds_alternative<recovery::looking>(state.now))
        looks = true;
      else
        text += std::visit([](const auto& one) { return line(one); }, a) + "\n";
    }
    if (looks) return done(*there);
    if (quiesces) return quiesced();
    if (nothing_lives) return feed(recovery::taken_up{});
    return measures ? measured(*room) : *this;
  }
  trace& after(base::duration d) {
    now_ += d;
    return *this;
  }
  // What came since the last call.
  std::string take() { return std::exchange(text, {}); }

  trace& begin(recovery::frozen plan) { return feed(recovery::begin_wanted{std::move(plan)}); }
  trace& quiesced() { return feed(recovery::quiesced{}); }
  trace& done() { return feed(recovery::worker_done{}); }
  trace& done(ports::worker_result r) { return feed(recovery::worker_done{std::move(r)}); }
  trace& failed(ports::worker_failure f, std::string error) {
    ports::worker_result r;
    r.failure = f;
    r.error = std::move(error);
    return done(std::move(r));
  }
  trace& listed(std::vector<ports::candidate> candidates) {
    ports::worker_result r;
    r.candidates = std::move(candidates);
    return done(std::move(r));
  }
  trace& measured(ports::room_found found) {
    ports::worker_result r;
    r.room = std::move(found);
    return done(std::move(r));
  }
  trace& fetched(std::string digest = "aa") {
    ports::worker_result r;
    r.sha256 = {std::move(digest)};
    r.verified = true;
    r.bytes = 2048;
    return done(std::move(r));
  }
  trace& unpacked() {
    ports::worker_result r;
    r.archive_paths["snapshot"] = "/data/.hasup/staging/archives/snapshot/s.bin";
    return done(std::move(r));
  }
  trace& started() { return feed(recovery::node_started{}); }
  trace& startup_passed() { return feed(recovery::startup_passed{}); }
  trace& head(std::uint64_t number) { return feed(recovery::head_seen{number}); }
  trace& healthy() { return feed(recovery::health_seen{model::health::healthy}); }
  trace& timer() { return feed(recovery::timer_fired{}); }
  trace& timer(bool others_advance, std::string evidence) {
    return feed(recovery::timer_fired{{others_advance, std::move(evidence)}});
  }
  trace& stop(bool force = false) { return feed(recovery::stop_wanted{force}); }
  trace& exited(int code, recovery::exit_kind kind, std::string class_name, std::string refused = "") {
    recovery::node_exited e;
    e.status.code = code;
    e.kind = kind;
    e.class_name = std::move(class_name);
    e.refused_line = std::move(refused);
    return feed(e);
  }
  trace& killed() {
    recovery::node_exited e;
    e.status.signal = 9;
    e.kind = recovery::exit_kind::environment;
    e.class_name = "killed by signal 9";
    return feed(e);
  }

  // To where the swap is done and the node was asked to start.
  trace& until_first_start(recovery::frozen plan, std::vector<ports::candidate> candidates) {
    begin(std::move(plan)).quiesced().done().listed(std::move(candidates)).fetched().unpacked().done();
    return *this;
  }
  trace& until_running(recovery::frozen plan, std::vector<ports::candidate> candidates) {
    return until_first_start(std::move(plan), std::move(candidates)).started();
  }

 private:
  static std::string line(const recovery::write& a) {
    const auto json = recovery::encode(a.what);
    const std::string key = "\"record\":\"";
    const auto at = json.find(key) + key.size();
    return "write " + json.substr(at, json.find('"', at) - at);
  }
  static std::string line(const recovery::clear_journal&) { return "clear journal"; }
  static std::string line(const recovery::run_worker& a) {
    return "worker " + std::string(ports::worker_mode_names.text(a.job.mode)) +
           (a.job.chosen ? " " + a.job.chosen->snapshots.at(0).name + " / " + a.job.plan.name : "");
  }
  static std::string line(const recovery::take_up_worker& a) { return "take up " + a.of.snapshots.at(0).name; }
  static std::string line(const recovery::cancel_worker&) { return "cancel worker"; }
  static std::string line(const recovery::quiesce&) { return "quiesce"; }
  static std::string line(const recovery::release_readers&) { return "release readers"; }
  static std::string line(const recovery::start_node& a) {
    std::string out = "start node";
    for (const auto& s : a.append) out += " " + s;
    if (!a.instead.empty()) out = "import";
    for (const auto& s : a.instead) out += " " + s;
    return out;
  }
  static std::string line(const recovery::stop_node&) { return "stop node"; }
  static std::string line(const recovery::start_timer& a) { return "timer " + base::format_duration(a.after); }
  static std::string line(const recovery::cancel_timer&) { return "no timer"; }
  static std::string line(const recovery::report& a) { return a.kind + ": " + a.why; }
  static std::string line(const recovery::call_group& a) {
    return "call " + base::joined(a.members) + " for " + a.set;
  }
  static std::string line(const recovery::finish& a) {
    return "finished " + std::string(recovery::outcome_names.text(a.how)) + ": " + a.why;
  }

  base::mono_time now_{std::chrono::hours(1000)};
};

}  // namespace hasup::tests
