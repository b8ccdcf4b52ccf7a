// What a recovery needs from the unit it recovers; the unit runner implements it, a fake does in tests.
// All calls come from the event loop; none blocks; answers come back as calls of the recovery runner.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "model/recipe.hpp"
#include "model/unit.hpp"
#include "ports/worker_job.hpp"
#include "recovery/event.hpp"
#include "recovery/group.hpp"

namespace hasup::daemon {

// How a recovery ended, for the unit machine.
enum class recovery_outcome {
  recovered,    // the node runs and is confirmed
  rolled_back,  // nothing fitted: the old state is back as it was; the unit becomes failed
  refused,      // it could not begin or go on (no source, no space, budget, a writer): nothing was touched; failed
  unavailable,  // nothing usable could be had from the sources now; nothing was touched; later it may be
  cancelled,    // ended by a person: before the swap, nothing was touched; after it, the old state is back
  parked,       // stopped by a person after the swap; `start` goes on from the journal
  asking,       // mode ask: prepared, a person must say yes
  stuck,    // neither forth nor back (a roll back failed, the journal is damaged): failed; the journal stays, nothing
            // may be started but by `start`, which tries again from the journal
  emptied,  // the old state was deleted in place and no snapshot was confirmed: failed; nothing may be started but a
            // recovery, which is tried again later
};

inline constexpr base::enum_names<recovery_outcome, 9> recovery_outcome_names{
    {{{recovery_outcome::recovered, "recovered"},
      {recovery_outcome::rolled_back, "rolled_back"},
      {recovery_outcome::refused, "refused"},
      {recovery_outcome::unavailable, "unavailable"},
      {recovery_outcome::cancelled, "cancelled"},
      {recovery_outcome::parked, "parked"},
      {recovery_outcome::asking, "asking"},
      {recovery_outcome::stuck, "stuck"},
      {recovery_outcome::emptied, "emptied"}}}};

class recovery_host {
 public:
  virtual ~recovery_host() = default;

  virtual const model::unit& unit() const = 0;
  virtual const model::recipe& recipe() const = 0;

  // Runs a worker under a shim of its own. paths, locks, tolerated pids and sources are filled in by the host; mode
  // and the members named in worker_job for that mode are set by the caller. Ends in on_worker_done. One job at a
  // time. If hasupd died meanwhile and the very same job still runs, that one is taken up.
  virtual void run_worker(ports::worker_job job) = 0;
  // What an earlier hasupd had begun to fetch or unpack of this candidate is waited for; any other job is ended. Ends
  // in on_taken_up.
  virtual void take_up_worker(ports::candidate of) = 0;
  virtual void cancel_worker() = 0;  // SIGTERM, then SIGKILL after 10 s; ends in what its job ends in, mostly
                                     // internal, "cancelled"

  // Stops the unit's own process if any, and with `readers` every unit with shared_with on this one, which are then
  // kept from starting; ends in on_quiesced.
  virtual void quiesce(bool readers) = 0;
  // Those units may start again (idempotent).
  virtual void release_readers() = 0;

  // Starts the node with `append` after its command, or `instead` of its command an import, which is not probed. Ends
  // in on_node_started, later on_node_exited. What the unit requires is waited for first.
  virtual void start_node(std::vector<std::string> append, std::vector<std::string> instead) = 0;
  // Orderly stop with the unit's stop_timeout; ends in on_node_exited.
  virtual void stop_node() = 0;

  // Appends a record to the unit's journal; `then` is called on the loop once it is durable. In order.
  virtual void journal(std::string record, std::function<void()> then) = 0;
  // Deletes the journal: the recovery is over. `then` as above.
  virtual void journal_clear(std::function<void()> then) = 0;

  // Of [recovery] group, by their shown names: the others that are configured now.
  virtual std::vector<std::string> group_members() const = 0;
  // A recovery of this one begins that leads them: what they could not have before they are asked again.
  virtual void begin_group() = 0;
  // Has one of them mode ask?
  virtual bool group_asks() const = 0;
  // Their recoveries begin, following this one with archives of backup `set`; what they come to is told by
  // on_group().
  virtual void call_group(const std::vector<std::string>& members, const std::string& set) = 0;
  // As far as each of these is just now.
  virtual std::vector<recovery::member_view> group_views() const = 0;
  // group_view() of the runner is another one.
  virtual void group_moved() = 0;

  // One event for the event log and the unit's reason: "fetched snapshot-…bin.zst (5.1 GiB, sha256 verified)".
  virtual void report(std::string kind, std::string reason) = 0;
  // Another phase, or something new of the worker's: view() has it.
  virtual void show_progress() = 0;
  // Of [recovery.reference], which is asked while view() says that the own head stands still.
  virtual recovery::others_seen others() = 0;
  // Right before finished(): archives of the cache that nothing will be recovered from; nobody waits for their
  // deletion.
  virtual void discard_archives(std::vector<std::string> names, std::vector<std::string> sha256) = 0;
  virtual void finished(recovery_outcome outcome, std::string reason) = 0;

  virtual base::mono_time now() const = 0;
  virtual base::wall_time wall_now() const = 0;
  // One timer; a second call replaces the first. Ends in on_timer.
  virtual void start_timer(base::duration after) = 0;
  virtual void cancel_timer() = 0;
};

}  // namespace hasup::daemon
