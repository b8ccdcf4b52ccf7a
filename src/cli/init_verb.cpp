// hasup init: unit files from the templates that come with hasup. It starts nothing.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

#include "base/joined.hpp"
#include "base/small_file.hpp"
#include "base/suggestion.hpp"
#include "cli/new_file.hpp"
#include "cli/verbs.hpp"
#include "config/unit_dir.hpp"
#include "config/unit_template.hpp"
#include "model/unit_name.hpp"

namespace fs = std::filesystem;
namespace json = boost::json;

namespace hasup::cli {
namespace {

constexpr std::size_t largest_template = 1U << 20;

struct chosen {
  config::shipped_unit from;
  config::unit_template read;
  std::string unit;                           // its name
  std::map<std::string, std::string> values;  // of its variables, as far as they differ from the template's
  std::string path;                           // where it is written
  std::string text;
  std::string beside;  // the file for [proxy] that came with it, beside its own; "" = none
};

// Only what came with hasup, and never in the place of a file that is there.
std::string shipped_beside(const std::string& template_path) {
  auto path = fs::path(template_path).replace_extension(".template");
  std::error_code ec;
  return fs::is_regular_file(path, ec) ? path.string() : std::string();
}

std::string short_name(const std::string& name) {
  return name.substr(name.rfind('/') + 1);
}

// By its whole name, or by that behind the folder.
base::result<config::shipped_unit> find_template(const std::vector<config::shipped_unit>& all, std::string wanted) {
  if (wanted.ends_with(".toml")) wanted.resize(wanted.size() - 5);
  std::vector<const config::shipped_unit*> found;
  for (const auto& t : all) {
    if (t.name == wanted) return t;
    if (short_name(t.name) == wanted) found.push_back(&t);
  }
  if (found.size() == 1) return *found.front();
  if (found.size() > 1) {
    std::vector<std::string> names;
    for (const auto* t : found) names.push_back(t->name);
    return base::error{fmt::format("\"{}\" is the name of several templates: {}", wanted, base::joined(names))};
  }
  std::vector<std::string> of_folder;
  std::vector<std::string_view> names;
  for (const auto& t : all) {
    if (t.name.starts_with(wanted + "/")) of_folder.push_back(t.name);
    names.push_back(t.name);
  }
  if (!of_folder.empty())
    return base::error{fmt::format("\"{}\" is a folder of templates: {}", wanted, base::joined(of_folder))};
  const auto near = base::nearest(wanted, names);
  return base::error{
      fmt::format("there is no template \"{}\"; {}", printable(wanted),
                  near.empty() ? "`hasup init --list` shows them" : fmt::format("did you mean \"{}\"?", near))};
}

std::string about_variable(const config::template_variable& v, bool colour) {
  auto text = paint(v.name, style::bold, colour) + " = " + v.value;
  if (!v.about.empty()) text += paint("  # " + v.about, style::dim, colour);
  return text;
}

exit_code show_all(const context& c, const std::vector<config::shipped_unit>& shown) {
  json::array out;
  std::size_t width = 0;
  for (const auto& t : shown) width = std::max(width, display_width(t.name));
  std::string text;
  for (const auto& t : shown) {
    const auto read = config::read_template(t.path, t.text);
    if (!read) {
      complain(c, read.error().message);
      continue;
    }
    json::array variables;
    for (const auto& v : read->variables)
      variables.emplace_back(
          json::object{{"name", v.name}, {"value", v.value}, {"about", v.about}, {"must_be_set", v.is_example}});
    out.emplace_back(json::object{{"name", t.name},
                                  {"file", t.path},
                                  {"description", read->description},
                                  {"requires", json::value_from(read->needs)},
                                  {"variables", std::move(variables)}});
    text += pad(t.name, width) + "  " + read->description + "\n";
    if (c.call.targets.empty()) continue;
    for (const auto& v : read->variables) text += "  " + about_variable(v, c.out.colour) + "\n";
  }
  print(c.call.json ? json::serialize(json::object{{"templates", std::move(out)}}) + "\n" : text);
  return exit_code::done;
}

// NAME=VALUE for each template that has it, UNIT.NAME=VALUE for one. What is wrong with it; "" = nothing.
std::string take_set(const std::string& given, std::vector<chosen>& all) {
  const auto equals = given.find('=');
  if (equals == std::string::npos || equals == 0) return "--set takes NAME=VALUE, not \"" + given + "\"";
  auto name = given.substr(0, equals);
  const auto value = given.substr(equals + 1);
  const auto dot = name.rfind('.');
  const auto unit = dot == std::string::npos ? std::string() : name.substr(0, dot);
  if (dot != std::string::npos) name = name.substr(dot + 1);
  bool found = false;
  std::vector<std::string> known;
  for (auto& one : all) {
    if (!unit.empty() && unit != one.unit) continue;
    for (const auto& v : one.read.variables) {
      if (std::find(known.begin(), known.end(), v.name) == known.end()) known.push_back(v.name);
      if (v.name != name) continue;
      one.values[name] = value;
      found = true;
    }
  }
  if (found) return {};
  const std::vector<std::string_view> names(known.begin(), known.end());
  const auto near = base::nearest(name, names);
  return fmt::format("--set {}: there is no such variable; {}", given.substr(0, equals),
                     !near.empty()   ? fmt::format("did you mean \"{}\"?", near)
                     : known.empty() ? std::string("there is none")
                                     : "there are: " + base::joined(known));
}

// False at the end of the input: nothing is to be written then.
bool ask_for(const context& c, chosen& one) {
  print(fmt::format("{}: {}\n", paint(one.from.name, style::bold, c.out.colour), one.read.description));
  for (const auto& v : one.read.variables) {
    if (one.values.contains(v.name)) continue;
    for (bool right = false; !right;) {
      print(fmt::format("  {}{} [{}]: ", v.name, v.about.empty() ? "" : " (" + v.about + ")", v.value));
      std::string line;
      if (!std::getline(std::cin, line)) return false;
      if (line.empty()) break;
      const auto tried = config::fill_template(one.read, one.from.text, {{v.name, line}});
      if (!tried) complain(c, tried.error().message);
      if ((right = tried.has_value())) one.values[v.name] = line;
    }
  }
  return true;
}

// Made up by the template, and still there.
std::vector<std::string> made_up(const chosen& one) {
  std::vector<std::string> out;
  for (const auto& v : one.read.variables)
    if (v.is_example && !one.values.contains(v.name)) out.push_back(v.name);
  return out;
}

std::string as_set(const chosen& one, const std::string& name, bool several) {
  return "--set " + (several ? one.unit + "." : std::string()) + name + "=…";
}

// Whether all values are known; else what was said, as the exit code.
std::optional<exit_code> settle_values(const context& c, std::vector<chosen>& all) {
  for (const auto& given : c.call.sets)
    if (const auto wrong = take_set(given, all); !wrong.empty()) {
      complain(c, printable(wrong));
      return exit_code::usage;
    }
  const bool asks = !c.call.yes && !c.call.dry_run && ::isatty(STDIN_FILENO) == 1 && c.out.interactive;
  std::string missing;
  for (auto& one : all) {
    if (asks && !ask_for(c, one)) {
      complain(c, "nothing was written");
      return exit_code::failed;
    }
    if (asks || c.call.yes || c.call.dry_run) continue;
    for (const auto& name : made_up(one)) missing += "\n  " + as_set(one, name, all.size() > 1);
  }
  if (missing.empty()) return std::nullopt;
  complain(c, "the template makes these values up, so say them, or --yes to keep them for now:" + missing);
  return exit_code::usage;
}

// Before anybody is asked for anything.
bool all_are_new(const context& c, const std::vector<chosen>& all) {
  for (const auto& one : all) {
    struct stat st {};
    if (c.call.force || c.call.dry_run || ::lstat(one.path.c_str(), &st) != 0) continue;
    complain(c, one.path + " exists; --force overwrites it, --name gives the unit another name");
    return false;
  }
  return true;
}

// All, before anything is written.
std::optional<exit_code> make_texts(const context& c, std::vector<chosen>& all) {
  for (auto& one : all) {
    auto text = config::fill_template(one.read, one.from.text, one.values);
    if (!text) {
      complain(c, one.from.name + ": " + printable(text.error().message));
      return exit_code::usage;
    }
    one.text = std::move(*text);
  }
  return std::nullopt;
}

base::result<void> copy_new(const context& c, const std::string& from, const std::string& to) {
  const auto text = base::read_small_file(from, largest_template);
  if (!text) return text.error();
  const auto done = write_new_file(to, *text, 0644, false);
  if (!done && done.error().code != EEXIST) return done;
  print(fmt::format("{} {}\n", done ? paint("wrote", style::green, c.out.colour) : std::string("kept"), to));
  return done ? done : base::result<void>{};
}

std::optional<exit_code> write_all_of(const context& c, const std::vector<chosen>& all,
                                      const std::string& directory) {
  const auto failed = [&](const std::string& why, bool denied) {
    complain(c, why);
    return denied ? exit_code::permission_denied : exit_code::failed;
  };
  std::error_code ec;
  fs::create_directories(directory, ec);
  if (ec) return failed("create " + directory + ": " + ec.message(), ec == std::errc::permission_denied);
  for (const auto& one : all) {
    const auto done = write_new_file(one.path, one.text, 0644, c.call.force);
    if (!done) return failed(done.error().message, done.error().code == EACCES || done.error().code == EPERM);
    print(fmt::format("{} {}\n", paint("wrote", style::green, c.out.colour), one.path));
    if (one.beside.empty()) continue;
    const auto copy = directory + "/" + fs::path(one.beside).filename().string();
    if (const auto copied = copy_new(c, one.beside, copy); !copied)
      return failed(copied.error().message, copied.error().code == EACCES || copied.error().code == EPERM);
  }
  return std::nullopt;
}

// The units that these require and nobody has.
std::string missing_units(const std::vector<chosen>& all, const std::vector<config::shipped_unit>& shipped,
                          const std::string& directory) {
  std::string text;
  for (const auto& one : all)
    for (const auto& need : one.read.needs) {
      std::error_code ec;
      const bool chosen_too =
          std::any_of(all.begin(), all.end(), [&](const chosen& other) { return other.unit == need; });
      if (chosen_too || fs::exists(directory + "/" + need + ".toml", ec)) continue;
      const auto from = find_template(shipped, need);
      text += fmt::format("{} requires {}: {}take its [[requires]] out\n", one.unit, need,
                          from ? "`hasup init " + from->name + "`, or " : "write that unit, or ");
    }
  return text;
}

// To where the unit reads it, when that is below the configuration; elsewhere only a person puts it.
void place_proxy_templates(const context& c, const std::vector<chosen>& all, const config::loaded& checked,
                           std::string& text) {
  for (const auto& one : all) {
    const auto unit = checked.units.find(one.unit);
    if (one.beside.empty() || unit == checked.units.end() || unit->second.instances.empty()) continue;
    const auto& proxy = unit->second.instances.front().proxy;
    std::error_code ec;
    if (!proxy || fs::exists(proxy->template_file, ec)) continue;
    const auto folder = fs::path(proxy->template_file).parent_path();
    const auto copy = (fs::path(one.path).parent_path() / fs::path(one.beside).filename()).string();
    if (proxy->template_file.starts_with(c.dirs.config + "/")) {
      fs::create_directories(folder, ec);
      if (!ec && copy_new(c, copy, proxy->template_file)) {
        text += fmt::format("{}: {} is made of it; its ports and limits are yours to fill in\n", proxy->template_file,
                            proxy->output);
        continue;
      }
    }
    text += fmt::format("{} is read from {}: copy {} there\n", one.unit, proxy->template_file, copy);
  }
}

exit_code check_written(const context& c, const std::vector<chosen>& all,
                        const std::vector<config::shipped_unit>& shipped, const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& one : all) files.push_back(one.path);
  const auto checked = config::load_files(files, c.dirs);
  std::string text;
  for (const auto& d : checked.problems) text += base::render(d, c.out.colour) + "\n";
  text += missing_units(all, shipped, directory);
  place_proxy_templates(c, all, checked, text);
  for (const auto& one : all)
    for (const auto& name : made_up(one))
      text += fmt::format("{}: {} is still the template's example\n", one.path, name);
  print(text);
  if (base::has_errors(checked.problems)) {
    complain(c, "correct these files before you go on; `hasup check` says when they are right");
    return exit_code::invalid_configuration;
  }
  const bool in_place = directory == c.dirs.config + "/units";
  print(in_place ? "next: `hasup check` looks at programs, users and directories, `hasup apply` starts what is "
                   "new\n"
                 : "next: `hasup check " + directory + "`\n");
  return exit_code::done;
}

}  // namespace

