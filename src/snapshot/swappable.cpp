#include "snapshot/swappable.hpp"

#include "snapshot/mount_point.hpp"
#include "snapshot/volumes.hpp"

namespace hasup::snapshot {

outcome<void> check_swappable(const std::string& shown, const entry_info& found, std::uint64_t device, uid_t user) {
  if (found.is_link())
    return refusal(shown +
                   " is a symbolic link; replace it by the directory it means, or name that directory as the "
                   "data directory");
  if (found.owner != user)
    return refusal(shown + " belongs to user " + std::to_string(found.owner) + ", but the unit runs as " +
                   std::to_string(user) + "; chown it");
  if (found.mount_root || found.device != device)
    return refusal(shown +
                   " is a mount point of its own and cannot be renamed; name it in data.mount, and what is in it is "
                   "replaced");
  return {};
}

outcome<void> check_nothing_mounted(const std::string& shown, const spot& entry,
                                    const std::vector<std::string>& all) {
  const auto inner = mounted_below(all, entry);
  if (inner.empty()) return {};
  return refusal(shown + " has a file system of its own mounted in it, at " + inner +
                 ", which cannot be replaced with it; unmount that, or keep it in the recipe");
}

std::string why_not_swappable(int root, const std::string& data_dir, const wipe_rules& rules, uid_t user) {
  auto top = look(root, "");
  if (!top || !*top) return {};
  auto inside = volumes::open(root, data_dir, rules.volumes(), user);
  if (!inside) return inside.error().message;
  const auto at = [&](std::string_view path) { return inside->in_place(root, path); };
  auto entries = replaced_entries(at, rules);
  if (!entries) return data_dir + ": " + entries.error().message;
  const auto mounted = mount_points();
  if (!mounted) return mounted.error().message;
  for (const auto& path : *entries) {
    if (auto can = check_nothing_mounted(joined(data_dir, path), at(path), *mounted); !can)
      return can.error().message;
    auto found = look(at(path));
    if (!found) return data_dir + "/" + found.error().message;
    if (!*found) continue;
    const auto* v = inside->of(path);
    const auto device = v == nullptr ? (*top)->device : v->device;
    if (auto can = check_swappable(joined(data_dir, path), **found, device, user); !can) return can.error().message;
  }
  return {};
}

}  // namespace hasup::snapshot
