#include "cli/acting_user.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>

#include "process/account.hpp"

namespace hasup::cli {
namespace {

constexpr unsigned most_links = 40;  // as the kernel follows

std::string link_target(const std::string& path) {
  char text[4096];
  const auto n = ::readlink(path.c_str(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : std::string();
}

void add(const std::string& path, unsigned uid, std::vector<owned_path>& out) {
  if (std::none_of(out.begin(), out.end(), [&](const owned_path& o) { return o.path == path; }))
    out.push_back({path, uid});
}

// `path` itself, where links lead it to, and every link on the way; as far as it exists.
void walk(const std::string& path, unsigned links, std::vector<owned_path>& out) {
  for (auto end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const auto part = path.substr(0, end);
    struct stat st {};
    if (::lstat(part.c_str(), &st) != 0) return;
    if (S_ISLNK(st.st_mode)) {
      add(part, st.st_uid, out);
      auto to = link_target(part);
      if (to.empty() || links == 0) return;
      if (!to.starts_with('/')) to = part.substr(0, part.rfind('/') + 1) + to;
      if (end != std::string::npos) to += path.substr(end);
      return walk(config::normal_path(to), links - 1, out);
    }
    if (end == std::string::npos) return add(part, st.st_uid, out);
  }
}

void clean_environment(const process::account& who) {
  std::map<std::string, std::string> kept{{"HOME", who.home}, {"USER", who.name}, {"LOGNAME", who.name}};
  for (const char* name : {"PATH", "TERM", "LANG", "NO_COLOR", "HASUP_HOME", "HASUP_SHARE"})
    if (const char* value = std::getenv(name); value != nullptr) kept[name] = value;
  ::clearenv();
  for (const auto& [name, value] : kept) ::setenv(name.c_str(), value.c_str(), 1);
}

}  // namespace

std::vector<owned_path> deciding_paths(const config::directories& dirs) {
  std::vector<owned_path> out;
  for (const auto& path : {dirs.state, dirs.config}) {
    walk(path.substr(0, path.rfind('/')), most_links, out);
    walk(path, most_links, out);
  }
  for (const char* below : {"/units", "/recipes/probes"}) walk(dirs.config + below, most_links, out);
  return out;
}

base::result<std::optional<owned_path>> foreign_owner(const std::vector<owned_path>& all, unsigned caller) {
  std::optional<owned_path> found;
  for (const auto& one : all) {
    if (one.uid == 0 || one.uid == caller || (found && found->uid == one.uid)) continue;
    if (found)
      return base::error{found->path + " and " + one.path +
                             " belong to different users, and both decide what would be run; give both to one of "
                             "them (chown)",
                         EPERM};
    found = one;
  }
  return found;
}

base::result<std::string> act_as_owner(const config::directories& dirs) {
  const auto owner = foreign_owner(deciding_paths(dirs), ::geteuid());
  if (!owner) return owner.error();
  if (!*owner) return base::success("");
  const auto who = process::resolve_account(std::to_string((*owner)->uid), {});
  if (!who) return who.error();
  auto because = (*owner)->path + " belongs to " + who->name;
  if (::geteuid() != 0)
    return base::error{because + ", whose files would decide what you run; only root and that user may do this",
                       EPERM};
  const std::vector<gid_t> groups(who->groups.begin(), who->groups.end());
  if (::setgroups(groups.size(), groups.data()) != 0 || ::setresgid(who->gid, who->gid, who->gid) != 0 ||
      ::setresuid(who->uid, who->uid, who->uid) != 0)
    return base::errno_error(because + ", and cannot become that user");
  clean_environment(*who);
  return base::success(std::move(because));
}

}  // namespace hasup::cli