exit_code run_init(const context& c) {
  const auto shipped = config::shipped_units(c.dirs);
  if (shipped.empty()) {
    complain(c,
             "there are no templates: share/hasup/units is missing beside the program; HASUP_SHARE says where else "
             "share/hasup is");
    return exit_code::failed;
  }
  std::vector<config::shipped_unit> named;
  for (const auto& wanted : c.call.targets) {
    auto found = find_template(shipped, wanted);
    if (!found) {
      complain(c, found.error().message);
      return exit_code::usage;
    }
    named.push_back(std::move(*found));
  }
  if (c.call.list_all) return show_all(c, named.empty() ? shipped : named);

  if (!c.call.name.empty() && !model::is_unit_name(c.call.name)) {
    complain(c, "\"" + printable(c.call.name) + "\" is no unit name: [a-z0-9][a-z0-9._-]*");
    return exit_code::usage;
  }
  std::error_code ec;
  const auto directory = c.call.output.empty() ? c.dirs.config + "/units"
                                               : config::normal_path(fs::absolute(c.call.output, ec).string());
  std::vector<chosen> all;
  for (auto& t : named) {
    auto read = config::read_template(t.path, t.text);
    if (!read) {
      complain(c, read.error().message);
      return exit_code::failed;
    }
    chosen one;
    one.unit = c.call.name.empty() ? short_name(t.name) : c.call.name;
    one.path = directory + "/" + one.unit + ".toml";
    one.read = std::move(*read);
    one.beside = shipped_beside(t.path);
    one.from = std::move(t);
    all.push_back(std::move(one));
  }
  if (!all_are_new(c, all)) return exit_code::failed;
  if (const auto ended = settle_values(c, all)) return *ended;
  if (const auto ended = make_texts(c, all)) return *ended;
  if (c.call.dry_run) {
    for (const auto& one : all)
      print(
          fmt::format("{}:\n{}{}", paint(one.path, style::bold, c.out.colour), one.text, all.size() > 1 ? "\n" : ""));
    return exit_code::done;
  }
  if (const auto ended = write_all_of(c, all, directory)) return *ended;
  return check_written(c, all, shipped, directory);
}

}  // namespace hasup::cli
