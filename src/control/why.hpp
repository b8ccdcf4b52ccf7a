// The story of a unit, as `hasup why` tells it: filled in by the daemon, rendered by the command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "control/event.hpp"
#include "control/status.hpp"

namespace hasup::control {

struct instance_story {
  instance_status status;
  std::vector<std::string> evidence;  // log lines that decided the class of the last exit
  std::string grounds;                // what else decided it: when it ended, its probes, the kernel; ""
  std::string advice;                 // of the class, for a person; ""
  std::vector<std::string> tried;     // "14:02:11 restored snapshot-…: refused, …", oldest first
  std::string next;                   // "starts again in 12 s (attempt 3 of 10)"; "" = nothing is planned
  std::vector<std::string> actions;   // what a person can do: "hasup recover leap --yes"
  std::vector<event> events;          // the newest of this instance, oldest first

  friend bool operator==(const instance_story&, const instance_story&) = default;
};

struct why_report {
  std::vector<instance_story> instances;

  friend bool operator==(const why_report&, const why_report&) = default;
};

std::string encode(const why_report& w);
base::result<why_report> decode_why(std::string_view json);

}  // namespace hasup::control
