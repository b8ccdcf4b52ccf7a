// What a person sets for a unit over its file, and what goes instance by instance: restarts, reloads, scaling.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <charconv>

#include "daemon/supervisor.hpp"
#include "model/exit_status.hpp"

namespace hasup::daemon {
namespace {

constexpr unsigned most_instances = 1000;  // as in the unit file

control::command_reply refusal(exit_code code, std::string why) {
  control::command_reply r;
  r.code = code;
  r.message = std::move(why);
  return r;
}

bool is_up_again(const unit_runner& r, std::uint64_t run_before) {
  return r.state() == model::unit_state::running && r.memory().health == model::health::healthy &&
         r.run_number() > run_before;
}

// It will not come up without a person.
bool has_given_up(const unit_runner& r) {
  return r.state() == model::unit_state::failed || r.state() == model::unit_state::asking ||
         (r.state() == model::unit_state::stopped && r.memory().desired == model::desired::down);
}

}  // namespace

bool supervisor::is_enabled(const model::unit& unit) const {
  const auto set = settings_.find(unit.id.unit);
  return set == settings_.end() ? unit.enabled : set->second.enabled.value_or(unit.enabled);
}

std::map<std::string, unsigned> supervisor::counts_by_hand() const {
  std::map<std::string, unsigned> out;
  for (const auto& [name, set] : settings_)
    if (set.instances) out[name] = *set.instances;
  return out;
}

void supervisor::note_settings(control::instance_status& s) const {
  s.scheduled_at = schedule_.next(s.unit);
  const auto set = settings_.find(s.unit);
  if (set == settings_.end()) return;
  s.maintenance = set->second.maintenance;
  config::unit_entry gone;
  gone.name = s.unit;
  const auto file = config_.units.find(s.unit);
  s.by_hand = by_hand(file == config_.units.end() ? gone : file->second, set->second);
}

control::command_reply supervisor::restart(const runners& targets, const std::string& why) {
  control::command_reply reply;
  for (const auto& r : targets) {
    if (r->asks()) return refusal(exit_code::failed, r->how_to_answer());
    if (r->recovery_active())
      return refusal(exit_code::failed,
                     shown_name(r->spec()) + " is being recovered; `hasup status --watch` shows how far it is");
    if (const auto trouble = r->journal_trouble(); !trouble.empty())
      return refusal(exit_code::failed, shown_name(r->spec()) + " is not restarted: " + trouble);
  }
  for (const auto& r : targets) {
    const auto& id = r->spec().id;
    stops_.erase(id);
    r->taken_down_by.clear();
    reply.affected.push_back(to_text(id));
    auto& one_by_one = rolling_[id.unit];
    one_by_one.why = why;
    if (std::find(one_by_one.left.begin(), one_by_one.left.end(), id) == one_by_one.left.end())
      one_by_one.left.push_back(id);
  }
  advance_rolling();
  return reply;
}

void supervisor::advance_rolling() {
  for (auto it = rolling_.begin(); it != rolling_.end();) {
    auto& roll = it->second;
    while (!roll.left.empty()) {
      const auto r = find(roll.left.front());
      if (r && !roll.begun) {
        roll.begun = true;
        roll.run_before = r->run_number();
        r->dispatch(hasup::unit::restart_wanted{roll.why});
        // Between one instance of a unit and the next there is something to wait for.
        if (roll.left.size() > 1) break;
      } else if (r && !is_up_again(*r, roll.run_before)) {
        roll.next_at.reset();
        if (!has_given_up(*r) || !r->restart_seen()) break;
        if (roll.left.size() > 1) {
          control::event e;
          e.unit = it->first;
          e.kind = "restart_ended";
          e.state = model::unit_state_names.text(r->state());
          e.reason = fmt::format("{} did not become healthy, so the {} behind it {} left as {}",
                                 to_text(roll.left.front()), roll.left.size() - 1,
                                 roll.left.size() == 2 ? "is" : "are", roll.left.size() == 2 ? "it is" : "they are");
          publish(std::move(e));
        }
        roll.left.clear();
        break;
      } else if (r && !may_go_on(roll, *r)) {
        break;
      }
      roll.left.pop_front();
      roll.begun = false;
      roll.next_at.reset();
    }
    it = roll.left.empty() ? rolling_.erase(it) : std::next(it);
  }
  wake_for_rolling();
}

// Load balancers need as long to see that an instance is back as they need to see that one goes: else there may be a
// moment in which they know of none.
bool supervisor::may_go_on(rolling_restart& roll, const unit_runner& r) const {
  if (roll.left.size() < 2) return true;
  const auto now = std::chrono::steady_clock::now();
  if (!roll.next_at) roll.next_at = now + r.spec().run.drain_time;
  return *roll.next_at <= now;
}

void supervisor::wake_for_rolling() {
  std::optional<base::mono_time> first;
  for (const auto& [unit, roll] : rolling_)
    if (roll.next_at) first = first ? std::min(*first, *roll.next_at) : *roll.next_at;
  if (!first) return;
  rolling_timer_.expires_at(*first);
  rolling_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) advance_rolling();
  });
}

