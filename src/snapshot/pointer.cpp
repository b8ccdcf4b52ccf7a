#include "snapshot/pointer.hpp"

#include <re2/re2.h>

#include "snapshot/listing.hpp"
#include "snapshot/listing_text.hpp"

namespace hasup::snapshot {
namespace {

std::string without_directories(std::string name) {
  const auto slash = name.find_last_of("/\\");
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

}  // namespace

bool may_be_pointer(std::string_view name, std::string_view content_type, std::optional<std::uint64_t> length) {
  static const RE2 form(R"((?:.*[-_.])?latest(?:[-_](?:snapshot|backup|archive))?(?:\.txt)?)");
  if (!RE2::FullMatch(lower(name), form)) return false;
  if (content_type.starts_with("text/html") || content_type.starts_with("application/json")) return false;
  return !length || *length <= most_pointer_bytes;  // a HEAD may say 0, or nothing
}

std::optional<std::string> pointed_url(std::string_view text, std::string_view url) {
  text = text.substr(0, text.find_first_of("\r\n"));
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  if (text.empty() || text.size() > 2048) return std::nullopt;
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '"') return std::nullopt;
  if (text.starts_with("http://") || text.starts_with("https://")) {
    if (text.find(' ') != std::string_view::npos || text.ends_with('/')) return std::nullopt;
    return std::string(text);
  }
  if (text.find("://") != std::string_view::npos || text.starts_with('/')) return std::nullopt;
  if (text.starts_with("./")) text.remove_prefix(2);
  const auto plain = url.substr(0, url.find_first_of("?#"));
  std::string out(plain.substr(0, plain.rfind('/') + 1));
  while (true) {
    const auto slash = text.find('/');
    const auto part = text.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return std::nullopt;
    out += percent_encode(part);
    if (slash == std::string_view::npos) break;
    out += '/';
    text.remove_prefix(slash + 1);
  }
  return is_snapshot_name(percent_decode(out.substr(out.rfind('/') + 1))) ? std::optional(out) : std::nullopt;
}

std::string disposition_name(std::string_view text) {
  static const RE2 extended(R"re((?i)(?:.*;)?\s*filename\*\s*=\s*(?:UTF-8|ISO-8859-1)'[^']*'([^;\s]+).*)re");
  static const RE2 quoted(R"re((?i)(?:.*;)?\s*filename\s*=\s*"((?:[^"\\]|\\.)*)".*)re");
  static const RE2 bare(R"re((?i)(?:.*;)?\s*filename\s*=\s*([^";\s]+).*)re");
  std::string name;
  if (RE2::FullMatch(text, extended, &name)) return without_directories(percent_decode(name));
  if (RE2::FullMatch(text, quoted, &name)) {
    RE2::GlobalReplace(&name, R"(\\(.))", R"(\1)");
    return without_directories(std::move(name));
  }
  if (RE2::FullMatch(text, bare, &name)) return without_directories(std::move(name));
  return {};
}

}  // namespace hasup::snapshot
