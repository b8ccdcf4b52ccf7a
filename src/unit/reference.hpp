// Do others advance while the own head stands still? From single answers of reference nodes to evidence. Pure.
//
// Evidence is: one node was seen with a head beyond the own one, and later with a higher one; both since the own head
// stopped, the last growth not longer ago than the own head may stand; and it is of the same chain, where that is
// known. A dead server with a high head does not grow; a chain that stands still has nobody beyond. What is unknown
// (no answer, no number, no name of the chain where one is wanted) is never evidence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "model/probe.hpp"

namespace hasup::unit {

// One answer of one node.
struct reference_answer {
  bool passed = false;
  std::string reason;               // why it did not
  std::optional<model::head> head;  // counts only when it passed
};

// What is remembered of one node since the own head stopped.
struct reference_memory {
  std::string name;                    // for people
  std::optional<std::uint64_t> first;  // the first head beyond the own one
  std::optional<std::uint64_t> last;   // the highest one
  base::mono_time first_at{};
  base::mono_time grew_at{};                        // `last` was seen first
  std::string problem = "it has not answered yet";  // of the last answer; "" = it was good

  friend bool operator==(const reference_memory&, const reference_memory&) = default;
};

// What is known of the own node.
struct own_head {
  std::uint64_t number = 0;     // the highest that it had
  std::string chain;            // what the others must name; "" = nobody knows
  base::duration may_stand{0};  // liveness.advances_within
};

// Folds one answer in. One of another chain forgets what the same name said before.
void observe(reference_memory& memory, const reference_answer& answer, const own_head& own, base::mono_time now);

struct others {
  bool advance = false;
  std::string text;  // for a person: the evidence, or which part of it is missing
};

// `all` may be empty: there is nobody to ask.
others judge_others(const std::vector<reference_memory>& all, const own_head& own, base::mono_time now);

// Are these names of one chain? "0x1" is 1, and letters may be large or small.
bool same_chain(const std::string& a, const std::string& b);

}  // namespace hasup::unit