// What an earlier hasupd did not come to the end of. `in_a_stop`: the instances that it was just stopping.
void supervisor::resume_rolling(std::map<std::string, rolling_restart> were, const std::set<std::string>& in_a_stop) {
  for (auto& [unit, roll] : were) {
    if (roll.left.empty()) continue;
    std::erase_if(roll.left, [&, front = roll.left.front()](const model::instance_id& id) {
      const auto r = find(id);
      const bool drop = !r || r->memory().desired == model::desired::down;
      if (drop && id == front) roll.begun = false;
      return drop;
    });
    if (roll.left.empty()) continue;
    const auto& front = roll.left.front();
    roll.begun = roll.begun && (find(front)->run_number() > roll.run_before || in_a_stop.contains(to_text(front)));
    rolling_[unit] = std::move(roll);
  }
  advance_rolling();
}

void supervisor::set_schedules() {
  std::map<std::string, model::restart_schedule> all;
  for (const auto& [id, r] : runners_)
    if (r->spec().schedule) all[id.unit] = *r->spec().schedule;
  schedule_.set(all);
}

void supervisor::scheduled(const std::string& unit) {
  const auto set = settings_.find(unit);
  runners due;
  for (const auto& r : instances_of(unit))
    if (r->state() == model::unit_state::running && !r->recovery_active() && r->journal_trouble().empty())
      due.push_back(r);
  if (due.empty()) return;
  const auto& cron = due.front()->spec().schedule->cron;
  if (set != settings_.end() && set->second.maintenance) {
    control::event e;
    e.unit = unit;
    e.kind = "schedule_skipped";
    e.state = model::unit_state_names.text(due.front()->state());
    e.reason = "in maintenance: not restarted at " + cron;
    return publish(std::move(e));
  }
  restart(due, "scheduled: " + cron);
}

void supervisor::start_adopt(const control::command& c, std::function<void(control::command_reply)> done) {
  control::command_reply error;
  const auto targets = resolve(c, error);
  if (!targets) return done(error);
  if (targets->size() != 1) return done(refusal(exit_code::usage, "--adopt takes one unit, or UNIT@N"));
  const auto r = targets->front();
  const auto id = shown_name(r->spec());
  if (!r->spec().has_data() || !r->spec().data.shared_with.empty())
    return done(
        refusal(exit_code::failed,
                id +
                    " has no [data] dir of its own, so nobody can tell which process is its; stop that process "
                    "and `hasup start " +
                    id + "`"));
  const auto free = [r] { return r->at_rest() && !r->recovery_active() && !r->half_restored(); };
  const std::string not_free = id + " is not at rest (`hasup status " + id + "`)";
  if (!free()) return done(refusal(exit_code::failed, not_free));
  const bool asked = r->find_outsider([this, r, id, free, not_free, done](const base::result<outsider>& found) {
    if (!found) return done(refusal(exit_code::failed, found.error().message));
    if (!free()) return done(refusal(exit_code::failed, not_free));
    stops_.erase(r->spec().id);
    r->taken_down_by.clear();
    r->adopt_outsider(*found);
    control::command_reply reply;
    reply.affected.push_back(to_text(r->spec().id));
    // Behind the events of it, so that their outcome is in what is written.
    boost::asio::post(services_.loop, [this, reply, done] { save_and_reply(reply, done); });
  });
  if (!asked) done(refusal(exit_code::failed, id + " is being checked right now; try again"));
}

void supervisor::reload(const control::command& c, std::function<void(control::command_reply)> done) {
  control::command_reply error;
  const auto targets = resolve(c, error);
  if (!targets) return done(error);
  if (targets->empty()) return done(refusal(exit_code::usage, "name a unit or a @group"));
  struct gathering {
    control::command_reply reply;
    std::size_t open = 0;
  };
  auto all = std::make_shared<gathering>();
  runners to_restart;
  runners to_reload;
  for (const auto& r : *targets)
    (r->spec().run.reload_signal || r->spec().proxy ? to_reload : to_restart).push_back(r);
  if (!to_restart.empty()) all->reply = restart(to_restart, "reload asked for, and there is no reload_signal");
  if (all->reply.code != exit_code::done || to_reload.empty()) return save_and_reply(all->reply, std::move(done));
  all->open = to_reload.size();
  for (const auto& r : to_reload) {
    const auto name = shown_name(r->spec());
    r->reload([this, all, name, done](const std::string& why) {
      all->reply.message +=
          (all->reply.message.empty() ? "" : "\n") + name + (why.empty() ? " reloaded" : ": " + why);
      if (!why.empty()) all->reply.code = exit_code::failed;
      if (--all->open == 0) save_and_reply(all->reply, done);
    });
  }
}

