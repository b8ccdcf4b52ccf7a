// Who listens on a port: the unit's own process tree, or a stranger that took it.
//
// The kernel names the listening socket (sock_diag, else /proc/net/tcp and tcp6); /proc/PID/fd says who holds it. The
// tree of a unit is: its main process, all descendants, whoever is in a session led by it, and all other descendants
// of its shim (daemonised children are adopted by that).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hasup::probe {

// An address as the kernel has it: 4 or 16 bytes in network order.
struct listen_address {
  std::vector<std::uint8_t> ip;
  std::uint16_t port = 0;
};

enum class ownership {
  unit,        // held by the unit
  stranger,    // held by somebody else
  nobody,      // no socket of this machine's network namespace listens there
  unreadable,  // a process of the unit does not show its descriptors, so it may be the unit
};

// What was found; passed in again, it saves the search while the same socket listens.
struct owner_finding {
  ownership who = ownership::nobody;
  std::int32_t main_pid = 0;
  std::uint64_t inode = 0;
  std::string stranger;  // "pid 4711 (/usr/bin/python3 …)"
  std::string note;      // unreadable: which file and why

  friend bool operator==(const owner_finding&, const owner_finding&) = default;
};

// Reads the kernel's tables; takes milliseconds on a machine with many processes, so not on the loop.
owner_finding find_owner(const listen_address& at, std::int32_t main_pid, const owner_finding& before);

// The two ways to find the socket, apart for the tests. Inode 0 = nobody listens; nothing = this way is not
// available.
std::optional<std::uint64_t> listening_inode_by_netlink(const listen_address& at);
std::optional<std::uint64_t> listening_inode_by_proc(const listen_address& at);

}  // namespace hasup::probe
