// The control socket: accepts connections, cuts what they send into frames, sends answers and pushes. Never waits
// for anybody: a connection that does not read its answers is closed.
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/unique_fd.hpp"
#include "process/shim_protocol.hpp"
#include "shim/claim.hpp"

namespace hasup::shim {

// What the shim sends is small: it fits here.
class reply_frame {
 public:
  bool append(const void* data, size_t length) {
    if (length > sizeof data_ - size_) return false;
    memcpy(data_ + size_, data, length);
    size_ += length;
    return true;
  }
  void patch(size_t at, const void* data, size_t length) { memcpy(data_ + at, data, length); }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] const char* data() const { return data_; }

 private:
  char data_[1024];
  size_t size_ = 0;
};

class command_handler {
 public:
  virtual void on_connected(int connection) = 0;
  virtual void on_command(int connection, process::message type, const char* payload, size_t length) = 0;

 protected:
  ~command_handler() = default;
};

class control {
 public:
  static constexpr int max_connections = 8;
  static constexpr int poll_slots = max_connections + 1;

  explicit control(command_handler& handler) : handler_(handler) {}

  // Binds RUN/shim/NAME.sock, replacing what a dead shim left. False with errno.
  bool listen(const places& p, const char* name);
  void adopt(base::unique_fd connection);

  // Fills poll_slots entries; handle() takes the same ones back.
  void prepare(pollfd* slots);
  void handle(const pollfd* slots);

  void send(int connection, const reply_frame& frame);
  void broadcast(const reply_frame& frame);
  // Somebody was connected, and nobody is any more.
  [[nodiscard]] bool abandoned() const;
  // The socket's name goes, so that nobody connects to a shim that ends.
  void unlink();

 private:
  struct connection_state {
    base::unique_fd fd;
    char* received = nullptr;
    size_t length = 0;
    uint64_t since = 0;
    bool broken = false;  // dropped as soon as nobody looks into `received`
  };

  void accept_one();
  void receive(int connection);
  bool take_frames(int connection);
  void drop(int connection);

  command_handler& handler_;
  base::unique_fd listener_;
  int folder_ = -1;
  char name_[256] = {};
  connection_state connections_[max_connections];
  uint64_t accepted_ = 0;
};

}  // namespace hasup::shim
