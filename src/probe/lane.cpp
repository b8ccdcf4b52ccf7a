#include "probe/lane.hpp"

#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace hasup::probe {

struct lane::state {
  explicit state(boost::asio::io_context& loop) : io(&loop) {}

  std::mutex mutex;
  std::condition_variable work;
  std::deque<job> jobs;
  bool closed = false;
  bool started = false;
  boost::asio::io_context* io;  // touched only while not closed

  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [this] { return closed || !jobs.empty(); });
      if (closed) return;
      const job next = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      answer done = next();
      lock.lock();
      if (!closed) boost::asio::post(*io, std::move(done));
    }
  }
};

lane::lane(boost::asio::io_context& io) : state_(std::make_shared<state>(io)) {}

lane::~lane() {
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
  state_->jobs.clear();
  state_->work.notify_all();
}

void lane::run(job j) {
  const std::lock_guard lock(state_->mutex);
  state_->jobs.push_back(std::move(j));
  if (state_->started) {
    state_->work.notify_one();
    return;
  }
  // All signals stay with the loop's thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([s = state_] { s->serve(); }).detach();
    state_->started = true;
  } catch (const std::system_error&) {
    // No thread to be had now: the job waits for the next try, and its asker for its own deadline.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace hasup::probe
