// Looks up users and groups.
#include "process/account.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

namespace hasup::process {

namespace {

std::optional<unsigned> as_number(const std::string& text) {
  unsigned number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc{} || end != text.data() + text.size() || number == static_cast<unsigned>(-1))
    return std::nullopt;
  return number;
}

// Runs one of the _r functions with a buffer that grows until it is large enough. Empty: there is no such entry.
template <class Entry, class Look>
base::result<bool> look_up(Entry& entry, std::vector<char>& buffer, const std::string& what, Look look) {
  buffer.resize(4096);
  for (;;) {
    Entry* found = nullptr;
    const int error = look(&entry, buffer.data(), buffer.size(), &found);
    if (error == 0) return found != nullptr;
    if (error == ERANGE && buffer.size() < (16u << 20))
      buffer.resize(buffer.size() * 2);
    else if (error == ENOENT || error == ESRCH)
      return false;
    else if (error != EINTR)
      return base::errno_error("cannot look up " + what, error);
  }
}

base::result<unsigned> resolve_group(const std::string& name) {
  if (const auto number = as_number(name)) return *number;
  group entry{};
  std::vector<char> buffer;
  const auto found = look_up(entry, buffer, "group " + name, [&](group* e, char* b, std::size_t n, group** f) {
    return ::getgrnam_r(name.c_str(), e, b, n, f);
  });
  if (found.has_error()) return found.error();
  if (!*found) return base::error{"there is no group \"" + name + "\"; create it or correct [run] groups"};
  return entry.gr_gid;
}

void add_groups_of_user(account& a) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  while (::getgrouplist(a.name.c_str(), a.gid, groups.data(), &count) < 0 && count <= (1 << 20))
    groups.resize(static_cast<std::size_t>(count));
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  a.groups.assign(groups.begin(), groups.end());
}

}  // namespace

base::result<account> resolve_account(const std::string& user, const std::vector<std::string>& groups) {
  account a;
  const std::optional<unsigned> number = user.empty() ? std::optional<unsigned>(::geteuid()) : as_number(user);
  passwd entry{};
  std::vector<char> buffer;
  const auto found = look_up(entry, buffer, "user " + user, [&](passwd* e, char* b, std::size_t n, passwd** f) {
    return number ? ::getpwuid_r(*number, e, b, n, f) : ::getpwnam_r(user.c_str(), e, b, n, f);
  });
  if (found.has_error()) return found.error();
  if (!*found && !number) return base::error{"there is no user \"" + user + "\"; create it or correct [run] user"};
  if (*found) {
    a.uid = entry.pw_uid;
    a.gid = entry.pw_gid;
    a.name = entry.pw_name;
    if (entry.pw_dir && entry.pw_dir[0] == '/') a.home = entry.pw_dir;
    add_groups_of_user(a);
  } else {
    a.uid = *number;
    a.gid = user.empty() ? ::getegid() : *number;
    a.name = std::to_string(a.uid);
    a.groups = {a.gid};
  }
  for (const std::string& name : groups) {
    const auto gid = resolve_group(name);
    if (gid.has_error()) return gid.error();
    if (std::find(a.groups.begin(), a.groups.end(), *gid) == a.groups.end()) a.groups.push_back(*gid);
  }
  a.own = a.uid == ::geteuid() && groups.empty();
  return a;
}

}  // namespace hasup::process
