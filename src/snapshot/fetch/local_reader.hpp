// Who reads the directories of this machine that are sources. Such a directory may be a mount whose host is gone, and
// a process that asks it for anything then waits in the kernel, where no signal reaches it, until the mount is back
// or is taken away. So it is never the job's own process that asks:
//
//   hasup-worker-fetch ── forked once ──> reader ── forks ──> one process a request ── reads ──> the mount
//           └───────────── a local socket: HTTP, one request, one answer ──┘
//
// To the job a directory is then one more host, which is asked through libcurl like the others: with its patience,
// its ranges (so that a copy is resumed, and mirrors go on in the middle), its ETag (size, time and inode). A process
// that hangs is left behind and costs no more than the patience of the source: it has no lock, no file of the node,
// and no descriptor but that socket; it can write nothing, start nothing and has no network (snapshot/sandbox.hpp).
// It ends by itself when the mount answers, since nobody listens any more. It is not the job's: it has left its
// session and wipes the mark of its tree (shim/process_walk.hpp), so that the next job of the instance need not wait
// for it (daemon/worker_runner.hpp). How many such processes may hang at one place is bounded (local_server.hpp).
#pragma once

#include <string>
#include <vector>

#include "ports/worker_job.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// What may be read for a job: directories (all below them), files, and files beside them.
std::vector<std::string> local_places(const ports::worker_job& job);

class local_reader {
 public:
  // Starts it, for these places alone; called before the job has threads, a lock or a sandbox. Nothing is opened.
  static void begin(std::vector<std::string> places);
  // Of an abstract socket; it answers one request a connection, of this process alone. A reader that was not begun
  // is, for all places: in tests.
  static outcome<std::string> address();
};

}  // namespace hasup::snapshot
