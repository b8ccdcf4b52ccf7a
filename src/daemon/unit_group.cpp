// A unit that is restored as one set with others ([recovery] group), and a first start that waits for what the unit
// requires.
#include <fmt/format.h>

#include "base/joined.hpp"
#include "daemon/unit_runner.hpp"
#include "recovery/progress.hpp"

namespace hasup::daemon {

recovery::member_view unit_runner::group_view() const {
  using recovery::member_stage;
  recovery::member_view v;
  if (recovery_) v = recovery_->group_view();  // one that is parked, too, until the next daemon
  if (v.at == member_stage::none && parked_)
    if (const auto done = journaled()) v = recovery::view_of(*done);
  if (v.at != member_stage::none) return v;
  if (!group_refusal_.gave_up_on.empty()) v = group_refusal_;
  v.unit = shown_name(unit_);
  v.group = unit_.recovery.group;
  return v;
}

void unit_runner::forget_giving_up() {
  group_refusal_ = {};
  if (recovery_) recovery_->forget_giving_up();
}

std::string unit_runner::cannot_follow() const {
  if (!recipe_ || unit_.recovery.mode == model::recovery_mode::off) return "its recovery.mode is off";
  if (maintenance_) return "it is in maintenance";
  if (journal_is_damaged()) return "the journal of its last recovery cannot be read";
  if (memory_.desired == model::desired::down)
    return fmt::format("it is stopped (`hasup start {}`, or take it out of the group)", shown_name(unit_));
  return {};
}

void unit_runner::follow(const std::string& leader, const std::string& set, const std::string& instead) {
  if (recovery_active()) return;
  if (auto why = instead.empty() ? cannot_follow() : instead; !why.empty()) {
    group_refusal_.gave_up_on = set;
    group_refusal_.why = std::move(why);
    return host_.group_moved(*this);
  }
  if (recovery_options_) return;  // it is on its way
  recovery_options options;
  options.leader = leader;
  options.set = set;
  options.yes = true;  // the leader asks, if somebody has to be asked
  recover(fmt::format("{} is restored from backup \"{}\", and group {} is restored as one set", leader, set,
                      unit_.recovery.group),
          std::move(options));
}

void unit_runner::on_group() {
  if (recovery_active()) recovery_->on_group();
}

void unit_runner::call_group(const std::vector<std::string>& members, const std::string& set) {
  host_.call_group(*this, members, set);
}

void unit_runner::look_at_requirements() {
  if (!first_start_ || start_look_ != 0) return;
  std::vector<std::string> missing;
  if (!host_.requirements_met(*this, missing)) {
    if (missing == first_start_waits_for_) return;
    first_start_waits_for_ = std::move(missing);
    return report("recovery_waits", "the first start waits for " + base::joined(first_start_waits_for_));
  }
  look_before_first_start();
}

}  // namespace hasup::daemon
