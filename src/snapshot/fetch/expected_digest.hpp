// The checksum that comes from outside: the manifest's, or a side file's beside the archive.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/snapshot.hpp"
#include "snapshot/digest_kind.hpp"
#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

// In this order: snapshot.sha256, NAME.sha256, NAME.sha256sum, SHA256SUMS, and the same for sha512, b2 and md5.
// Nothing when none is there. A host that does not answer properly (anything but 200, 404 and 410) is `unreachable`:
// no answer is not the answer "no checksum".
outcome<std::optional<announced_digest>> expected_digest(remote_client& host, const model::snapshot& s);

// NAME.minisig beside it; nothing when there is none. A host that does not answer properly is `unreachable`.
outcome<std::optional<std::string>> signature_text(remote_client& host, const model::snapshot& s);

// Everything that may be asked for because of the archive at `place`, a path or a URL.
std::vector<std::string> side_file_places(const std::string& place);

}  // namespace hasup::snapshot
