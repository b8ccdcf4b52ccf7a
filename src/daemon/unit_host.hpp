// What a unit runner needs around it: the services of the daemon, and the other units by way of the supervisor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/paths.hpp"
#include "control/event.hpp"
#include "daemon/reference_heads.hpp"
#include "model/unit_name.hpp"
#include "ports/worker_job.hpp"
#include "probe/prober.hpp"
#include "process/cgroup.hpp"
#include "process/shim_client.hpp"
#include "recovery/group.hpp"
#include "unit/event.hpp"
#include "upstream/own_choice.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::daemon {

class data_look;
class disk_thread;
class hook_run;
class unit_runner;

struct daemon_services {
  boost::asio::io_context& loop;
  disk_thread& disk;
  data_look& look;
  probe::prober& prober;
  config::directories dirs;
  process::directories shim;
  std::string worker_program;
  const process::cgroup_tree* cgroup = nullptr;  // null: subreaper and /proc do
  std::string program{};                         // hasupd's own, as it is called on the disk
  std::vector<disk_thread*> other_disks{};       // those of the intent file and of the events
  // Hooks that run, or whose shims have not ended yet.
  using hook_set = std::set<std::shared_ptr<hook_run>>;
  std::shared_ptr<hook_set> hooks = std::make_shared<hook_set>();
  std::shared_ptr<reference_pool> references = std::make_shared<reference_pool>();
};

// Implemented by the supervisor. All calls on the loop.
class unit_host {
 public:
  virtual ~unit_host() = default;

  // Is everything there that this unit requires? Fills `waiting_for` with one entry for each that lacks.
  virtual bool requirements_met(const unit_runner& who, std::vector<std::string>& waiting_for) = 0;
  // Why a probe that needs these ("upstream.NAME", units) comes to no verdict; "" = all of them are healthy.
  virtual std::string needs_lacking(const unit_runner& who, const std::vector<std::string>& needs) const = 0;
  // The unit that answers for this one: of as many instances the one of the same number, else the first that runs.
  virtual probe::stand_in stand_in_of(const unit_runner& who, const std::string& unit) const = 0;
  // The endpoints of its upstream of this word ("upstream.WORD") as they are, and which one the role has chosen.
  [[nodiscard]] virtual upstream::role_view endpoints_of(const unit_runner& who, const std::string& word) const = 0;
  // Is the data that it opens (shared_with) about to be replaced, its own node being down?
  virtual bool data_recovers(const unit_runner& who) = 0;
  // What its on_loss would act upon now: requirements that are surely lost.
  virtual std::vector<unit::requirement_lost> lost_requirements(const unit_runner& who) = 0;
  // State or health differ from before, or something that the intent file holds.
  virtual void changed(unit_runner& who) = 0;
  virtual void publish(control::event e) = 0;
  // The number of the newest event, and a call when all up to a number survive a death of hasupd: from inside when
  // they do, else from the loop.
  [[nodiscard]] virtual std::uint64_t newest_event() const = 0;
  virtual void when_told(std::uint64_t event, std::function<void()> then) = 0;

  // Calls `then` from the loop when the intent file has what changed() told so far, or cannot be written.
  virtual void when_saved(std::function<void()> then) = 0;

  // Units with shared_with on this one: stops those that run, keeps them from starting, calls back when all are down.
  virtual void stop_readers(const model::instance_id& of, std::function<void()> then) = 0;
  virtual void release_readers(const model::instance_id& of) = 0;
  // Of its [recovery] group, see recovery_host.
  virtual std::vector<std::string> group_members(const unit_runner& who) const = 0;
  virtual bool group_asks(const unit_runner& who) const = 0;
  virtual void begin_group(const unit_runner& leader) = 0;
  virtual void call_group(const unit_runner& leader, const std::vector<std::string>& members,
                          const std::string& set) = 0;
  virtual std::vector<recovery::member_view> group_views(const unit_runner& who) const = 0;
  virtual void group_changed(const std::string& left, const std::string& joined) = 0;
  virtual void group_moved(const unit_runner& who) = 0;
  // What the recoveries of others will still take of the file system that was measured.
  virtual void add_promised(const model::instance_id& to, ports::room_found& room) = 0;
  // The unit whose recovery is at work on the same disk as this one's data; "" = none.
  [[nodiscard]] virtual std::string disk_taken_by(const unit_runner& who) const = 0;
  // Their processes: they may have the data open at an ordinary start.
  virtual std::vector<std::int32_t> reader_pids(const model::instance_id& of) = 0;
};

}  // namespace hasup::daemon
