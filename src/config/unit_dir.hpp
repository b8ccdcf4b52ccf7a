// Reads the configuration from disk: the only place in config/ that does.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.hpp"
#include "base/enum_names.hpp"
#include "base/result.hpp"
#include "config/paths.hpp"
#include "config/unit_file.hpp"
#include "model/health_group.hpp"
#include "model/probe.hpp"
#include "model/recipe.hpp"

namespace hasup::config {

// Which units come up after a reboot.
enum class boot_start { enabled, as_before };
inline constexpr base::enum_names<boot_start, 2> boot_start_names{
    {{{boot_start::enabled, "enabled"}, {boot_start::as_before, "as_before"}}}};

// hasup.toml
struct daemon_settings {
  std::string log_level = "info";  // trace | debug | info | warning | error
  boot_start start_at_boot = boot_start::enabled;
  std::string cgroup_root;  // "" = hasup-nodes.scope where there is one; "off"
  std::optional<model::tcp_endpoint> http;
  std::vector<model::health_group> health;
};

struct loaded {
  std::map<std::string, unit_entry> units;  // also the broken ones, with valid == false
  daemon_settings settings;
  base::diagnostics problems;  // all of them, by file and line
};

// Why a file is not to be read, though it could be; "" = it is.
using file_check = std::function<std::string(const std::string& path)>;

// All of the config directory. A broken file makes its own units invalid and no other, one that `refused` says
// something about likewise. `instances`: counts by hand, over those of the files.
loaded load(const directories& dirs, const std::map<std::string, unsigned>& instances = {},
            const file_check& refused = {});

// hasup check PATH…: only these files, and all files of these directories. What they refer to is looked for beside
// them first, then in `dirs`. Problems of other files are not reported.
loaded load_files(const std::vector<std::string>& paths, const directories& dirs);

// A unit file that came with hasup, for a site to copy: share/hasup/units/FOLDER/NAME.toml.
struct shipped_unit {
  std::string name;  // "FOLDER/NAME"; "NAME" where it stands in no folder
  std::string path;
  std::string text;
};

// By name; the first share directory wins. What cannot be read is left out.
std::vector<shipped_unit> shipped_units(const directories& dirs);

// hasup probe PRESET key=value…
base::result<model::probe> resolve_preset(const std::string& name, const std::map<std::string, std::string>& params,
                                          const directories& dirs);

// hasup classify RECIPE
base::result<model::recipe> resolve_recipe(const std::string& name, const std::map<std::string, std::string>& params,
                                           const directories& dirs);

}  // namespace hasup::config
