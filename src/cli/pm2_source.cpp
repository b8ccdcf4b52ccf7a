#include "cli/pm2_source.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/time_text.hpp"
#include "config/paths.hpp"

namespace fs = std::filesystem;

namespace hasup::cli {
namespace {

constexpr std::size_t largest_list = 256U << 20;

std::string variable(const char* name) {
  const char* v = std::getenv(name);
  return v == nullptr ? "" : v;
}

std::string usual_home() {
  const auto home = variable("HOME");
  return home.empty() ? "" : config::normal_path(home + "/.pm2");
}

// PM2_HOME, else ~/.pm2; "" when there is no home directory.
std::string pm2_home() {
  const auto given = variable("PM2_HOME");
  if (given.empty()) return usual_home();
  std::error_code ec;
  return config::normal_path(fs::absolute(given, ec).string());
}

std::string user_name(uid_t uid) {
  const auto* entry = ::getpwuid(uid);  // one thread, one answer at a time
  return entry == nullptr ? std::to_string(uid) : entry->pw_name;
}

base::result<std::string> read_stream(std::FILE* in, const std::string& what) {
  std::string text;
  char bytes[64 * 1024];
  while (const auto n = std::fread(bytes, 1, sizeof bytes, in)) {
    text.append(bytes, n);
    if (text.size() > largest_list) return base::error{what + ": more than 256 MiB; is this pm2's list?"};
  }
  if (std::ferror(in) != 0) return base::errno_error("read " + what);
  return base::success(std::move(text));
}

base::result<std::string> read_file(const std::string& path) {
  std::FILE* in = path == "-" ? stdin : std::fopen(path.c_str(), "re");
  if (in == nullptr) return base::errno_error("open " + path);
  auto text = read_stream(in, path);
  if (in != stdin) std::fclose(in);
  return text;
}

// `pm2 jlist` would start a pm2 where none runs.
bool pm2_runs(const std::string& home) {
  std::ifstream in(home + "/pm2.pid");
  long pid = 0;
  return (in >> pid) && pid > 1 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

base::result<std::string> ask_running_pm2(const std::string& home) {
  if (!pm2_runs(home))
    return base::error{
        fmt::format("no pm2 runs for {}; name its dump.pm2 (`pm2 save` writes it) or a file with the "
                    "output of `pm2 jlist`, or set PM2_HOME",
                    home)};
  if (!find_program("pm2", variable("PATH")))
    return base::error{"pm2 is not in PATH; run `pm2 jlist > FILE` where it is, then `hasup import pm2 FILE`"};
  std::FILE* out = ::popen("exec pm2 jlist 2>/dev/null", "re");  // a fixed line: nothing of it comes from outside
  if (out == nullptr) return base::errno_error("start pm2 jlist");
  auto text = read_stream(out, "pm2 jlist");
  const int status = ::pclose(out);
  if (status != 0 && text)
    return base::error{fmt::format("`pm2 jlist` failed with status {}; run it to see why",
                                   WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status))};
  return text;
}

// A list from elsewhere says itself which pm2 wrote it.
std::string home_in(const std::vector<migrate::pm2_process>& processes) {
  for (const auto& p : processes) {
    if (const auto* named = p.variable("PM2_HOME"); named != nullptr && named->starts_with('/')) return *named;
    const fs::path pids = fs::path(p.pid_file).parent_path();
    if (pids.filename() == "pids" && pids.is_absolute()) return pids.parent_path().string();
  }
  return {};
}

void note_home(pm2_source& s, std::string home) {
  home = home.empty() ? pm2_home() : config::normal_path(home);
  struct stat st {};
  if (::stat(home.c_str(), &st) == 0 && st.st_uid != ::geteuid()) s.owner = user_name(st.st_uid);
  if (home != usual_home() || !s.owner.empty()) s.home = home;
}

std::string saved_at(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return "";
  return " (saved " + base::format_time(std::chrono::system_clock::from_time_t(st.st_mtime)) + ")";
}

}  // namespace

std::optional<std::string> find_program(const std::string& name, const std::string& path) {
  std::size_t start = 0;
  while (start <= path.size()) {
    const auto end = std::min(path.find(':', start), path.size());
    const auto file = path.substr(start, end - start) + "/" + name;
    struct stat st {};
    if (end > start && ::stat(file.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(file.c_str(), X_OK) == 0)
      return file;
    start = end + 1;
  }
  return std::nullopt;
}

bool pm2_starts_at_boot() {
  for (const char* directory : {"/etc/systemd/system", "/etc/init.d"}) {
    std::error_code ec;
    for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) {
      const auto name = it->path().filename().string();
      if (name.starts_with("pm2-") || name == "pm2.service") return true;
    }
  }
  return false;
}

base::result<pm2_source> read_pm2(const std::string& file, bool running) {
  const auto home = pm2_home();
  std::error_code ec;
  auto path = file;
  if (path.empty() && !running) {
    if (home.empty()) return base::error{"no home directory: name pm2's dump.pm2, or set PM2_HOME"};
    path = home + "/dump.pm2";
    running = !fs::exists(path, ec);
  }
  pm2_source s;
  auto text = running ? ask_running_pm2(home) : read_file(path);
  if (!text) return text.error();
  s.origin = running ? "the running pm2" : path == "-" ? "standard input" : path + saved_at(path);
  auto list = migrate::parse_pm2_list(*text);
  if (!list) return base::error{s.origin + ": " + list.error().message};
  s.processes = std::move(*list);
  const auto beside = fs::absolute(path, ec).parent_path();
  const bool in_place = fs::path(path).filename() == "dump.pm2" && fs::is_directory(beside / "pids", ec);
  if (running || file.empty())
    note_home(s, home);
  else
    note_home(s, in_place ? beside.string() : home_in(s.processes));
  return s;
}

}  // namespace hasup::cli
