// hasup exec: this process becomes the command, as the unit's node would be started. Nothing goes by way of the
// daemon: what the caller may not read (an env_file) or may not become (the unit's user) the kernel refuses, so that
// no right is lent and no secret leaves its file.
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cli/acting_user.hpp"
#include "cli/chosen_endpoints.hpp"
#include "cli/selection.hpp"
#include "cli/verbs.hpp"
#include "config/unit_dir.hpp"
#include "process/capabilities.hpp"
#include "start/launch.hpp"

namespace hasup::cli {
namespace {

// As a shell has it.
constexpr auto not_found = static_cast<exit_code>(127);
constexpr auto cannot_run = static_cast<exit_code>(126);

struct refusal {
  exit_code code;
  std::string why;
};

// A unit without [run] user runs as the user of its daemon, whose state directory this is.
std::optional<refusal> find_daemon_user(process::account& who, const std::string& state) {
  struct stat st {};
  if (::stat(state.c_str(), &st) != 0) {
    if (errno == ENOENT) return std::nullopt;  // hasupd was never started here
    return refusal{exit_code::failed, base::errno_error(state).message};
  }
  if (st.st_uid == ::geteuid()) return std::nullopt;
  auto owner = process::resolve_account(std::to_string(st.st_uid), {});
  if (!owner) return refusal{exit_code::failed, owner.error().message};
  who = std::move(*owner);
  return std::nullopt;
}

const model::unit* find_unit(const context& c, const config::loaded& all, refusal& error) {
  const auto& typed = c.call.targets[0];
  const auto ref = model::parse_unit_reference(typed);
  const auto found = all.units.find(ref ? ref->unit : typed);
  if (found == all.units.end()) {
    std::vector<std::string> names;
    for (const auto& [name, unit] : all.units) names.push_back(name);
    error = {exit_code::no_such_unit, unknown_unit(typed, names)};
    return nullptr;
  }
  const auto& unit = found->second;
  if (!unit.valid) {
    error = {exit_code::invalid_configuration,
             "the file of unit \"" + unit.name + "\" is invalid; `hasup check` shows what is wrong"};
    return nullptr;
  }
  const auto index = ref->index.value_or(0);
  for (const auto& i : unit.instances)
    if (i.id.index == index) return &i;
  error = {exit_code::no_such_unit, no_instance(unit.name, index, unit.instances.size())};
  return nullptr;
}

// A limit above what this user may have is set as high as he may.
void set_limit(process::rlimit_value wanted) {
  const auto resource = static_cast<__rlimit_resource>(wanted.resource);
  rlimit value{wanted.soft, wanted.hard};
  if (::setrlimit(resource, &value) == 0) return;
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) return;
  value.rlim_cur = std::min<rlim_t>(wanted.soft, now.rlim_max);
  value.rlim_max = now.rlim_max;
  ::setrlimit(resource, &value);
}

// Also the capabilities of the unit: those of root's that another user is to have.
std::optional<refusal> become_user(const process::account& who, std::uint64_t capabilities) {
  if (who.uid == ::geteuid() && ::geteuid() != 0) return std::nullopt;
  if (capabilities != 0 && !process::keep_capabilities_over_setuid())
    return refusal{exit_code::failed, base::errno_error("cannot keep capabilities").message};
  std::vector<gid_t> groups(who.groups.begin(), who.groups.end());
  if (::setgroups(groups.size(), groups.data()) != 0 || ::setresgid(who.gid, who.gid, who.gid) != 0 ||
      ::setresuid(who.uid, who.uid, who.uid) != 0)
    return refusal{exit_code::failed, base::errno_error("cannot become user " + who.name).message};
  if (capabilities != 0 && ::geteuid() != 0 && !process::hold_only(capabilities))
    return refusal{exit_code::failed, base::errno_error("cannot give run.capabilities").message};
  return std::nullopt;
}

std::optional<refusal> enter(const process::run_request& spec, const process::account& who) {
  for (const auto& limit : spec.limits) set_limit(limit);
  // Below what it is only root may go, and then only where the kernel lets him: neither is a reason not to run.
  if (spec.nice && ::setpriority(PRIO_PROCESS, 0, *spec.nice) != 0) errno = 0;
  std::ofstream("/proc/self/oom_score_adj") << spec.oom_score_adjust;
  if (!who.own)
    if (auto refused = become_user(who, spec.capabilities)) return refused;
  ::umask(static_cast<mode_t>(spec.umask & 0777));
  if (::chdir(spec.directory.c_str()) != 0)
    return refusal{exit_code::failed, base::errno_error("cannot enter [run] directory " + spec.directory).message};
  return std::nullopt;
}

refusal run_in_place(const std::vector<std::string>& words, std::map<std::string, std::string> env) {
  // What a terminal is, is known here and not in the unit file.
  if (const char* terminal = std::getenv("TERM"); terminal != nullptr && ::isatty(STDIN_FILENO) == 1)
    env.emplace("TERM", terminal);
  ::clearenv();
  for (const auto& [name, value] : env) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  ::execvp(argv[0], argv.data());  // by the PATH of the unit
  const int error = errno;
  return {error == ENOENT ? not_found : cannot_run, base::errno_error("cannot run " + words[0], error).message};
}

std::optional<refusal> check_rights(const std::string& name, const process::account& who,
                                    const std::string& acting_because) {
  const auto own = static_cast<unsigned>(::geteuid());
  if (who.own || own == 0 || own == who.uid) return std::nullopt;
  if (!acting_because.empty())
    return refusal{exit_code::permission_denied,
                   fmt::format("{} runs as user {}, but {}, and what that user's files say is run with no more than "
                               "his rights; if they are root's, chown them",
                               name, who.name, acting_because)};
  return refusal{exit_code::permission_denied,
                 fmt::format("{} runs as user {}; only root and that user may run commands as it: sudo hasup exec …",
                             name, who.name)};
}

exit_code code_of(const base::error& e) {
  return e.code == EPERM || e.code == EACCES ? exit_code::permission_denied : exit_code::failed;
}

refusal become_command(const context& c) {
  const auto acting = act_as_owner(c.dirs);
  if (!acting) return {code_of(acting.error()), acting.error().message};
  const auto all = config::load(c.dirs);
  refusal error{};
  const auto* in_file = find_unit(c, all, error);
  if (in_file == nullptr) return error;
  const auto now = with_chosen_endpoints(c, *in_file);
  const auto* unit = &now;
  const auto name = shown_name(*unit);
  auto user = process::resolve_account(unit->run.user, unit->run.groups);
  if (!user) return {exit_code::failed, user.error().message};
  if (unit->run.user.empty() && acting->empty())
    if (auto failed = find_daemon_user(*user, c.dirs.state)) return *failed;
  // Before the files are opened: they may be his who may not become the user.
  if (auto refused = check_rights(name, *user, *acting)) return *refused;
  const auto launch = start::prepare_launch(*unit);
  if (!launch && (launch.error().code == EACCES || launch.error().code == EPERM))
    return {exit_code::permission_denied,
            launch.error().message + "; who may not read it may not run with it: sudo hasup exec …"};
  if (!launch) return {exit_code::failed, launch.error().message};
  auto from = *launch;
  if (from.account.own && !user->own) {
    from.env["HOME"] = user->home;
    from.env["USER"] = from.env["LOGNAME"] = user->name;
  }
  auto spec = start::make_run_request(*unit, from, {}, 1, c.dirs.log);
  if (!spec) return {exit_code::failed, spec.error().message};
  if (auto refused = enter(*spec, *user)) return *refused;
  return run_in_place(c.call.arguments, std::move(spec->env));
}

}  // namespace

exit_code run_exec(const context& c) {
  const auto refused = become_command(c);  // returns only then
  complain(c, refused.why);
  return refused.code;
}

}  // namespace hasup::cli
