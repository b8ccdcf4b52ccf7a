// What a recipe requires of snapshots beyond their names, held against what a listing says of them. Pure.
#pragma once

#include <optional>
#include <string>

#include "model/recipe.hpp"
#include "model/snapshot.hpp"
#include "snapshot/block_log.hpp"

namespace hasup::snapshot {

// Why the snapshot is none for a plan with these rules; "" = it is one. `log`: what rule.block_within holds; nothing
// where that is not asked, not known, or empty: then any block goes. A doubt is no objection: the node looks itself,
// and refuses at no greater loss than one more swap, while the next plan may replace the blocks.
std::string objection(const model::snapshot_rule& rule, const model::snapshot& s,
                      const std::optional<block_span>& log);

}  // namespace hasup::snapshot
