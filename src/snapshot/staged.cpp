#include "snapshot/staged.hpp"

#include "snapshot/identity_json.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::string_view file_name = "staging/staged.json";

}  // namespace

outcome<std::optional<staged>> read_staged(int own) {
  auto found = look(own, file_name);
  if (!found) return found.error();
  if (!*found) return std::optional<staged>{};
  auto text = read_text(own, file_name);
  if (!text) return text.error();
  try {
    boost::json::parse_options options;
    options.allow_invalid_utf8 = true;
    const auto parsed = boost::json::parse(*text, {}, options);
    staged out;
    out.plan = std::string(parsed.at("plan").as_string());
    for (const auto& [name, path] : parsed.at("archive_paths").as_object())
      out.archive_paths[std::string(name)] = std::string(path.as_string());
    if (const auto* volumes = parsed.as_object().if_contains("volumes")) {
      out.volumes = volumes_from(*volumes);
      for (const auto& [path, id] : parsed.at("carried").as_object())
        out.carried[std::string(path)] = identity_from(id).value();
    }
    return std::optional<staged>{std::move(out)};
  } catch (const std::exception&) {
    return std::optional<staged>{};  // not whole, so not staged
  }
}

outcome<void> write_staged(int own, const disk& d, const staged& s) {
  boost::json::object paths;
  for (const auto& [name, path] : s.archive_paths) paths[name] = path;
  boost::json::object all{{"plan", s.plan}, {"archive_paths", std::move(paths)}};
  if (!s.volumes.empty()) {
    boost::json::object carried;
    for (const auto& [path, id] : s.carried) carried[path] = identity_json(id);
    all["volumes"] = volumes_json(s.volumes);
    all["carried"] = std::move(carried);
  }
  return d.write_durably(own, file_name, boost::json::serialize(all));
}

}  // namespace hasup::snapshot
