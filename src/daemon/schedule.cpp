#include "daemon/schedule.hpp"

#include <date/tz.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "daemon/disk_thread.hpp"

namespace hasup::daemon {
namespace {

using namespace std::chrono;

// Somebody may set the machine's clock; it is looked at this often at the least.
constexpr base::duration longest_sleep{60'000};

base::result<const date::time_zone*> zone_of(const std::string& name) {
  try {
    return name == "local" ? date::current_zone() : date::locate_zone(name == "UTC" ? "Etc/UTC" : name);
  } catch (const std::exception&) {
    return base::error{"no time zone \"" + name +
                       "\"; examples: \"local\", \"UTC\", \"Europe/Berlin\" (is tzdata installed?)"};
  }
}

base::wall_minutes wall_clock(const date::time_zone& zone, base::wall_time t) {
  return base::wall_minutes(floor<minutes>(zone.to_local(t).time_since_epoch()));
}

// A time that the clock skips is the moment of the change; of one that comes twice it is the first.
base::wall_time instant(const date::time_zone& zone, base::wall_minutes t) {
  return zone.to_sys(date::local_time<minutes>(t.time_since_epoch()), date::choose::earliest);
}

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

}  // namespace

base::result<std::optional<base::wall_time>> next_due(const model::restart_schedule& s, base::wall_time after) {
  using result = base::result<std::optional<base::wall_time>>;
  const auto expression = base::parse_cron(s.cron);
  if (!expression) return expression.error();
  const auto zone = zone_of(s.timezone);
  if (!zone) return zone.error();
  // In an hour that comes twice the wall clock goes back: what it has shown already is not due again.
  auto local = wall_clock(**zone, after);
  for (;;) {
    const auto next = base::next_after(*expression, local);
    if (!next) return result(std::nullopt);
    const auto at = instant(**zone, *next);
    if (at > after) return result(at);
    local = *next;
  }
}

base::duration splay_of(const model::restart_schedule& s, std::string_view unit, std::string_view host) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const auto part : {host, std::string_view("/"), unit})
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash ^= hash >> 29;  // the last letters alone must spread far, too
  hash *= 0xbf58476d1ce4e5b9;
  hash ^= hash >> 32;
  return base::duration{static_cast<std::int64_t>(hash % (static_cast<std::uint64_t>(s.splay.count()) + 1))};
}

base::result<std::optional<base::wall_time>> next_due(const model::restart_schedule& s, base::wall_time after,
                                                      base::duration delay) {
  auto due = next_due(s, after - delay);
  if (due && *due) **due += delay;
  return due;
}

schedule::schedule(daemon_services& services, std::function<void(const std::string&)> on_due,
                   std::function<void(const std::string&, const std::string&)> on_problem)
    : services_(services),
      on_due_(std::move(on_due)),
      on_problem_(std::move(on_problem)),
      timer_(services.loop),
      host_(machine_name()) {}

schedule::~schedule() = default;

void schedule::set(const std::map<std::string, model::restart_schedule>& units) {
  std::erase_if(units_, [&](const auto& known) {
    const auto it = units.find(known.first);
    return it == units.end() || it->second != known.second.what;
  });
  for (const auto& [name, what] : units) {
    if (units_.contains(name)) continue;
    units_[name].what = what;
    ask(name, system_clock::now());
  }
  arm();
}

std::optional<base::wall_time> schedule::next(const std::string& unit) const {
  const auto it = units_.find(unit);
  return it == units_.end() ? std::nullopt : it->second.due;
}

void schedule::ask(const std::string& unit, base::wall_time after) {
  const auto what = units_.at(unit).what;
  auto found = std::make_shared<base::result<std::optional<base::wall_time>>>(base::error{});
  const auto delay = splay_of(what, unit, host_);
  services_.disk.run([found, what, after, delay] { *found = next_due(what, after, delay); },
                     [this, alive = std::weak_ptr<bool>(alive_), unit, what, found] {
                       if (alive.expired()) return;
                       const auto it = units_.find(unit);
                       if (it == units_.end() || it->second.what != what) return;
                       if (!*found) return on_problem_(unit, found->error().message);
                       it->second.due = **found;
                       arm();
                     });
}

void schedule::arm() {
  std::optional<base::wall_time> first;
  for (const auto& [name, e] : units_)
    if (e.due && (!first || *e.due < *first)) first = e.due;
  if (!first) {
    timer_.cancel();
    return;
  }
  const auto left = duration_cast<base::duration>(*first - system_clock::now());
  timer_.expires_after(std::clamp(left, base::duration{1}, longest_sleep));
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& ec) {
    if (ec || alive.expired()) return;
    const auto now = system_clock::now();
    for (auto& [name, e] : units_) {
      if (!e.due || *e.due > now) continue;
      e.due.reset();
      ask(name, now);
      on_due_(name);
    }
    arm();
  });
}

}  // namespace hasup::daemon