control::command_reply supervisor::signal(const runners& targets, const std::string& name) {
  const auto number = model::parse_signal(name);
  if (!number) return refusal(exit_code::usage, "no signal \"" + name + "\"; examples: HUP, USR1, 12");
  control::command_reply reply;
  for (const auto& r : targets) {
    const auto id = to_text(r->spec().id);
    if (r->send_signal(*number)) {
      reply.affected.push_back(id);
      continue;
    }
    reply.code = exit_code::failed;
    reply.message += (reply.message.empty() ? "" : "\n") + shown_name(r->spec()) + " is not running";
  }
  return reply;
}

// Nothing: back to what the file says.
control::command_reply supervisor::set_enabled(const runners& targets, std::optional<bool> on) {
  control::command_reply reply;
  std::set<std::string> told;
  for (const auto& r : targets) {
    const auto& unit = r->spec().id.unit;
    auto& set = settings_[unit];
    set.enabled = on == r->spec().enabled ? std::nullopt : on;
    if (set.empty()) settings_.erase(unit);
    reply.affected.push_back(to_text(r->spec().id));
    if (!on && told.insert(unit).second)
      reply.message += fmt::format("{}: enabled = {}, as its file says\n", unit, r->spec().enabled);
  }
  return reply;
}

control::command_reply supervisor::set_maintenance(const runners& targets, const std::string& word) {
  if (word != "on" && word != "off") return refusal(exit_code::usage, "maintenance is on or off");
  control::command_reply reply;
  for (const auto& r : targets) {
    const auto& unit = r->spec().id.unit;
    auto& set = settings_[unit];
    set.maintenance = word == "on";
    for (const auto& i : instances_of(unit)) i->set_maintenance(set.maintenance);
    if (set.empty()) settings_.erase(unit);
    reply.affected.push_back(to_text(r->spec().id));
  }
  follow_upstreams();
  return reply;
}

void supervisor::scale(const control::command& c, std::function<void(control::command_reply)> done) {
  if (c.targets.size() != 1) return done(refusal(exit_code::usage, "scale takes one unit and a number"));
  const auto& name = c.targets.front();
  if (instances_of(name).empty())
    return done(refusal(exit_code::no_such_unit, "no unit \"" + name + "\"; `hasup status` lists all"));
  const bool back = c.options.contains("reset");
  unsigned count = 0;
  if (!back) {
    const auto it = c.options.find("instances");
    const std::string text = it == c.options.end() ? "" : it->second;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || count < 1 || count > most_instances)
      return done(refusal(exit_code::usage, fmt::format("the number of instances is 1 to {}", most_instances)));
  }
  auto counts = counts_by_hand();
  if (back)
    counts.erase(name);
  else
    counts[name] = count;
  auto fresh = std::make_shared<files>();
  services_.disk.run([fresh, &services = services_, counts] { *fresh = read_files(services, counts); },
                     [this, fresh, name, back, count, done = std::move(done)] {
                       if (!fresh->distrusted.empty())
                         return done(refusal(exit_code::permission_denied, fresh->distrusted));
                       const auto entry = fresh->config.units.find(name);
                       if (entry == fresh->config.units.end() || !entry->second.valid)
                         return done(refusal(
                             exit_code::invalid_configuration,
                             (back ? "the file of unit \"" + name + "\" is invalid; `hasup check` shows what is wrong"
                                   : name + " cannot have " + std::to_string(count) +
                                         " instances; do its files, ports and directories hold ${instance}?") +
                                 (entry == fresh->config.units.end() || entry->second.problems.empty()
                                      ? ""
                                      : "\n" + base::headline(entry->second.problems.front()))));
                       auto& set = settings_[name];
                       set.instances = back ? std::nullopt : std::optional(count);
                       const auto in_file = entry->second.instances_in_file;
                       if (set.instances == in_file) set.instances.reset();
                       if (set.empty()) settings_.erase(name);
                       // Only this unit: what else changed in the files waits for `hasup apply`.
                       auto now = config_;
                       now.units[name] = entry->second;
                       fresh->config = std::move(now);
                       auto reply = apply(std::move(*fresh), false, name);
                       if (back)
                         reply.message =
                             fmt::format("{}: instances = {}, as its file says\n", name, in_file) + reply.message;
                       save_and_reply(std::move(reply), done);
                     });
}

}  // namespace hasup::daemon
