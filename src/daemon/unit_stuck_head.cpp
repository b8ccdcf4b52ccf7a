// A head that stands still: who else is asked then, and what is told of it.
#include <fmt/format.h>

#include "daemon/reference_watch.hpp"
#include "daemon/unit_runner.hpp"
#include "unit/transitions.hpp"

namespace hasup::daemon {

bool unit_runner::counts_stuck_restarts() const {
  return recipe_ && recipe_->stuck_restarts > 0 && unit_.has_recovery();
}

void unit_runner::liveness_has_failed(const probe_loop::answer& a) {
  unit::liveness_failed e{a.verdict.reason};
  if (maintenance_ || !a.verdict.head_stands || !a.head || !a.head->number || !counts_stuck_restarts())
    return tell_liveness_failed(std::move(e));
  e.stands_at = a.head->number;
  look_for_holds([this, e](std::string holds) mutable {
    const auto& asked = probes_[static_cast<std::size_t>(model::probe_role::liveness)];
    if (!asked || asked->verdict() != unit::verdict::bad) return;  // it has advanced meanwhile
    e.holds = std::move(holds);
    tell_liveness_failed(std::move(e));
  });
}

void unit_runner::tell_liveness_failed(unit::liveness_failed e) {
  liveness_held_ = maintenance_ ? e.why : "";
  if (maintenance_) return publish("liveness_ignored", "in maintenance: " + e.why);
  dispatch(std::move(e));
}

// What the output of the run, its own files too, says against a recovery. Not answered when another run has begun.
void unit_runner::look_for_holds(std::function<void(std::string)> then) {
  const auto judge = [this, then = std::move(then)](const std::string& node_files) {
    const auto ring = process::read_evidence(services_.shim, to_text(unit_.id), run_);
    then(unit::why_left_alone(*recipe_, join_evidence(node_files, ring ? *ring : std::string())));
  };
  if (!node_logs_ || !node_logs_->marked()) return judge({});
  node_logs_->read([weak = weak_from_this(), run = run_, judge](const std::string& text) {
    const auto self = weak.lock();
    if (self && self->run_ == run && self->recipe_) judge(text);
  });
}

void unit_runner::own_head_seen(const model::head& head) {
  if (!head.chain.empty()) own_chain_ = head.chain;
  if (recovery_has_node() || !head.number) return;
  const bool is_awaited = beside_ && stands_at_ && *head.number > *stands_at_;
  if (is_awaited || (memory_.stuck_at && *head.number > *memory_.stuck_at)) dispatch(unit::head_seen{*head.number});
  if (beside_ && stands_at_) recovery_->on_head(head);
}

// As one that a person asks for: the node is left alone until its replacement is staged.
void unit_runner::on(const unit::prepare_recovery& a) {
  if (recovery_active() || parked_) return;
  recovery_options options;
  options.newer_than = a.newer_than;
  begin_beside(a.why, std::move(options));
}

unit::own_head unit_runner::own_head() const {
  unit::own_head own;
  const bool restored = restored_head_stands();
  own.number = restored ? recovery_->view().outlook.head.value_or(0) : memory_.stuck_at.value_or(0);
  const auto& reference = unit_.recovery.reference;
  if (reference) own.chain = reference->chain_id;
  if (own.chain.empty() && recipe_)
    for (const auto& plan : recipe_->plans)
      if (own.chain.empty()) own.chain = plan.require.chain_id;
  if (own.chain.empty()) own.chain = own_chain_;
  if (unit_.liveness && unit_.liveness->advances_within) own.may_stand = *unit_.liveness->advances_within;
  if (restored && recipe_) own.may_stand = std::max(own.may_stand, recipe_->confirm_within);
  return own;
}

bool unit_runner::restored_head_stands() const {
  return recovery_has_node() && recovery_->view().outlook.stands;
}

recovery::others_seen unit_runner::others() {
  follow_reference();
  auto heard = heard_of_others();
  return {heard.advance, std::move(heard.text)};
}

// Others are asked while the own head stands still, and never else.
bool unit_runner::asks_reference() const {
  if (restored_head_stands()) return unit_.recovery.reference.has_value();
  if (!memory_.stuck_at || memory_.desired != model::desired::up || !unit_.recovery.reference) return false;
  if (!counts_stuck_restarts() || maintenance_ || recovery_active()) return false;
  switch (state()) {
    case model::unit_state::starting:
    case model::unit_state::running:
    case model::unit_state::stopping:
    case model::unit_state::backoff:
      return true;
    default:
      return false;
  }
}

void unit_runner::follow_reference() {
  const bool asks = asks_reference();
  if (!asks) reference_.reset();
  if (!asks || reference_) return;
  auto as = probe_target();
  as.main_pid = 0;  // it is about nobody of this machine
  reference_ = std::make_unique<reference_watch>(services_.loop, services_.prober, *unit_.recovery.reference,
                                                 std::move(as), [this] { return own_head(); });
}

unit::others unit_runner::heard_of_others() const {
  if (reference_) return reference_->judge();
  return {false, unit_.recovery.reference ? "nobody was asked yet" : "there is no [recovery.reference] to ask"};
}

// For `hasup why`; nothing when the head moves, or nobody counts.
std::vector<std::string> unit_runner::stuck_head_story() const {
  if (!memory_.stuck_at || !counts_stuck_restarts()) return {};
  std::vector<std::string> out;
  out.push_back(fmt::format("head {} stands still: {} for it, of {} before its state may be replaced",
                            *memory_.stuck_at, unit::times(memory_.stuck_restarts, "restart"),
                            recipe_->stuck_restarts));
  if (!asks_reference()) return out;
  const auto others = heard_of_others();
  out.push_back((others.advance ? "others advance: " : "nothing shows that others advance: ") + others.text);
  return out;
}

}  // namespace hasup::daemon
