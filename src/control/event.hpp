// What happened, in the past tense: one line of events.jsonl, one message of /v1/events.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/duration.hpp"
#include "base/result.hpp"

namespace hasup::control {

struct event {
  std::uint64_t seq = 0;  // rises by one, over restarts of the daemon too
  base::wall_time at{};   // milliseconds
  std::string unit;       // "" = concerns the daemon
  std::optional<unsigned> instance;
  std::string kind;    // started, exited, became_healthy, became_unhealthy, stopped, recovered …
  std::string state;   // of the unit afterwards; "" = unchanged or none
  std::string reason;  // for a person
  std::map<std::string, std::string> detail;
  std::string recovery;  // of recovery_progress: the JSON object of status; ""

  friend bool operator==(const event&, const event&) = default;
};

// One JSON object without a newline.
std::string encode(const event& e);
base::result<event> decode_event(std::string_view json);

// Does it want a person: something is not as it should be, or waits for somebody? Told as a warning in hasupd's log.
bool is_alert(const event& e);

// Does `filter` ("leap", "miner@1"; "" = all) ask for this event?
bool concerns(const event& e, std::string_view filter);

}  // namespace hasup::control
