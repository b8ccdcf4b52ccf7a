// Kept entries stay where they are, as they are, and hasup leaves them alone. But some nodes delete them themselves:
// venus removes its whole repository, wallet and keys included, when an import fails. An older copy must not take
// their place, since one that says what was signed last is good only as it was last; but it is told of. What cannot
// be looked at, on a mount of its own or behind a link, is left out: nothing of it is moved, so that no job fails for
// it.
#include <algorithm>

#include "base/joined.hpp"
#include "snapshot/state_swap.hpp"

namespace hasup::snapshot {

outcome<bool> state_swap::has_something(const std::string& path) const {
  const auto at = tree_.in_place(path);
  auto found = look(at);
  if (!found) return found.error();
  if (!*found || !(*found)->is_directory()) return found->has_value();
  auto names = list_names(at);
  if (!names) return names.error();
  return !names->empty();
}

outcome<void> state_swap::note_kept(swap_record& record) const {
  std::vector<std::string> inside;
  for (const auto& v : record.volumes) inside.push_back(v.path);
  for (const auto& keep : record.keep) {
    const auto rules = wipe_rules::from({keep}, {}, {}, inside);
    if (!rules) return rules.error();
    auto paths = entries_in_place(*rules);
    if (!paths) continue;
    for (auto& path : *paths) {
      const auto something = has_something(path);
      if (something && *something) record.kept.push_back(std::move(path));
    }
  }
  std::sort(record.kept.begin(), record.kept.end());
  record.kept.erase(std::unique(record.kept.begin(), record.kept.end()), record.kept.end());
  return {};
}

outcome<std::string> state_swap::lost_of_kept(const swap_record& record) const {
  std::vector<std::string> gone;
  for (const auto& path : record.kept) {
    const auto something = has_something(path);
    if (something && !*something) gone.push_back(path);
  }
  if (gone.empty()) return std::string();
  return "kept entries are gone since the swap, deleted by the node or by somebody: " + base::joined(gone);
}

}  // namespace hasup::snapshot
