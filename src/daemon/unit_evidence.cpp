// Why did it end? Besides what the shim kept, the log files that the node writes itself, and whether its disk is
// full.
#include <algorithm>

#include "daemon/disk_room.hpp"
#include "daemon/unit_runner.hpp"
#include "probe/lane.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::seconds patience_with_disk{3};

// What cannot be asked is not known to be full.
bool is_full(const std::string& dir) {
  const auto room = room_under(dir);
  return room && unit::is_full(*room);
}

}  // namespace

void unit_runner::mark_node_logs(std::function<void()> then) {
  node_logs_.reset();
  if (unit_.log.follow.empty() || !launch_) return then();
  node_logs_ = std::make_shared<node_logs>(services_.loop, services_.worker_program + "-logs");
  node_logs_->mark(unit_.log.follow, launch_->account, std::move(then));
}

void unit_runner::on(const process::shim_main_exited& e) {
  said_at_exit_ = {startup_seen(), readiness_seen()};
  full_at_exit_ = false;
  // After a stop that was asked for there is nothing to explain.
  const bool asked = state() == model::unit_state::stopping && !drains() && !recovery_has_node();
  if (asked) return main_exited(e, {});
  if (!node_logs_ || !node_logs_->marked()) return look_at_room(e, {});
  explaining_exit_ = true;
  node_logs_->read([weak = weak_from_this(), e](const std::string& text) {
    if (const auto self = weak.lock()) self->look_at_room(e, text);
  });
}

// Only where it would make a difference: everything else goes on at once.
void unit_runner::look_at_room(const process::shim_main_exited& e, const std::string& node_files) {
  const auto dirs = data_dirs_of(unit_);
  if (dirs.empty() || !unit::asks_for_free_space(diagnose(evidence_of(e, node_files), e.exit), e.exit))
    return exit_explained(e, node_files);
  explaining_exit_ = true;
  room_lane_ = std::make_unique<probe::lane>(services_.loop);
  const auto seen = [weak = weak_from_this(), e, node_files](bool full) {
    const auto self = weak.lock();
    if (!self || !std::exchange(self->room_lane_, nullptr)) return;
    self->room_timer_.cancel();
    self->full_at_exit_ = full;
    self->exit_explained(e, node_files);
  };
  room_lane_->run([dirs, seen]() -> probe::lane::answer {
    return [seen, full = std::any_of(dirs.begin(), dirs.end(), is_full)] { seen(full); };
  });
  room_timer_.expires_after(patience_with_disk);
  room_timer_.async_wait([seen](const boost::system::error_code& ec) {
    if (!ec) seen(false);
  });
}

// What the shim said meanwhile follows in its order.
void unit_runner::exit_explained(const process::shim_main_exited& e, const std::string& node_files) {
  explaining_exit_ = false;
  main_exited(e, node_files);
  for (auto& held : std::exchange(held_events_, {})) on_shim(held);
}

// Not a disk read: the shim keeps these 64 KiB mapped.
std::string unit_runner::evidence_of(const process::shim_main_exited& e, const std::string& node_files) const {
  const auto ring = process::read_evidence(services_.shim, to_text(unit_.id), e.run);
  return join_evidence(node_files, ring ? *ring : std::string());
}

}  // namespace hasup::daemon
