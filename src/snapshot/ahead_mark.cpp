#include "snapshot/ahead_mark.hpp"

#include <boost/json.hpp>

namespace hasup::snapshot {
namespace {

namespace json = boost::json;

constexpr std::string_view file_name = "staging/ahead.json";

}  // namespace

std::string key_of(const ports::worker_job& job) {
  ports::worker_job key;
  key.mode = ports::worker_mode::unpack;
  key.data_dir = job.data_dir;
  key.chosen = job.chosen;
  if (key.chosen)
    for (auto& s : key.chosen->snapshots) s.mirrors.clear();  // wherever it comes from
  key.plan = job.plan;
  key.keep = job.keep;
  key.must_exist = job.must_exist;
  key.must_bring = job.must_bring;
  key.max_window = job.max_window;
  return ports::encode(key);
}

outcome<std::optional<ahead_mark>> read_ahead_mark(int own) {
  const std::optional<ahead_mark> none;
  auto found = look(own, file_name);
  if (!found) return found.error();
  if (!*found) return none;
  auto text = read_text(own, file_name);
  if (!text) return text.error();
  try {
    json::parse_options options;
    options.allow_invalid_utf8 = true;
    const auto v = json::parse(*text, {}, options);
    ahead_mark out;
    out.job = std::string(v.at("job").as_string());
    for (const auto& a : v.at("archives").as_array())
      out.archives.push_back({std::string(a.at("name").as_string()), std::string(a.at("sha256").as_string()),
                              a.at("size").to_number<std::uint64_t>(), a.at("inode").to_number<std::uint64_t>()});
    for (const auto& [name, was_there] : v.at("in_data").as_object())
      out.in_data[std::string(name)] = was_there.as_bool();
    for (const auto& [name, path] : v.at("archive_paths").as_object())
      out.archive_paths[std::string(name)] = std::string(path.as_string());
    for (const auto& note : v.at("notes").as_array()) out.notes.emplace_back(note.as_string());
    out.bytes = v.at("bytes").to_number<std::uint64_t>();
    return std::optional<ahead_mark>(std::move(out));
  } catch (const std::exception&) {
    return none;
  }
}

outcome<void> write_ahead_mark(int own, const disk& d, const ahead_mark& m) {
  json::array archives;
  for (const auto& a : m.archives)
    archives.push_back(json::object{{"name", a.name}, {"sha256", a.sha256}, {"size", a.size}, {"inode", a.inode}});
  json::object in_data;
  for (const auto& [name, was_there] : m.in_data) in_data[name] = was_there;
  json::object paths;
  for (const auto& [name, path] : m.archive_paths) paths[name] = path;
  json::array notes;
  for (const auto& note : m.notes) notes.emplace_back(note);
  return d.write_durably(own, file_name,
                         json::serialize(json::object{{"job", m.job},
                                                      {"archives", std::move(archives)},
                                                      {"in_data", std::move(in_data)},
                                                      {"archive_paths", std::move(paths)},
                                                      {"notes", std::move(notes)},
                                                      {"bytes", m.bytes}}));
}

outcome<void> remove_ahead_mark(int own, const disk& d) {
  auto removed = d.remove_if_there(own, file_name);
  if (!removed) return removed.error();
  return *removed ? d.sync_dir(own, "staging") : outcome<void>();
}

outcome<void> remove_ahead(int own, const disk& d, const std::function<bool()>& stop) {
  auto staging = look(own, "staging");
  if (!staging) return staging.error();
  if (!*staging) return {};
  if (auto removed = remove_ahead_mark(own, d); !removed) return removed;
  return d.remove_tree(own, "staging/ahead", stop);
}

}  // namespace hasup::snapshot
