#include "start/trust.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>

#include "process/account.hpp"

namespace hasup::start {
namespace {

namespace fs = std::filesystem;
using kind = deciding_path::kind;
constexpr unsigned most_links = 40;  // as the kernel follows

std::string parent(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

class finder {
 public:
  explicit finder(const config::directories& dirs) : own_{dirs.config, dirs.state, dirs.run} {
    // Below HASUP_HOME all of them stand in one directory.
    if (parent(dirs.config) == parent(dirs.state) && parent(dirs.state) == parent(dirs.run))
      own_.push_back(parent(dirs.config));
  }

  // `path`, all that it stands in, and all of that again where links lead to.
  void walk(const std::string& path, unsigned links = most_links) {
    for (auto end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const auto part = path.substr(0, end);
      const auto is = add(part);
      if (!is) return;
      if (*is == kind::link) {
        std::error_code ec;
        auto to = fs::read_symlink(part, ec).string();
        if (to.empty() || links == 0) return;
        if (!to.starts_with('/')) to = parent(part) + "/" + to;
        if (end != std::string::npos) to += path.substr(end);
        return walk(config::normal_path(to), links - 1);
      }
      if (end == std::string::npos) return;
    }
  }

  // What a directory holds, not what its subdirectories do.
  void walk_entries(const std::string& directory) {
    std::error_code ec;
    for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) walk(it->path().string());
  }

  // Without what it stands in.
  std::optional<kind> add(const std::string& path, bool above = false) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) return std::nullopt;
    deciding_path p;
    p.path = path;
    const auto is = S_ISLNK(st.st_mode) ? kind::link : S_ISDIR(st.st_mode) ? kind::directory : kind::file;
    if (!seen_.insert(path).second) return is;
    p.is = is;
    p.uid = st.st_uid;
    p.gid = st.st_gid;
    p.mode = st.st_mode & 07777U;
    p.has_acl = p.is != kind::link && ::getxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) > 0;
    p.above = above || std::none_of(own_.begin(), own_.end(),
                                    [&](const std::string& o) { return path == o || path.starts_with(o + "/"); });
    found_.push_back(std::move(p));
    return is;
  }

  // Root writes there, and reads nothing that decides. What it stands in is a group's on some systems, and a file
  // system of its own is often anybody's, with the sticky bit.
  void add_logs(const std::string& path) { add(path, true); }

  std::vector<deciding_path> take() { return std::move(found_); }

 private:
  std::vector<std::string> own_;
  std::set<std::string> seen_;
  std::vector<deciding_path> found_;
};

std::string user_name(unsigned uid) {
  const auto who = process::resolve_account(std::to_string(uid), {});
  return who && !who->name.empty() ? who->name : "uid " + std::to_string(uid);
}

std::string group_name(unsigned gid) {
  const auto* g = ::getgrgid(gid);
  return g != nullptr ? g->gr_name : std::to_string(gid);
}

}  // namespace

std::string why_distrusted(const deciding_path& p, const names& n) {
  constexpr unsigned sticky = 01000, by_group = 0020, by_all = 0002;
  const auto whose =
      p.above ? "who could put other files of hasup in place" : "and it has a say in what this hasupd runs as root";
  if (p.uid != 0) {
    const auto name = n.user(p.uid);
    return fmt::format(
        "{} belongs to {}, {}; start hasupd as {}, or {}", p.path, name, whose, name,
        p.above ? "use directories that only root can write to" : "give it to root: chown root: " + p.path);
  }
  if (p.is == kind::link) return {};
  // Into a directory such as /tmp anybody may put something, and nobody can replace what is root's.
  if (p.is == kind::directory && p.above && (p.mode & sticky) != 0) return {};
  if ((p.mode & by_all) != 0) return fmt::format("anybody can write to {}, {}; chmod o-w {}", p.path, whose, p.path);
  if ((p.mode & by_group) != 0 && (p.gid != 0 || p.has_acl))
    return fmt::format("{} can write to {}, {}; {} {}",
                       p.has_acl ? "somebody who is named in its access control list" : "group " + n.group(p.gid),
                       p.path, whose, p.has_acl ? "setfacl -b" : "chmod g-w", p.path);
  return {};
}

std::vector<deciding_path> deciding_paths(const config::directories& dirs) {
  finder f(dirs);
  for (const auto& d : {dirs.config, dirs.state, dirs.run}) f.walk(d);
  f.walk(dirs.config + "/hasup.toml");
  for (const auto* below : {"/units", "/recipes", "/recipes/probes", "/upstreams", "/backups"})
    f.walk(dirs.config + below);
  f.walk_entries(dirs.state);
  f.walk_entries(dirs.state + "/specs");
  f.add_logs(dirs.log);
  return f.take();
}

std::vector<deciding_path> deciding_paths(const config::directories& dirs, const std::string& file) {
  finder f(dirs);
  f.walk(file);
  return f.take();
}

base::result<void> check_trust(const config::directories& dirs) {
  if (::geteuid() != 0) return {};
  for (const auto& p : deciding_paths(dirs))
    if (auto why = why_distrusted(p, {user_name, group_name}); !why.empty())
      return base::error{std::move(why), EPERM};
  return {};
}

std::string why_file_distrusted(const config::directories& dirs, const std::string& file) {
  if (::geteuid() != 0) return {};
  for (const auto& p : deciding_paths(dirs, file))
    if (auto why = why_distrusted(p, {user_name, group_name}); !why.empty()) return why;
  return {};
}

}  // namespace hasup::start
