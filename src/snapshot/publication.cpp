#include "snapshot/publication.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/time_text.hpp"
#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

namespace json = boost::json;

// The rows of a manifest: an array, or an object's "snapshots" or "files".
json::array* rows_of(json::value& manifest) {
  if (auto* array = manifest.if_array()) return array;
  auto* object = manifest.if_object();
  if (object == nullptr) return nullptr;
  for (const auto* key : {"snapshots", "files"})
    if (auto* found = object->if_contains(key); found != nullptr && found->is_array()) return &found->get_array();
  return nullptr;
}

base::result<json::value> parse(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return json::value(json::object{{"snapshots", json::array{}}});
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 32;
  auto parsed = json::parse(text, failed, {}, options);
  if (failed || rows_of(parsed) == nullptr)
    return base::error{"manifest.json is no list of snapshots; correct it, or move it away"};
  return parsed;
}

bool is_row(const json::value& row, std::string_view name) {
  if (!row.is_object()) return false;
  const auto* found = row.get_object().if_contains("name");
  return found != nullptr && found->is_string() && found->get_string() == name;
}

json::object object_of(const manifest_row& row) {
  json::object out{
      {"name", row.name}, {"size", row.size}, {"sha256", row.sha256}, {"time", base::format_time(row.time)}};
  if (row.block) out["block"] = *row.block;
  if (!row.chain_id.empty()) out["chain_id"] = row.chain_id;
  if (!row.node_version.empty()) out["node_version"] = row.node_version;
  if (!row.set.empty()) out["set"] = row.set;
  if (row.unpacked > 0) out["unpacked_size"] = row.unpacked;
  if (!row.chunks.empty()) out["chunks"] = row.chunks;
  return out;
}

// In the place of one of the same name, or after the last.
void put_row(json::array& rows, std::string_view name, json::value row) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return is_row(r, name); });
  if (found == rows.end())
    rows.push_back(std::move(row));
  else
    *found = std::move(row);
}

// One row a line: a person and a diff can read it.
std::string text_of(const json::value& manifest) {
  const auto list = [](const json::array& rows, const std::string& indent) {
    std::string out = "[";
    for (const auto& row : rows) out += (out.size() > 1 ? ",\n" : "\n") + indent + "  " + json::serialize(row);
    return out + (rows.empty() ? "]" : "\n" + indent + "]");
  };
  if (manifest.is_array()) return list(manifest.get_array(), "") + "\n";
  std::string out = "{";
  for (const auto& [key, value] : manifest.get_object()) {
    out += out.size() > 1 ? ",\n  " : "\n  ";
    out += json::serialize(json::value(key)) + ": ";
    out += value.is_array() ? list(value.get_array(), "  ") : json::serialize(value);
  }
  return out + "\n}\n";
}

}  // namespace

std::vector<side_file> side_files_of(const ports::worker_result& made, std::string index) {
  std::vector<side_file> out;
  if (!made.chunks.empty()) out.push_back({made.chunks, std::move(index)});
  if (!made.signature.empty()) out.push_back({made.name + ".minisig", made.signature});
  out.push_back({made.name + ".sha256", made.sha256.at(0) + "  " + made.name + "\n"});
  return out;
}

std::vector<std::string> stale_side_files(const ports::worker_result& made) {
  std::vector<std::string> out;
  for (const auto* end : {".sha256sum", ".sha512", ".sha512sum", ".b2", ".b2sum", ".md5", ".md5sum"})
    out.push_back(made.name + end);
  if (made.signature.empty()) out.push_back(made.name + ".minisig");
  if (made.chunks.empty()) out.push_back(made.name + std::string(chunk_index_suffix));
  return out;
}

std::vector<std::string> texts_to_keep(const std::vector<side_file>& beside, const std::vector<std::string>& stale) {
  std::vector<std::string> out{std::string(manifest_name)};
  for (const auto& side : beside) out.push_back(side.name);
  out.insert(out.end(), stale.begin(), stale.end());
  std::erase_if(out, [](const std::string& name) { return name.ends_with(chunk_index_suffix); });
  return out;
}

manifest_row row_of(const ports::create_order& order, const ports::worker_result& made, base::wall_time time) {
  return {made.name,      made.bytes,         made.sha256.at(0), time,         order.block,
          order.chain_id, order.node_version, made.chunks,       made.content, order.set};
}

base::result<std::string> manifest_with(std::string_view text, const manifest_row& row) {
  auto manifest = parse(text);
  if (!manifest) return manifest.error();
  put_row(*rows_of(*manifest), row.name, object_of(row));
  return base::success(text_of(*manifest));
}

base::result<std::optional<std::string>> manifest_as_before(std::string_view text, std::string_view before,
                                                            std::string_view name) {
  auto then = parse(before);
  if (!then) return then.error();
  const auto& rows = *rows_of(*then);
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return is_row(r, name); });
  if (found == rows.end()) return manifest_without(text, name);
  auto manifest = parse(text);
  if (!manifest) return manifest.error();
  put_row(*rows_of(*manifest), name, *found);
  return std::optional<std::string>(text_of(*manifest));
}

base::result<std::optional<std::string>> manifest_without(std::string_view text, std::string_view name) {
  auto manifest = parse(text);
  if (!manifest) return manifest.error();
  auto& rows = *rows_of(*manifest);
  const auto before = rows.size();
  rows.erase(std::remove_if(rows.begin(), rows.end(), [&](const auto& r) { return is_row(r, name); }), rows.end());
  if (rows.size() == before) return std::optional<std::string>{};
  return std::optional<std::string>(text_of(*manifest));
}

std::string name_problem(std::string_view name) {
  switch (kind_of_name(name)) {
    case name_kind::snapshot:
      return name.size() > 180 ? "it is longer than 180 bytes" : "";
    case name_kind::unfinished:
      return "it is that of a file which is still being written";
    case name_kind::beside:
      return "it is that of a file which stands beside snapshots";
    case name_kind::unusable:
      return "it is no plain file name of at most 180 bytes";
  }
  return {};
}

}  // namespace hasup::snapshot
