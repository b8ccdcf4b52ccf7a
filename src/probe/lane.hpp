// One thread for calls that may block (name lookup, /proc of a hanging process), so that the event loop never does.
#pragma once

#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace hasup::probe {

// The thread starts with the first job and runs one after the other. Destruction waits for nothing: a call that hangs
// finishes on its own and its answer is dropped; so a job owns all that it touches.
class lane {
 public:
  // What a job gives back; it is called on the loop. It must not own objects of the loop (weak pointers are fine): it
  // may be destroyed on the lane's thread.
  using answer = std::function<void()>;
  using job = std::function<answer()>;

  explicit lane(boost::asio::io_context& io);
  ~lane();
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;

  void run(job j);

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace hasup::probe
