// One archive from a host, or from several that have the same, in as many attempts as the network needs: in pieces
// over several connections where the host allows it, in one stream where it does not.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/snapshot.hpp"
#include "snapshot/fetch/part_file.hpp"
#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

class seeding;

struct download_options {
  unsigned connections = 4;           // to one host; SFTP and a directory of this machine: 1
  std::uint64_t piece = 16ULL << 20;  // bytes asked for at once; smaller files come in one
  bool in_pieces = true;
  std::uint64_t max_rate = 0;  // bytes a second, of all connections; 0 = any
  seeding* seeds = nullptr;    // what may be at hand
  std::string digest;          // announced for the whole, "sha256:…"; "" = none: only one version of one host fits
};

// Where the file is; the first is used for as long as it is any good.
struct download_place {
  remote_client* host = nullptr;
  std::string url;
  // Asked before the place is used for a file that was begun elsewhere: nothing, or why it is not the same file.
  std::function<outcome<std::string>()> other_file{};
};

struct download_report {
  bool resumed = false;   // some bytes are from an earlier job, of another host, or were at hand
  bool seeded = false;    // something of it was at hand, even if it was given up later
  std::string validator;  // of the version that was loaded; "" = there is none, or it came from several hosts
  std::string from;       // URL of the place that ended it
  std::string
      own_size;  // what is wrong with the size on the snapshot's own host, which was left for that; "" = nothing
};

// Leaves the whole archive in `part`, or what there is of it when it fails, to be resumed by the next job. Never
// joins bytes of two versions, as far as ETag, Last-Modified and size tell them apart.
outcome<void> download_archive(const std::vector<download_place>& places, job_control& control,
                               const model::snapshot& s, const download_options& options, part_file& part,
                               download_report& report);

// The archive has another size than its listing or manifest says.
failure other_size(const model::snapshot& s, std::uint64_t actual);

}  // namespace hasup::snapshot
