#include "snapshot/staged.hpp"

#include <boost/json.hpp>

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
    return std::optional<staged>{std::move(out)};
  } catch (const std::exception&) {
    return std::optional<staged>{};  // not whole, so not staged
  }
}

outcome<void> write_staged(int own, const disk& d, const staged& s) {
  boost::json::object paths;
  for (const auto& [name, path] : s.archive_paths) paths[name] = path;
  return d.write_durably(
      own, file_name,
      boost::json::serialize(boost::json::object{{"plan", s.plan}, {"archive_paths", std::move(paths)}}));
}

}  // namespace hasup::snapshot
