#include "snapshot/swap_record.hpp"

#include <fcntl.h>

#include "snapshot/identity_json.hpp"

namespace hasup::snapshot {
namespace {

namespace json = boost::json;

constexpr std::string_view file_name = "swap.json";
constexpr int version = 1;
// A hasup that knows nothing of these must leave them alone.
constexpr int version_of_wiped = 2;
constexpr int version_of_clones = 3;
constexpr int version_of_volumes = 4;  // whatever else it holds

int version_of(const swap_record& record) {
  if (!record.volumes.empty()) return version_of_volumes;
  if (record.wiped) return version_of_wiped;
  return record.shared_as == shared_fate::stays ? version : version_of_clones;
}

json::array texts_json(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& t : texts) out.emplace_back(t);
  return out;
}

std::vector<std::string> texts_from(const json::value& v) {
  std::vector<std::string> out;
  for (const auto& item : v.as_array()) out.emplace_back(item.as_string());
  return out;
}

json::array entries_json(const std::vector<swap_entry>& all) {
  json::array entries;
  for (const auto& e : all)
    entries.push_back(
        json::object{{"path", e.path}, {"old", identity_json(e.old_entry)}, {"new", identity_json(e.new_entry)}});
  return entries;
}

std::vector<swap_entry> entries_from(const json::value& v) {
  std::vector<swap_entry> out;
  for (const auto& e : v.as_array()) {
    swap_entry entry{std::string(e.at("path").as_string()), identity_from(e.at("old")), identity_from(e.at("new"))};
    if (!is_plain_relative(entry.path)) throw std::invalid_argument("bad path \"" + entry.path + "\"");
    out.push_back(std::move(entry));
  }
  return out;
}

void read_clones(const json::value& parsed, swap_record& out) {
  const auto fate = shared_fate_names.parse(std::string_view(parsed.at("shared_as").as_string()));
  if (!fate) throw std::invalid_argument("unknown fate of shared entries");
  out.shared_as = *fate;
  out.clones = entries_from(parsed.at("clones"));
  for (const auto& e : out.clones)
    if (!e.new_entry) throw std::invalid_argument("a clone without an identity");
}

}  // namespace

json::value identity_json(const std::optional<identity>& id) {
  if (!id) return nullptr;
  return json::object{{"inode", id->inode}, {"born_s", id->born_s}, {"born_ns", id->born_ns}};
}

std::optional<identity> identity_from(const json::value& v) {
  if (v.is_null()) return std::nullopt;
  return identity{v.at("inode").to_number<std::uint64_t>(), v.at("born_s").to_number<std::int64_t>(),
                  v.at("born_ns").to_number<std::uint32_t>()};
}

json::array volumes_json(const std::vector<swap_volume>& all) {
  json::array volumes;
  for (const auto& v : all)
    volumes.push_back(json::object{{"path", v.path}, {"id", v.id}, {"deleted_bytes", v.deleted_bytes}});
  return volumes;
}

std::vector<swap_volume> volumes_from(const json::value& v) {
  std::vector<swap_volume> out;
  for (const auto& one : v.as_array()) {
    swap_volume volume{std::string(one.at("path").as_string()), std::string(one.at("id").as_string()),
                       one.at("deleted_bytes").to_number<std::uint64_t>()};
    if (volume.id.empty() || !is_plain_relative(volume.path))
      throw std::invalid_argument("bad volume \"" + volume.path + "\"");
    out.push_back(std::move(volume));
  }
  return out;
}

std::string encode(const swap_record& record) {
  json::object out{{"version", version_of(record)},
                   {"phase", swap_phase_names.text(record.phase)},
                   {"plan", record.plan},
                   {"wipe", texts_json(record.wipe)},
                   {"keep", texts_json(record.keep)},
                   {"shared", texts_json(record.shared)},
                   {"made_dirs", texts_json(record.made_dirs)},
                   {"entries", entries_json(record.entries)}};
  if (record.wiped) out["deleted"] = entries_json(record.deleted);
  if (record.wiped) out["deleted_bytes"] = record.deleted_bytes;
  if (!record.kept.empty()) out["kept"] = texts_json(record.kept);
  if (!record.not_cloned.empty()) out["not_cloned"] = record.not_cloned;
  if (record.shared_as != shared_fate::stays && !record.wiped) {
    out["shared_as"] = shared_fate_names.text(record.shared_as);
    out["clones"] = entries_json(record.clones);
  }
  if (!record.volumes.empty()) out["volumes"] = volumes_json(record.volumes);
  return json::serialize(out);
}

base::result<swap_record> decode_swap_record(std::string_view text) {
  // Written as a whole and by this program alone, so anything unexpected is damage: one message for all of it.
  try {
    json::parse_options options;
    options.allow_invalid_utf8 = true;  // file names are bytes
    const auto parsed = json::parse(text, {}, options);
    const auto written_as = parsed.at("version").as_int64();
    if (written_as < version || written_as > version_of_volumes)
      return base::error{"it was written by another version of hasup"};
    swap_record out;
    out.wiped = written_as == version_of_wiped || parsed.as_object().contains("deleted");
    const auto phase = swap_phase_names.parse(std::string_view(parsed.at("phase").as_string()));
    if (!phase) return base::error{"unknown phase"};
    out.phase = *phase;
    out.plan = std::string(parsed.at("plan").as_string());
    out.wipe = texts_from(parsed.at("wipe"));
    out.keep = texts_from(parsed.at("keep"));
    out.shared = texts_from(parsed.at("shared"));
    out.made_dirs = texts_from(parsed.at("made_dirs"));
    out.entries = entries_from(parsed.at("entries"));
    if (out.wiped) out.deleted = entries_from(parsed.at("deleted"));
    if (out.wiped) out.deleted_bytes = parsed.at("deleted_bytes").to_number<std::uint64_t>();
    if (const auto* kept = parsed.as_object().if_contains("kept")) out.kept = texts_from(*kept);
    if (const auto* why = parsed.as_object().if_contains("not_cloned"))
      out.not_cloned = std::string(why->as_string());
    if (written_as == version_of_clones || parsed.as_object().contains("clones")) read_clones(parsed, out);
    if (const auto* volumes = parsed.as_object().if_contains("volumes")) out.volumes = volumes_from(*volumes);
    if (out.phase == swap_phase::wiped && !out.wiped) return base::error{"unknown phase"};
    return out;
  } catch (const std::exception& e) {
    return base::error{e.what()};
  }
}

outcome<std::optional<swap_record>> read_swap_record(int own) {
  auto found = look(own, file_name);
  if (!found) return found.error();
  if (!*found) return std::optional<swap_record>{};
  auto text = read_text(own, file_name);
  if (!text) return text.error();
  auto record = decode_swap_record(*text);
  if (!record)
    return failure{ports::worker_failure::internal, ".hasup/swap.json cannot be read (" + record.error().message +
                                                        "); the old entries are in .hasup/aside: a person must look"};
  return std::optional<swap_record>{std::move(*record)};
}

std::optional<swap_record> swap_record_below(int data_dir) {
  const auto own = open_beneath(data_dir, ".hasup", O_RDONLY | O_DIRECTORY);
  auto record = own ? read_swap_record(own->get()) : outcome<std::optional<swap_record>>(std::nullopt);
  return record ? std::move(*record) : std::nullopt;
}

outcome<void> write_swap_record(int own, const disk& d, const swap_record& record) {
  return d.write_durably(own, file_name, encode(record));
}

}  // namespace hasup::snapshot
