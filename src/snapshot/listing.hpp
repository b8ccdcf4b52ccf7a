// What a source says it has: HTML and JSON listings of nginx, Apache, Caddy, python's http.server, and JSON indexes
// such as manifest.json. Pure: text in, files out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "snapshot/digest_kind.hpp"

namespace hasup::snapshot {

struct listed_file {
  std::string name;                     // decoded, no slash
  std::string url;                      // absolute
  std::optional<std::uint64_t> size;    // exact bytes, or nothing: rounded sizes are left out
  std::optional<base::wall_time> time;  // of last modification
  bool time_exact = false;              // to the second and in UTC
  std::string sha256;                   // lower-case hex, from an index, or unreadable_digest
  std::string chunks{};                 // URL of the index of its chunks; ""

  // From an index too: what hasup snapshot create writes.
  std::optional<std::uint64_t> block{};
  std::string chain_id{};
  std::string node_version{};
  std::string set{};                        // see model::snapshot
  std::optional<std::uint64_t> unpacked{};  // bytes that it takes unpacked

  std::string sha256_by{};  // see model::snapshot
  std::string sha256_else{};
  std::string beside{};  // see model::snapshot

  bool size_announced = false;  // by an index, which is held to it, whatever the host says now

  std::map<digest_kind, std::string> other_digests{};  // but sha256, which an index says too; lower-case hex
  std::string other_digests_by{};                      // who says them

  friend bool operator==(const listed_file&, const listed_file&) = default;
};

// In the place of a digest that an index announces in a way that is none: the file is not one without a checksum.
inline constexpr std::string_view unreadable_digest = "unreadable";

// What a person wants to be told of is more than what could be restored.
enum class listed { snapshots, everything };

// `base` is the absolute URL of the directory, ending in "/". Only files directly in it are returned; directories are
// left out, and unless everything is wanted also unfinished uploads (.part, .tmp, .pending-*, .incomplete-*), side
// files (.sha256 …; but not indexes of chunks, which join_chunk_indexes() wants) and empty files. HTML without a
// single link to a file is an empty list, not an error.
std::vector<listed_file> parse_html_listing(std::string_view html, std::string_view base,
                                            listed wanted = listed::snapshots);

// An array of files, or an object with "snapshots" or "files": each is a name or an address, or has "name" or
// "filename", or only "url" (absolute, or relative to `base`), and may have "size", "sha256", "sha512", "blake2b",
// "md5" (hex digits, with or without "sha256:" before them), "chunks" (the name of the index of its chunks), "block",
// "chain_id", "node_version", "set" and "time", "mtime" or "mod_time" (RFC 3339, RFC 1123 or seconds since 1970).
base::result<std::vector<listed_file>> parse_json_listing(std::string_view json, std::string_view base,
                                                          listed wanted = listed::snapshots);

// Whether such a chain_id, node_version or set of a manifest is read: at most 128 bytes, none of them a control
// character.
bool is_manifest_word(std::string_view text);

// HTML or JSON by its first character.
base::result<std::vector<listed_file>> parse_listing(std::string_view body, std::string_view base,
                                                     listed wanted = listed::snapshots);

// Each file gets the index that stands beside it; the indexes go, unless everything is wanted. For the whole list: a
// listing comes in pages.
void join_chunk_indexes(std::vector<listed_file>& files, listed wanted = listed::snapshots);

enum class name_kind { snapshot, unfinished, beside, unusable };  // beside: side files, indexes, notes of hasup's own
name_kind kind_of_name(std::string_view name);

// Whether such a file is listed at all.
bool is_wanted(std::string_view name, listed wanted);

// Whether a name is one that could be a snapshot: no directory, unfinished upload or side file.
bool is_snapshot_name(std::string_view name);

// A name with the ending of an archive, of compression, or of a nodeos snapshot (.bin), in capitals or not.
bool has_archive_ending(std::string_view name);

// The digest for `name` in a side file: a bare digest, or lines "DIGEST  NAME" as sha256sum writes them, or BSD's
// "SHA256 (NAME) = DIGEST". Lines with digests of another length are passed over. `single` = the side file is
// NAME.sha256, so another or no name on its only line is fine.
std::optional<std::string> find_digest(std::string_view text, std::string_view name, bool single,
                                       digest_kind kind = digest_kind::sha256);

// So many hex digits as the kind has -> lower case
std::optional<std::string> parse_digest(std::string_view text, digest_kind kind = digest_kind::sha256);

std::string percent_decode(std::string_view text);
std::string percent_encode(std::string_view name);  // all but letters, digits and -._~
// "file:///dir/x" or "/dir/x" -> the decoded path; nothing for other URLs.
std::optional<std::string> file_source_path(std::string_view source);
std::string without_password(std::string_view url);                     // for messages: model::shown_url
std::optional<base::wall_time> parse_http_time(std::string_view text);  // "Sat, 21 Nov 2026 01:02:03 GMT"

}  // namespace hasup::snapshot
