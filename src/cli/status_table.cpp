// Rendering of the status.
#include "cli/status_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/byte_size.hpp"
#include "base/time_text.hpp"
#include "model/exit_status.hpp"

namespace hasup::cli {
namespace {

using control::instance_status;
using model::unit_state;

constexpr std::size_t gap = 2;
constexpr std::size_t reason_wanted = 28;  // columns go before the reason gets narrower than this

struct column {
  const char* title;
  bool right;
  int keep;  // the smallest goes first; 0 = never
};

enum : std::size_t {
  unit_c,
  state_c,
  health_c,
  head_c,
  age_c,
  uptime_c,
  restarts_c,
  cpu_c,
  memory_c,
  reason_c,
  count_c
};
constexpr std::array<column, count_c> columns{{{"UNIT", false, 0},
                                               {"STATE", false, 0},
                                               {"HEALTH", false, 0},
                                               {"HEAD", true, 6},
                                               {"AGE", true, 5},
                                               {"UPTIME", true, 4},
                                               {"RESTARTS", true, 3},
                                               {"CPU", true, 1},
                                               {"MEMORY", true, 2},
                                               {"REASON", false, 0}}};

using row = std::array<std::string, count_c>;

std::string since_text(base::wall_time then, base::wall_time now) {
  const auto age = std::chrono::duration_cast<base::duration>(now - then);
  return base::format_duration_short(std::max(age, base::duration{0}));
}

std::string seconds_text(double s) {
  return base::format_duration_short(base::duration{static_cast<std::int64_t>(std::max(0.0, s) * 1000)});
}

row row_of(const instance_status& u, base::wall_time now) {
  row r;
  r[unit_c] = control::display_name(u);
  r[state_c] = model::unit_state_names.text(u.state);
  r[health_c] =
      u.state == unit_state::running || u.health != model::health::unknown ? model::health_names.text(u.health) : "-";
  r[head_c] = u.head && u.head->number ? std::to_string(*u.head->number) : "-";
  r[age_c] = u.head && u.head->time ? since_text(*u.head->time, now) : "-";
  r[uptime_c] = u.uptime_s ? seconds_text(*u.uptime_s) : "-";
  r[restarts_c] = std::to_string(u.restarts);
  r[cpu_c] = u.cpu_percent ? fmt::format("{:.0f}%", *u.cpu_percent) : "-";
  r[memory_c] = u.memory_bytes ? base::format_byte_size(*u.memory_bytes) : "-";
  r[reason_c] = printable(u.reason);
  if (u.maintenance) r[reason_c] += " [maintenance]";
  if (!u.by_hand.empty()) r[reason_c] += " [set by hand]";
  if (u.config_changed) r[reason_c] += u.addresses_changed.empty() ? " [file changed]" : " [addresses changed]";
  if (u.killed) r[reason_c] += " [was killed]";
  return r;
}

// Which columns are shown, and how wide each is; the reason takes the rest.
struct layout {
  std::array<bool, count_c> shown{};
  std::array<std::size_t, count_c> width{};
};

layout lay_out(const std::vector<row>& rows, std::size_t width) {
  layout l;
  for (std::size_t c = 0; c < count_c; ++c) {
    l.shown[c] = true;
    l.width[c] = std::string_view(columns[c].title).size();
    for (const auto& r : rows) l.width[c] = std::max(l.width[c], display_width(r[c]));
    // A column without a single value says nothing.
    const bool empty = std::all_of(rows.begin(), rows.end(), [&](const row& r) { return r[c] == "-"; });
    if (empty && columns[c].keep > 0) l.shown[c] = false;
  }
  if (width == 0) return l;
  const auto rest = [&] {
    std::size_t used = 0;
    for (std::size_t c = 0; c < reason_c; ++c)
      if (l.shown[c]) used += l.width[c] + gap;
    return used < width ? width - used : 0;
  };
  const auto wanted = std::min(l.width[reason_c], reason_wanted);
  for (int keep = 1; keep <= 6 && rest() < wanted; ++keep)
    for (std::size_t c = 0; c < reason_c; ++c)
      if (columns[c].keep == keep) l.shown[c] = false;
  if (rest() < 8) {  // a very narrow terminal: names get shorter too
    const auto missing = 8 - rest();
    l.width[unit_c] =
        l.width[unit_c] > missing + 8 ? l.width[unit_c] - missing : std::min<std::size_t>(l.width[unit_c], 8);
  }
  l.width[reason_c] = std::min(l.width[reason_c], rest());
  return l;
}

std::string render_row(const row& r, const layout& l, style state_style, const terminal& t, bool heading) {
  std::string out;
  for (std::size_t c = 0; c < count_c; ++c) {
    if (!l.shown[c]) continue;
    const bool last = c == reason_c;
    const auto text = shorten(r[c], l.width[c]);
    auto cell = last ? text : pad(text, l.width[c], columns[c].right);
    if (heading)
      cell = paint(cell, style::dim, t.colour);
    else if (c == unit_c)
      cell = paint(cell, style::bold, t.colour);
    else if (c == state_c || c == health_c)
      cell = paint(cell, state_style, t.colour);
    out += cell;
    if (!last) out += std::string(gap, ' ');
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out + "\n";
}

void line(std::string& out, const terminal& t, std::string_view label, const std::string& value) {
  if (value.empty()) return;
  out += "  " + paint(pad(label, 11), style::dim, t.colour) + " " + value + "\n";
}

// A program that could not be run has no exit, only what kept it from running. "permission denied" may also be what a
// program wrote whose exit nobody saw: there the reason decides.
bool never_started(const instance_status& u, const control::last_exit& e) {
  if (e.code || e.signal) return false;
  constexpr std::array<std::string_view, 4> of_exec{"missing program", "not a program", "out of resources",
                                                    "cannot be started"};
  return std::find(of_exec.begin(), of_exec.end(), e.cls) != of_exec.end() ||
         u.reason.find("cannot run the program") != std::string::npos;
}

std::string exit_text(const instance_status& u, const control::last_exit& e, base::wall_time now) {
  auto text = never_started(u, e) ? "never started" : model::to_text(model::exit_status{e.code, e.signal});
  if (!e.cls.empty() && e.cls != "lost") text += ": " + printable(e.cls);
  if (e.at) text += ", " + since_text(*e.at, now) + " ago";
  return text;
}

}  // namespace

bool is_fine(const instance_status& u) {
  return (u.state == unit_state::running && u.health == model::health::healthy) || u.state == unit_state::completed;
}

style style_of(const instance_status& u) {
  switch (u.state) {
    case unit_state::running:
      return u.health == model::health::healthy     ? style::green
             : u.health == model::health::unhealthy ? style::red
                                                    : style::yellow;
    case unit_state::completed:
      return style::green;
    case unit_state::failed:
      return style::red;
    case unit_state::stopped:
      return style::dim;
    case unit_state::recovering:
      return style::blue;
    case unit_state::waiting:
    case unit_state::starting:
    case unit_state::backoff:
    case unit_state::stopping:
    case unit_state::asking:
      break;
  }
  return style::yellow;
}

std::string render_progress(const control::recovery_status& r, base::wall_time now, const terminal& t) {
  constexpr std::size_t cells = 24;
  std::string bar;
  if (const auto part = control::part_done(r)) {
    const auto full = static_cast<std::size_t>(std::floor(*part * cells));
    bar = "[" + paint(std::string(full, '#') + std::string(cells - full, '-'), style::blue, t.colour) + "]";
  }
  const auto text = control::progress_text(r, now, bar);
  auto out = r.phase + (text.empty() ? "" : "  " + text);
  if (!r.snapshot.empty()) out += "  " + printable(r.snapshot);
  return out;
}

// What a recovery would find at hand.
std::string prefetch_text(const control::prefetch_status& p, base::wall_time now, const terminal& t) {
  std::string out;
  if (!p.snapshot.empty()) {
    out = printable(p.snapshot) + " is at hand" + (p.unpacked ? ", unpacked" : "");
    if (p.time) out += ", " + seconds_text(std::chrono::duration<double>(now - *p.time).count()) + " old";
  }
  const auto add = [&out](const std::string& more) { out += (out.empty() ? "" : "; ") + more; };
  if (!p.fetching.empty()) {
    control::recovery_status progress;
    progress.phase = "fetching " + printable(p.fetching);
    progress.bytes_done = p.bytes_done;
    progress.bytes_total = p.bytes_total;
    progress.bytes_per_s = p.bytes_per_s;
    add(render_progress(progress, now, t));
  }
  if (!p.problem.empty()) add(printable(p.problem));
  return out.empty() ? "nothing is at hand yet" : out;
}

std::string render_table(const std::vector<instance_status>& units, base::wall_time now, const terminal& t) {
  std::vector<row> rows;
  rows.reserve(units.size());
  for (const auto& u : units) rows.push_back(row_of(u, now));
  const auto l = lay_out(rows, t.width);
  row titles;
  for (std::size_t c = 0; c < count_c; ++c) titles[c] = columns[c].title;
  std::string out = render_row(titles, l, style::dim, t, true);
  for (std::size_t i = 0; i < units.size(); ++i) {
    out += render_row(rows[i], l, style_of(units[i]), t, false);
    if (!units[i].recovery) continue;
    terminal plain = t;
    plain.colour = false;
    const auto bar = render_progress(*units[i].recovery, now, plain);
    const bool fits = t.width == 0 || display_width(bar) + 4 <= t.width;
    out += "  > " + (fits ? render_progress(*units[i].recovery, now, t) : shorten(bar, t.width - 4)) + "\n";
  }
  return out;
}

// What the clock will do: only to what runs then, and not in maintenance.
std::string schedule_text(const instance_status& u, base::wall_time now) {
  if (!u.scheduled_at) return {};
  auto text = "restart at " + base::format_time(*u.scheduled_at);
  if (*u.scheduled_at > now)
    text += ", in " + base::format_duration_short(std::chrono::duration_cast<base::duration>(*u.scheduled_at - now));
  if (u.maintenance) return text + "; skipped while in maintenance";
  return u.state == unit_state::running ? text : text + "; skipped unless it runs then";
}

std::string kill_text(const instance_status& u, base::wall_time now) {
  if (u.state == unit_state::stopping && u.drain_ends_at) {
    const auto left = std::chrono::duration_cast<base::duration>(*u.drain_ends_at - now);
    return "drains for another " + base::format_duration_short(std::max(left, base::duration{0}));
  }
  if (u.state != unit_state::stopping || !u.kill_at) return {};
  const auto left = std::chrono::duration_cast<base::duration>(*u.kill_at - now);
  return "SIGKILL in " + base::format_duration_short(std::max(left, base::duration{0}));
}

std::string render_details(const instance_status& u, base::wall_time now, const terminal& t) {
  auto state = std::string(model::unit_state_names.text(u.state));
  if (u.state == unit_state::running) state += ", " + std::string(model::health_names.text(u.health));
  std::string out =
      paint(control::display_name(u), style::bold, t.colour) + "  " + paint(state, style_of(u), t.colour);
  const auto since = u.state == unit_state::running && u.health_since ? u.health_since : u.since;
  if (since) out += " for " + since_text(*since, now);
  out += "\n";
  line(out, t, "reason", printable(u.reason));
  line(out, t, "wanted", std::string(model::desired_names.text(u.desired)));
  std::string waiting;
  for (const auto& w : u.waiting_for) waiting += (waiting.empty() ? "" : ", ") + printable(w);
  line(out, t, "waits for", waiting);
  if (u.next_attempt_at) {
    const auto left = std::chrono::duration_cast<base::duration>(*u.next_attempt_at - now);
    line(
        out, t, "next start",
        left > base::duration{0} ? "in " + base::format_duration_short(left) : base::format_time(*u.next_attempt_at));
  }
  line(out, t, "schedule", schedule_text(u, now));
  if (const auto text = kill_text(u, now); !text.empty()) line(out, t, "stop", text);
  if (u.pid) {
    auto text = fmt::format("pid {}", *u.pid);
    if (u.uptime_s) text += ", up " + seconds_text(*u.uptime_s);
    if (u.cpu_percent) text += fmt::format(", cpu {:.1f}%", *u.cpu_percent);
    if (u.memory_bytes) text += ", memory " + base::format_byte_size(*u.memory_bytes);
    line(out, t, "process", text);
  }
  if (u.head && (u.head->number || u.head->time)) {
    auto text = u.head->number ? std::to_string(*u.head->number) : std::string("-");
    if (u.head->time)
      text += fmt::format(", {} old ({})", since_text(*u.head->time, now), base::format_time(*u.head->time));
    if (u.head->peers) text += fmt::format(", {} {}", *u.head->peers, *u.head->peers == 1 ? "peer" : "peers");
    line(out, t, "head", text);
  }
  line(out, t, "restarts", fmt::format("{}, recoveries {}", u.restarts, u.recoveries));
  if (u.exit) line(out, t, "last exit", exit_text(u, *u.exit, now));
  line(out, t, "upstream", printable(u.upstream));
  line(out, t, "role", printable(u.role));
  if (u.recovery) line(out, t, "recovery", render_progress(*u.recovery, now, t));
  if (u.prefetch) line(out, t, "prefetch", prefetch_text(*u.prefetch, now, t));
  if (u.maintenance) line(out, t, "note", "in maintenance");
  for (const auto& s : u.by_hand) line(out, t, "by hand", printable(to_text(s)));
  if (!u.addresses_changed.empty())
    line(out, t, "note", printable(u.addresses_changed) + " has other addresses than when it was started");
  else if (u.config_changed)
    line(out, t, "note", "its file has changed since it was started: hasup apply");
  if (u.killed) line(out, t, "note", "its last stop needed SIGKILL");
  if (u.logs_dropped > 0) line(out, t, "note", fmt::format("{} log lines were dropped", u.logs_dropped));
  return out;
}

}  // namespace hasup::cli
