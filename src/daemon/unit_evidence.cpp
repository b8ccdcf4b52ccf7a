// Why did it end? Besides what the shim kept, the log files that the node writes itself.
#include "daemon/unit_runner.hpp"

namespace hasup::daemon {

void unit_runner::mark_node_logs(std::function<void()> then) {
  node_logs_.reset();
  if (unit_.log.follow.empty() || !launch_) return then();
  node_logs_ = std::make_shared<node_logs>(services_.loop, services_.worker_program + "-logs");
  node_logs_->mark(unit_.log.follow, launch_->account, std::move(then));
}

void unit_runner::on(const process::shim_main_exited& e) {
  said_at_exit_ = {startup_seen(), readiness_seen()};
  // After a stop that was asked for there is nothing to explain.
  const bool asked = state() == model::unit_state::stopping && !recovery_has_node();
  if (asked || !node_logs_ || !node_logs_->marked()) return main_exited(e, {});
  reading_node_logs_ = true;
  node_logs_->read([weak = weak_from_this(), e](const std::string& text) {
    if (const auto self = weak.lock()) self->node_logs_read(e, text);
  });
}

// What the shim said meanwhile follows in its order.
void unit_runner::node_logs_read(const process::shim_main_exited& e, const std::string& text) {
  reading_node_logs_ = false;
  main_exited(e, text);
  for (auto& held : std::exchange(held_events_, {})) on_shim(held);
}

}  // namespace hasup::daemon
