#include "daemon/disk_thread.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <future>
#include <thread>

namespace hasup::daemon {

struct disk_thread::impl {
  explicit impl(boost::asio::io_context& l) : loop(l), io(1), guard(io.get_executor()) {}
  boost::asio::io_context& loop;
  boost::asio::io_context io;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard;
  std::thread thread;
};

disk_thread::disk_thread(boost::asio::io_context& loop) : impl_(std::make_unique<impl>(loop)) {
  // Signals belong to the loop: the thread starts with all of them blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  impl_->thread = std::thread([this] { impl_->io.run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

disk_thread::~disk_thread() {
  impl_->guard.reset();
  impl_->thread.join();
}

boost::asio::any_io_executor disk_thread::executor() const {
  return impl_->io.get_executor();
}

void disk_thread::run(std::function<void()> work, std::function<void()> then) {
  boost::asio::post(impl_->io, [this, work = std::move(work), then = std::move(then)]() mutable {
    work();
    if (then) boost::asio::post(impl_->loop, std::move(then));
  });
}

void disk_thread::wait_done() {
  std::promise<void> reached;
  boost::asio::post(impl_->io, [&reached] { reached.set_value(); });
  reached.get_future().wait();
}

}  // namespace hasup::daemon
