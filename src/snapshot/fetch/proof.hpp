// What a snapshot has to fit, as its host says: a checksum, and with a pinned key a signature.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "model/minisign.hpp"
#include "model/snapshot.hpp"
#include "ports/worker_job.hpp"
#include "snapshot/cache_seal.hpp"
#include "snapshot/digest_kind.hpp"
#include "snapshot/fetch/prefix_hash.hpp"
#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

struct proof {
  std::optional<announced_digest> digest;
  std::optional<model::minisign_signature> signature;  // whose key and comment are right
  std::optional<model::minisign_key> key;
  std::string public_key;   // as the unit file has it; "" = signatures are not looked at
  std::string signed_text;  // NAME.minisig, where it was asked for; ""
  std::string note;         // checksums that disagree and do not count, or are denied and count as not there; ""

  [[nodiscard]] bool empty() const { return !digest && !signature; }
  [[nodiscard]] std::set<digest_kind> kinds() const;  // sha256 always
  // "its signature and sha256"; "" when there is nothing
  [[nodiscard]] std::string text() const;
  void keep_in(ports::worker_result& out) const;
  // A sealed file was checked against all of this before.
  [[nodiscard]] bool holds_for(const cache_seal& seal) const;
};

// Asks the host; refuses, before the first byte of the archive, one that lacks what the job wants.
outcome<proof> find_proof(remote_client& host, const model::snapshot& s, const ports::worker_job& job);

// Whether the file that is open as `fd` fits; `bad_snapshot` says what does not.
outcome<void> check(const proof& p, const model::snapshot& s, const digests& actual, int fd, std::uint64_t size);

}  // namespace hasup::snapshot
