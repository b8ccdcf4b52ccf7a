// The checksum that comes from outside: the manifest's, or a side file's beside the archive.
#pragma once

#include <optional>
#include <string>

#include "model/snapshot.hpp"
#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

// In this order: snapshot.sha256, NAME.sha256, NAME.sha256sum, SHA256SUMS. Nothing when none is there. A host that
// does not answer properly (anything but 200, 404 and 410) is `unreachable`: no answer is not the answer "no
// checksum".
outcome<std::optional<std::string>> expected_digest(remote_client& host, const model::snapshot& s);

}  // namespace hasup::snapshot
