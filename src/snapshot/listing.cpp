#include "snapshot/listing.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <unordered_set>

#include "base/time_text.hpp"
#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/listing_text.hpp"

namespace hasup::snapshot {
namespace {

namespace json = boost::json;

// "http://host:80/a/" -> "/a/"; the part that an absolute href starts with.
std::string_view path_of(std::string_view url) {
  const auto scheme = url.find("://");
  const auto from = url.find('/', scheme == std::string_view::npos ? 0 : scheme + 3);
  return from == std::string_view::npos ? std::string_view("/") : url.substr(from);
}

// The still encoded file name that `href` means directly below base; "" for anything else.
std::string_view direct_name(std::string_view href, std::string_view base) {
  href = href.substr(0, href.find_first_of("?#"));
  if (href.starts_with(base))
    href.remove_prefix(base.size());
  else if (href.starts_with("//") || href.find("://") != std::string_view::npos)
    return {};
  else if (href.starts_with('/')) {
    const auto path = path_of(base);
    if (!href.starts_with(path)) return {};
    href.remove_prefix(path.size());
  }
  while (href.starts_with("./")) href.remove_prefix(2);
  if (href.empty() || href.find('/') != std::string_view::npos || href == "." || href == "..") return {};
  return href;
}

bool has_unsafe_bytes(std::string_view name) {
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == '/' || c == 0x7f) return true;
  return false;
}

std::optional<base::wall_time> json_time(const json::value& v, bool& exact) {
  exact = true;
  if (v.is_int64()) return base::wall_time(std::chrono::seconds(v.get_int64()));
  if (!v.is_string()) return std::nullopt;
  const std::string_view text(v.get_string());
  if (auto t = base::parse_time(text)) return *t;
  return parse_http_time(text);
}

bool is_chunk_index(std::string_view name) {
  return name.ends_with(chunk_index_suffix) && kind_of_name(name) == name_kind::beside;
}

// A short text of one line, or a number as one; anything else says nothing.
std::string json_word(const json::object& o, std::string_view key) {
  const auto* found = o.if_contains(key);
  if (found == nullptr) return {};
  if (found->is_int64() || found->is_uint64()) return json::serialize(*found);
  if (!found->is_string()) return {};
  const std::string_view text(found->get_string());
  return is_manifest_word(text) ? std::string(text) : std::string();
}

bool is_web(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

// The address that an index says, relative to its own where that is one of the web; "": it says none.
std::string json_url(const json::object& o, std::string_view base) {
  const auto* url = o.if_contains("url");
  if (url == nullptr || !url->is_string()) return {};
  std::string_view text(url->get_string());
  if (is_web(text)) return std::string(text);
  const bool plain = std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
  if (!plain || text.empty() || !is_web(base) || text.starts_with("//") || text.find("://") != std::string_view::npos)
    return {};
  if (text.starts_with('/'))
    return std::string(base.substr(0, base.size() - path_of(base).size())) + std::string(text);
  while (text.starts_with("./")) text.remove_prefix(2);
  return std::string(base) + std::string(text);
}

std::string json_name(const json::object& o, std::string_view url) {
  const auto* name = o.if_contains("name");
  if (name == nullptr) name = o.if_contains("filename");
  if (name != nullptr) return name->is_string() ? std::string(name->get_string()) : std::string();
  url = url.substr(0, url.find_first_of("?#"));
  return percent_decode(url.substr(url.rfind('/') + 1));
}

// "": none is announced.
std::string json_digest(const json::object& o, digest_kind kind) {
  const auto name = digest_kind_names.text(kind);
  const auto* found = o.if_contains(name);
  if (found == nullptr || found->is_null()) return {};
  if (!found->is_string()) return std::string(unreadable_digest);
  std::string_view text(found->get_string());
  if (text.empty()) return {};
  if (text.starts_with(name) && text.substr(name.size()).starts_with(':')) text.remove_prefix(name.size() + 1);
  return parse_digest(text, kind).value_or(std::string(unreadable_digest));
}

std::optional<listed_file> json_file(const json::object& o, std::string_view base, listed wanted) {
  const auto* type = o.if_contains("type");
  const auto* is_dir = o.if_contains("is_dir");
  if (type != nullptr && type->is_string() && type->get_string() == "directory") return std::nullopt;
  if (is_dir != nullptr && is_dir->is_bool() && is_dir->get_bool()) return std::nullopt;
  listed_file file;
  file.url = json_url(o, base);
  file.name = json_name(o, file.url);
  if (!is_wanted(file.name, wanted)) return std::nullopt;
  if (file.url.empty()) file.url = std::string(base) + percent_encode(file.name);
  if (const auto* size = o.if_contains("size"); size != nullptr && size->is_number()) {
    boost::system::error_code failed;
    const auto bytes = size->to_number<std::uint64_t>(failed);
    if (!failed) file.size = bytes;
  }
  file.size_announced = file.size.has_value();
  if (file.size == 0U && wanted == listed::snapshots) return std::nullopt;
  for (const auto* key : {"time", "mtime", "mod_time"})
    if (const auto* time = o.if_contains(key); time != nullptr && !file.time)
      file.time = json_time(*time, file.time_exact);
  if (!file.time) file.time_exact = false;
  file.sha256 = json_digest(o, digest_kind::sha256);
  for (const auto kind : {digest_kind::sha512, digest_kind::blake2b, digest_kind::md5})
    if (auto digest = json_digest(o, kind); !digest.empty()) file.other_digests[kind] = std::move(digest);
  if (const auto* chunks = o.if_contains("chunks"); chunks != nullptr && chunks->is_string())
    if (const std::string_view index(chunks->get_string()); is_chunk_index(index))
      file.chunks = std::string(base) + percent_encode(index);
  if (const auto* block = o.if_contains("block"); block != nullptr && block->is_number()) {
    boost::system::error_code failed;
    const auto number = block->to_number<std::uint64_t>(failed);
    if (!failed) file.block = number;
  }
  if (const auto* unpacked = o.if_contains("unpacked_size"); unpacked != nullptr && unpacked->is_number()) {
    boost::system::error_code failed;
    const auto bytes = unpacked->to_number<std::uint64_t>(failed);
    if (!failed && bytes > 0) file.unpacked = bytes;
  }
  file.chain_id = json_word(o, "chain_id");
  file.node_version = json_word(o, "node_version");
  file.set = json_word(o, "set");
  return file;
}

}  // namespace

bool is_manifest_word(std::string_view text) {
  constexpr std::size_t most = 128;
  return text.size() <= most &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

name_kind kind_of_name(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.size() > 200 || has_unsafe_bytes(name))
    return name_kind::unusable;
  if (name.starts_with(".pending-") || name.starts_with(".incomplete-")) return name_kind::unfinished;
  for (const auto* end : {".part", ".tmp", ".partial"})
    if (name.ends_with(end)) return name_kind::unfinished;
  for (const auto* end : {".sha256", ".sha256sum", ".sha512", ".sha512sum", ".b2", ".b2sum", ".md5", ".md5sum",
                          ".minisig", ".asc", ".sig", ".seal", ".resume", ".chunks"})
    if (name.ends_with(end)) return name_kind::beside;
  for (const auto* other : {"SHA256SUMS", "SHA256SUMS.txt", "SHA512SUMS", "B2SUMS", "MD5SUMS", "manifest.json",
                            "index.html", "index.json"})
    if (name == other) return name_kind::beside;
  return name_kind::snapshot;
}

bool is_snapshot_name(std::string_view name) {
  return kind_of_name(name) == name_kind::snapshot;
}

bool has_archive_ending(std::string_view name) {
  const auto name_in_small = lower(name);
  for (const auto* end : {".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".tlz4", ".zip", ".7z", ".cpio", ".gz",
                          ".bz2", ".xz", ".zst", ".zstd", ".lz4", ".lzma", ".bin"})
    if (name_in_small.ends_with(end)) return true;
  return false;
}

bool is_wanted(std::string_view name, listed wanted) {
  if (wanted == listed::everything) return kind_of_name(name) != name_kind::unusable;
  return is_snapshot_name(name) || name == "manifest.json" || is_chunk_index(name);
}

void join_chunk_indexes(std::vector<listed_file>& files, listed wanted) {
  std::map<std::string, std::string> indexes;  // of the archive of that name
  for (const auto& f : files)
    if (is_chunk_index(f.name) && f.size != 0U)
      indexes.emplace(f.name.substr(0, f.name.size() - chunk_index_suffix.size()), f.url);
  for (auto& f : files)
    if (const auto found = indexes.find(f.name); found != indexes.end() && f.chunks.empty()) f.chunks = found->second;
  if (wanted == listed::snapshots) std::erase_if(files, [](const listed_file& f) { return is_chunk_index(f.name); });
}

std::vector<listed_file> parse_html_listing(std::string_view html, std::string_view base, listed wanted) {
  std::vector<listed_file> out;
  std::unordered_set<std::string> seen;
  for (const auto& link : find_links(html)) {
    const auto encoded = direct_name(link.href, base);
    if (encoded.empty()) continue;
    listed_file file;
    file.name = percent_decode(encoded);
    if (!is_wanted(file.name, wanted)) continue;
    file.url = std::string(base) + std::string(encoded);
    file.size = link.size;
    file.time = link.time;
    file.time_exact = link.time_exact;
    if (file.size == 0U && wanted == listed::snapshots) continue;
    if (seen.insert(file.name).second) out.push_back(std::move(file));
  }
  return out;
}

base::result<std::vector<listed_file>> parse_json_listing(std::string_view text, std::string_view base,
                                                          listed wanted) {
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 16;
  const auto parsed = json::parse(text, failed, {}, options);
  if (failed) return base::error{"the listing is not JSON: " + failed.message()};
  const json::array* files = parsed.if_array();
  if (parsed.is_object()) {
    for (const auto* key : {"snapshots", "files"})
      if (const auto* found = parsed.get_object().if_contains(key); found != nullptr && files == nullptr)
        files = found->if_array();
  }
  if (files == nullptr) return base::error{"the listing is JSON without a list of \"snapshots\" or \"files\""};
  std::vector<listed_file> out;
  for (const auto& item : *files) {
    if (item.is_string()) {  // a list of nothing but names
      const auto* key = is_web(std::string_view(item.get_string())) ? "url" : "name";
      if (auto file = json_file({{key, item}}, base, wanted)) out.push_back(std::move(*file));
      continue;
    }
    if (!item.is_object()) continue;
    if (auto file = json_file(item.get_object(), base, wanted)) out.push_back(std::move(*file));
  }
  return out;
}

base::result<std::vector<listed_file>> parse_listing(std::string_view body, std::string_view base, listed wanted) {
  const auto first = body.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return base::error{"the listing is empty"};
  if (body[first] == '{' || body[first] == '[') return parse_json_listing(body.substr(first), base, wanted);
  return parse_html_listing(body, base, wanted);
}

std::optional<std::string> parse_digest(std::string_view text, digest_kind kind) {
  if (text.size() != hex_digits(kind)) return std::nullopt;
  std::string out;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    const char low = static_cast<char>(c | 0x20);
    if (!digit && (low < 'a' || low > 'f')) return std::nullopt;
    out += digit ? c : low;
  }
  return out;
}

