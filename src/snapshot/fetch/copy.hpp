// An archive from a directory of this machine, a mount among them.
#pragma once

#include "snapshot/fetch/download.hpp"

namespace hasup::snapshot {

// Leaves the whole archive in `part`, or what there is of it when it fails, to be gone on with by the next job when
// file, size and time are still the same, or the announced checksum is. A file that changes while it is read is
// `unreachable`. `options`: max_rate, digest, and in_pieces: whether what is here may be used.
outcome<void> copy_archive(const std::string& path, job_control& control, const model::snapshot& s,
                           const download_options& options, part_file& part, download_report& report);

}  // namespace hasup::snapshot
