// What the daemon reads of a shim's files. Inside process/ only; others use shim_client.hpp.
#pragma once

#include <string>

#include "base/unique_fd.hpp"
#include "process/shim_client.hpp"

namespace hasup::process {

shim_status to_status(const shim_record& record);
model::exit_status to_exit_status(const shim_record& record);
// "cannot run /usr/bin/nodeos: No such file or directory" and the like.
std::string exec_error_text(exec_stage stage, int error);

// A descriptor of DIR/FOLDER/NAME without ever building a path that could be too long for the kernel.
base::unique_fd open_below(const std::string& directory, const char* folder, const std::string& name, int flags);

}  // namespace hasup::process
