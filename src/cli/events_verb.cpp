// `hasup events`: from the daemon, or from its file when it is down.
#include <time.h>

#include <algorithm>
#include <deque>
#include <fstream>

#include "base/time_text.hpp"
#include "cli/event_text.hpp"
#include "cli/stored_events.hpp"
#include "cli/verbs.hpp"

namespace hasup::cli {
namespace {

style style_of_kind(const control::event& e) {
  if (e.state == "failed" || e.kind == "killed" || e.kind == "became_unhealthy") return style::red;
  if (e.kind == "became_healthy" || e.kind == "recovered") return style::green;
  if (e.state == "recovering") return style::blue;
  return style::plain;
}

void show(const context& c, const control::event& e) {
  print(c.call.json ? control::encode(e) + "\n" : render_event(e, c.out));
}

exit_code follow(const context& c, std::uint64_t seen) {
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
        show(c, e);
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

std::string render_event(const control::event& e, const terminal& t, std::size_t name_width) {
  auto name = e.unit.empty() ? "hasupd" : e.unit;
  if (e.instance && *e.instance > 0) name += "@" + std::to_string(*e.instance);
  std::string text = paint(base::format_time(e.at, true), style::dim, t.colour) + "  " + pad(name, name_width) +
                     "  " + paint(pad(printable(e.kind), 16), style_of_kind(e), t.colour);
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

exit_code run_events(const context& c) {
  const auto wanted = c.call.lines.value_or(100);
  constexpr std::size_t page = 10'000;  // what the daemon gives at once
  if (wanted == 0 && !c.call.follow) return exit_code::done;
  auto recent = c.daemon.events(0, std::clamp<std::size_t>(wanted, 1, page), c.call.unit);
  const bool older_on_disk = recent && wanted > recent->size() && !recent->empty() && recent->front().seq > 1;
  if (!recent || older_on_disk) {
    auto stored = stored_events(c.dirs.state, wanted, c.call.unit);
    if (!recent) {
      if (!stored || c.call.follow || recent.error().code != exit_code::daemon_unreachable)
        return fail(c, recent.error());
      if (c.err.interactive) complain(c, "hasupd does not run; this is what it wrote down");
      recent = std::move(*stored);
    } else if (stored) {
      // What the daemon no longer holds, then what it does: its newest may not be on the disk yet.
      std::erase_if(*stored, [&](const auto& e) { return e.seq >= recent->front().seq; });
      recent->insert(recent->begin(), stored->begin(), stored->end());
    }
  }
  std::uint64_t seen = 0;
  const auto skip = recent->size() > wanted ? recent->size() - wanted : 0;
  for (std::size_t i = 0; i < recent->size(); ++i) {
    if (i >= skip) show(c, (*recent)[i]);
    seen = (*recent)[i].seq;
  }
  return c.call.follow ? follow(c, seen) : exit_code::done;
}

}  // namespace hasup::cli
