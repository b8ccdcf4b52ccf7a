// The files of one source, whatever kind it is: a directory on disk, an HTTP listing, a JSON index, one fixed file.
#pragma once

#include <string>
#include <vector>

#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

struct listing_scope {
  listed wanted = listed::snapshots;
  bool whole = false;  // out: it was a listing of a directory, so that what it does not show is not there
  std::vector<std::string> notes{};  // out: what is left out, and why
};

// Of the source that `host` gives access to.
outcome<std::vector<listed_file>> list_source(remote_client& host, listing_scope& scope);

// Asks the host for the exact size and time of `file` (HEAD); what it does not say stays as it is. False: the
// host says nothing of it.
bool refine(remote_client& host, listed_file& file);

}  // namespace hasup::snapshot
