// Locks a worker in before it reads a byte of what others have written: a flaw in the code for an archive, a protocol
// or a certificate then finds nothing of the node's to read or change, and no other program to start.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "ports/worker_job.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// What a worker needs; all the rest is refused to it. Paths are absolute; what is not there is left out.
struct bounds {
  // Directories: everything below may be read, made, changed and removed. Files: read and changed.
  std::vector<std::string> write;
  std::vector<std::string> remove;  // directories: everything below may be read and removed
  bool moves = false;               // from one directory of them to another
  // Directories, for all below them, and files; and what a program of this system needs by itself (libraries,
  // certificates, name look-up). None: reading is not restricted.
  std::optional<std::vector<std::string>> read;
  std::vector<std::string> list;  // directories of which the names may be read, not the files
  bool network = false;
  // It looks at what other processes have open, which Landlock would hide from it; then no path is refused.
  bool watches_processes = false;

  // Bytes of memory of its own, 0 = as much as there is: what a format needs that says its window nowhere.
  std::uint64_t memory = 0;

  friend bool operator==(const bounds&, const bounds&) = default;
};

// What reading an archive may take where its window may be `max_window` (0 = any): enough for every format at that
// window, and for the threads.
std::uint64_t memory_to_unpack(std::uint64_t max_window);

// Unpacking writes staging/ of .hasup and the directories of the answer, reads the cache and the record of a swap,
// and has no network. It may write the cache only where it links a file of it into the staging directory: Landlock
// lets nobody gain rights by a link.
bounds unpack_bounds(const ports::worker_job& job);
// The same without an answer.
bounds ahead_bounds(const ports::worker_job& job);
// Examining reads the one file, and writes the answer.
bounds examine_bounds(const ports::worker_job& job);
// What moves and deletes state must see who has it open: it is kept from network and other programs only.
bounds swap_bounds();
// The directories of result and progress.
std::vector<std::string> answer_directories(const ports::worker_job& job);

// Landlock and seccomp, each as far as the kernel has it; a kernel without them is no failure. No other program can
// be started, no core is written, no file emptied that may only be read. For the rest of the process's life and all
// threads that it makes from now on; called while it has one only. Of Landlock nothing newer than `newest_landlock`
// (an ABI version) is asked for: what an older kernel would hold can so be tried on a new one.
outcome<void> enter_sandbox(const bounds& b, long newest_landlock = std::numeric_limits<long>::max());

}  // namespace hasup::snapshot
