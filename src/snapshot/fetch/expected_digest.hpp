// The checksum that comes from outside: the manifest's, or a side file's beside the archive.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/snapshot.hpp"
#include "snapshot/digest_kind.hpp"
#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

struct announcement {
  std::optional<announced_digest> digest;  // nothing: none is there, or two disagree
  // Why it is not known whether there is none: a place of one answered 403; "" = it is known. Stores whose keys may
  // not list (S3, CloudFront) say so of whatever is not there.
  std::string denied;
  std::string disagree;  // "manifest.json says sha256 …, but a.bin.sha256 says …"; "" = nobody disagrees
};

// All who announce a sha256: snapshot.sha256, manifest.json beside the archive, NAME.sha256, NAME.sha256sum,
// SHA256SUMS; where none does, the same for sha512, blake2b and md5 (snapshot.digests …). A host that does not answer
// properly (anything but 200, 403, 404 and 410) is `unreachable`: no answer is not the answer "no checksum". Where a
// checksum is known, one that shows no more (403) says nothing.
outcome<announcement> expected_digest(remote_client& host, const model::snapshot& s);

// NAME.minisig beside it; nothing when there is none. A host that does not answer properly is `unreachable`.
outcome<std::optional<std::string>> signature_text(remote_client& host, const model::snapshot& s);

// Everything that may be asked for because of the archive at `place`, a path or a URL.
std::vector<std::string> side_file_places(const std::string& place);

}  // namespace hasup::snapshot
