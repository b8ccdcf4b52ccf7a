// Which addresses a DNS name stands for, from its answers as they come. Pure: time is an argument.
//
//   named --in no answer for `keep_for`--> gone, while something runs with it; else forgotten
//   no answer, or an empty one: nothing changes
//
// An answer may hold only some of the addresses: so does that of a server that takes turns.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "model/upstream.hpp"

namespace hasup::upstream {

struct address_memory {
  struct one {
    std::string host;
    bool gone = false;
    std::optional<base::mono_time> missing_since{};  // the first answer without it
  };
  std::vector<one> all;      // ascending; at most model::most_addresses
  std::string problem;       // of the last answer; "" = it named somebody
  std::size_t left_out = 0;  // of the last good answer: more than are used
};

struct address_answer {
  std::vector<std::string> hosts;
  std::string error;  // "" = it was answered
};

struct address_change {
  std::vector<std::string> joined, left;
  bool known_differs = false;    // who is known, or who of them is gone
  bool problem_differs = false;  // told once, and not with each answer
  bool left_out_differs = false;
};

// `in_use`: those that something runs with.
address_change take_answer(address_memory& memory, const address_answer& answer, const std::set<std::string>& in_use,
                           base::duration keep_for, base::mono_time now);

std::vector<model::known_address> known_of(const address_memory& memory);
address_memory memory_of(const std::vector<model::known_address>& known);

}  // namespace hasup::upstream
