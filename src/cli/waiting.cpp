// The loop that waits.
#include "cli/waiting.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>

#include "base/time_text.hpp"
#include "cli/data_holder.hpp"
#include "cli/status_table.hpp"
#include "recovery/milestones.hpp"

namespace hasup::cli {
namespace {

using std::chrono::steady_clock;
constexpr base::duration grace{3'000};     // a state from before the command is believed after this
constexpr base::duration look_every{500};  // without events: progress of a recovery
constexpr base::duration progress_pause{10'000};
constexpr base::duration away_limit{15'000};  // hasupd may be restarted meanwhile

struct one {
  model::instance_id id;
  sighting seen;
  standing is = standing::pending;
  std::string line;     // what is said of it
  std::string blocked;  // why it can never be started
  std::string shown;    // the last plain line, but for how far it is
  recovery::milestones progress{progress_pause};
  bool ended = false;  // not configured any more, or scaled away
};

std::string own_line(const control::instance_status& u) {
  const auto state = std::string(model::unit_state_names.text(u.state));
  std::string text = state;
  if (u.state == model::unit_state::running && u.health != model::health::healthy)
    text += ", " + std::string(model::health_names.text(u.health));
  if (!u.reason.empty()) text += ": " + printable(u.reason);
  if (const auto again = retry_text(u); !again.empty()) text += "; " + again;
  return text;
}

// With what a unit that waits is waiting for, when that has failed and is tried again.
std::string line_of(const control::instance_status& u, const std::vector<control::instance_status>& all) {
  auto text = own_line(u);
  if (u.state != model::unit_state::waiting) return text;
  for (const auto& entry : u.waiting_for)
    for (const auto& other : all)
      if (entry.starts_with(other.unit + " ") && !retry_text(other).empty())
        text += fmt::format(" ({} {})", control::display_name(other), own_line(other));
  return text;
}

class progress_view {
 public:
  progress_view(const context& c, std::size_t name_width) : c_(c), name_width_(name_width) {}
  ~progress_view() = default;

  void show(std::vector<one>& all) {
    if (c_.out.interactive)
      redraw(all);
    else
      for (auto& o : all) print_changes(o);
  }

 private:
  void redraw(const std::vector<one>& all) {
    std::string text;
    if (drawn_ > 0) text += fmt::format("\x1b[{}A", drawn_);
    drawn_ = 0;
    const auto rows = std::max<std::size_t>(c_.out.height, 4) - 2;
    for (const auto& o : all) {
      if (drawn_ == rows) break;
      const auto& u = o.seen.now;
      const auto now = std::chrono::system_clock::now();
      auto rest = u.recovery && !u.recovery->phase.empty() ? render_progress(*u.recovery, now, terminal{}) : o.line;
      if (const auto kill = kill_text(u, now); !kill.empty()) rest = kill + ", " + rest;
      const auto room = c_.out.width > name_width_ + 3 ? c_.out.width - name_width_ - 3 : 10;
      text += "\r\x1b[K" + paint(pad(control::display_name(u), name_width_), style::bold, c_.out.colour) + "  " +
              paint(shorten(rest, room), style_of(u), c_.out.colour) + "\n";
      ++drawn_;
    }
    print(text);
  }

  void print_changes(one& o) {
    const auto& u = o.seen.now;
    auto text = o.line;
    if (u.recovery) text += " [" + u.recovery->phase + "]";
    if (u.drain_ends_at && u.state == model::unit_state::stopping)
      text += "; until " + base::format_time(*u.drain_ends_at);
    if (u.kill_at && u.state == model::unit_state::stopping) text += "; SIGKILL at " + base::format_time(*u.kill_at);
    // Not each half second.
    bool further = false;
    if (u.recovery)
      further = o.progress.is_one(u.recovery->phase, u.recovery->snapshot, u.recovery->bytes_done,
                                  u.recovery->bytes_total, steady_clock::now());
    if (text == o.shown && !further) return;
    o.shown = text;
    if (u.recovery)
      if (const auto far = control::progress_text(*u.recovery, std::chrono::system_clock::now()); !far.empty())
        text += " " + far;
    print(pad(control::display_name(u), name_width_) + "  " + text + "\n");
  }

  const context& c_;
  std::size_t name_width_;
  std::size_t drawn_ = 0;
};

void look(std::vector<one>& all, const std::vector<control::instance_status>& now, const waiting_for& w,
          bool grace_over) {
  for (auto& o : all) {
    const auto found = std::find_if(now.begin(), now.end(),
                                    [&](const auto& u) { return u.unit == o.id.unit && u.instance == o.id.index; });
    if (found == now.end()) {  // its file was removed meanwhile, or it was scaled away
      o.ended = true;
      o.is = w.want == goal::stopped || w.want == goal::settled ? standing::reached : standing::lost;
      o.seen.now.reason = "it is no longer configured";
      o.seen.now.kill_at.reset();  // what was to be killed is gone
      o.line = own_line(o.seen.now);
      continue;
    }
    o.ended = w.want == goal::settled && found->state == model::unit_state::stopped;
    o.seen.now = *found;
    o.seen.grace_over = grace_over;
    o.line = line_of(o.seen.now, now);
    o.is = judge(w.want, o.seen);
  }
  if (w.want == goal::stopped || w.want == goal::at_rest) return;
  // One after the other: behind an instance that does not come up the others are left as they are.
  for (auto& o : all) {
    if (w.want != goal::restarted || o.is != standing::pending || o.seen.now.pid != o.seen.before.pid) continue;
    const auto failed = std::find_if(all.begin(), all.end(), [&](const one& other) {
      return other.id.unit == o.id.unit && other.is == standing::lost && other.blocked.empty();
    });
    if (failed == all.end()) continue;
    o.is = standing::lost;
    o.blocked = "was left as it is, because " + control::display_name(failed->seen.now) + " did not become healthy";
  }
  // What the command did not touch is no leftover; the rest is believed by the rule for its own goal.
  const auto settled = [&](const control::instance_status& u) {
    const auto own = std::find_if(all.begin(), all.end(),
                                  [&](const one& o) { return o.id.unit == u.unit && o.id.index == u.instance; });
    return own == all.end() || only_looks(w.want) || is_fresh(own->seen);
  };
  for (auto& o : all) {
    if (o.is != standing::pending) continue;
    o.blocked = blocked_by(o.seen.now, now, settled);
    if (!o.blocked.empty()) o.is = standing::lost;
  }
}

std::string reached_line(const std::vector<one>& all, goal want, std::size_t completed) {
  const auto gone =
      static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const one& o) { return o.ended; }));
  if (gone == all.size() && gone == 1) return control::display_name(all[0].seen.now) + " is stopped";
  if (gone == all.size()) return fmt::format("all {} are stopped", gone);
  const auto here = all.size() - gone;
  auto text = here == 1 ? control::display_name(
                              std::find_if(all.begin(), all.end(), [](const one& o) { return !o.ended; })->seen.now) +
                              " is"
                        : fmt::format("all {} are", here);
  text += " " + reached_text(want, completed, here);
  return gone == 0 ? text : text + fmt::format(", {} stopped", gone);
}

exit_code conclude(const context& c, const std::vector<one>& all, const waiting_for& w, base::mono_time began,
                   bool timed_out) {
  const auto took =
      base::format_duration_rounded(std::chrono::duration_cast<base::duration>(steady_clock::now() - began));
  auto code = exit_code::done;
  std::size_t completed = 0;
  for (const auto& o : all) {
    if (o.seen.now.state == model::unit_state::completed) ++completed;
    const auto name = control::display_name(o.seen.now);
    if (o.is == standing::reached) continue;
    code = exit_code::failed;
    if (o.is == standing::lost && !o.blocked.empty()) {
      complain(c, name + " " + o.blocked);
    } else if (o.is == standing::lost) {
      std::string text = fmt::format("{} is {}; `hasup why {}` tells more", name, o.line, name);
      if (o.seen.now.state == model::unit_state::asking)
        text += fmt::format(", `hasup recover {} --yes` goes on", name);
      complain(c, text);
      if (const auto holder = data_holder(c, o.seen.now); !holder.empty()) complain(c, printable(holder));
    } else if (timed_out) {
      complain(c, fmt::format("{} is not {} after {}: {}", name, goal_text(w.want), took, o.line));
    }
  }
  if (code == exit_code::done) print(fmt::format("{} ({})\n", reached_line(all, w.want, completed), took));
  return code;
}

// Opens the stream again after hasupd went away; nullopt: it did not come back.
std::optional<control::event_stream> reopen(const context& c, const waiting_for& w) {
  complain(c, "hasupd went away; the units go on without it; waiting for it to come back");
  const auto deadline = steady_clock::now() + std::min(away_limit, w.timeout.value_or(away_limit));
  while (steady_clock::now() < deadline && !interrupted()) {
    if (auto stream = c.daemon.follow(std::nullopt, "")) return std::move(*stream);
    struct timespec pause {
      0, 100'000'000
    };
    ::nanosleep(&pause, nullptr);
  }
  return std::nullopt;
}

// Takes in what has happened; false: the stream has ended.
bool drain(control::event_stream& events, std::vector<one>& all, base::mono_time deadline) {
  control::event e;
  for (;;) {
    const auto outcome = events.next(e, deadline);
    if (outcome == control::event_stream::outcome::closed) return false;
    if (outcome != control::event_stream::outcome::event) return true;
    for (auto& o : all)
      if (e.unit == o.id.unit && (!e.instance || *e.instance == o.id.index)) o.seen.moved = true;
    deadline = steady_clock::now() + std::chrono::milliseconds(20);  // what comes in the same moment is one look
  }
}

}  // namespace

exit_code wait_until(const context& c, control::event_stream events, const waiting_for& w) {
  catch_interrupts();
  std::vector<one> all;
  std::size_t name_width = 0;
  for (const auto& id : w.instances) {
    one o;
    o.id = id;
    o.seen.before.unit = o.seen.now.unit = id.unit;
    o.seen.before.instance = o.seen.now.instance = id.index;
    o.seen.before.instances = id.index + 1;
    for (const auto& b : w.before)
      if (b.unit == id.unit && b.instance == id.index) o.seen.before = b;
    o.seen.now.instances = o.seen.before.instances;  // it may be gone when it is looked at first
    name_width = std::max(name_width, display_width(control::display_name(o.seen.before)));
    all.push_back(std::move(o));
  }
  const auto began = steady_clock::now();
  const auto end = w.timeout ? began + *w.timeout : base::mono_time::max();
  progress_view view(c, name_width);
  for (;;) {
    const auto status = c.daemon.status();
    if (status) {
      look(all, status->units, w, steady_clock::now() - began > grace);
      view.show(all);
    }
    const bool pending = std::any_of(all.begin(), all.end(), [](const auto& o) { return o.is == standing::pending; });
    if (status && !pending) return conclude(c, all, w, began, false);
    if (status && steady_clock::now() >= end) return conclude(c, all, w, began, true);
    if (interrupted()) {
      complain(c, "no longer waiting; what was begun goes on (`hasup status`)");
      return exit_code::failed;
    }
    if (status && drain(events, all, std::min(end, steady_clock::now() + look_every))) continue;
    if (interrupted()) continue;
    auto again = reopen(c, w);
    if (!again && !interrupted()) return fail(c, {exit_code::daemon_unreachable, "hasupd did not come back"});
    if (again) events = std::move(*again);
  }
}

}  // namespace hasup::cli
