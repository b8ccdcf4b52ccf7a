// Capabilities by bare system calls: also in the child between fork and exec, and in the static shim. Plain POSIX.
#pragma once

#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace hasup::process {

struct capability_state {
  uint64_t effective = 0;
  uint64_t permitted = 0;
  uint64_t inheritable = 0;
};

// Of the calling thread.
inline bool read_capabilities(capability_state& out) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  out.effective = data[0].effective | static_cast<uint64_t>(data[1].effective) << 32;
  out.permitted = data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
  out.inheritable = data[0].inheritable | static_cast<uint64_t>(data[1].inheritable) << 32;
  return true;
}

inline bool set_capabilities(const capability_state& wanted) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  data[0].effective = static_cast<uint32_t>(wanted.effective);
  data[1].effective = static_cast<uint32_t>(wanted.effective >> 32);
  data[0].permitted = static_cast<uint32_t>(wanted.permitted);
  data[1].permitted = static_cast<uint32_t>(wanted.permitted >> 32);
  data[0].inheritable = static_cast<uint32_t>(wanted.inheritable);
  data[1].inheritable = static_cast<uint32_t>(wanted.inheritable >> 32);
  return syscall(SYS_capset, &header, data) == 0;
}

// Before the change of user: else the kernel takes all of them away with it.
inline bool keep_capabilities_over_setuid() {
  return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0;
}

// After it: these are what the process has, and what every program has that it executes. False with errno: one of
// them is not ours to give.
inline bool hold_only(uint64_t wanted) {
  if (!set_capabilities({wanted, wanted, wanted})) return false;
  for (unsigned number = 0; number < 64; ++number)
    if ((wanted >> number & 1) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0) return false;
  return true;
}

}  // namespace hasup::process
