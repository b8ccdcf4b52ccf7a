#include "daemon/supervisor.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/unique_fd.hpp"
#include "daemon/upstream_watch.hpp"
#include "hasup/version.hpp"
#include "process/process_tree.hpp"

namespace hasup::daemon {
namespace {

bool satisfies(const unit_runner& r, model::condition c) {
  using model::unit_state;
  switch (c) {
    case model::condition::started:
      return r.state() == unit_state::running;
    case model::condition::healthy:
      return r.state() == unit_state::running && r.memory().health == model::health::healthy;
    case model::condition::completed:
      return r.state() == unit_state::completed;
  }
  return false;
}

// Its recovery goes on, but not for what requires it: that may be what the others of its group wait for.
bool is_restored(const unit_runner& r, model::condition c) {
  return c != model::condition::completed && r.recovery_serves();
}

// Nobody knows yet: after an adoption, or while a start is under way. Never a reason to stop a dependent.
bool undecided(const unit_runner& r) {
  return r.undecided() || r.state() == model::unit_state::starting ||
         (r.state() == model::unit_state::running && r.memory().health == model::health::unknown);
}

unit::requirement_lost closed_while_restored(const std::string& owner) {
  return {model::on_loss::restart, "stopped while the data of " + owner + " is restored", true};
}

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

}  // namespace

supervisor::supervisor(daemon_services& services, event_log& events, intent_file& intent)
    : services_(services),
      events_(events),
      intent_file_(intent),
      started_at_(std::chrono::system_clock::now()),
      host_name_(machine_name()),
      rolling_timer_(services.loop),
      addresses_(
          services.loop, [this] { return endpoints_in_use(); },
          [this](const std::string& name, const upstream::address_change& c) { addresses_changed(name, c); }),
      memory_watch_(services.loop,
                    [this] {
                      bool any = false;
                      for (const auto& [id, r] : runners_) {
                        r->sample_memory();
                        any = any || r->watches_memory();
                      }
                      return any;
                    }),
      space_watch_(
          services.loop,
          [this] {
            std::map<std::string, std::uint64_t> dirs;
            for (const auto& [id, r] : runners_) {
              if (!r->watches_space()) continue;
              for (const auto& dir : hasup::unit::watched_dirs(r->spec().data)) {
                auto& most = dirs[dir];
                most = std::max(most, r->spec().data.min_free);
              }
            }
            return dirs;
          },
          [this](const std::string& dir, const base::result<hasup::unit::room_left>& room) {
            for (const auto& [id, r] : runners_) {
              const auto dirs = hasup::unit::watched_dirs(r->spec().data);
              if (std::find(dirs.begin(), dirs.end(), dir) != dirs.end()) r->on_space(dir, room);
            }
          }),
      schedule_(
          services, [this](const std::string& unit) { scheduled(unit); },
          [this](const std::string& unit, const std::string& why) {
            control::event e;
            e.unit = unit;
            e.kind = "schedule_failed";
            e.reason = why;
            publish(std::move(e));
          }),
      upgrade_(services, [this](control::event e) { publish(std::move(e)); }),
      health_desk_(
          services.loop, [this] { return health_views(); }, [this](control::event e) { publish(std::move(e)); }) {
  events_.subscribe([this](const control::event& e) {
    if (server_ != nullptr) server_->publish(e);
  });
  intent_file_.on_error = [](const base::error& e) { spdlog::error("cannot save the intent: {}", e.message); };
}

supervisor::~supervisor() = default;

bool supervisor::requirements_met(const unit_runner& who, std::vector<std::string>& waiting_for) {
  for (const auto& r : who.spec().requires_units) {
    bool met = false;
    for (const auto& i : instances_of(r.unit)) met = met || satisfies(*i, r.when) || is_restored(*i, r.when);
    if (!met) waiting_for.push_back(r.unit + " (" + std::string(model::condition_names.text(r.when)) + ")");
  }
  upstreams_missing(who, waiting_for);
  if (const auto& owner = who.spec().data.shared_with; holds_readers(owner))
    waiting_for.push_back(owner + " (its data is being restored)");
  return waiting_for.empty();
}

bool supervisor::data_recovers(const unit_runner& who) {
  const auto& owner = who.spec().data.shared_with;
  if (owner.empty()) return false;
  const auto all = instances_of(owner);
  return std::any_of(all.begin(), all.end(), [](const runner_ptr& r) { return r->is_about_to_recover(); });
}

void supervisor::changed(unit_runner& who) {
  if (who.watches_memory()) memory_watch_.wake();
  if (who.watches_space())
    for (const auto& dir : hasup::unit::watched_dirs(who.spec().data)) space_watch_.wake(dir);
  save_intent();
  inform_dependents(who.spec().id.unit);
  hold_back(who);
  if (!stops_.empty()) advance_stops_soon();
  advance_reader_waits();
  tell_of_disks(who);
  advance_rolling();
  if (who.spec().choices.all) follow_upstreams();
  if (removed_.contains(who.spec().id)) drop_when_gone(who);
}

// From a fresh call: the runner is in the middle of its own.
void supervisor::drop_when_gone(unit_runner& who) {
  if (!who.gone()) return who.tell_when_worker_ends();
  boost::asio::post(services_.loop, [this, id = who.spec().id] {
    const auto it = runners_.find(id);
    if (it == runners_.end() || !it->second->gone() || !removed_.contains(id)) return;
    auto stays = it->second->what_stays();
    tell_group_soon(it->second->group_view().group);
    runners_.erase(it);
    removed_.erase(id);
    if (worth_keeping(stays) || settings_.contains(id.unit))
      carried_[to_text(id)] = std::move(stays);
    else
      forget(id);
    set_upstreams();
    save_intent();
  });
}

// One instance is enough: which of them a reader opens is not known here.
bool supervisor::holds_readers(const std::string& owner) const {
  return !owner.empty() && std::any_of(held_readers_of_.begin(), held_readers_of_.end(),
                                       [&](const model::instance_id& held) { return held.unit == owner; });
}

// A reader that was found running, while the data that it opens is half restored. With a damaged journal that depends
// on whether the node runs, which its shim is asked first.
void supervisor::hold_back(unit_runner& who) {
  const auto& owner = who.spec().data.shared_with;
  const auto surely = [&](const model::instance_id& held) {
    const auto r = held.unit == owner ? find(held) : nullptr;
    return r && !(r->journal_is_damaged() && r->undecided());
  };
  if (owner.empty() || std::none_of(held_readers_of_.begin(), held_readers_of_.end(), surely)) return;
  if (who.state() == model::unit_state::running || who.state() == model::unit_state::starting)
    who.dispatch(closed_while_restored(owner));
}

std::optional<unit::requirement_lost> supervisor::lost(const model::requirement& need) {
  if (need.loss == model::on_loss::keep) return std::nullopt;
  for (const auto& i : instances_of(need.unit))
    if (satisfies(*i, need.when) || is_restored(*i, need.when) || undecided(*i)) return std::nullopt;
  return unit::requirement_lost{need.loss,
                                need.unit + " is no longer " + std::string(model::condition_names.text(need.when))};
}

std::vector<unit::requirement_lost> supervisor::lost_requirements(const unit_runner& who) {
  std::vector<unit::requirement_lost> out;
  for (const auto& need : who.spec().requires_units)
    if (auto loss = lost(need)) out.push_back(std::move(*loss));
  return out;
}

void supervisor::inform_dependents(const std::string& unit) {
  for (const auto& [id, r] : runners_) {
    if (r->spec().data.shared_with == unit && r->state() == model::unit_state::waiting)
      r->dispatch(unit::requirements_changed{});
    for (const auto& need : r->spec().requires_units) {
      if (need.unit != unit) continue;
      r->look_at_requirements();
      if (r->state() == model::unit_state::waiting)
        r->dispatch(unit::requirements_changed{});
      else if (auto loss = lost(need))
        r->dispatch(std::move(*loss));
    }
  }
}

void supervisor::publish(control::event e) {
  const auto of = e.instance ? find({e.unit, *e.instance}) : nullptr;
  const auto name = e.unit.empty() ? "hasupd" : of ? shown_name(of->spec()) : e.unit;
  spdlog::log(control::is_alert(e) ? spdlog::level::warn : spdlog::level::info, "{} {}: {}", name, e.kind, e.reason);
  events_.append(std::move(e), std::chrono::system_clock::now());
}

void supervisor::announce(std::string kind, std::string why, std::map<std::string, std::string> detail) {
  control::event e;
  e.kind = std::move(kind);
  e.reason = std::move(why);
  e.detail = std::move(detail);
  publish(std::move(e));
}

void supervisor::stop_readers(const model::instance_id& of, std::function<void()> then) {
  held_readers_of_.insert(of);
  reader_waits_[of] = std::move(then);
  for (const auto& [id, r] : runners_)
    if (r->spec().data.shared_with == of.unit && !r->at_rest()) r->dispatch(closed_while_restored(of.unit));
  boost::asio::post(services_.loop, [this] { advance_reader_waits(); });
}

void supervisor::advance_reader_waits() {
  for (auto it = reader_waits_.begin(); it != reader_waits_.end();) {
    bool down = true;
    for (const auto& [id, r] : runners_)
      if (r->spec().data.shared_with == it->first.unit && !r->at_rest()) down = false;
    if (!down) {
      ++it;
      continue;
    }
    auto then = std::move(it->second);
    it = reader_waits_.erase(it);
    boost::asio::post(services_.loop, std::move(then));
  }
}

void supervisor::release_readers(const model::instance_id& of) {
  if (held_readers_of_.erase(of) == 0 || holds_readers(of.unit)) return;
  for (const auto& [id, r] : runners_)
    if (r->spec().data.shared_with == of.unit) r->dispatch(hasup::unit::requirements_changed{});
}

void supervisor::add_promised(const model::instance_id& to, ports::room_found& room) {
  room.promised = 0;
  room.promised_to.clear();
  for (const auto& [id, r] : runners_) {
    const auto other = id == to ? std::nullopt : r->promised_room();
    if (!other || other->device != room.device || other->bytes == 0) continue;
    room.promised += other->bytes;
    room.promised_to.push_back(shown_name(r->spec()));
  }
}

std::string supervisor::disk_taken_by(const unit_runner& who) const {
  if (who.device() == 0) return {};
  for (const auto& [id, r] : runners_)
    if (r.get() != &who && r->recovers_on() == who.device()) return shown_name(r->spec());
  return {};
}

// What others fetch beforehand there makes way for it, and is gone on with after it.
void supervisor::tell_of_disks(unit_runner& who) {
  const auto disk = who.recovers_on();
  const auto was = recovers_on_.find(who.spec().id);
  if (disk == (was == recovers_on_.end() ? 0 : was->second)) return;
  if (disk != 0)
    recovers_on_[who.spec().id] = disk;
  else
    recovers_on_.erase(was);
  boost::asio::post(services_.loop, [this] {
    for (const auto& [id, r] : runners_) r->disks_changed();
  });
}

std::vector<std::int32_t> supervisor::reader_pids(const model::instance_id& of) {
  std::vector<std::int32_t> out;
  for (const auto& [id, r] : runners_) {
    if (r->spec().data.shared_with != of.unit) continue;
    const auto more = r->pids();
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

control::host_status supervisor::status() {
  control::host_status s;
  s.host = host_name_;
  s.version = hasup::version;
  s.pid = ::getpid();
  s.uptime_s = std::chrono::duration<double>(std::chrono::system_clock::now() - started_at_).count();
  s.diagnostics = config_.problems;
  for (const auto& name : start_order()) {
    const auto all = instances_of(name);
    for (const auto& r : all) {
      s.units.push_back(r->status());
      note_pending_stop(s.units.back());
      note_settings(s.units.back());
    }
    if (!all.empty()) continue;
    // A broken file is no reason to hide the unit. Since when it is broken nobody knows.
    const auto it = config_.units.find(name);
    if (it == config_.units.end()) continue;
    control::instance_status broken;
    broken.unit = name;
    broken.state = model::unit_state::failed;
    broken.reason = "its unit file is invalid; `hasup check` shows all errors";
    for (const auto& d : it->second.problems)
      if (d.level == base::severity::error) {
        broken.reason = base::headline(d);
        break;
      }
    s.units.push_back(std::move(broken));
    note_settings(s.units.back());
  }
  return s;
}

std::vector<health::instance_view> supervisor::health_views() const {
  std::vector<health::instance_view> out;
  for (const auto& [id, r] : runners_) out.push_back(r->health_view());
  for (const auto& [name, entry] : config_.units) {
    if (entry.valid || !instances_of(name).empty()) continue;
    health::instance_view broken;
    broken.id.unit = name;
    broken.state = model::unit_state::failed;
    broken.reason = "its unit file is invalid";
    out.push_back(std::move(broken));
  }
  return out;
}

std::string supervisor::unit_json(std::string_view name) {
  const auto ref = model::parse_unit_reference(name);
  if (!ref) return {};
  std::vector<std::string> parts;
  for (const auto& s : status().units)
    if (s.unit == ref->unit && (!ref->index || *ref->index == s.instance)) parts.push_back(control::encode(s));
  if (parts.empty()) return {};
  if (parts.size() == 1) return parts.front();
  std::string out = "[";
  for (const auto& p : parts) out += (out.size() > 1 ? "," : "") + p;
  return out + "]";
}

std::vector<control::event> supervisor::events_since(std::uint64_t seq, std::size_t max) {
  return events_.since(seq, max);
}

void supervisor::read_log(const control::log_request& r, std::function<void(control::log_reply)> done) {
  const auto ref = model::parse_unit_reference(r.unit);
  const auto all = ref ? instances_of(ref->unit) : runners{};
  const auto wanted = ref ? ref->index.value_or(0) : 0;
  std::string path;
  for (const auto& i : all)
    if (i->spec().id.index == wanted) path = services_.dirs.log + "/" + model::log_file_name(i->spec());
  if (path.empty()) return done({exit_code::no_such_unit, "no unit \"" + r.unit + "\"", {}});
  auto reply = std::make_shared<control::log_reply>();
  services_.disk.run(
      [path, reply, lines = r.lines] {
        const base::unique_fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
        struct stat st {};
        if (!fd || ::fstat(fd.get(), &st) != 0) return;  // nothing logged yet
        constexpr off_t at_most = 1 << 20;
        const off_t from = st.st_size > at_most ? st.st_size - at_most : 0;
        std::string text(static_cast<std::size_t>(st.st_size - from), '\0');
        const auto n = ::pread(fd.get(), text.data(), text.size(), from);
        text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        std::size_t begin = text.size();
        for (std::size_t i = 0; i <= lines && begin != std::string::npos && begin > 0; ++i)
          begin = text.rfind('\n', begin - 1);
        reply->text = begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
      },
      [reply, done = std::move(done)] { done(*reply); });
}

std::string supervisor::encode_intent() const {
  intent i;
  i.boot_id = process::boot_id();
  i.instances = carried_;
  i.units = settings_;
  i.restarts = rolling_;
  i.stops = stops_;
  i.upstreams = upstream_intents();
  i.addresses = addresses_.known();
  for (const auto& [id, r] : runners_) i.instances[to_text(id)] = r->intent();
  return encode(i);
}

// What changes in one turn of the loop is one write, and so is all that changes while one is being written.
void supervisor::save_intent(intent_file::write_answer then) {
  if (then) save_then_.push_back(std::move(then));
  if (std::exchange(save_posted_, true)) return;
  boost::asio::post(services_.loop, [this] {
    save_posted_ = false;
    intent_file_.write([this] { return encode_intent(); },
                       [all = std::exchange(save_then_, {})](const base::result<void>& done) {
                         for (const auto& waiting : all) waiting(done);
                       });
  });
}

}  // namespace hasup::daemon
