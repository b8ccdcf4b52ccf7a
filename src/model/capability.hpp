// The names of Linux's capabilities, and sets of them: a bit each, by the numbers of linux/capability.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace hasup::model {

using capability_set = std::uint64_t;

// The place in this table is the number.
inline constexpr std::array<std::string_view, 41> capability_names{"CHOWN",
                                                                   "DAC_OVERRIDE",
                                                                   "DAC_READ_SEARCH",
                                                                   "FOWNER",
                                                                   "FSETID",
                                                                   "KILL",
                                                                   "SETGID",
                                                                   "SETUID",
                                                                   "SETPCAP",
                                                                   "LINUX_IMMUTABLE",
                                                                   "NET_BIND_SERVICE",
                                                                   "NET_BROADCAST",
                                                                   "NET_ADMIN",
                                                                   "NET_RAW",
                                                                   "IPC_LOCK",
                                                                   "IPC_OWNER",
                                                                   "SYS_MODULE",
                                                                   "SYS_RAWIO",
                                                                   "SYS_CHROOT",
                                                                   "SYS_PTRACE",
                                                                   "SYS_PACCT",
                                                                   "SYS_ADMIN",
                                                                   "SYS_BOOT",
                                                                   "SYS_NICE",
                                                                   "SYS_RESOURCE",
                                                                   "SYS_TIME",
                                                                   "SYS_TTY_CONFIG",
                                                                   "MKNOD",
                                                                   "LEASE",
                                                                   "AUDIT_WRITE",
                                                                   "AUDIT_CONTROL",
                                                                   "SETFCAP",
                                                                   "MAC_OVERRIDE",
                                                                   "MAC_ADMIN",
                                                                   "SYSLOG",
                                                                   "WAKE_ALARM",
                                                                   "BLOCK_SUSPEND",
                                                                   "AUDIT_READ",
                                                                   "PERFMON",
                                                                   "BPF",
                                                                   "CHECKPOINT_RESTORE"};

// With or without the CAP_ of systemd and capabilities(7).
constexpr std::optional<capability_set> parse_capability(std::string_view name) {
  if (name.starts_with("CAP_")) name.remove_prefix(4);
  for (std::size_t i = 0; i < capability_names.size(); ++i)
    if (capability_names[i] == name) return capability_set{1} << i;
  return std::nullopt;
}

}  // namespace hasup::model
