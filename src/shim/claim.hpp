// The directories of a shim and its claim: the lock that is held for life and means "alive". Directories are opened
// once and used by descriptor, so that no path is too long, least of all for a socket address.
#pragma once

#include "base/unique_fd.hpp"

namespace hasup::shim {

struct places {
  base::unique_fd claims;
  base::unique_fd records;
  base::unique_fd evidence;
  base::unique_fd sockets;
};

// Opens the folders below the state and the runtime directory, creating them when missing. On failure false, with
// errno and the path that could not be opened in `failed`.
bool open_places(const char* state_dir, const char* run_dir, places& out, const char*& failed);

enum class claim_result { held, busy, failed };

// Takes the lock without waiting. The descriptor must stay open until the process ends.
claim_result take_claim(const places& p, const char* name, base::unique_fd& out);

}  // namespace hasup::shim
