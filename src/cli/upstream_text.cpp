#include "cli/upstream_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/joined.hpp"
#include "base/time_text.hpp"

namespace hasup::cli {
namespace {

using control::endpoint_status;
using row = std::array<std::string, 7>;

std::string span(base::wall_time::duration d) {
  const auto shown = std::max(std::chrono::duration_cast<base::duration>(d), base::duration{0});
  return base::format_duration_short(shown);
}

std::string span(double seconds) {
  return base::format_duration_short(base::duration{static_cast<std::int64_t>(seconds * 1000)});
}

std::string why(const endpoint_status& e) {
  auto text = e.health == "healthy" && e.reason == "passed" ? std::string() : printable(e.reason);
  if (e.avoided)
    text = "avoided" + (e.avoided_until ? " until " + base::format_time(*e.avoided_until) : std::string()) +
           (text.empty() ? "" : "; " + text);
  return text;
}

row row_of(const endpoint_status& e, base::wall_time now) {
  const auto of = e.dns.empty() || e.dns == e.name ? std::string() : " (" + printable(e.dns) + ")";
  return {(e.chosen ? "> " : "  ") + printable(e.name) + of,
          e.health,
          e.head ? std::to_string(*e.head) : "-",
          e.head_time ? span(now - *e.head_time) : "-",
          e.behind_s ? span(*e.behind_s) : "-",
          e.latency_ms ? fmt::format("{:.1f}ms", *e.latency_ms) : "-",
          why(e)};
}

style colour_of(const std::string& health) {
  return health == "healthy" ? style::green : health == "unhealthy" ? style::red : style::yellow;
}

std::string use_text(const control::upstream_use& use) {
  const auto name = use.instances > 1 ? fmt::format("{}@{}", use.unit, use.instance) : use.unit;
  auto text = "  " + name + (use.runs ? " runs with " : " starts with ") +
              (use.endpoint.empty() ? "none yet" : printable(use.endpoint)) +
              (use.apart ? ", which is not the chosen one\n" : "\n");
  for (const auto& l : use.left_ones)
    text += "    left " + printable(l.endpoint) +
            (l.until ? " until " + base::format_time(*l.until) : std::string()) + ": " + printable(l.why) + "\n";
  return text;
}

std::string one_text(const control::upstream_status& u, base::wall_time now, const terminal& t) {
  std::string text = paint(u.name, style::bold, t.colour) + "  " + u.select + "\n";
  if (u.chosen.empty())
    text += "  none is chosen: " + printable(u.reason) + "\n";
  else
    text += "  " + printable(u.chosen) + (u.since ? " since " + base::format_time(*u.since) : std::string()) +
            (u.chosen_why.empty() ? "" : " (" + printable(u.chosen_why) + ")") +
            (u.reason.empty() || u.reason == u.chosen_why ? "" : "; now: " + printable(u.reason)) + "\n";
  text += "  used by " + (u.units.empty() ? "no unit" : base::joined(u.units)) + "\n";
  for (const auto& n : u.names)
    if (!n.problem.empty() && n.addresses > 0)
      text +=
          "  " + printable(n.name) + " cannot be found: " + printable(n.problem) + "; what is known of it stays\n";
  std::vector<row> rows{{"  ENDPOINT", "HEALTH", "HEAD", "AGE", "BEHIND", "LATENCY", "REASON"}};
  for (const auto& e : u.endpoints) rows.push_back(row_of(e, now));
  row::size_type i = 0;
  std::array<std::size_t, 6> width{};
  for (const auto& r : rows)
    for (i = 0; i < width.size(); ++i) width[i] = std::max(width[i], display_width(r[i]));
  for (std::size_t n = 0; n < rows.size(); ++n) {
    std::string line;
    for (i = 0; i < width.size(); ++i) {
      const auto cell = pad(rows[n][i], width[i]) + "  ";
      line += n > 0 && i == 1 ? paint(cell, colour_of(rows[n][i]), t.colour) : cell;
    }
    line += rows[n][6];
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  }
  for (const auto& use : u.uses) text += use_text(use);
  return text;
}

}  // namespace

std::string render_upstreams(const std::vector<control::upstream_status>& all, base::wall_time now,
                             const terminal& t) {
  if (all.empty()) return "no unit uses an upstream (`man hasup-upstream`)\n";
  std::string text;
  for (const auto& u : all) text += (text.empty() ? "" : "\n") + one_text(u, now, t);
  return text;
}

}  // namespace hasup::cli
