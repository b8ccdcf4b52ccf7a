#include "snapshot/fetch/expected_digest.hpp"

#include <array>

#include "snapshot/fetch/version_answer.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t limit = 4U << 20;

failure unreachable(std::string message) {
  return {ports::worker_failure::unreachable, std::move(message)};
}

outcome<std::optional<std::string>> text_at(remote_client& host, const std::string& url) {
  std::string body;
  auto answer = host.get(url, body, limit);
  if (!answer) return answer.error();
  if (answer->status == 404 || answer->status == 410) return std::optional<std::string>{};
  if (answer->status != 200)
    return unreachable(without_password(url) + ": " + status_text(*answer) +
                       "; whether there is a checksum cannot be told");
  // Some hosts answer everything with a page of theirs.
  if (answer->content_type.starts_with("text/html") || body.starts_with("<")) return std::optional<std::string>{};
  return std::optional<std::string>(std::move(body));
}

// The URL of the archive, to which endings are put.
std::string place_of(const model::snapshot& s) {
  return s.url.substr(0, s.url.find_first_of("?#"));
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

}  // namespace

outcome<std::optional<announced_digest>> expected_digest(remote_client& host, const model::snapshot& s) {
  using found = std::optional<announced_digest>;
  if (!s.sha256.empty()) {
    auto digest = parse_digest(s.sha256);
    if (!digest) return unreachable("the manifest's sha256 of " + s.name + " is not 64 hex digits");
    return found({digest_kind::sha256, *digest});
  }
  const auto base = place_of(s);
  for (const auto& side : all_side_files) {
    for (const auto ending : side.endings) {
      const auto place = base + std::string(ending);
      auto text = text_at(host, place);
      if (!text) return text.error();
      if (!*text) continue;
      if (auto digest = find_digest(**text, s.name, true, side.kind)) return found({side.kind, *digest});
      return unreachable(without_password(place) + " holds no " + std::string(digest_kind_names.text(side.kind)) +
                         " digest of " + s.name + "; correct it or remove it");
    }
    auto text = text_at(host, base.substr(0, base.rfind('/') + 1) + std::string(side.sums));
    if (!text) return text.error();
    if (!*text) continue;
    if (auto digest = find_digest(**text, s.name, false, side.kind)) return found({side.kind, *digest});
  }
  return found{};
}

std::vector<std::string> side_file_places(const std::string& place) {
  std::vector<std::string> out;
  for (const auto& side : all_side_files) {
    for (const auto ending : side.endings) out.push_back(place + std::string(ending));
    out.push_back(place.substr(0, place.rfind('/') + 1) + std::string(side.sums));
  }
  out.push_back(place + ".minisig");
  return out;
}

outcome<std::optional<std::string>> signature_text(remote_client& host, const model::snapshot& s) {
  return text_at(host, place_of(s) + ".minisig");
}

}  // namespace hasup::snapshot
