// Which addresses a DNS name stands for, from its answers as they come. Pure: time is an argument.
//
//   named --in no answer for `keep_for`--> gone, while something runs with it; else forgotten
//   no answer, or an empty one: nothing changes
//
// An answer may hold only some of the addresses: so does that of a server that takes turns. Of more than are used,
// those that are known stay, and another one joins when there is room.
#pragma once

#include <map>
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
    bool assumed = false;                            // in no answer yet, but something runs with it
    std::optional<base::mono_time> missing_since{};  // the first answer without it
  };
  std::vector<one> all;                             // ascending; at most model::most_addresses
  std::string problem;                              // of the last answer; "" = it named somebody
  std::map<std::string, base::mono_time> left_out;  // more than are used, and when each was named last
};

struct address_answer {
  std::vector<std::string> hosts;
  std::string error;  // "" = it was answered
};

struct address_change {
  std::vector<std::string> joined, left;
  bool known_differs = false;    // who is known, or who of them is gone
  bool problem_differs = false;  // told once, and not with each answer
  bool too_many = false;         // from now on there are more than are used
};

// `in_use`: those that something runs with.
address_change take_answer(address_memory& memory, const address_answer& answer, const std::set<std::string>& in_use,
                           base::duration keep_for, base::mono_time now);

std::vector<model::known_address> known_of(const address_memory& memory);
address_memory memory_of(const std::vector<model::known_address>& known);
// A name that has not been answered yet, and what runs with an upstream that is called by it now.
void assume(address_memory& memory, const std::set<std::string>& hosts);

}  // namespace hasup::upstream