std::optional<std::string> find_digest(std::string_view text, std::string_view name, bool single, digest_kind kind) {
  const auto digits = hex_digits(kind);
  std::optional<std::string> only;
  std::size_t lines = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.starts_with('\\')) line.remove_prefix(1);  // sha256sum's mark of an escaped name
    if (line.empty() || line[0] == '#') continue;
    ++lines;
    std::optional<std::string> digest;
    std::string_view named;
    if (const auto open = line.find(" ("), close = line.rfind(") = "); open < 12 && close != std::string_view::npos) {
      named = line.substr(open + 2, close - open - 2);
      digest = parse_digest(line.substr(close + 4), kind);
    } else {
      digest = parse_digest(line.substr(0, digits), kind);
      named = line.size() > digits ? line.substr(digits) : std::string_view{};
      if (!named.empty() && named[0] != ' ' && named[0] != '\t') continue;
      while (!named.empty() && (named[0] == ' ' || named[0] == '\t')) named.remove_prefix(1);
      if (named.starts_with('*')) named.remove_prefix(1);
    }
    if (!digest) continue;
    if (const auto slash = named.rfind('/'); slash != std::string_view::npos) named.remove_prefix(slash + 1);
    if (named == name) return digest;
    only = digest;
  }
  return single && lines == 1 ? only : std::nullopt;
}

}  // namespace hasup::snapshot
