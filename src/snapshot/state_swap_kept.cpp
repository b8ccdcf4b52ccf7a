// Kept entries stay where they are, as they are, and hasup leaves them alone. But some nodes delete them themselves:
// venus removes its whole repository, wallet and keys included, when an import fails. An older copy must not take
// their place, since one that says what was signed last is good only as it was last; but it is told of.
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
  auto rules = wipe_rules::from(record.keep, {}, {}, std::move(inside));
  if (!rules) return rules.error();
  auto paths = entries_in_place(*rules);
  if (!paths) return paths.error();
  for (auto& path : *paths) {
    auto something = has_something(path);
    if (!something) return something.error();
    if (*something) record.kept.push_back(std::move(path));
  }
  return {};
}

outcome<std::string> state_swap::lost_of_kept(const swap_record& record) const {
  std::vector<std::string> gone;
  for (const auto& path : record.kept) {
    auto something = has_something(path);
    if (!something) return something.error();
    if (!*something) gone.push_back(path);
  }
  if (gone.empty()) return std::string();
  return "kept entries are gone since the swap, deleted by the node or by somebody: " + base::joined(gone);
}

}  // namespace hasup::snapshot
