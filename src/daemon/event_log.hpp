// What happened, once and in order: numbered in memory, appended to STATE/events/events.jsonl by the disk thread.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "control/event.hpp"

namespace hasup::daemon {

class disk_thread;

class event_log {
 public:
  // Reads the end of the file (blocking: before the loop runs), so that numbers go on where they ended. A torn last
  // line is ignored. Creates the directory.
  event_log(disk_thread& disk, std::string directory);

  // Called for every event, after it was numbered.
  void subscribe(std::function<void(const control::event&)> listener) { listener_ = std::move(listener); }

  // Fills in seq and at. The file has it a moment later; a crash may lose the last events, never their order.
  void append(control::event e, base::wall_time now);

  [[nodiscard]] std::vector<control::event> since(std::uint64_t seq, std::size_t max) const;
  // The newest `max` events of one instance, oldest first.
  [[nodiscard]] std::vector<control::event> of(const std::string& unit, unsigned instance, std::size_t max) const;

 private:
  disk_thread& disk_;
  std::string path_;
  std::uint64_t next_seq_ = 1;
  std::deque<control::event> recent_;
  std::function<void(const control::event&)> listener_;
};

}  // namespace hasup::daemon
