// The text of `recover --dry-run`.
#include <set>

#include "base/byte_size.hpp"
#include "base/time_text.hpp"
#include "recovery/candidates.hpp"
#include "recovery/machine.hpp"

namespace hasup::recovery {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& n : names) out += (out.empty() ? "" : ", ") + n;
  return out.empty() ? "nothing" : out;
}

std::string describe(const model::snapshot& one) {
  std::string out = one.name + " from " + one.source;
  std::string facts;
  const auto add = [&](const std::string& f) { facts += (facts.empty() ? " (" : ", ") + f; };
  if (one.block) add("block " + std::to_string(*one.block));
  if (one.time) add(base::format_time(*one.time));
  if (one.size) add(base::format_byte_size(*one.size));
  return out + facts + (facts.empty() ? "" : ")");
}

}  // namespace

std::string describe_plan(const frozen& plan, const std::string& data_dir, const memory& remembered,
                          const std::vector<ports::candidate>& candidates, const std::vector<std::string>& notes,
                          instant now) {
  std::string out = "A recovery of " + plan.unit + " with recipe " + plan.recipe.name + " would do this:\n";
  const auto used = swaps_within(remembered.swaps, plan.budget_within, now.wall);
  if (plan.budget_count > 0 && used >= plan.budget_count)
    out += "  by itself nothing: the budget of " + std::to_string(plan.budget_count) + " recoveries within " +
           base::format_duration(plan.budget_within) + " is used up\n";

  std::vector<std::string> skipped;
  const std::set<std::string> bad(remembered.bad.begin(), remembered.bad.end());
  const auto usable = allowed(candidates, plan, bad, &skipped);
  for (std::size_t i = 0; i < plan.recipe.plans.size(); ++i) {
    const auto& p = plan.recipe.plans[i];
    if (!plan.asked.plan.empty() && p.name != plan.asked.plan) continue;
    out += "plan \"" + p.name + "\" in " + data_dir + "\n";
    out += "  replaced, put aside until the node is confirmed: " + listed(p.wipe) + "\n";
    out += "  left in place: " + listed(p.shared) + "; never touched: " + listed(plan.recipe.keep) + "\n";
    unsigned number = 0;
    for (const auto& c : usable) {
      if (c.plan != i) continue;
      for (const auto& s : c.snapshots)
        out +=
            (&s == &c.snapshots.front() ? "  " + std::to_string(++number) + ". " : "     with ") + describe(s) + "\n";
    }
    if (number == 0) out += "  no snapshot fits\n";
  }
  if (!skipped.empty()) out += "marked bad, not used unless named with --snapshot: " + listed(skipped) + "\n";
  for (const auto& n : notes) out += "note: " + n + "\n";
  if (plan.mode == model::recovery_mode::ask && !plan.asked.yes)
    out += "It would ask before the state is replaced.\n";
  return out;
}

}  // namespace hasup::recovery
