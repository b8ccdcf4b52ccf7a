// The numbered entries of a directory of /proc: processes, tasks, descriptors.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "shim/proc.hpp"

namespace hasup::shim {

// Calls each(number) for every entry of a directory that is a number.
template <class Each>
bool each_number(const char* directory, Each each) {
  const base::unique_fd fd(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return false;
  alignas(dirent64) char buffer[2048];
  for (;;) {
    const long got = syscall(SYS_getdents64, fd.get(), buffer, sizeof buffer);
    if (got <= 0) return got == 0;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      const char* text = entry->d_name;
      uint64_t number = 0;
      if (parse_number(text, text + strlen(text), number) && *text == 0) each(static_cast<int32_t>(number));
      at += entry->d_reclen;
    }
  }
}

}  // namespace hasup::shim
