// Carries out what the recovery machine decides, through a recovery_host. Decides nothing itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/recovery_host.hpp"
#include "model/exit_status.hpp"
#include "model/probe.hpp"
#include "model/state.hpp"
#include "recovery/event.hpp"
#include "recovery/state.hpp"
#include "unit/classify.hpp"

namespace hasup::daemon {

using recovery_options = recovery::options;
using recovery_memory = recovery::memory;

struct recovery_settings {
  recovery_memory memory;                   // from the intent file
  std::function<void()> on_memory_changed;  // may be empty: memory() changed and should be saved
};

// For status; phase is "" when no recovery is under way.
struct recovery_view {
  std::string phase;           // of section 7
  base::wall_time began_at{};  // or when it was gone on with
  base::wall_time phase_since{};
  recovery::outlook outlook;
  std::string plan;
  std::string snapshot;
  std::string source;
  ports::worker_progress progress;  // of the running worker, as last given to on_worker_progress
  std::string reason;               // as last reported
};

// All calls on the loop. Calls of the host made from here may answer from inside the call: events queue up, nothing
// recurses. The host outlives the runner; a continuation of the journal that comes after the runner's end is ignored.
class recovery_runner {
 public:
  recovery_runner(recovery_host& host, recovery_settings settings);
  ~recovery_runner();
  recovery_runner(const recovery_runner&) = delete;
  recovery_runner& operator=(const recovery_runner&) = delete;

  // Ignored while a recovery is under way.
  void begin(std::string why, recovery_options options);
  // Goes on from the journal, after a restart of the daemon or of a parked recovery. node_running: the unit's node
  // lives (it was adopted). A journal that cannot be understood ends in finished(stuck, …) and leaves everything
  // alone.
  // `beside`: that node is the unit's until the swap is due, see recovery::options.
  void resume(const std::vector<std::string>& journal_records, bool node_running = false, bool beside = false);

  void on_worker_done(const ports::worker_result& result);
  // `what`: nothing when there was none.
  void on_taken_up(std::optional<ports::worker_mode> what, const ports::worker_result& result);
  void on_worker_progress(const ports::worker_progress& progress);
  void on_quiesced();
  // The start that was asked for goes on; so long it has waited for what it needs.
  void on_start_waited(base::duration length);
  void on_node_started();
  // `evidence`: the raw output that was classified; the plan's refused_by is looked for in it.
  void on_node_exited(const model::exit_status& status, const unit::classification& class_of,
                      std::string_view evidence = {});
  // One that a recovery was prepared beside has ended.
  void on_node_given();
  void on_startup_passed();
  // Also of a node that it is prepared beside.
  void on_head(const model::head& head);
  void on_health(model::health health);
  void on_timer();
  // Another member of its group is further, or back.
  void on_group();
  // What its memory() says of bad snapshots and swaps; it goes on without what it has dropped.
  void forget_bad_and_swaps();

  // That it could not have a backup, of one that has ended.
  void forget_giving_up();

  // Before the swap: cancelled. After it: parked, once the node passed the first new block unless forced.
  void stop(bool force = false);
  void approve();
  // Before the swap as stop; after it ignored, with a report that says what can be done.
  void cancel();
  // Between the swap and its confirmation: the old state comes back, ends in cancelled. Else ignored, with a
  // report.
  void roll_back();

  // There is no whole old state aside that a full disk could not damage, too.
  [[nodiscard]] bool runs_on_only_copy() const;
  // Why its node is not to be started on what was seen, with `room` bytes free; "" = it is (recovery/data_look.hpp).
  [[nodiscard]] std::string why_start_waits(const ports::worker_result& seen, std::uint64_t room) const;
  // Stands the old state aside, and may it come back?
  [[nodiscard]] bool can_roll_back() const;
  // The data directory is not simply the old one any more.
  [[nodiscard]] bool touched() const;
  // The old state is deleted, or its deletion has begun.
  [[nodiscard]] bool wiped() const;
  // A person has said yes to it.
  [[nodiscard]] bool is_approved() const;
  // What runs, or is to be started, is an import and not the node.
  [[nodiscard]] bool imports() const;
  // The restored node runs and is good, and no crash takes that back but of a member of a group.
  [[nodiscard]] bool serves() const;
  [[nodiscard]] bool active() const;  // begin or resume was called and it has not finished; asking counts as active
  [[nodiscard]] recovery_view view() const;
  // In words, for `hasup why`; "" when none is under way.
  [[nodiscard]] std::string what_comes_next(bool returns) const;
  // For others of the group: nothing that a crash could take back but `deciding`. `unit` is left empty at rest.
  [[nodiscard]] recovery::member_view group_view() const;
  [[nodiscard]] std::optional<recovery::room_promised> promised_room() const;
  [[nodiscard]] const recovery_memory& memory() const;

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace hasup::daemon
