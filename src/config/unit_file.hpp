// A unit file as text -> resolved units. Pure: what other files it needs come through `file_context`.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.hpp"
#include "model/recipe.hpp"
#include "model/unit.hpp"

namespace hasup::config {

struct source_file {
  std::string path;  // as messages show it
  std::string text;
};

struct one_variant {
  unsigned instance = 0;
  std::map<std::string, std::string> endpoints;  // by role
};

// The other files that a unit refers to. Each returns the candidates in order of precedence (the config directory
// first, then shipped ones); empty = there is none.
struct file_context {
  using lookup = std::function<std::vector<source_file>(std::string_view name)>;
  lookup units;      // extends
  lookup presets;    // recipes/probes/NAME.toml
  lookup recipes;    // recipes/NAME.toml
  lookup upstreams;  // upstreams/NAME.toml
  // All names there are, for suggestions.
  std::vector<std::string> preset_names;
  std::vector<std::string> recipe_names;
  std::vector<std::string> upstream_names;
  // Where was looked, for messages.
  std::vector<std::string> preset_directories;
  std::vector<std::string> recipe_directories;
  std::vector<std::string> upstream_directories;
  std::function<bool(const std::string&)> is_time_zone;  // empty: nobody asks
  bool root = false;                                     // the daemon's own user is root
  std::map<std::string, unsigned> instances;             // counts by hand (`hasup scale`), over run.instances
  model::address_book addresses{};                       // known ones of DNS names
  // Set: nothing else of the unit is made. A role that has no such endpoint gives its first one.
  std::optional<one_variant> only{};
};

struct unit_entry {
  std::string name;
  std::string file;
  bool valid = false;                   // it can be run
  std::vector<model::unit> instances;   // one per instance, resolved; empty when not valid
  unsigned instances_in_file = 1;       // run.instances, whatever was set by hand
  std::optional<model::recipe> recipe;  // with the unit's parameters filled in
  // Merged with what it extends, variables filled in, presets and recipe by name, with the upstreams that it uses.
  // Parses again to the same unit, and never holds the value of a secret: placeholders stay.
  std::string effective_toml;
  base::diagnostics problems;
};

// What one unit file says by itself. Whether the units it requires exist, loops and shared data directories are found
// where all units are known (unit_dir.hpp).
unit_entry parse_unit_text(const std::string& name, const std::string& file, std::string_view text,
                           const file_context& context);

}  // namespace hasup::config
