#include "migrate/pm2_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "base/duration.hpp"

namespace hasup::migrate {
namespace {

constexpr std::int64_t longest_pm2_backoff = 15'000;
constexpr std::int64_t no_limit = 1000;  // so many restarts in a row mean: for ever
constexpr std::int64_t minute = 60'000;

std::string text_of(std::int64_t ms) {
  return base::format_duration(base::duration{ms});
}

// How hasup waits between two runs.
struct waits {
  double initial = 1000, max = 60'000, factor = 2.0, jitter = 0.1;
  std::string line;
};

waits waits_of(const pm2_process& p) {
  waits w;
  if (const auto d = p.backoff_delay.value_or(0); d > 0) {
    const auto max = std::max(d, longest_pm2_backoff);
    w = {static_cast<double>(d), static_cast<double>(max), 1.5, 0.1,
         fmt::format("backoff = {{ initial = \"{}\", max = \"{}\", factor = 1.5 }}", text_of(d), text_of(max))};
  } else if (const auto fixed = p.restart_delay.value_or(0); fixed > 0) {
    w = {static_cast<double>(fixed), static_cast<double>(fixed), 1.0, 0.0,
         fmt::format("backoff = {{ initial = \"{0}\", max = \"{0}\", factor = 1.0, jitter = 0.0 }}", text_of(fixed))};
  }
  return w;
}

// pm2 gives up after so many runs in a row that were shorter than min_uptime: hasup does when they all fit the
// window.
std::int64_t window_of(const pm2_process& p, const waits& w, std::int64_t count) {
  double total = 0;
  double wait = w.initial;
  for (std::int64_t i = 0; i < count; ++i) {
    total += static_cast<double>(p.min_uptime.value_or(1000)) + wait * (1 + w.jitter);
    wait = std::min(w.max, wait * w.factor);
  }
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(total / minute))) * minute;
}

}  // namespace

std::vector<std::string> restart_lines(const pm2_process& p) {
  std::vector<std::string> out;
  const auto count = p.max_restarts;
  if (!p.autorestart || (count && *count <= 0)) {
    out.emplace_back("policy = \"never\"");
    return out;
  }
  if (!p.stop_exit_codes.empty()) {
    std::string codes;
    for (const int c : p.stop_exit_codes) codes += (codes.empty() ? "" : ", ") + std::to_string(c);
    out.emplace_back("policy = \"on_failure\"");
    out.push_back("success_codes = [" + codes + "]");
  }
  const auto w = waits_of(p);
  if (!w.line.empty()) out.push_back(w.line);
  if (count && *count > no_limit)
    out.emplace_back("start_limit = { count = 0 }");
  else if (count)
    out.push_back(
        fmt::format("start_limit = {{ count = {}, within = \"{}\" }}", *count, text_of(window_of(p, w, *count))));
  return out;
}

std::string five_field_cron(const std::string& cron) {
  std::istringstream in(cron);
  std::vector<std::string> fields;
  for (std::string field; in >> field;) fields.push_back(field);
  if (fields.size() == 1 && fields[0].starts_with('@')) return fields[0];
  if (fields.size() == 6 && (fields[0] == "0" || fields[0] == "00")) fields.erase(fields.begin());
  if (fields.size() != 5) return {};
  std::string out;
  for (const auto& f : fields) out += (out.empty() ? "" : " ") + f;
  return out;
}

}  // namespace hasup::migrate
