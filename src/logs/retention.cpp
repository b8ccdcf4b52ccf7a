#include "logs/retention.hpp"

#include <algorithm>

namespace hasup::logs {

retention_plan plan_retention(std::vector<rotated_file> files, const retention& rule, std::int64_t now_ns) {
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  const std::int64_t age_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(rule.max_age).count();
  retention_plan plan;
  std::uint64_t sum = 0;
  bool full = false;
  for (const auto& f : files) {  // newest first
    const bool too_old = age_ns > 0 && f.written_ns < now_ns - age_ns;
    // Once one does not fit, none that is older stays: a log has no holes.
    full = full || (rule.max_total > 0 && sum + f.bytes > rule.max_total);
    if (too_old || full || f.number > rule.max_files) {
      plan.remove.push_back(f);
      continue;
    }
    sum += f.bytes;
    if (rule.compress && !f.compressed) plan.compress.push_back(f);
  }
  std::reverse(plan.remove.begin(), plan.remove.end());
  std::reverse(plan.compress.begin(), plan.compress.end());
  return plan;
}

}  // namespace hasup::logs
