// Is a file system mounted here? An empty mount point must not be taken for an empty directory.
#pragma once

#include <string>
#include <vector>

namespace hasup::snapshot {

bool is_mount_point(const std::string& path);
// "" = all are.
std::string first_unmounted(const std::vector<std::string>& paths);

}  // namespace hasup::snapshot
