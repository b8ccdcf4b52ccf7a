#include "config/unit_dir.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <tuple>

#include "config/daemon_file.hpp"
#include "config/link.hpp"
#include "config/parsed_unit.hpp"
#include "config/probe_section.hpp"
#include "config/recipe_file.hpp"
#include "config/upstream_file.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

namespace fs = std::filesystem;
constexpr std::uintmax_t largest_file = 1 << 20;

base::result<std::string> read_text(const std::string& path, const file_check& refused = {}) {
  if (refused)
    if (auto why = refused(path); !why.empty()) return base::error{std::move(why), EPERM};
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (!fs::exists(status)) return base::error{"no such file or directory", ENOENT};
  if (!fs::is_regular_file(status)) return base::error{"not a file"};
  if (fs::file_size(path, ec) > largest_file) return base::error{"larger than 1 MiB: this is no configuration file"};
  std::ifstream in(path, std::ios::binary);
  if (!in) return base::errno_error("cannot read it");
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (in.bad()) return base::error{"cannot read it"};
  return {boost::system::in_place_value, std::move(text)};
}

// *.toml of a directory by name; none when it is not there.
std::vector<std::string> toml_files(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code ec;
  for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) {
    const auto name = it->path().filename().string();
    if (name.ends_with(".toml") && !name.starts_with('.')) out.push_back(it->path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Its folders by name, and no folders of those.
std::vector<std::string> folders(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code ec;
  for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->path().filename().string().starts_with('.'))
      out.push_back(it->path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string stem(const std::string& path) {
  return fs::path(path).stem().string();
}
std::string folder_name(const std::string& path) {
  return fs::path(path).parent_path().filename().string();
}

base::diagnostic whole_file(const std::string& file, std::string message) {
  base::diagnostic d;
  d.file = file;
  d.message = std::move(message);
  return d;
}

// Without tzdata nobody can tell: the clock of [schedule] says so when it comes to it.
bool is_time_zone(const std::string& name) {
  static const std::string all = "/usr/share/zoneinfo/";
  std::error_code ec;
  if (name == "local" || name == "UTC" || !fs::is_directory(all, ec)) return true;
  if (name.empty() || name.starts_with('/') || name.find("..") != std::string::npos) return false;
  std::ifstream in(all + name, std::ios::binary);
  char magic[4] = {};
  return fs::is_regular_file(all + name, ec) && in.read(magic, sizeof magic) &&
         std::string_view(magic, sizeof magic) == "TZif";
}

// Where the files are that others refer to. Earlier directories win.
class library {
 public:
  void add_root(const std::string& root) {
    units_.push_back(root + "/units");
    recipes_.push_back(root + "/recipes");
    presets_.push_back(root + "/recipes/probes");
    upstreams_.push_back(root + "/upstreams");
  }
  // What comes with hasup stands in folders, and is extended without them.
  void add_share(const std::string& root) {
    add_root(root);
    for (auto& folder : folders(root + "/units")) units_.push_back(std::move(folder));
  }
  void add_units(const std::string& directory) { units_.push_back(directory); }
  void refuse(file_check refused) { refused_ = std::move(refused); }
  [[nodiscard]] const file_check& refused() const { return refused_; }

  [[nodiscard]] file_context context() const {
    file_context c;
    c.units = in(units_);
    c.recipes = in(recipes_);
    c.presets = in(presets_);
    c.upstreams = in(upstreams_);
    c.recipe_names = names(recipes_);
    c.preset_names = names(presets_);
    c.upstream_names = names(upstreams_);
    c.recipe_directories = recipes_;
    c.preset_directories = presets_;
    c.upstream_directories = upstreams_;
    c.is_time_zone = is_time_zone;
    c.root = ::geteuid() == 0;
    return c;
  }

 private:
  [[nodiscard]] file_context::lookup in(const std::vector<std::string>& directories) const {
    return [directories, refused = refused_](std::string_view name) {
      std::vector<source_file> out;
      for (const auto& d : directories) {
        const auto path = d + "/" + std::string(name) + ".toml";
        const auto same = [&](const source_file& f) { return f.path == path; };
        if (std::any_of(out.begin(), out.end(), same)) continue;
        if (auto text = read_text(path, refused)) out.push_back({path, std::move(*text)});
      }
      return out;
    };
  }

  static std::vector<std::string> names(const std::vector<std::string>& directories) {
    std::vector<std::string> out;
    for (const auto& d : directories)
      for (const auto& f : toml_files(d)) out.push_back(stem(f));
    return out;
  }

  std::vector<std::string> units_, recipes_, presets_, upstreams_;
  file_check refused_;
};

// The files to read, by what they are.
struct file_set {
  std::vector<std::string> units, recipes, presets, upstreams, daemon, later;
  std::vector<base::diagnostic> problems;

  void add_all(const std::string& config) {
    const auto append = [](std::vector<std::string>& to, const std::vector<std::string>& more) {
      to.insert(to.end(), more.begin(), more.end());
    };
    std::error_code ec;
    if (const auto main = config + "/hasup.toml"; fs::exists(main, ec)) daemon.push_back(main);
    append(units, toml_files(config + "/units"));
    append(recipes, toml_files(config + "/recipes"));
    append(presets, toml_files(config + "/recipes/probes"));
    append(upstreams, toml_files(config + "/upstreams"));
    append(later, toml_files(config + "/backups"));
  }

  void add_file(const std::string& path) {
    const auto folder = folder_name(path);
    if (fs::path(path).filename() == "hasup.toml")
      daemon.push_back(path);
    else if (folder == "probes")
      presets.push_back(path);
    else if (folder == "recipes")
      recipes.push_back(path);
    else if (folder == "upstreams")
      upstreams.push_back(path);
    else if (folder == "backups")
      later.push_back(path);
    else
      units.push_back(path);
  }
};

// A recipe or preset that no unit may use yet: checked with its own defaults.
void check_unused(const std::string& path, bool is_recipe, const file_check& refused, report& findings) {
  auto text = read_text(path, refused);
  if (!text) return findings.add(whole_file(path, text.error().message));
  file_context only;
  only.recipes = only.presets = [&](std::string_view) { return std::vector<source_file>{{path, *text}}; };
  const auto complete = [](const auto& file) {
    return std::all_of(file.parameters.begin(), file.parameters.end(),
                       [](const auto& p) { return p.second.default_value.has_value(); });
  };
  const auto name = stem(path);
  if (is_recipe) {
    auto file = read_recipe(name, {}, only, findings);
    if (file && complete(*file)) apply_recipe(name, std::move(*file), {}, {}, findings);
  } else {
    auto file = read_preset(name, {}, only, findings);
    if (file && complete(*file)) apply_preset(name, std::move(*file), {}, nullptr, {}, findings);
  }
}

// Also of one that no unit uses yet.
void check_upstream(const std::string& path, const file_context& context, const file_check& refused,
                    report& findings) {
  const auto name = stem(path);
  if (!model::is_unit_name(name))
    return findings.add(
        whole_file(path, "\"" + name + "\" is no name of an upstream; its file is named [a-z0-9][a-z0-9._-]*.toml"));
  auto text = read_text(path, refused);
  if (!text) return findings.add(whole_file(path, text.error().message));
  if (auto root = parse_document(path, *text, findings)) read_upstream(name, std::move(*root), context, findings);
}

std::vector<parsed_unit> read_units(const std::vector<std::string>& files, const file_context& context,
                                    const file_check& refused) {
  std::vector<parsed_unit> out;
  for (const auto& path : files) {
    const auto name = stem(path);
    auto text = read_text(path, refused);
    auto unit = text ? parse_unit(name, path, *text, context) : parsed_unit{};
    if (!text) {
      unit.entry.name = name;
      unit.entry.file = path;
      unit.findings.add(whole_file(path, text.error().message));
    }
    out.push_back(std::move(unit));
  }
  return out;
}

// One directory may have two names.
void resolve_links(std::vector<parsed_unit>& units) {
  for (auto& u : units)
    for (auto& d : u.data) {
      std::error_code ec;
      d.real = fs::weakly_canonical(d.path, ec).string();
      if (ec) d.real = d.path;
    }
}

// A file without a command that another one extends is no unit.
void drop_templates(std::vector<parsed_unit>& units) {
  std::set<std::string> extended;
  for (const auto& u : units) extended.insert(u.extended.begin(), u.extended.end());
  std::erase_if(units, [&](const parsed_unit& u) { return u.no_command.source && extended.contains(u.entry.file); });
  for (auto& u : units) report_no_command(u);
}

void drop_duplicates(std::vector<parsed_unit>& units, report& findings) {
  std::map<std::string, std::string> first;
  std::erase_if(units, [&](const parsed_unit& u) {
    const auto [it, fresh] = first.emplace(u.entry.name, u.entry.file);
    if (!fresh)
      findings.add(whole_file(u.entry.file, "unit \"" + u.entry.name + "\" stands in " + it->second + " already"));
    return !fresh;
  });
}

known_units known_to_the_daemon(const std::map<std::string, unit_entry>& units,
                                const std::set<std::string>& also_known) {
  known_units known;
  for (const auto& name : also_known) known[name];
  for (const auto& [name, entry] : units)
    known[name] = entry.valid ? std::optional(static_cast<unsigned>(entry.instances.size())) : std::nullopt;
  return known;
}

loaded read_all(const file_set& files, const library& from, const std::set<std::string>& also_known,
                const std::map<std::string, unsigned>& instances = {}) {
  auto context = from.context();
  context.instances = instances;
  loaded out;
  report others;
  for (const auto& d : files.problems) others.add(d);
  for (const auto& path : files.later)
    others.add(whole_file(path, "files in " + folder_name(path) + "/ are not available in this version yet"));
  auto units = read_units(files.units, context, from.refused());
  drop_templates(units);
  drop_duplicates(units, others);
  resolve_links(units);
  link_units(units, also_known);
  for (auto& u : units) {
    auto entry = finish(std::move(u));
    for (const auto& d : entry.problems) others.add(d);
    if (model::is_unit_name(entry.name)) out.units.emplace(entry.name, std::move(entry));
  }
  if (!files.daemon.empty()) {
    const auto known = known_to_the_daemon(out.units, also_known);
    for (const auto& path : files.daemon) {
      auto text = read_text(path);
      if (text)
        out.settings = parse_daemon_text(path, *text, known, others);
      else
        others.add(whole_file(path, text.error().message));
    }
  }
  for (const auto& path : files.upstreams) check_upstream(path, context, from.refused(), others);
  for (const auto& path : files.recipes) check_unused(path, true, from.refused(), others);
  for (const auto& path : files.presets) check_unused(path, false, from.refused(), others);
  out.problems = others.take();
  std::stable_sort(out.problems.begin(), out.problems.end(), [](const auto& a, const auto& b) {
    return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
  });
  return out;
}

library usual_library(const directories& dirs) {
  library lib;
  lib.add_root(dirs.config);
  for (const auto& share : dirs.share) lib.add_share(share);
  return lib;
}

void add_path(const std::string& path, file_set& files, library& beside, std::set<std::string>& neighbours) {
  std::error_code ec;
  const auto full = normal_path(fs::absolute(path, ec).string());
  if (!fs::exists(full, ec)) {
    files.problems.push_back(whole_file(path, "no such file or directory"));
    return;
  }
  const bool directory = fs::is_directory(full, ec);
  if (directory && (fs::is_directory(full + "/units", ec) || fs::exists(full + "/hasup.toml", ec))) {
    beside.add_root(full);
    files.add_all(path);
    return;
  }
  const auto folder = directory ? full : fs::path(full).parent_path().string();
  beside.add_units(folder);
  beside.add_root(fs::path(folder).parent_path().string());
  if (fs::path(folder).filename() == "probes") beside.add_root(fs::path(folder).parent_path().parent_path().string());
  for (const auto& f : toml_files(folder)) neighbours.insert(stem(f));
  if (fs::path(full).filename() == "hasup.toml")
    for (const auto& f : toml_files(folder + "/units")) neighbours.insert(stem(f));
  if (!directory) return files.add_file(path);
  for (const auto& f : toml_files(path)) files.add_file(f);
  if (fs::path(full).filename() == "recipes") {
    for (const auto& f : toml_files(path + "/probes")) files.add_file(f);
    return;
  }
  for (const auto& inner : folders(path)) {
    beside.add_units(inner);
    for (const auto& f : toml_files(inner)) {
      neighbours.insert(stem(f));
      files.add_file(f);
    }
  }
}

base::error first_error(const report& findings) {
  for (const auto& d : findings.all())
    if (d.level == base::severity::error) return {d.file.empty() ? d.message : headline(d)};
  return {"unknown"};
}

// Parameters from the command line: all must be known.
std::optional<base::error> unknown_parameter(const std::string& what, const std::map<std::string, parameter>& offered,
                                             const std::map<std::string, std::string>& given) {
  std::string list;
  for (const auto& [name, p] : offered) list += (list.empty() ? "" : ", ") + name;
  for (const auto& [name, text] : given)
    if (!offered.contains(name))
      return base::error{what + " has no parameter \"" + name + "\"; it has: " + (list.empty() ? "none" : list)};
  return std::nullopt;
}

}  // namespace

loaded load(const directories& dirs, const std::map<std::string, unsigned>& instances, const file_check& refused) {
  file_set files;
  files.add_all(dirs.config);
  auto from = usual_library(dirs);
  from.refuse(refused);
  return read_all(files, from, {}, instances);
}

loaded load_files(const std::vector<std::string>& paths, const directories& dirs) {
  file_set files;
  library lib;
  std::set<std::string> known;
  for (const auto& p : paths) add_path(p, files, lib, known);
  lib.add_root(dirs.config);
  for (const auto& share : dirs.share) lib.add_share(share);
  for (const auto& f : toml_files(dirs.config + "/units")) known.insert(stem(f));
  return read_all(files, lib, known);
}

std::vector<shipped_unit> shipped_units(const directories& dirs) {
  std::map<std::string, shipped_unit> found;
  const auto add = [&](const std::string& path, const std::string& folder) {
    auto name = folder + stem(path);
    auto text = read_text(path);
    if (text && !found.contains(name)) found.emplace(name, shipped_unit{name, path, std::move(*text)});
  };
  for (const auto& share : dirs.share) {
    for (const auto& path : toml_files(share + "/units")) add(path, "");
    for (const auto& folder : folders(share + "/units"))
      for (const auto& path : toml_files(folder)) add(path, fs::path(folder).filename().string() + "/");
  }
  std::vector<shipped_unit> out;
  for (auto& [name, unit] : found) out.push_back(std::move(unit));
  return out;
}

base::result<model::probe> resolve_preset(const std::string& name, const std::map<std::string, std::string>& params,
                                          const directories& dirs) {
  if (!model::is_unit_name(name)) return base::error{"\"" + name + "\" is no preset name"};
  report findings;
  auto file = read_preset(name, {}, usual_library(dirs).context(), findings);
  if (!file) return first_error(findings);
  if (auto unknown = unknown_parameter("preset \"" + name + "\"", file->parameters, params))
    return std::move(*unknown);
  auto probe = apply_preset(name, std::move(*file), params, nullptr, {}, findings);
  if (findings.failed()) return first_error(findings);
  return probe;
}

base::result<model::recipe> resolve_recipe(const std::string& name, const std::map<std::string, std::string>& params,
                                           const directories& dirs) {
  if (!model::is_unit_name(name)) return base::error{"\"" + name + "\" is no recipe name"};
  report findings;
  auto file = read_recipe(name, {}, usual_library(dirs).context(), findings);
  if (!file) return first_error(findings);
  if (auto unknown = unknown_parameter("recipe \"" + name + "\"", file->parameters, params))
    return std::move(*unknown);
  auto recipe = apply_recipe(name, std::move(*file), params, {}, findings);
  if (findings.failed()) return first_error(findings);
  return recipe;
}

base::result<directories> find_directories() {
  std::error_code ec;
  const auto program = fs::read_symlink("/proc/self/exe", ec);
  if (ec) return base::error{"/proc/self/exe: " + ec.message()};
  surroundings around;
  around.env = [](const char* name) {
    const char* v = std::getenv(name);
    return v == nullptr ? std::nullopt : std::optional<std::string>(v);
  };
  around.uid = ::geteuid();
  around.program_dir = program.parent_path().string();
  around.working_dir = fs::current_path(ec).string();
  around.is_directory = [](const std::string& path) {
    std::error_code ignored;
    return fs::is_directory(path, ignored);
  };
  return find_directories(around);
}

}  // namespace hasup::config
