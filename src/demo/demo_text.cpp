// Lines, colours and the JSON of the demonstration.
#include "demo/demo_text.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <set>

namespace hasup::demo {
namespace json = boost::json;
namespace {

std::string_view escape_of(narrator::tone how) {
  switch (how) {
    case narrator::tone::plain:
      return "";
    case narrator::tone::quiet:
      return "\x1b[2m";
    case narrator::tone::good:
      return "\x1b[32m";
    case narrator::tone::bad:
      return "\x1b[31m";
  }
  return "";
}

json::array texts(const std::vector<std::string>& all) {
  json::array out;
  for (const auto& text : all) out.emplace_back(text);
  return out;
}

// A reader that has gone is no reason to stop: what was started must still be ended.
void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

double rounded(double seconds) {
  return std::round(seconds * 1000) / 1000;
}

narrator::tone tone_of(const control::event& e) {
  static const std::set<std::string_view> bad = {
      "exited", "failed", "became_unhealthy", "start_failed", "killed", "recovery_rejected", "recovery_refused"};
  static const std::set<std::string_view> good = {"became_healthy", "recovered"};
  if (bad.contains(e.kind)) return narrator::tone::bad;
  if (good.contains(e.kind)) return narrator::tone::good;
  return narrator::tone::plain;
}

}  // namespace

std::string to_json(const demo_outcome& o) {
  json::object out{{"recovered", o.recovered},
                   {"snapshot", o.snapshot.empty() ? json::value() : json::value(o.snapshot)},
                   {"rejected", texts(o.rejected)},
                   {"failed_exit_to_healthy_s", rounded(o.failed_exit_to_healthy_s)},
                   {"killed_to_healthy_s", rounded(o.killed_to_healthy_s)},
                   {"killed_to_all_healthy_s", rounded(o.killed_to_all_healthy_s)},
                   {"healthy", texts(o.units)},
                   {"duration_s", rounded(o.duration_s)},
                   {"problem", o.problem.empty() ? json::value() : json::value(o.problem)}};
  return json::serialize(out);
}

double narrator::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void narrator::paragraph(std::string_view text) const {
  if (silent_) return;
  print(fmt::format("{}\n", text));
}

void narrator::line(tone how, std::string_view who, std::string_view what) const {
  if (silent_) return;
  const bool painted = colour_ && how != tone::plain;
  print(fmt::format("{:>6.1f}s  {:<9} {}{}{}\n", elapsed_s(), who, painted ? escape_of(how) : "", what,
                    painted ? "\x1b[0m" : ""));
}

void narrator::event(const control::event& e) const {
  std::string who = e.unit.empty() ? "hasupd" : e.unit;
  if (e.unit == "miner" && e.instance) who += "@" + std::to_string(*e.instance);
  std::string what = e.kind;
  for (auto& c : what)
    if (c == '_') c = ' ';
  line(tone_of(e), who, e.reason.empty() ? what : what + ": " + e.reason);
}

}  // namespace hasup::demo
