// hasup import pm2: reads pm2's list, writes unit files, says how to go over. It starts and stops nothing.
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/duration.hpp"
#include "cli/new_file.hpp"
#include "cli/pm2_source.hpp"
#include "cli/verbs.hpp"
#include "config/schema.hpp"
#include "config/unit_dir.hpp"
#include "migrate/pm2_steps.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace fs = std::filesystem;

namespace hasup::cli {
namespace {

std::map<std::string, std::string> own_environment() {
  std::map<std::string, std::string> out;
  for (char** v = environ; v != nullptr && *v != nullptr; ++v) {
    const std::string_view entry(*v);
    if (const auto equals = entry.find('='); equals != std::string_view::npos)
      out.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

// A key counts when it is in the table and neither it nor what it stands in is still to come.
bool schema_accepts(std::string_view path) {
  bool found = false;
  for (const auto& key : config::unit_keys()) {
    const bool is_it = key.path == path;
    const bool holds_it = path.starts_with(key.path) && path.size() > key.path.size() && path[key.path.size()] == '.';
    if ((is_it || holds_it) && key.when != config::availability::now) return false;
    found = found || is_it;
  }
  return found;
}

migrate::pm2_surroundings surroundings_of(const std::string& directory) {
  migrate::pm2_surroundings around;
  around.shell = own_environment();
  const auto* me = ::getpwuid(::geteuid());  // one thread
  around.user = me == nullptr ? std::to_string(::geteuid()) : me->pw_name;
  around.root = ::geteuid() == 0;
  around.directory = directory;
  around.default_stop_timeout = base::format_duration(model::run_spec{}.stop_timeout);
  around.accepts = schema_accepts;
  around.find_program = find_program;
  return around;
}

std::string what_it_is(const migrate::imported_unit& u) {
  std::string text = fmt::format("pm2's \"{}\"", printable(u.pm2_name));
  if (u.instances > 1) text += fmt::format(", {} instances", u.instances);
  if (!u.env_text.empty()) text += fmt::format(", secrets in {}.env", u.name);
  if (!u.enabled) text += ", not enabled";
  return text;
}

std::string remarks_text(const std::vector<std::string>& remarks) {
  std::string text;
  for (const auto& r : remarks) text += "  - " + printable(r) + "\n";
  return text;
}

std::string problems_text(const base::diagnostics& all, bool colour) {
  std::string text;
  for (const auto& d : all) text += base::render(d, colour) + "\n";
  return text;
}

std::string indented(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    out += end > at ? "  " + text.substr(at, end - at) + "\n" : "\n";
    at = end + 1;
  }
  return out;
}

bool is_there(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0;
}

// Both files of a unit are written, or none.
std::string fate_of(const std::string& path, const std::string& other, bool force) {
  if (is_there(path))
    return force ? "is there and would be overwritten" : "is there and would be left as it is; --force overwrites it";
  if (!force && !other.empty() && is_there(other))
    return "would not be written, since " + fs::path(other).filename().string() + " is there; --force writes both";
  return "would be written";
}

// What would be written, as it would be checked.
exit_code show(const context& c, const migrate::pm2_import& import, const std::string& directory) {
  config::file_context nothing_else;
  nothing_else.units = nothing_else.presets =
      nothing_else.recipes = [](std::string_view) { return std::vector<config::source_file>{}; };
  nothing_else.root = ::geteuid() == 0;
  std::string text;
  bool errors = false;
  for (const auto& u : import.units) {
    const auto path = directory + "/" + u.name + ".toml";
    const auto env = u.env_text.empty() ? std::string() : directory + "/" + u.name + ".env";
    text += paint(path, style::bold, c.out.colour) + ": " + what_it_is(u) + "; " + fate_of(path, env, c.call.force) +
            "\n" + indented(u.shown_text) + "\n";
    if (!env.empty())
      text += paint(env, style::bold, c.out.colour) + ": mode 0600; " + fate_of(env, path, c.call.force) + "\n" +
              indented(u.shown_env_text) + "\n";
    // The text without secrets: its diagnostics quote lines.
    const auto checked = config::parse_unit_text(u.name, path, u.shown_text, nothing_else);
    text += problems_text(checked.problems, c.out.colour);
    errors = errors || !checked.valid;
  }
  print(text + remarks_text(import.remarks));
  return errors ? exit_code::invalid_configuration : exit_code::done;
}

class import_writer {
 public:
  import_writer(const context& c, std::string directory) : c_(c), directory_(std::move(directory)) {}

  bool make_directory() {
    std::error_code ec;
    fs::create_directories(directory_, ec);
    if (!ec) return true;
    complain(c_, "create " + directory_ + ": " + ec.message());
    failure_ = ec == std::errc::permission_denied ? exit_code::permission_denied : exit_code::failed;
    return false;
  }

  // Both files or none of a unit.
  void write(const migrate::imported_unit& u) {
    const auto unit = directory_ + "/" + u.name + ".toml";
    const auto env = directory_ + "/" + u.name + ".env";
    if (!c_.call.force && (exists(unit) || (!u.env_text.empty() && exists(env)))) return;
    if (!u.env_text.empty() && !put(env, u.env_text, 0600)) return;
    if (!put(unit, u.text, u.is_secret ? 0600 : 0644)) {
      if (!u.env_text.empty() && !c_.call.force) ::unlink(env.c_str());
      return;
    }
    written.push_back(u);
    files.push_back(unit);
    print(fmt::format("{} {}: {}\n", paint("wrote", style::green, c_.out.colour), unit, what_it_is(u)) +
          remarks_text(u.remarks));
  }

  [[nodiscard]] exit_code code() const { return failure_; }

  std::vector<migrate::imported_unit> written;
  std::vector<std::string> files;

 private:
  bool exists(const std::string& path) {
    if (!is_there(path)) return false;
    complain(c_, path + " exists and was left as it is; --force overwrites it");
    failure_ = exit_code::failed;
    return true;
  }

  bool put(const std::string& path, const std::string& text, unsigned mode) {
    const auto done = write_new_file(path, text, mode, c_.call.force);
    if (done) return true;
    complain(c_, done.error().message);
    const bool denied = done.error().code == EACCES || done.error().code == EPERM;
    failure_ = denied ? exit_code::permission_denied : exit_code::failed;
    return false;
  }

  const context& c_;
  std::string directory_;
  exit_code failure_ = exit_code::done;
};

std::string steps_for(const context& c, const pm2_source& source, const import_writer& w, std::size_t all,
                      const std::string& directory) {
  migrate::switch_over s;
  s.units = w.written;
  s.whole_list = w.written.size() == all;
  s.boots = pm2_starts_at_boot();
  s.pm2_home = source.home;
  s.pm2_owner = source.owner;
  s.written_to = directory;
  s.units_directory = c.dirs.config + "/units";
  s.hasupd_runs = c.daemon.status().has_value();
  std::error_code ec;
  s.as_service = c.dirs.config == "/etc/hasup" && (fs::exists("/etc/systemd/system/hasupd.service", ec) ||
                                                   fs::exists("/lib/systemd/system/hasupd.service", ec));
  return migrate::switch_over_steps(s);
}

}  // namespace

exit_code run_import(const context& c) {
  const auto source = read_pm2(c.call.list, c.call.running);
  if (!source) {
    complain(c, printable(source.error().message));
    return source.error().code == EACCES ? exit_code::permission_denied : exit_code::failed;
  }
  std::error_code ec;
  const auto directory = c.call.output.empty() ? c.dirs.config + "/units"
                                               : config::normal_path(fs::absolute(c.call.output, ec).string());
  const auto import = migrate::import_pm2(source->processes, surroundings_of(directory));
  print(fmt::format("read {}\n", printable(source->origin)));
  if (import.units.empty()) {
    print("there are no processes in it, so there is nothing to import\n");
    return exit_code::done;
  }
  if (c.call.dry_run) return show(c, import, directory);

  import_writer w(c, directory);
  if (!w.make_directory()) return w.code();
  for (const auto& u : import.units) w.write(u);
  print(remarks_text(import.remarks));
  if (w.written.empty()) return w.code();
  const auto checked = config::load_files(w.files, c.dirs);
  print(problems_text(checked.problems, c.out.colour));
  if (base::has_errors(checked.problems)) {
    complain(c, "correct these files before you go on; `hasup check` says when they are right");
    return exit_code::invalid_configuration;
  }
  print(fmt::format("{} checked: no errors\n\n",
                    w.files.size() == 1 ? "1 unit" : fmt::format("{} units", w.files.size())));
  print(steps_for(c, *source, w, import.units.size(), directory));
  return w.code();
}

}  // namespace hasup::cli
