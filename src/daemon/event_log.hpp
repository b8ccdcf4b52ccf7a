// What happened, once and in order: numbered in memory, appended to STATE/events/events.jsonl by a thread of its own,
// at once and without fsync: what was written survives every death of hasupd.
//
// An exit is told once only if nobody forgets it before it is in the file. So whatever makes hasupd forget one waits
// for its event: the intent file (which waits for the same thread before it is written), and the next run, with which
// the shim overwrites its record of the one before (when_written).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/event.hpp"

namespace hasup::daemon {

class disk_thread;

class event_log {
 public:
  // Reads the end of the file (blocking: before the loop runs), so that numbers go on where they ended. A torn last
  // line is ignored. Creates the directory. The thread should have nothing else to do.
  event_log(disk_thread& writer, std::string directory);

  // Called for every event, after it was numbered.
  void subscribe(std::function<void(const control::event&)> listener) { listener_ = std::move(listener); }

  // Fills in seq and at. The file has it a moment later; a crash may lose the last events, never their order.
  void append(control::event e, base::wall_time now);

  // The number of the newest event; 0 = none.
  [[nodiscard]] std::uint64_t newest() const { return next_seq_ - 1; }
  // Calls `then` when all events up to this number are in the file: from inside when they are, else from the loop.
  void when_written(std::uint64_t seq, std::function<void()> then);

  [[nodiscard]] std::vector<control::event> since(std::uint64_t seq, std::size_t max) const;
  // The newest `max` events of one instance, oldest first.
  [[nodiscard]] std::vector<control::event> of(const std::string& unit, unsigned instance, std::size_t max) const;
  // Likewise, without those that only say how far a recovery is: there may be any number of them. When they begin
  // inside a recovery, all of it is there however many they are, and what led to it.
  [[nodiscard]] std::vector<control::event> story_of(const std::string& unit, unsigned instance,
                                                     std::size_t max) const;
  // As it was told last of this instance; "" = not within the end of the file.
  [[nodiscard]] std::string last_state(const std::string& unit, unsigned instance) const;

 private:
  void remember(control::event e);

  disk_thread& writer_;
  std::string path_;
  std::shared_ptr<std::atomic<std::uint64_t>> written_;  // up to this one; set by the thread
  std::uint64_t next_seq_ = 1;
  std::deque<control::event> recent_;
  std::map<std::pair<std::string, unsigned>, std::string> last_states_;
  std::function<void(const control::event&)> listener_;
};

}  // namespace hasup::daemon
