// `hasup events`: from the daemon, or from its file when it is down.
#include <time.h>

#include <algorithm>
#include <deque>
#include <fstream>

#include "base/time_text.hpp"
#include "cli/event_text.hpp"
#include "cli/selection.hpp"
#include "cli/stored_events.hpp"
#include "cli/verbs.hpp"
#include "config/unit_dir.hpp"
#include "model/unit_name.hpp"

namespace hasup::cli {
namespace {

style style_of_kind(const control::event& e) {
  if (e.state == "failed" || e.kind == "killed" || e.kind == "became_unhealthy") return style::red;
  if (e.kind == "became_healthy" || e.kind == "recovered") return style::green;
  if (e.state == "recovering") return style::blue;
  return style::plain;
}

std::string name_of(const control::event& e, const std::set<std::string>& several) {
  if (e.unit.empty()) return "hasupd";
  const bool numbered = e.instance && (*e.instance > 0 || several.contains(e.unit));
  return numbered ? e.unit + "@" + std::to_string(*e.instance) : e.unit;
}

void show(const context& c, const control::event& e, const event_layout& l) {
  print(c.call.json ? control::encode(e) + "\n" : render_event(e, c.out, l));
}

// Unit -> number of instances, as the daemon has it or, when it is down, as the files say.
std::map<std::string, std::size_t> known_units(const context& c) {
  std::map<std::string, std::size_t> known;
  if (const auto s = c.daemon.status())
    for (const auto& u : s->units) known[u.unit] = u.instances;
  for (const auto& [name, entry] : config::load(c.dirs).units)
    if (!known.contains(name)) known[name] = std::max<std::size_t>(entry.instances.size(), 1);
  return known;
}

// Without a single event of it: a unit that does not exist, or one of which nothing is known yet?
exit_code explain_nothing(const context& c, const std::map<std::string, std::size_t>& known) {
  if (c.call.unit == "hasupd") return exit_code::done;
  const auto r = model::parse_unit_reference(c.call.unit);
  const auto found = known.find(r ? r->unit : c.call.unit);
  if (found == known.end()) {
    std::vector<std::string> names;
    for (const auto& [name, instances] : known) names.push_back(name);
    complain(c, unknown_unit(c.call.unit, names));
    return exit_code::no_such_unit;
  }
  if (!r->index || *r->index < found->second) return exit_code::done;
  complain(c, no_instance(r->unit, *r->index, found->second));
  return exit_code::no_such_unit;
}

exit_code follow(const context& c, std::uint64_t seen, event_layout columns) {
  catch_interrupts();
  bool first = true;
  for (;;) {
    auto stream = c.daemon.follow(seen, c.call.unit);
    if (!stream && first) return fail(c, stream.error());
    if (stream) {
      control::event e;
      for (auto outcome = control::event_stream::outcome::event;
           outcome != control::event_stream::outcome::closed && !interrupted();) {
        outcome = stream->next(e, std::chrono::steady_clock::now() + std::chrono::milliseconds(500));
        if (outcome != control::event_stream::outcome::event || e.seq <= seen) continue;
        seen = e.seq;
        columns.fit(e);
        show(c, e, columns);
      }
      if (!interrupted()) complain(c, "hasupd went away; waiting for it to come back");
    }
    if (interrupted()) return exit_code::done;
    first = false;
    struct timespec pause {
      0, 200'000'000
    };
    ::nanosleep(&pause, nullptr);
    if (interrupted()) return exit_code::done;
  }
}

}  // namespace

void event_layout::fit(const control::event& e) {
  if (e.instance.value_or(0) > 0) several.insert(e.unit);
  name_width = std::max(name_width, display_width(name_of(e, several)));
  kind_width = std::max(kind_width, display_width(printable(e.kind)));
}

std::string render_event(const control::event& e, const terminal& t, const event_layout& l) {
  std::string text = paint(base::format_time(e.at, true), style::dim, t.colour) + "  " +
                     pad(name_of(e, l.several), l.name_width) + "  " +
                     paint(pad(printable(e.kind), l.kind_width), style_of_kind(e), t.colour);
  if (!e.reason.empty()) text += "  " + printable(e.reason);
  return text + "\n";
}

base::result<std::vector<control::event>> stored_events(const std::string& state_directory, std::size_t newest,
                                                        std::string_view unit) {
  const auto path = state_directory + "/events/events.jsonl";
  std::deque<control::event> last;
  bool found = false;
  for (const auto& name : {path + ".1", path}) {  // the older file first
    std::ifstream in(name);
    found = found || in;
    for (std::string line; std::getline(in, line);) {
      auto e = control::decode_event(line);
      if (!e || !control::concerns(*e, unit)) continue;  // a torn line at the end, or a newer one
      last.push_back(std::move(*e));
      if (last.size() > newest) last.pop_front();
    }
  }
  if (!found) return base::errno_error("open " + path);
  return {boost::system::in_place_value, std::vector<control::event>(last.begin(), last.end())};
}

control::client_result<std::vector<control::event>> recent_events(const context& c, std::size_t wanted,
                                                                  const std::string& unit) {
  constexpr std::size_t page = 10'000;  // what the daemon gives at once
  auto recent = c.daemon.events(0, std::clamp<std::size_t>(wanted, 1, page), unit);
  const bool older_on_disk = recent && wanted > recent->size() && !recent->empty() && recent->front().seq > 1;
  if (recent && !older_on_disk) return recent;
  auto stored = stored_events(c.dirs.state, wanted, unit);
  if (!recent) {
    if (!stored || c.call.follow || recent.error().code != exit_code::daemon_unreachable) return recent;
    if (c.err.interactive) complain(c, "hasupd does not run; this is what it wrote down");
    return std::move(*stored);
  }
  if (stored) {
    // What the daemon no longer holds, then what it does: its newest may not be on the disk yet.
    std::erase_if(*stored, [&](const auto& e) { return e.seq >= recent->front().seq; });
    recent->insert(recent->begin(), stored->begin(), stored->end());
  }
  return recent;
}

exit_code run_events(const context& c) {
  const auto wanted = c.call.lines.value_or(100);
  if (wanted == 0 && !c.call.follow) return exit_code::done;
  const auto recent = recent_events(c, wanted, c.call.unit);
  if (!recent) return fail(c, recent.error());
  event_layout columns;
  if (!c.call.json || (recent->empty() && !c.call.unit.empty())) {
    const auto known = known_units(c);
    if (recent->empty() && !c.call.unit.empty())
      if (const auto code = explain_nothing(c, known); code != exit_code::done) return code;
    for (const auto& [name, instances] : known)
      if (instances > 1) columns.several.insert(name);
  }
  const auto skip = recent->size() > wanted ? recent->size() - wanted : 0;
  for (std::size_t i = skip; i < recent->size(); ++i) columns.fit((*recent)[i]);
  for (std::size_t i = skip; i < recent->size(); ++i) show(c, (*recent)[i], columns);
  const auto seen = recent->empty() ? 0 : recent->back().seq;
  return c.call.follow ? follow(c, seen, columns) : exit_code::done;
}

}  // namespace hasup::cli
