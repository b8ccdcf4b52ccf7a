#include "snapshot/fetch/proof.hpp"

#include "snapshot/fetch/expected_digest.hpp"
#include "snapshot/fetch/signature.hpp"

namespace hasup::snapshot {
namespace {

failure refused(const model::snapshot& s, std::string message) {
  return {ports::worker_failure::refused, std::move(message), s.name};
}

}  // namespace

std::set<digest_kind> proof::kinds() const {
  std::set<digest_kind> out{digest_kind::sha256};
  if (digest) out.insert(digest->kind);
  if (signature && signature->prehashed) out.insert(digest_kind::blake2b);
  return out;
}

std::string proof::text() const {
  std::string out = signature ? "its signature" : "";
  if (digest) out += (out.empty() ? "" : " and ") + std::string(digest_kind_names.text(digest->kind));
  return out;
}

bool proof::holds_for(const cache_seal& seal) const {
  if (signature && seal.signed_by != public_key) return false;
  if (!digest) return true;
  return digest->kind == digest_kind::sha256 ? seal.sha256 == digest->hex : seal.checked == digest->text();
}

outcome<proof> find_proof(remote_client& host, const model::snapshot& s, const ports::worker_job& job) {
  proof out;
  auto digest = expected_digest(host, s);
  if (!digest) return digest.error();
  out.digest = std::move(*digest);
  if (job.public_key.empty()) {
    if (!out.digest && job.checksum == model::checksum_policy::required)
      return refused(s, s.name + " has no checksum; put " + s.name +
                            ".sha256 beside it on the backup host, or set recovery.checksum = \"if_present\"");
    return out;
  }
  auto key = model::parse_minisign_key(job.public_key);
  if (!key) return refused(s, "recovery.public_key: " + key.error().message);
  out.key = std::move(*key);
  out.public_key = job.public_key;
  auto text = signature_text(host, s);
  if (!text) return text.error();
  if (!*text)
    return refused(s, s.name + " is not signed; put " + s.name +
                          ".minisig beside it on the backup host (minisign -Sm " + s.name +
                          "), or remove recovery.public_key");
  auto signature = model::parse_minisign_signature(**text);
  if (!signature) return refused(s, s.name + ".minisig: " + signature.error().message);
  if (const auto problem = problem_of(*signature, *out.key)) return refused(s, s.name + ".minisig: " + *problem);
  if (const auto problem = model::minisign_name_problem(signature->trusted_comment, s.name); !problem.empty())
    return refused(s, s.name + ".minisig: " + problem);
  out.signature = std::move(*signature);
  return out;
}

outcome<void> check(const proof& p, const model::snapshot& s, const digests& actual, int fd, std::uint64_t size) {
  if (p.digest && actual.at(p.digest->kind) != p.digest->hex)
    return bad_snapshot(s.name, s.name + " has " + std::string(digest_kind_names.text(p.digest->kind)) + " " +
                                    actual.at(p.digest->kind) + ", but " + p.digest->hex +
                                    " was announced; the archive is damaged or was replaced");
  if (!p.signature) return {};
  const auto blake2b = p.signature->prehashed ? actual.at(digest_kind::blake2b) : std::string();
  const auto good = is_signed(*p.signature, *p.key, blake2b, fd, size);
  if (!good) return good.error();
  if (!*good)
    return bad_snapshot(s.name, s.name + " is not the file that " + s.name +
                                    ".minisig was made for; the archive is damaged or was replaced");
  return {};
}

}  // namespace hasup::snapshot
