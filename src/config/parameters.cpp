// [params] of presets and recipes: what may be given, and filling it into the rest of the file.
#include <algorithm>
#include <vector>

#include "base/joined.hpp"
#include "base/suggestion.hpp"
#include "config/probe_section.hpp"
#include "config/schema_check.hpp"
#include "config/section.hpp"
#include "config/variables.hpp"

namespace hasup::config {
namespace {

parameter read_parameter(const member& m, report& findings) {
  parameter p{m.key, scalar_text(m.content), ""};
  if (!m.content.is(value_type::table)) return p;
  bool required = false;
  for (const auto& field : m.content.members) {
    const auto& v = field.content;
    if (field.key == "default" && scalar_text(v)) {
      p.default_value = scalar_text(v);
    } else if (field.key == "required" && v.is(value_type::boolean)) {
      required = v.boolean;
    } else if (field.key == "help" && v.is(value_type::text)) {
      p.help = v.text;
    } else {
      findings.error(
          field.key_place,
          "a parameter has default, required (true or false) and help (a string), not this \"" + field.key + "\"");
    }
  }
  if (required) p.default_value.reset();
  return p;
}

void fill(value& v, const scope& in, report& findings) {
  if (v.broken) return;
  for (auto& item : v.items) fill(item, in, findings);
  for (auto& m : v.members) fill(m.content, in, findings);
  if (!v.is(value_type::text)) return;
  auto filled = expand(v.text, in);
  if (filled) {
    v.text = std::move(filled->text);
  } else {
    findings.error(place_of(v, filled.error().token), filled.error().message);
    v.broken = true;
  }
}

std::string listed(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return base::joined(names);
}

}  // namespace

std::string no_such_file(const std::string& what, const std::string& name, const std::string& folder,
                         const std::vector<std::string>& directories, const std::vector<std::string>& names) {
  std::string text = "no " + what + " \"" + name + "\": there is no ";
  if (directories.empty()) text += folder + name + ".toml";
  for (std::size_t i = 0; i < directories.size(); ++i)
    text += (i == 0 ? name + ".toml in " : i + 1 == directories.size() ? " or " : ", ") + directories[i];
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto near = base::nearest(name, known);
  if (!near.empty()) return text + "; did you mean \"" + std::string(near) + "\"?";
  return names.empty() ? text : text + "; there are " + listed(names);
}

std::map<std::string, parameter> read_parameters(const value& root, report& findings) {
  std::map<std::string, parameter> out;
  if (const auto* params = section(&root, findings).raw("params"))
    for (const auto& m : params->members)
      if (!m.content.broken) out.emplace(m.key, read_parameter(m, findings));
  return out;
}

void fill_parameters(value& root, const std::map<std::string, parameter>& offered,
                     const std::map<std::string, std::string>& given, const std::string& kept_prefix, const place& at,
                     const std::string& kind_and_name, report& findings) {
  scope in;
  in.placeholder_remedy = "; for a token in a header use header_file";
  for (const auto& [name, p] : offered) {
    const auto it = given.find(name);
    if (it == given.end() && !p.default_value)
      findings.error(at, kind_and_name + " needs \"" + name + "\"" + (p.help.empty() ? "" : ": " + p.help));
    in.names[name].value = it != given.end() ? it->second : p.default_value.value_or("");
  }
  for (auto& m : root.members) {
    if (m.key == "params") continue;
    in.kept_prefix = m.key == "first_start" || m.key == "import" ? kept_prefix : "";
    fill(m.content, in, findings);
  }
}

std::optional<preset_file> read_preset(const std::string& name, const place& at, const file_context& context,
                                       report& findings) {
  const auto files = context.presets(name);
  if (files.empty()) {
    findings.error(at,
                   no_such_file("preset", name, "recipes/probes/", context.preset_directories, context.preset_names));
    return std::nullopt;
  }
  auto root = parse_document(files[0].path, files[0].text, findings);
  if (!root) return std::nullopt;
  preset_file out{std::move(*root), {}};
  out.parameters = read_parameters(out.root, findings);
  return out;
}

}  // namespace hasup::config
