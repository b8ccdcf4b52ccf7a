#include "probe/port_owner.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "base/unique_fd.hpp"
#include "probe/answer.hpp"

namespace hasup::probe {
namespace {

using pid = std::int32_t;

struct close_directory {
  void operator()(DIR* d) const { ::closedir(d); }
};
using directory = std::unique_ptr<DIR, close_directory>;

std::string proc_path(pid p, const char* name) {
  return "/proc/" + std::to_string(p) + "/" + name;
}

std::string read_small(const std::string& path) {
  const base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> buffer;
  const ssize_t n = fd ? ::read(fd.get(), buffer.data(), buffer.size()) : -1;
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

std::optional<pid> parse_pid(std::string_view text) {
  pid out = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (ec != std::errc{} || end != text.data() + text.size() || out <= 0) return std::nullopt;
  return out;
}

std::vector<pid> all_processes() {
  std::vector<pid> out;
  const directory d(::opendir("/proc"));
  while (d) {
    const dirent* e = ::readdir(d.get());
    if (e == nullptr) break;
    if (const auto p = parse_pid(e->d_name)) out.push_back(*p);
  }
  return out;
}

struct process_place {
  pid parent = 0;
  pid session = 0;
  std::string name;
};

// /proc/PID/stat: "pid (name, which may hold anything) state ppid pgrp session …"
std::optional<process_place> place_of(pid p) {
  const std::string stat = read_small(proc_path(p, "stat"));
  const auto open = stat.find('('), close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  process_place out;
  out.name = stat.substr(open + 1, close - open - 1);
  char state = 0;
  pid group = 0;
  if (std::sscanf(stat.c_str() + close + 1, " %c %d %d %d", &state, &out.parent, &group, &out.session) != 4) {
    return std::nullopt;
  }
  return out;
}

enum class holding { yes, no, unreadable };

holding holds(pid p, std::uint64_t inode) {
  const directory d(::opendir(proc_path(p, "fd").c_str()));
  if (!d) return errno == EACCES || errno == EPERM ? holding::unreadable : holding::no;  // no: it is gone
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  std::array<char, 64> link;
  while (const dirent* e = ::readdir(d.get())) {
    const ssize_t n = ::readlinkat(::dirfd(d.get()), e->d_name, link.data(), link.size());
    if (n < 0 && (errno == EACCES || errno == EPERM)) return holding::unreadable;
    if (n > 0 && std::string_view(link.data(), static_cast<std::size_t>(n)) == wanted) return holding::yes;
  }
  return holding::no;
}

// The unit's processes but the main one, from one look at all processes.
std::vector<pid> rest_of_tree(pid main_pid, const std::vector<pid>& everybody) {
  std::map<pid, process_place> places;
  std::multimap<pid, pid> children;
  for (const pid p : everybody) {
    if (auto place = place_of(p)) {
      children.emplace(place->parent, p);
      places.emplace(p, std::move(*place));
    }
  }
  std::vector<pid> open{main_pid};
  const auto main = places.find(main_pid);
  if (main != places.end()) {
    const auto parent = places.find(main->second.parent);
    if (parent != places.end() && parent->second.name == "hasup-shim") open.push_back(parent->first);
  }
  for (const auto& [p, place] : places)
    if (place.session == main_pid) open.push_back(p);
  std::set<pid> seen;
  while (!open.empty()) {
    const pid p = open.back();
    open.pop_back();
    if (!seen.insert(p).second) continue;
    const auto [from, to] = children.equal_range(p);
    for (auto c = from; c != to; ++c) open.push_back(c->second);
  }
  seen.erase(main_pid);
  return {seen.begin(), seen.end()};
}

std::string describe(pid p) {
  std::string command = read_small(proc_path(p, "cmdline"));
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::replace(command.begin(), command.end(), '\0', ' ');
  if (command.empty()) {
    if (const auto place = place_of(p)) command = place->name;
  }
  return "pid " + std::to_string(p) + " (" + excerpt(command, 100) + ")";
}

std::string find_stranger(std::uint64_t inode, const std::vector<pid>& everybody) {
  bool hidden = false;
  for (const pid p : everybody) {
    const holding h = holds(p, inode);
    if (h == holding::yes) return describe(p);
    hidden = hidden || h == holding::unreadable;
  }
  return hidden ? "a process of another user" : "a process outside this machine's /proc";
}

}  // namespace

owner_finding find_owner(const listen_address& at, std::int32_t main_pid, const owner_finding& before) {
  owner_finding found;
  found.main_pid = main_pid;
  auto inode = listening_inode_by_netlink(at);
  if (!inode) inode = listening_inode_by_proc(at);
  if (!inode) {
    found.who = ownership::unreadable;
    found.note = "neither sock_diag nor /proc/net/tcp can be read";
    return found;
  }
  found.inode = *inode;
  if (found.inode == 0) return found;
  const bool same_socket = before.main_pid == main_pid && before.inode == found.inode;
  if (same_socket && before.who == ownership::unit) return before;
  pid unreadable = 0;
  const auto held_by = [&](pid p) {
    const holding h = holds(p, found.inode);
    if (h == holding::unreadable && unreadable == 0) unreadable = p;
    return h == holding::yes;
  };
  found.who = ownership::unit;
  if (held_by(main_pid)) return found;
  const auto everybody = all_processes();
  for (const pid p : rest_of_tree(main_pid, everybody))
    if (held_by(p)) return found;
  if (unreadable != 0) {
    found.who = ownership::unreadable;
    found.note = "no permission to read " + proc_path(unreadable, "fd");
    return found;
  }
  found.who = ownership::stranger;
  // The search is the costly part, and the same socket seldom changes hands.
  found.stranger =
      same_socket && before.who == ownership::stranger ? before.stranger : find_stranger(found.inode, everybody);
  return found;
}

}  // namespace hasup::probe
