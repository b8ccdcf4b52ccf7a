#include "snapshot/fetch/expected_digest.hpp"

#include <array>
#include <map>

#include "snapshot/fetch/version_answer.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t limit = 4U << 20;

failure unreachable(std::string message) {
  return {ports::worker_failure::unreachable, std::move(message)};
}

// A text that may be beside an archive.
struct side_text {
  std::optional<std::string> text;
  std::string unclear;  // why it is not known whether it is there; ""
  bool denied = false;  // it is unclear because of a 403
};

outcome<side_text> look_for(remote_client& host, const std::string& url) {
  side_text out;
  std::string body;
  auto answer = host.get(url, body, limit);
  if (!answer) return answer.error();
  if (answer->status == 404 || answer->status == 410) return out;
  if (answer->status != 200) {
    out.denied = answer->status == 403 && url.starts_with("http");  // SFTP says so of what is there
    out.unclear =
        without_password(url) + ": " + status_text(*answer) + "; whether there is a checksum cannot be told";
    return out;
  }
  // Some hosts answer everything with a page of theirs.
  if (answer->content_type.starts_with("text/html") || body.starts_with("<")) return out;
  out.text = std::move(body);
  return out;
}

// The URL of the archive, to which endings are put.
std::string place_of(const model::snapshot& s) {
  const auto& url = s.beside.empty() ? s.url : s.beside;
  return url.substr(0, url.find_first_of("?#"));
}

struct side_files {
  digest_kind kind;
  std::array<std::string_view, 2> endings;
  std::string_view sums;
};
constexpr std::array<side_files, 4> all_side_files{{{digest_kind::sha256, {".sha256", ".sha256sum"}, "SHA256SUMS"},
                                                    {digest_kind::sha512, {".sha512", ".sha512sum"}, "SHA512SUMS"},
                                                    {digest_kind::blake2b, {".b2", ".b2sum"}, "B2SUMS"},
                                                    {digest_kind::md5, {".md5", ".md5sum"}, "MD5SUMS"}}};

constexpr std::string_view manifest_name = "manifest.json";

// What was asked for already, by place: a manifest may have digests of every kind.
using seen_texts = std::map<std::string, side_text>;

// Asks all who may announce a digest of one kind, and holds what they say against each other.
class asking {
 public:
  asking(remote_client& host, const model::snapshot& s, digest_kind kind, seen_texts& seen)
      : host_(host), s_(s), kind_(kind), seen_(seen) {}

  void heard(const std::string& hex, const std::string& by) {
    if (!first_.empty() && hex != first_) {
      if (disagree_.empty()) disagree_ = says(by_, first_) + ", but " + by + " says " + hex;
      return;
    }
    first_ = hex;
    by_ += (by_.empty() ? "" : " and ") + by;
  }
  [[nodiscard]] failure holds_none(const std::string& who) const {
    return unreachable(who + " holds no " + std::string(digest_kind_names.text(kind_)) + " digest of " + s_.name +
                       "; correct it or remove it");
  }
  void heard_otherwise(const std::string& what) { disagree_ = says(by_, first_) + ", but " + what; }

  // `read`: the digest in the text. `must`: a text that is there has to hold one.
  template <class Read>
  outcome<void> ask(const std::string& place, bool must, Read read) {
    auto found = seen_.find(place);
    if (found == seen_.end()) {
      auto looked = look_for(host_, place);
      if (!looked) return looked.error();
      found = seen_.emplace(place, std::move(*looked)).first;
    }
    return weigh(place, found->second, must, read);
  }

  template <class Read>
  outcome<void> weigh(const std::string& place, const side_text& found, bool must, Read read) {
    if (found.denied && denied_.empty()) denied_ = found.unclear;
    if (!found.unclear.empty() && !found.denied && first_.empty()) return unreachable(found.unclear);
    if (!found.text) return {};
    const std::optional<std::string> digest = read(*found.text);
    if (digest && *digest != unreadable_digest)
      heard(*digest, percent_decode(place.substr(place.rfind('/') + 1)));
    else if ((must || digest) && first_.empty())
      return holds_none(without_password(place));
    return {};
  }

