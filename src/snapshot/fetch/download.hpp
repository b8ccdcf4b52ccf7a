// One archive over HTTP, in as many attempts as the network needs.
#pragma once

#include <sys/stat.h>

#include <string>

#include "model/snapshot.hpp"
#include "snapshot/fetch/part_file.hpp"
#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

struct download_report {
  bool resumed = false;   // some bytes are from an earlier attempt
  std::string validator;  // of the version that was loaded
};

// Leaves the whole archive in `part`, or what there is of it when it fails, to be resumed by the next job.
outcome<void> download_archive(remote_client& host, const data_tree& tree, const disk& d, job_control& control,
                               const model::snapshot& s, part_file& part, download_report& report);

// What If-Range may name: a strong ETag, else Last-Modified; "" when neither is there.
std::string validator_of(const remote_answer& answer);
// The same for a file: size, time and inode.
std::string file_validator(const struct stat& st);

// The archive has another size than its listing or manifest says.
failure other_size(const model::snapshot& s, std::uint64_t actual);

struct byte_range {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> total;
};
// "bytes 5-9/10", "bytes 5-9/*", and of a 416 "bytes */10" (first = total).
std::optional<byte_range> parse_content_range(std::string_view text);

}  // namespace hasup::snapshot
