#include "cli/help_topic.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "cli/roff.hpp"
#include "config/schema.hpp"

namespace hasup::cli {
namespace {

using config::value_kind;

struct topic {
  std::string_view name, also, what, page;
  std::span<const config::key> (*keys)();
};
constexpr std::array<topic, 5> topics{
    {{"unit", "units", "units/NAME.toml is the unit NAME: a program that hasup keeps running.", "hasup-unit",
      config::unit_keys},
     {"upstreams", "upstreams",
      "upstreams/NAME.toml is a role that several servers can fill, for units that name it.", "hasup-upstream",
      config::upstream_keys},
     {"recipe", "recipes", "recipes/NAME.toml says how a kind of node fails and is restored.", "hasup-recipe",
      config::recipe_keys},
     {"preset", "presets", "recipes/probes/NAME.toml is a preset: what [startup], [readiness] or [liveness] ask.",
      "hasup-probe", config::preset_keys},
     {"hasup.toml", "config", "hasup.toml has the settings of hasupd.", "hasupd", config::daemon_keys}}};

bool is_table(const config::key& k) {
  return k.kind == value_kind::table || k.kind == value_kind::tables;
}

// "run.limits.nice" -> "run"
std::string_view first_part(std::string_view path) {
  return path.substr(0, path.find_first_of(".["));
}

// The three probes of a unit have the same keys: too many to stand in one page.
bool is_probe(std::string_view table) {
  return table == "startup" || table == "readiness" || table == "liveness";
}

std::string line_of(const config::key& k) {
  if (is_table(k)) {
    const auto heading = k.kind == value_kind::table ? "[" + k.path + "]" : "[[" + k.path + "]]";
    return "\n" + heading + "  " + k.help + "\n";
  }
  auto text = "  " + k.path + "  (" + type_of(k);
  if (!k.default_text.empty()) text += "; default " + k.default_text;
  return text + ")\n      " + k.help + "\n";
}

std::string keys_text(std::span<const config::key> keys, std::string_view part, bool unit) {
  std::string text;
  for (const auto& k : keys) {
    if (k.when == config::availability::not_yet) continue;
    const auto table = first_part(k.path);
    if (!part.empty() && table != part) continue;
    const bool inside_probe = unit && part.empty() && is_probe(table) && k.path != table;
    if (inside_probe) continue;
    text += line_of(k);
    if (unit && part.empty() && is_probe(table)) text += "  its keys: hasup help unit " + k.path + "\n";
  }
  return text;
}

}  // namespace

bool is_unit_table(std::string_view name) {
  const auto keys = config::unit_keys();
  return std::any_of(keys.begin(), keys.end(), [&](const config::key& k) {
    return k.path == name && k.when == config::availability::now && (is_table(k) || k.kind == value_kind::parameters);
  });
}

std::optional<std::string> help_topic(std::string_view name, std::string_view part) {
  const auto found =
      std::find_if(topics.begin(), topics.end(), [&](const topic& t) { return t.name == name || t.also == name; });
  if (found == topics.end())
    return part.empty() && is_unit_table(name) ? help_topic("unit", name) : std::optional<std::string>{};
  const auto keys = keys_text(found->keys(), part, found->name == "unit");
  if (keys.empty()) return std::nullopt;
  const auto* const section = found->page == "hasupd" ? "8" : "5";
  return std::string(found->what) + "\n`man " + section + " " + std::string(found->page) +
         "` explains it with examples; `hasup check` finds what is wrong.\n" + (keys.starts_with('\n') ? "" : "\n") +
         keys;
}

}  // namespace hasup::cli
