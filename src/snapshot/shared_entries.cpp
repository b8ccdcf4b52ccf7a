#include "snapshot/shared_entries.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "snapshot/disk.hpp"

namespace hasup::snapshot {
namespace {

// Such an entry could not be exchanged with its clone later, or is not what the node writes to.
std::string why_not_this(const std::string& path, const entry_info& found, std::uint64_t device) {
  if (found.is_link()) return path + " is a symbolic link";
  if (found.mount_root) return path + " is a mount point of its own";
  if (found.device != device) return path + " is not on the file system of the data directory";
  if (found.owner != ::geteuid()) return path + " belongs to user " + std::to_string(found.owner);
  if (found.is_directory() && (found.mode & S_IWUSR) == 0 && ::geteuid() != 0) return path + " is not writable";
  return {};
}

}  // namespace

outcome<wipe_rules> return_rules(const std::vector<std::string>& shared, const std::vector<std::string>& keep) {
  return wipe_rules::from(shared, keep, {});
}

shared_entries look_at_shared(int root, const wipe_rules& to_return) {
  shared_entries out;
  auto of_root = look(root, "");
  if (!of_root || !*of_root) {
    out.why_not = of_root ? std::strerror(ENOENT) : of_root.error().message;
    return out;
  }
  auto paths = replaced_entries(root, "", to_return);
  if (!paths) {
    out.why_not = paths.error().message;
    return out;
  }
  out.paths = std::move(*paths);
  for (const auto& path : out.paths) {
    auto found = look(root, path);
    if (!found) out.why_not = found.error().message;
    if (found && *found) out.why_not = why_not_this(path, **found, (*of_root)->device);
    if (!out.why_not.empty()) break;
  }
  return out;
}

}  // namespace hasup::snapshot
