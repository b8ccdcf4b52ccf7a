#include "snapshot/fetch/proof.hpp"

#include "snapshot/fetch/expected_digest.hpp"
#include "snapshot/fetch/signature.hpp"

namespace hasup::snapshot {
namespace {

failure refused(const model::snapshot& s, std::string message) {
  return {ports::worker_failure::refused, std::move(message), s.name};
}

bool may_be_read(remote_client& host, const model::snapshot& s) {
  std::string first;
  const auto answer = host.peek(s.url, first, 0);  // an address that was signed for a GET allows no HEAD
  return answer && answer->status == 200;
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

void proof::keep_in(ports::worker_result& out) const {
  if (digest) out.announced = digest->text();
  out.signature = signed_text;
}

bool proof::holds_for(const cache_seal& seal) const {
  if (signature && seal.signed_by != public_key) return false;
  if (!digest) return true;
  return digest->kind == digest_kind::sha256 ? seal.sha256 == digest->hex : seal.checked == digest->text();
}

outcome<proof> find_proof(remote_client& host, const model::snapshot& s, const ports::worker_job& job) {
  const asked_together one_patience(host);
  proof out;
  auto said = expected_digest(host, s);
  if (!said) return said.error();
  out.digest = std::move(said->digest);
  if (job.public_key.empty()) {
    if (!said->disagree.empty())
      return refused(s, s.name + " is announced in two ways: " + said->disagree +
                            "; correct or remove the one that is wrong on the backup host");
    if (!out.digest && !said->denied.empty()) {
      if (job.checksum == model::checksum_policy::required || !may_be_read(host, s))
        return failure{ports::worker_failure::unreachable, said->denied};
      out.note = s.name + " is taken to have no checksum: it can be read, and " + said->denied;
    }
    if (!out.digest && job.checksum == model::checksum_policy::required)
      return refused(s, s.name + " has no checksum; put " + s.name +
                            ".sha256 beside it on the backup host, or set recovery.checksum = \"if_present\"");
    if (!job.keep_proof) return out;
    // Nobody has asked for a signature: one that cannot be had is no reason to refuse.
    auto text = signature_text(host, s);
    if (text && *text && model::parse_minisign_signature(**text)) out.signed_text = std::move(**text);
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
  out.signed_text = **text;
  auto signature = model::parse_minisign_signature(**text);
  if (!signature) return refused(s, s.name + ".minisig: " + signature.error().message);
  if (const auto problem = problem_of(*signature, *out.key)) return refused(s, s.name + ".minisig: " + *problem);
  if (const auto problem = model::minisign_name_problem(signature->trusted_comment, s.name); !problem.empty())
    return refused(s, s.name + ".minisig: " + problem);
  out.signature = std::move(*signature);
  if (!said->disagree.empty()) out.note = "its signature decides what " + s.name + " is: " + said->disagree;
  return out;
}

outcome<void> check(const proof& p, const model::snapshot& s, const digests& actual, int fd, std::uint64_t size) {
  if (p.digest && actual.at(p.digest->kind) != p.digest->hex)
    return bad_snapshot(s.name, s.name + " has " + std::string(digest_kind_names.text(p.digest->kind)) + " " +
                                    actual.at(p.digest->kind) + ", but " + p.digest->by + " announced " +
                                    p.digest->hex + "; the archive is damaged or was replaced");
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
