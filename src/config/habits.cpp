#include "config/habits.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/suggestion.hpp"

namespace hasup::config {
namespace {

struct habit {
  std::string_view written;  // lower case, without _ and -
  std::string_view here;     // the full path of the key
};

// pm2, systemd, supervisord, docker compose and plain guesses.
constexpr std::array habits{
    habit{"cwd", "run.directory"},
    habit{"workingdirectory", "run.directory"},
    habit{"workdir", "run.directory"},
    habit{"chdir", "run.directory"},
    habit{"pwd", "run.directory"},
    habit{"dir", "run.directory"},
    habit{"execstart", "run.command"},
    habit{"exec", "run.command"},
    habit{"script", "run.command"},
    habit{"cmd", "run.command"},
    habit{"program", "run.command"},
    habit{"args", "run.command"},
    habit{"arguments", "run.command"},
    habit{"argv", "run.command"},
    habit{"entrypoint", "run.command"},
    habit{"execstop", "run.stop_command"},
    habit{"environment", "run.env"},
    habit{"environmentfile", "run.env_file"},
    habit{"envfiles", "run.env_file"},
    habit{"dotenv", "run.env_file"},
    habit{"username", "run.user"},
    habit{"uid", "run.user"},
    habit{"runas", "run.user"},
    habit{"group", "run.groups"},
    habit{"supplementarygroups", "run.groups"},
    habit{"ambientcapabilities", "run.capabilities"},
    habit{"capabilityboundingset", "run.capabilities"},
    habit{"capadd", "run.capabilities"},
    habit{"caps", "run.capabilities"},
    habit{"createdirs", "run.create_directories"},
    habit{"mkdir", "run.create_directories"},
    habit{"runtimedirectory", "run.create_directories"},
    habit{"statedirectory", "run.create_directories"},
    habit{"logsdirectory", "run.create_directories"},
    habit{"killsignal", "run.stop_signal"},
    habit{"stopsignal", "run.stop_signal"},
    habit{"killtimeout", "run.stop_timeout"},
    habit{"timeoutstopsec", "run.stop_timeout"},
    habit{"stopwaitsecs", "run.stop_timeout"},
    habit{"stopgraceperiod", "run.stop_timeout"},
    habit{"timeoutstartsec", "run.start_timeout"},
    habit{"startsecs", "run.start_timeout"},
    habit{"startretries", "restart.start_limit"},
    habit{"maxrestarts", "restart.start_limit"},
    habit{"startlimitburst", "restart.start_limit"},
    habit{"startlimitintervalsec", "restart.start_limit"},
    habit{"numprocs", "run.instances"},
    habit{"replicas", "run.instances"},
    habit{"scale", "run.instances"},
    habit{"maxmemoryrestart", "run.limits.memory_restart"},
    habit{"memorymax", "run.limits.memory_max"},
    habit{"tasksmax", "run.limits.pids"},
    habit{"pidslimit", "run.limits.pids"},
    habit{"cpuweight", "run.limits.cpu_weight"},
    habit{"limitnofile", "run.limits.open_files"},
    habit{"nofile", "run.limits.open_files"},
    habit{"ulimit", "run.limits.open_files"},
    habit{"ulimits", "run.limits"},
    habit{"limitmemlock", "run.limits.memlock"},
    habit{"limitcore", "run.limits.core"},
    habit{"limitstack", "run.limits.stack"},
    habit{"priority", "run.limits.nice"},
    habit{"oomscoreadj", "run.limits.oom_score_adjust"},
    habit{"autostart", "enabled"},
    habit{"disabled", "enabled"},
    habit{"autorestart", "restart.policy"},
    habit{"restart", "restart.policy"},  // of systemd and docker, in [run]
    habit{"restartpolicy", "restart.policy"},
    habit{"restartsec", "restart.backoff"},
    habit{"restartdelay", "restart.backoff"},
    habit{"exprestartdelay", "restart.backoff"},
    habit{"exitcodes", "restart.success_codes"},
    habit{"successexitstatus", "restart.success_codes"},
    habit{"stopexitcodes", "restart.success_codes"},
    habit{"healthcheck", "readiness"},
    habit{"health", "readiness"},
    habit{"readinessprobe", "readiness"},
    habit{"livenessprobe", "liveness"},
    habit{"startupprobe", "startup"},
    habit{"watchdog", "liveness"},
    habit{"data_dir", "data.dir"},
    habit{"datadir", "data.dir"},
    habit{"variables", "vars"},
    habit{"params", "vars"},
    habit{"stdoutlogfilemaxbytes", "log.max_size"},
    habit{"logrotate", "log"},
    habit{"logfile", "log"},
    habit{"outfile", "log"},
    habit{"errorfile", "log"},
    habit{"stdoutlogfile", "log"},
    habit{"standardoutput", "log"},
    habit{"backup", "recovery.source"},
    habit{"snapshots", "recovery.source"},
    habit{"sources", "recovery.source"},
    habit{"cronrestart", "schedule"},
    habit{"retries", "failures"},
    habit{"failurethreshold", "failures"},
    habit{"successthreshold", "successes"},
    habit{"periodseconds", "interval"},
    habit{"period", "interval"},
    habit{"timeoutseconds", "timeout"},
};

constexpr std::array requirement_habits{
    std::string_view{"dependson"}, std::string_view{"depends"},      std::string_view{"after"},
    std::string_view{"requires"},  std::string_view{"require"},      std::string_view{"wants"},
    std::string_view{"needs"},     std::string_view{"dependencies"}, std::string_view{"bindsto"},
    std::string_view{"partof"},    std::string_view{"waitsfor"},
};

struct word_habit {
  std::string_view written;
  std::string_view here;
};
constexpr std::array word_habits{
    word_habit{"onfailure", "on_failure"},
    word_habit{"onabnormal", "on_failure"},
    word_habit{"onabort", "on_failure"},
    word_habit{"unlessstopped", "always"},
    word_habit{"unexpected", "on_failure"},
    word_habit{"no", "never"},
    word_habit{"none", "never"},
    word_habit{"false", "never"},
    word_habit{"yes", "always"},
    word_habit{"true", "always"},
    word_habit{"servicestarted", "started"},
    word_habit{"running", "started"},
    word_habit{"ready", "healthy"},
    word_habit{"servicehealthy", "healthy"},
    word_habit{"servicecompletedsuccessfully", "completed"},
    word_habit{"automatic", "auto"},
    word_habit{"manual", "ask"},
    word_habit{"https", "http"},
    word_habit{"command", "exec"},
    word_habit{"httpget", "http"},
    word_habit{"tcpsocket", "tcp"},
    word_habit{"rpc", "jsonrpc"},
    word_habit{"ws", "websocket"},
    word_habit{"wss", "websocket"},
    word_habit{"warn", "warning"},
    word_habit{"wipe", "recover"},
    word_habit{"ignore", "restart"},
    word_habit{"fail", "hold"},
    word_habit{"stop", "hold"},
};

std::string folded(std::string_view text) {
  std::string out;
  for (const char c : text)
    if (c != '_' && c != '-' && c != ' ') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string did_you_mean(std::string_view what) {
  return "; did you mean \"" + std::string(what) + "\"?";
}

std::string_view leaf_of(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string_view parent_of(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

// Names the key, with its section when that is another one than where the person wrote.
std::string point_to(std::string_view section, std::string_view path) {
  if (parent_of(path) == section) return did_you_mean(leaf_of(path));
  if (parent_of(path).empty()) return "; did you mean \"" + std::string(path) + "\" at the top of the file?";
  return "; did you mean \"" + std::string(leaf_of(path)) + "\" in [" + std::string(parent_of(path)) + "]?";
}

}  // namespace

std::string suggest_key(std::string_view section, std::string_view unknown,
                        std::span<const std::string_view> siblings, std::span<const key> all_keys) {
  const auto plain = folded(unknown);
  const auto known = [&](std::string_view path) {
    return std::any_of(all_keys.begin(), all_keys.end(), [&](const key& k) { return k.path == path; });
  };
  if (known("requires") &&
      std::find(requirement_habits.begin(), requirement_habits.end(), plain) != requirement_habits.end())
    return "; write [[requires]] with unit = \"NAME\"";
  for (const auto s : siblings)
    if (folded(s) == plain) return did_you_mean(s);
  for (const auto& h : habits) {
    if (h.written != plain) continue;
    if (known(h.here) && h.here.find('.') == std::string_view::npos &&
        std::find(siblings.begin(), siblings.end(), h.here) == siblings.end())
      return point_to(section, h.here);
    if (std::find(siblings.begin(), siblings.end(), leaf_of(h.here)) != siblings.end())
      return did_you_mean(leaf_of(h.here));
    if (known(h.here)) return point_to(section, h.here);
  }
  if (const auto near = base::nearest(unknown, siblings); !near.empty()) return did_you_mean(near);
  for (const auto& k : all_keys)
    if (leaf_of(k.path) == unknown && k.path.find_first_of("[*") == std::string::npos)
      return point_to(section, k.path);
  return "";
}

std::string suggest_word(std::string_view unknown, std::span<const std::string_view> words) {
  const auto plain = folded(unknown);
  for (const auto w : words)
    if (folded(w) == plain) return did_you_mean(w);
  for (const auto& h : word_habits)
    if (h.written == plain && std::find(words.begin(), words.end(), h.here) != words.end())
      return did_you_mean(h.here);
  const auto near = base::nearest(unknown, words);
  return near.empty() ? "" : did_you_mean(near);
}

}  // namespace hasup::config
