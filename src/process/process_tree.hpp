// What /proc says about processes: who belongs to a tree, since when it runs, what it uses. Reads /proc only, a few
// files a process: for status and port ownership every few seconds, not for every loop round.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hasup::process {

struct process_id {
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot: tells a process from a later one with the same number

  friend bool operator==(const process_id&, const process_id&) = default;
};

// This boot; the same text after a restart of the daemon, another one after a reboot.
const std::string& boot_id();

std::optional<std::uint64_t> process_start_time(std::int32_t pid);  // nothing: there is no such process, or a zombie
bool is_alive(const process_id& id);

// The processes under root, breadth first; root itself first when asked for and alive. Zombies do not count.
std::vector<process_id> process_tree(std::int32_t root, bool with_root = true);

// The children of this process, zombies too.
std::vector<std::int32_t> own_children();

// The processes of a unit: below its shim without the shim itself, or those below an attached main
// process and of its session. The shim is known to live by its connection; the main process by its start time.
struct unit_root {
  std::int32_t shim_pid = 0;
  std::int32_t main_pid = 0;
  std::uint64_t main_start_time = 0;
  bool attached = false;
};
std::vector<process_id> unit_processes(const unit_root& root);

// Of the session that this process began, whether it still lives or not. Zombies do not count.
std::vector<std::int32_t> session_members(std::int32_t session);

struct process_usage {
  std::chrono::milliseconds cpu{0};  // user and system, since the processes began
  std::uint64_t memory = 0;          // bytes, anonymous and shared memory; mapped files do not count
  std::uint64_t mapped = 0;          // bytes of resident file mappings
  unsigned processes = 0;
};
process_usage usage_of(std::span<const process_id> processes);

// Proportional set size of one process, in bytes; walks its page tables, so not for large nodes on the loop.
std::optional<std::uint64_t> proportional_memory(std::int32_t pid);

}  // namespace hasup::process
