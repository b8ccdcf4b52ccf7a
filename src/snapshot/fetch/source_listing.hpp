// The files of one source, whatever kind it is: a directory on disk, an HTTP listing, a JSON index, one fixed file.
#pragma once

#include <string>
#include <vector>

#include "snapshot/fetch/http_client.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

outcome<std::vector<listed_file>> list_source(http_client& http, const std::string& source);

// Asks the host for the exact size and time of `file` (HEAD); what it does not say stays as it is.
void refine(http_client& http, listed_file& file);

}  // namespace hasup::snapshot