  [[nodiscard]] announcement take() const {
    if (!disagree_.empty()) return {std::nullopt, "", disagree_};
    if (first_.empty()) return {std::nullopt, denied_, ""};
    return {announced_digest{kind_, first_, by_}, "", ""};
  }

 private:
  [[nodiscard]] std::string says(const std::string& by, const std::string& hex) const {
    return by + (by.find(" and ") == std::string::npos ? " says " : " say ") +
           std::string(digest_kind_names.text(kind_)) + " " + hex;
  }

  remote_client& host_;
  const model::snapshot& s_;
  digest_kind kind_;
  seen_texts& seen_;
  std::string first_;  // hex
  std::string by_;
  std::string denied_;
  std::string disagree_;
};

// What came with the snapshot: from its listing, a manifest or an index.
struct said_before {
  std::string hex;
  std::string by;  // ""
};

said_before said_with(const model::snapshot& s, digest_kind kind) {
  if (kind == digest_kind::sha256) return {s.sha256, s.sha256_by};
  const auto found = s.digests.find(std::string(digest_kind_names.text(kind)));
  return found == s.digests.end() ? said_before{} : said_before{found->second, s.digests_by};
}

// Nothing where it is of another kind: many things are called so.
std::optional<std::string> digest_in_manifest(const std::string& text, const std::string& name, digest_kind kind) {
  const auto files = parse_json_listing(text, "");
  if (!files) return std::nullopt;
  for (const auto& file : *files) {
    if (file.name != name) continue;
    const auto other = file.other_digests.find(kind);
    if (kind == digest_kind::sha256 && !file.sha256.empty()) return file.sha256;
    if (other != file.other_digests.end()) return other->second;
  }
  return std::nullopt;
}

}  // namespace

outcome<announcement> expected_digest(remote_client& host, const model::snapshot& s) {
  const asked_together one_patience(host);
  const auto base = place_of(s);
  const auto directory = base.substr(0, base.rfind('/') + 1);
  std::string denied;
  seen_texts seen;
  for (const auto& side : all_side_files) {
    asking all(host, s, side.kind, seen);
    const auto before = said_with(s, side.kind);
    if (!before.hex.empty()) {
      auto digest = parse_digest(before.hex, side.kind);
      const auto by = before.by.empty() ? std::string("the listing") : before.by;
      if (!digest) return all.holds_none(by);
      all.heard(*digest, by);
      if (side.kind == digest_kind::sha256 && !s.sha256_else.empty()) all.heard_otherwise(s.sha256_else);
    }
    if (before.by != manifest_name)
      if (auto asked = all.ask(directory + std::string(manifest_name), false,
                               [&](const std::string& text) { return digest_in_manifest(text, s.name, side.kind); });
          !asked)
        return asked.error();
    for (const auto ending : side.endings)
      if (auto asked = all.ask(base + std::string(ending), true,
                               [&](const std::string& text) { return find_digest(text, s.name, true, side.kind); });
          !asked)
        return asked.error();
    if (auto asked = all.ask(directory + std::string(side.sums), false,
                             [&](const std::string& text) { return find_digest(text, s.name, false, side.kind); });
        !asked)
      return asked.error();
    auto out = all.take();
    if (out.digest || !out.disagree.empty()) return out;
    if (denied.empty()) denied = out.denied;
  }
  return announcement{std::nullopt, denied, ""};
}

std::vector<std::string> side_file_places(const std::string& place) {
  std::vector<std::string> out;
  for (const auto& side : all_side_files) {
    for (const auto ending : side.endings) out.push_back(place + std::string(ending));
    out.push_back(place.substr(0, place.rfind('/') + 1) + std::string(side.sums));
  }
  out.push_back(place + ".minisig");
  out.push_back(place.substr(0, place.rfind('/') + 1) + std::string(manifest_name));
  return out;
}

outcome<std::optional<std::string>> signature_text(remote_client& host, const model::snapshot& s) {
  auto found = look_for(host, place_of(s) + ".minisig");
  if (!found) return found.error();
  if (!found->unclear.empty()) return unreachable(found->unclear);
  return std::move(found->text);
}

}  // namespace hasup::snapshot
