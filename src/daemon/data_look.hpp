// A look at a unit's data before it comes back from a crash: by a hasup-worker without a shim, which stays for the
// next look, because starting a program takes longer than looking. It changes nothing, so nothing is lost when hasupd
// dies over it: it ends with hasupd, and the next hasupd looks again.
//
//   hasupd ── jobs ──> hasup-worker --look     one that waits is kept; looks at the same time have one each, so that
//          <── answers ──                      a data disk that hangs holds up its own unit only
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ports/worker_job.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::daemon {

class data_look {
 public:
  data_look(boost::asio::io_context& loop, std::string worker_program);
  ~data_look();
  data_look(const data_look&) = delete;
  data_look& operator=(const data_look&) = delete;

  // As the daemon's user. `done` is called once, from the loop, never from inside this call; a worker that ends
  // without an answer is a failure `internal`. An answer that nobody wants any more is the caller's to drop.
  void ask(ports::worker_job job, std::function<void(ports::worker_result)> done);

 private:
  struct looker;
  struct lookers;
  std::shared_ptr<lookers> lookers_;
};

}  // namespace hasup::daemon
