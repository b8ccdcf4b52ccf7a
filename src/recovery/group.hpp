// Units that are restored as one set ([recovery] group), from archives of the same backup: what the recovery of one
// knows of the others'. Pure.
//
// One leads: the member whose recovery began by itself or by hand. It takes a candidate that says of which backup it
// is (model::snapshot::set) and calls the others, its followers, who look for archives of that backup alone.
//
//   the leader waits at    until every follower      and what it writes then is the decision for all
//   trying                 has found an archive      (none yet)
//   staged                 has staged it too         swapping: nobody replaces anything before it
//   loaded, confirmed      is confirmed by itself    confirmed: until it nobody deletes an old state
//   confirmed, cleaned     is confirmed as well      (the end: followers look for the leader's journal)
//
// Who is confirmed by itself has given its word: it goes back only while no other has confirmed, which it looks up
// right before (`deciding`). A follower that gives up makes the leader drop the candidate; a leader that drops it, or
// is gone, makes the followers go back. Every decision stands in the leader's journal, so whoever died looks it up
// there.
#pragma once

#include <string>
#include <vector>

#include "recovery/progress.hpp"

namespace hasup::recovery {

struct state;

// How far a member is with a backup; each includes those before it.
enum class member_stage { none, looking, found, staged, placed, ready, confirmed };

// A member as the others see it: nothing that its journal would not bear out after a crash.
struct member_view {
  std::string unit;
  std::string group{};  // that it is restored with now, whatever its unit file says meanwhile
  member_stage at = member_stage::none;
  std::string set;         // of which backup; "" = it has not chosen, or goes back
  std::string leader;      // "" = it leads itself
  bool deciding = false;   // it has confirmed, but that is not on the disk yet
  std::string gave_up_on;  // the backup that came to nothing for it, by its own doing; of one that is at rest
  std::string why;         // that

  friend bool operator==(const member_view&, const member_view&) = default;
};

// Of one whose recovery is under way or has just ended; the second of a journal that nobody goes on with now.
member_view view_of(const state& s);
member_view view_of(const progress& p);

}  // namespace hasup::recovery
