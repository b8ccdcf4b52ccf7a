// The set of units: from files, from what runs already, and how it changes with `apply`.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/supervisor.hpp"
#include "journal/file_journal.hpp"
#include "process/process_tree.hpp"
#include "start/trust.hpp"

namespace hasup::daemon {
namespace {

// Before the loop runs: the journal of a recovery that was under way.
base::result<std::vector<std::string>> read_journal(const std::string& path) {
  return journal::journal_file(path).read_all();
}

config::loaded load_trusted(const config::directories& dirs, const std::map<std::string, unsigned>& counts) {
  return config::load(dirs, counts,
                      [&dirs](const std::string& path) { return start::why_file_distrusted(dirs, path); });
}

bool has_broken_settings(const config::loaded& files) {
  return std::any_of(files.problems.begin(), files.problems.end(), [](const base::diagnostic& d) {
    return d.level == base::severity::error && d.file.ends_with("/hasup.toml");
  });
}

}  // namespace

graph::dependency_graph supervisor::requirement_graph() const {
  graph::dependency_graph g;
  for (const auto& [name, entry] : config_.units) g.nodes[name];
  for (const auto& [id, r] : runners_) {
    auto& edges = g.nodes[id.unit];
    if (!edges.empty()) continue;
    for (const auto& need : r->spec().requires_units)
      edges.push_back({need.unit, std::string(model::condition_names.text(need.when))});
  }
  return g;
}

std::vector<std::string> supervisor::start_order() const {
  const auto g = requirement_graph();
  if (auto order = graph::start_order(g)) return *order;
  std::vector<std::string> names;  // a loop among broken files: any order serves
  for (const auto& [name, needs] : g.nodes) names.push_back(name);
  return names;
}

supervisor::runners supervisor::instances_of(const std::string& unit) const {
  runners out;
  for (auto it = runners_.lower_bound({unit, 0}); it != runners_.end() && it->first.unit == unit; ++it)
    out.push_back(it->second);
  return out;
}

std::vector<kept_log> supervisor::kept_logs() const {
  std::vector<kept_log> all;
  for (const auto& [id, r] : runners_) all.push_back({model::log_file_name(r->spec()), retention_of(r->spec().log)});
  return all;
}

supervisor::runner_ptr supervisor::find(const model::instance_id& id) const {
  const auto it = runners_.find(id);
  return it == runners_.end() ? nullptr : it->second;
}

supervisor::runner_ptr supervisor::make_runner(const config::unit_entry& entry, const model::unit& unit) {
  auto r = std::make_shared<unit_runner>(static_cast<unit_host&>(*this), services_, unit, entry.recipe,
                                         entry.effective_toml);
  runners_[unit.id] = r;
  return r;
}

// What an instance brings along over a reboot.
void supervisor::begin_boot(const unit_runner& r, bool known, instance_intent& i) const {
  const bool as_before = known && config_.settings.start_at_boot == config::boot_start::as_before;
  const bool up = as_before ? i.desired == model::desired::up || i.back_after_boot : is_enabled(r.spec());
  i.desired = up ? model::desired::up : model::desired::down;
  i.failed = i.completed = i.back_after_boot = false;
  if (up || !as_before) i.taken_down_by.clear();
  i.fingerprint = 0;
  i.stop.reset();
  i.backoff.reset();
}

bool supervisor::traces::of(const std::string& name, std::uint64_t known_run, bool was_running) const {
  // The shim of a run may have died too; or the run was asked for so late that the intent file does not know of it.
  const auto last = last_runs.find(name);
  return unfinished.contains(name) || was_running || (last != last_runs.end() && last->second > known_run);
}

// A runner that has just been made and knows what the intent file says.
void supervisor::take_up(const runner_ptr& r, const traces& left) {
  const auto& id = r->spec().id;
  r->await_earlier_hooks(left.unfinished);
  if (left.unfinished.contains(to_text(id) + std::string(worker_suffix))) r->clear_left_worker();
  if (left.of(to_text(id), r->run_number(), r->was_running())) return r->adopt();
  const bool given_up = r->state() == model::unit_state::failed || r->state() == model::unit_state::completed;
  if (r->state() == model::unit_state::backoff) return;  // goes on waiting
  if (r->memory().desired == model::desired::up && !given_up) return r->dispatch(hasup::unit::start_wanted{false});
  // A hasupd that was killed may have told of more than it came to save.
  const auto state = model::unit_state_names.text(r->state());
  if (!r->intent().ever_started || events_.last_state(id.unit, id.index) == state) return;
  control::event e;
  e.unit = id.unit;
  e.instance = id.index;
  e.kind = "restored";
  e.state = state;
  e.reason = "hasupd came back; this is how it was saved last: " + r->memory().reason;
  publish(std::move(e));
}

void supervisor::boot(intent was) {
  const bool same_boot = was.boot_id == process::boot_id();
  settings_ = std::move(was.units);
  upstreams_known_ = std::move(was.upstreams);
  addresses_.restore(was.addresses);
  config_ = load_trusted(services_.dirs, counts_by_hand());
  const auto assumed = addresses_to_assume(config_, [&](const model::instance_id& id) {
    const auto before = was.instances.find(to_text(id));
    const bool ran = same_boot && before != was.instances.end() && before->second.fingerprint != 0;
    return ran ? before->second.endpoints : std::map<std::string, std::string>();
  });
  for (const auto& [name, hosts] : assumed) addresses_.assume(name, hosts);
  know_addresses(config_, addresses_.known());
  settle(config_.units, settings_);
  for (const auto& [name, entry] : config_.units)
    for (const auto& unit : entry.instances) make_runner(entry, unit);
  const traces left{process::find_traces(services_.shim)};
  if (same_boot) adopt_strays(was, left);

  std::set<std::string> in_a_stop;
  for (const auto& [name, i] : was.instances)
    if (i.stop) in_a_stop.insert(name);

  for (const auto& [id, r] : runners_) {
    const auto name = to_text(id);
    instance_intent i;
    const auto before = was.instances.find(name);
    if (before != was.instances.end())
      i = before->second;
    else
      i.desired = is_enabled(r->spec()) ? model::desired::up : model::desired::down;
    if (!same_boot) begin_boot(*r, before != was.instances.end(), i);
    i.ever_started = i.ever_started || left.ever_ran.contains(name);
    was.instances.erase(name);
    r->restore(std::move(i), read_journal(services_.dirs.state + "/journals/" + name));
  }
  carried_ = std::move(was.instances);
  drop_what_nobody_needs(left);
  for (auto& [name, i] : carried_)
    if (!same_boot) i.fingerprint = 0;
  for (const auto& [id, r] : runners_)
    if (const auto set = settings_.find(id.unit); set != settings_.end()) r->set_maintenance(set->second.maintenance);
  for (const auto& [id, r] : runners_)
    if (r->half_restored() || r->emptied()) held_readers_of_.insert(id);
  set_upstreams();
  for (const auto& name : start_order())
    for (const auto& r : instances_of(name)) take_up(r, left);
  if (same_boot) {
    resume_rolling(std::move(was.restarts), in_a_stop);
    stops_ = std::move(was.stops);
    advance_stops();
  }
  set_schedules();
  save_intent();
  health_desk_.set(config_.settings);
}

// Units that run, but whose file is broken, changed its instances, or is gone: they are kept as they were started.
void supervisor::adopt_strays(const intent& was, const traces& left) {
  for (const auto& [name, known] : was.instances) {
    const auto ref = model::parse_unit_reference(name);
    if (!ref || !ref->index || !left.of(name, known.run, known.fingerprint != 0)) continue;
    const model::instance_id id{ref->unit, *ref->index};
    if (runners_.contains(id)) continue;
    if (!config_.units.contains(ref->unit) && !left.unfinished.contains(name)) continue;  // gone altogether
    auto saved = config::load_files({services_.dirs.state + "/specs/" + ref->unit + ".toml"}, services_.dirs);
    know_addresses(saved, addresses_.known());
    const auto entry = saved.units.find(ref->unit);
    if (entry == saved.units.end()) continue;
    for (const auto& unit : entry->second.instances)
      if (unit.id == id) make_runner(entry->second, unit);
    if (!config_.units.contains(ref->unit)) removed_.insert(id);
  }
}

// Units that were taken away while no hasupd ran, or by one that kept everything.
void supervisor::drop_what_nobody_needs(const traces& left) {
  std::erase_if(carried_, [&](const auto& one) {
    const auto ref = model::parse_unit_reference(one.first);
    if (!ref || !ref->index || worth_keeping(one.second) || settings_.contains(ref->unit)) return false;
    const auto file = config_.units.find(ref->unit);
    const bool broken = file != config_.units.end() && !file->second.valid;
    if (broken || left.unfinished.contains(one.first)) return false;
    forget({ref->unit, *ref->index});
    return true;
  });
}

// What its shims have left. One of them may be just ending.
void supervisor::forget(const model::instance_id& id, unsigned tries) {
  if (runners_.contains(id)) return;  // configured again
  auto gone = std::make_shared<bool>(false);
  services_.disk.run(
      [gone, where = services_.shim, name = to_text(id)] { *gone = process::remove_shim_files(where, name); },
      [this, gone, id, tries] {
        if (*gone || tries == 0) return;
        auto timer = std::make_shared<boost::asio::steady_timer>(services_.loop, std::chrono::milliseconds(200));
        timer->async_wait([this, timer, id, tries](const boost::system::error_code& ec) {
          if (!ec) forget(id, tries - 1);
        });
      });
}

supervisor::files supervisor::read_files(const daemon_services& services,
                                         const std::map<std::string, unsigned>& counts) {
  const auto& dirs = services.dirs;
  files f;
  if (const auto trusted = start::check_trust(dirs); !trusted) {
    f.distrusted = trusted.error().message;
    return f;
  }
  f.left = {process::find_traces(services.shim)};
  f.config = load_trusted(dirs, counts);
  for (const auto& [name, entry] : f.config.units)
    for (const auto& unit : entry.instances)
      f.journals[to_text(unit.id)] = read_journal(dirs.state + "/journals/" + to_text(unit.id));
  return f;
}

// The addresses of names that are new come first: a unit that runs with one of them stays as it is. The files are
// read again after that, so that of two who apply at once the later one has the last word.
void supervisor::read_and_apply(bool dry_run, std::function<void(control::command_reply)> done, bool learned) {
  auto fresh = std::make_shared<files>();  // many of them: not on the loop
  services_.disk.run(
      [fresh, &services = services_, counts = counts_by_hand()] { *fresh = read_files(services, counts); },
      [this, fresh, dry_run, learned, done = std::move(done)] {
        const auto names = learned ? std::set<std::string>{} : unknown_names(fresh->config);
        if (names.empty()) return save_and_reply(apply_all(std::move(*fresh), dry_run), done);
        addresses_.learn(names, [this, dry_run, done] { read_and_apply(dry_run, done, true); });
      });
}

// Also what a person set over the files: what holds on is told, what they say as well ends.
control::command_reply supervisor::apply_all(files read, bool dry_run) {
  if (!read.distrusted.empty()) return apply(std::move(read), dry_run);
  const auto told = settings_text(read.config.units, settings_);
  if (!dry_run) settle(read.config.units, settings_);
  auto reply = apply(std::move(read), dry_run);
  reply.message += told;
  return reply;
}

control::command_reply supervisor::apply(files read, bool dry_run, const std::string& only) {
  if (!read.distrusted.empty()) return {exit_code::permission_denied, read.distrusted, {}, {}};
  auto& fresh = read.config;
  const auto assumed = addresses_to_assume(fresh, [&](const model::instance_id& id) {
    const auto r = find(id);
    return r && !r->at_rest() ? r->spec().endpoints : std::map<std::string, std::string>();
  });
  auto known_addresses = addresses_.known();
  for (const auto& [name, hosts] : assumed)
    for (const auto& host : hosts) known_addresses[name].push_back({host, false});
  know_addresses(fresh, known_addresses);
  control::command_reply reply;
  const auto say = [&](const std::string& line) { reply.message += line + "\n"; };
  std::vector<std::function<void()>> changes;
  runners to_restart;

  for (const auto& [name, entry] : fresh.units) {
    if (!only.empty() && name != only) continue;
    if (!entry.valid) {
      const auto known = instances_of(name);
      const bool runs = std::any_of(known.begin(), known.end(), [](const runner_ptr& r) { return !r->at_rest(); });
      say(name + ": its file is invalid; " +
          (runs            ? "what runs is left as it is"
           : known.empty() ? "it cannot be started before that is mended"
                           : "it stays as it was configured before") +
          " (`hasup check`)");
      for (const auto& d : entry.problems)
        if (d.line == 0) say("  " + d.message);  // about the file as a whole, which `check` may see with other eyes
      continue;
    }
    for (const auto& unit : entry.instances) {
      const auto r = find(unit.id);
      if (!r) {
        say(shown_name(unit) + ": new" + (is_enabled(unit) ? ", will be started" : ""));
        changes.push_back([this, entry, unit, journal = read.journals[to_text(unit.id)], &left = read.left] {
          const auto made = make_runner(entry, unit);
          instance_intent i;
          if (const auto was = carried_.extract(to_text(unit.id))) i = was.mapped();
          i.desired = is_enabled(unit) ? model::desired::up : model::desired::down;
          if (is_enabled(unit)) i.failed = i.completed = false;
          i.backoff.reset();
          i.ever_started = i.ever_started || left.ever_ran.contains(to_text(unit.id));
          made->restore(std::move(i), journal);
          if (const auto set = settings_.find(unit.id.unit); set != settings_.end())
            made->set_maintenance(set->second.maintenance);
          // Its file may have been broken while hasupd came up, and it runs, or has ended and nobody was told.
          if (left.of(to_text(unit.id), made->run_number(), made->was_running()))
            made->adopt();
          else if (is_enabled(unit))
            made->dispatch(hasup::unit::start_wanted{false});
        });
        reply.affected.push_back(to_text(unit.id));
        continue;
      }
      if (removed_.contains(unit.id)) {  // and not gone yet
        const bool up = is_enabled(unit);
        say(shown_name(unit) + ": configured again" + (up ? ", will be started" : ""));
        changes.push_back([this, r, entry, unit, up] {
          removed_.erase(unit.id);
          r->replace_spec(unit, entry.recipe, entry.effective_toml);
          if (up) start({r});
        });
        reply.affected.push_back(to_text(unit.id));
        continue;
      }
      const auto unknown = r->at_rest() ? std::string() : unknown_name_for(*r, unit);
      if (!unknown.empty()) {
        say(shown_name(unit) + ": changed; left as it is, for the addresses of " + unknown +
            " cannot be found; `hasup apply` once they can");
        continue;
      }
      const bool runs_other = r->spec().fingerprint != with_endpoints(unit, r->spec().endpoints).fingerprint;
      if (r->runs_on(entry.effective_toml, entry.recipe) && !runs_other) continue;
      const bool runs_on = !r->journal_trouble().empty();
      const bool restart = runs_other && !r->at_rest() && !r->recovery_active() && !runs_on;
      if (restart) to_restart.push_back(r);
      if (runs_other && runs_on)
        say(shown_name(unit) +
            ": changed; applies with its next start, for which a person must look first (`hasup why " +
            shown_name(unit) + "`)");
      else if (r->recovers_before(unit))
        say(shown_name(unit) + ": changed; applies after its recovery, which is not altered");
      else if (restart && model::log_file_name(r->spec()) != model::log_file_name(unit))
        say(shown_name(unit) + ": its log is called " + model::log_file_name(unit) + " now, will be restarted");
      else
        say(shown_name(unit) + (restart ? ": changed, will be restarted" : ": changed, applies without a restart"));
      changes.push_back([r, entry, unit] { r->replace_spec(unit, entry.recipe, entry.effective_toml); });
      reply.affected.push_back(to_text(unit.id));
    }
  }
  for (const auto& [id, r] : runners_) {
    const auto entry = fresh.units.find(id.unit);
    const bool kept =
        entry != fresh.units.end() &&
        (!entry->second.valid || std::any_of(entry->second.instances.begin(), entry->second.instances.end(),
                                             [&, unit = id](const model::unit& u) { return u.id == unit; }));
    if (kept) continue;
    say(shown_name(r->spec()) + ": no longer configured, will be stopped");
    changes.push_back([this, unit = id, runner = r] {
      removed_.insert(unit);
      stop({runner}, false, false, "stopped: it is no longer configured");
      changed(*runner);
    });
    reply.affected.push_back(to_text(id));
  }
  if (changes.empty()) say("nothing changed");
  if (only.empty() && base::has_errors(fresh.problems)) reply.code = exit_code::invalid_configuration;
  const bool keep_settings = only.empty() && has_broken_settings(fresh);
  if (keep_settings) say("hasup.toml is invalid; what load balancers are told is left as it is (`hasup check`)");
  if (dry_run) return reply;
  if (keep_settings) fresh.settings = config_.settings;
  config_ = std::move(fresh);
  health_desk_.set(config_.settings);
  for (const auto& [name, hosts] : assumed) addresses_.assume(name, hosts);
  for (const auto& change : changes) change();
  set_upstreams();
  restart(to_restart, "restarted: its configuration changed");
  set_schedules();
  save_intent();
  return reply;
}

}  // namespace hasup::daemon
