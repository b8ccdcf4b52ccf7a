#include "model/minisign.hpp"

#include "base/base64.hpp"

namespace hasup::model {
namespace {

constexpr std::size_t id_bytes = minisign_id_bytes;
constexpr std::size_t key_bytes = 32;
constexpr std::size_t signature_bytes = 64;

std::string_view next_line(std::string_view& text) {
  const auto end = text.find('\n');
  auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

base::result<minisign_key> parse_minisign_key(std::string_view text) {
  const auto bytes = base::base64_decode(text);
  if (!bytes || bytes->size() != 2 + id_bytes + key_bytes || !bytes->starts_with("Ed"))
    return base::error{"a minisign public key is one line of 56 letters that begins with RW, as in minisign.pub"};
  return minisign_key{bytes->substr(2, id_bytes), bytes->substr(2 + id_bytes)};
}

base::result<minisign_signature> parse_minisign_signature(std::string_view text) {
  const base::error none{"it is no minisign signature"};
  if (!next_line(text).starts_with("untrusted comment: ")) return none;
  const auto first = base::base64_decode(next_line(text));
  auto comment = next_line(text);
  auto global = base::base64_decode(next_line(text));
  constexpr std::string_view lead = "trusted comment: ";
  if (!first || first->size() != 2 + id_bytes + signature_bytes || !comment.starts_with(lead) || !global ||
      global->size() != signature_bytes)
    return none;
  comment.remove_prefix(lead.size());
  const auto kind = first->substr(0, 2);
  if (kind != "ED" && kind != "Ed") return base::error{"it is a signature of a kind that is not known here"};
  return minisign_signature{kind == "ED", first->substr(2, id_bytes), first->substr(2 + id_bytes),
                            std::string(comment), std::move(*global)};
}

base::result<minisign_secret> parse_minisign_secret(std::string_view text) {
  constexpr std::size_t salt_bytes = 32;
  constexpr std::size_t number_bytes = 8;
  constexpr std::size_t sealed_bytes = 104;
  const bool commented = next_line(text).starts_with("untrusted comment: ");
  const auto bytes = commented ? base::base64_decode(next_line(text)) : std::nullopt;
  if (!bytes || bytes->size() != 6 + salt_bytes + 2 * number_bytes + sealed_bytes || !bytes->starts_with("Ed"))
    return base::error{"it is no secret key of minisign; `minisign -G` makes one"};
  const auto derivation = bytes->substr(2, 2);
  if ((derivation != "Sc" && derivation != std::string(2, '\0')) || bytes->substr(4, 2) != "B2")
    return base::error{"it is a secret key of a kind that is not known here"};
  const auto number = [&](std::size_t from) {
    std::uint64_t n = 0;
    for (std::size_t i = number_bytes; i-- > 0;) n = (n << 8U) | static_cast<unsigned char>((*bytes)[from + i]);
    return n;
  };
  const auto numbers = 6 + salt_bytes;
  return minisign_secret{derivation == "Sc", bytes->substr(6, salt_bytes), number(numbers),
                         number(numbers + number_bytes), bytes->substr(numbers + 2 * number_bytes)};
}

std::string minisign_file_name(std::string_view comment) {
  constexpr std::string_view lead = "file:";
  while (!comment.empty()) {
    const auto end = comment.find('\t');
    auto field = comment.substr(0, end);
    comment.remove_prefix(end == std::string_view::npos ? comment.size() : end + 1);
    if (!field.starts_with(lead)) continue;
    field.remove_prefix(lead.size());
    if (const auto slash = field.rfind('/'); slash != std::string_view::npos) field.remove_prefix(slash + 1);
    return std::string(field);
  }
  return {};
}

std::string minisign_name_problem(std::string_view trusted_comment, std::string_view name) {
  const auto named = minisign_file_name(trusted_comment);
  if (named.empty() || named == name) return {};
  auto stem = name;
  for (const std::string_view end : {".bz2", ".lz4", ".7z"})
    if (stem.ends_with(end)) stem.remove_suffix(end.size());
  if (stem.find_first_of("0123456789") == std::string_view::npos) return {};
  return "it was made for " + named +
         ", so this may be an older archive under a newer name; if it was only renamed, " +
         "sign it again: minisign -Sm " + std::string(name);
}

// The id is a little-endian number.
std::string minisign_key_name(std::string_view id) {
  static constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  for (auto c = id.rbegin(); c != id.rend(); ++c) {
    out += hex[static_cast<unsigned char>(*c) >> 4U];
    out += hex[static_cast<unsigned char>(*c) & 15U];
  }
  return out;
}

}  // namespace hasup::model
