// A thread that may wait for a disk. hasupd has three: one for journals, environment files and name look-ups, one for
// the intent file, which is synced at each change, and one for the events, which must not queue behind an fsync.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace hasup::daemon {

class disk_thread {
 public:
  // Continuations are posted to `loop`, which must outlive this object.
  explicit disk_thread(boost::asio::io_context& loop);
  // Finishes what was posted, then ends the thread. Continuations that were not run yet are dropped with the loop.
  ~disk_thread();
  disk_thread(const disk_thread&) = delete;
  disk_thread& operator=(const disk_thread&) = delete;

  [[nodiscard]] boost::asio::any_io_executor executor() const;

  // Runs `work` there, in order of the calls, then `then` on the loop.
  void run(std::function<void()> work, std::function<void()> then = {});

  // From another thread than this one and the loop's: returns when everything that was given to run() before is done.
  void wait_done();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace hasup::daemon
