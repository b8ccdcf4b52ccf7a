// Is a file system mounted here? An empty mount point must not be taken for an empty directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "snapshot/disk.hpp"

namespace hasup::snapshot {

bool is_mount_point(const std::string& path);
// "" = all are.
std::string first_unmounted(const std::vector<std::string>& paths);

// Where file systems are mounted, as this process sees it, from /proc/self/mountinfo (proc_pid_mountinfo(5)).
outcome<std::vector<std::string>> mount_points();
// The field of a line of mountinfo that says where; \040 and the like are written out. "" = the line has none. Pure.
std::string mounted_at(std::string_view line);
// The first of those that lies below an entry, not at it; "" = none does. An entry that is renamed would take it
// along, and the next boot mounts it where it was.
std::string mounted_below(const std::vector<std::string>& all, const spot& entry);

}  // namespace hasup::snapshot
