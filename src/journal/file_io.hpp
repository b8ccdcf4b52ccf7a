// Whole reads and writes and the directory sync, shared by the files of this folder.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace hasup::journal {

// False with errno set when not all could be written.
bool write_fully(int fd, std::string_view contents);
base::result<std::string> read_fully(int fd, const std::string& path);
// Makes a rename, a new file or a deletion in the directory of `path` durable.
base::result<void> sync_directory_of(const std::string& path);

}  // namespace hasup::journal
