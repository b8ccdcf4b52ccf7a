// How far a recovery is, as far as its journal knows. The only way to change it is to apply a record.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "recovery/record.hpp"

namespace hasup::recovery {

// The last thing that is known for sure; the names follow the records.
enum class mark {
  none,
  begun,
  selected,
  trying,
  wiping,
  staged,
  swapping,
  swapped,
  importing,
  imported,
  first_start,
  loaded,
  confirmed,
  rolling_back
};

struct progress {
  mark at = mark::none;
  frozen plan;
  std::vector<ports::candidate> candidates;
  std::vector<fate> fates;             // one a candidate
  std::optional<std::size_t> current;  // index of the candidate being tried, or tried last
  std::vector<std::string> settled;    // the candidates are those of a prefetch: see `selected`
  std::string settled_by;
  std::vector<std::string> sha256;  // of the current candidate's archives, once fetched
  bool verified = false;            // against a checksum from outside
  std::map<std::string, std::string> archive_paths;
  bool is_approved = false;
  bool approved_in_place = false;      // that the old state is deleted before the new one is unpacked
  unsigned first_starts = 0;           // of the current candidate
  unsigned imports = 0;                // likewise, of the recipe's [import]
  unsigned restagings = 0;             // of the current candidate
  std::vector<base::wall_time> swaps;  // of this recovery
  bool renamed_nothing = false;        // by the swap that is being rolled back
  bool was_rolled_back = false;        // at least once: "nothing was touched" is no longer true
  std::string inexact;                 // in what the old state then differs from what it was; "" = in nothing
  bool wiped = false;                  // there is no old state any more
  bool wiped_for_current = false;      // and what the current candidate replaces was deleted for it
  after_roll_back then = after_roll_back::next;
  bool undo_wanted = false;  // a person wants the old state back; done when what is under way has ended
  std::string undo_why;      // or the group does, for this; it stays until the next begins
  std::string last_why;      // the newest reason for dropping a candidate or rolling back

  [[nodiscard]] const ports::candidate* chosen() const {
    return current && *current < candidates.size() ? &candidates[*current] : nullptr;
  }
  [[nodiscard]] const model::recovery_plan* chosen_plan() const {
    const auto* c = chosen();
    return c && c->plan < plan.recipe.plans.size() ? &plan.recipe.plans[c->plan] : nullptr;
  }
  // From `swapping` until `rolled_back`: the data directory is not simply the old one.
  [[nodiscard]] bool beyond_swap() const { return at >= mark::swapping; }
  // The data directory is not what it was when the recovery began, or may not be.
  [[nodiscard]] bool touched() const { return beyond_swap() || no_way_back(); }
  // The old state is deleted, or its deletion has begun.
  [[nodiscard]] bool no_way_back() const { return wiped || at == mark::wiping; }
  // What a node of it runs on stands nowhere else: there is no old state, or its shared entries may not be cloned.
  [[nodiscard]] bool runs_on_only_copy() const {
    if (!beyond_swap() || at == mark::rolling_back) return false;
    return wiped || at == mark::confirmed || (chosen_plan() != nullptr && !chosen_plan()->shared.empty());
  }
  // The old state stands aside, and it is not decided yet that it goes.
  [[nodiscard]] bool can_roll_back() const { return can_undo_swap() && !wiped; }
  // What the swap brought may be taken away again.
  [[nodiscard]] bool can_undo_swap() const { return beyond_swap() && at != mark::confirmed; }
};

// An error for a record that cannot follow; the progress is unchanged then.
base::result<void> apply(progress& p, const record& r);

// Folds the records of a journal.
base::result<progress> replay(const std::vector<std::string>& records);

}  // namespace hasup::recovery
