// The files of one source, whatever kind it is: a directory on disk, an HTTP listing, a JSON index, one fixed file.
#pragma once

#include <string>
#include <vector>

#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

// Of the source that `host` gives access to.
outcome<std::vector<listed_file>> list_source(remote_client& host);

// Asks the host for the exact size and time of `file` (HEAD); what it does not say stays as it is.
void refine(remote_client& host, listed_file& file);

}  // namespace hasup::snapshot
