// Is a file system mounted here? An empty mount point must not be taken for an empty directory.
#pragma once

#include <string>

namespace hasup::snapshot {

bool is_mount_point(const std::string& path);

}  // namespace hasup::snapshot
