// Which server of a role is used: from what the probes of all of them say to a choice. Pure: time is an argument.
//
//   nothing chosen --one is good, and the others have answered or had their time--> chosen
//   chosen --it is bad, another is good--> the best of those, at once
//   chosen --it is good, was behind by `behind` for `for`, and was kept for `min_dwell`--> the best
//   chosen --it is bad, none is good--> it stays: nobody gains from a change to another bad one
//
// How far one is behind is a time: since when the furthest one has what this one has not yet. It is measured here,
// from the answers as they come, and so is the same for chains that name no time of their blocks; two nodes that take
// turns at the top by a block are never behind by more than the time between two blocks or two answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "model/upstream.hpp"

namespace hasup::upstream {

// undecided: not asked often enough yet, or it cannot be told. Such a one is not chosen, and not left either.
enum class standing { undecided, good, bad };

// How far a node is: the heavier head, else the higher one.
struct position {
  std::string weight;  // decimal digits without leading zeros; "" = the chain has none
  std::uint64_t number = 0;

  friend bool operator==(const position&, const position&) = default;
};
// Of two of one chain. A weight decides where both have one.
bool is_before(const position& a, const position& b);

// What is known of one endpoint now.
struct endpoint_view {
  std::string name;
  standing is = standing::undecided;
  std::string reason;          // of that standing
  std::optional<position> at;  // of its last good answer; one that has no chain has none
  bool avoided = false;        // taken only when no other is good

  friend bool operator==(const endpoint_view&, const endpoint_view&) = default;
};

// What is kept between two looks. `chosen` of an earlier daemon may be put in.
struct choice_memory {
  struct mark {
    position at;
    base::mono_time seen{};  // when somebody was there for the first time

    friend bool operator==(const mark&, const mark&) = default;
  };
  std::string chosen;                          // "" = none yet
  base::mono_time since{};                     // it was chosen
  std::optional<base::mono_time> first_good;   // while nothing is chosen: since when something could be
  std::optional<base::mono_time> worse_since;  // another one has been better all the time
  std::vector<mark> marks;                     // ascending: the way of the furthest one

  friend bool operator==(const choice_memory&, const choice_memory&) = default;
};

struct choice {
  std::string endpoint;  // "" = none
  bool changed = false;  // by this look
  std::string reason;    // why this one, for a person
};

// Takes a look; `all` in the order of the file. `patience` is how long a first choice waits for those that have not
// answered yet: the timeout of their probe.
choice choose(const model::upstream& role, const std::vector<endpoint_view>& all, choice_memory& memory,
              base::duration patience, base::mono_time now);

// How far the endpoint is behind the furthest good one, as far as was seen; nothing when it is not, or has no head.
std::optional<base::duration> behind(const choice_memory& memory, const endpoint_view& endpoint, base::mono_time now);
// Was it seen where the furthest one was at the first look, or beyond? Else it is behind by more than `behind` says.
bool was_level(const choice_memory& memory, const endpoint_view& endpoint);

}  // namespace hasup::upstream
