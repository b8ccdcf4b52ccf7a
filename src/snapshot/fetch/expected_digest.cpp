#include "snapshot/fetch/expected_digest.hpp"

#include <array>
#include <cerrno>

#include "base/small_file.hpp"
#include "snapshot/fetch/select.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t limit = 4U << 20;

failure unreachable(std::string message) {
  return {ports::worker_failure::unreachable, std::move(message)};
}

outcome<std::optional<std::string>> text_of_file(const std::string& path) {
  auto text = base::read_small_file(path, limit);
  if (!text && text.error().code == ENOENT) return std::optional<std::string>{};
  if (!text) return unreachable(text.error().message);
  return std::optional<std::string>(std::move(*text));
}

outcome<std::optional<std::string>> text_of_url(remote_client& host, const std::string& url) {
  std::string body;
  auto answer = host.get(url, body, limit);
  if (!answer) return answer.error();
  if (answer->status == 404 || answer->status == 410) return std::optional<std::string>{};
  if (answer->status != 200)
    return unreachable(without_password(url) + ": HTTP status " + std::to_string(answer->status) +
                       "; whether there is a checksum cannot be told");
  // Some hosts answer everything with a page of theirs.
  if (answer->content_type.starts_with("text/html") || body.starts_with("<")) return std::optional<std::string>{};
  return std::optional<std::string>(std::move(body));
}

}  // namespace

outcome<std::optional<std::string>> expected_digest(remote_client& host, const model::snapshot& s) {
  if (!s.sha256.empty()) {
    auto digest = parse_digest(s.sha256);
    if (!digest) return unreachable("the manifest's sha256 of " + s.name + " is not 64 hex digits");
    return digest;
  }
  const auto path = file_source_path(s.url);
  const std::string base = path ? *path : s.url.substr(0, s.url.find_first_of("?#"));
  struct side_file {
    std::string place;
    bool single;
  };
  const std::array<side_file, 3> places{{{base + ".sha256", true},
                                         {base + ".sha256sum", true},
                                         {base.substr(0, base.rfind('/') + 1) + "SHA256SUMS", false}}};
  for (const auto& [place, single] : places) {
    auto text = path ? text_of_file(place) : text_of_url(host, place);
    if (!text) return text.error();
    if (!*text) continue;
    if (auto digest = find_digest(**text, s.name, single)) return digest;
    if (single)
      return unreachable(without_password(place) + " holds no sha256 digest of " + s.name +
                         "; correct it or remove it");
  }
  return std::optional<std::string>{};
}

}  // namespace hasup::snapshot
