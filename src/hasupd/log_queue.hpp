// hasupd's own messages, written by a thread of their own: a stalled terminal or journal must not stall the daemon.
// spdlog has such a thread too, but that one wakes up every ten seconds to see whether it has missed something.
#pragma once

#include <spdlog/details/log_msg_buffer.h>
#include <spdlog/sinks/sink.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace hasup::hasupd {

class log_queue : public spdlog::sinks::sink {
 public:
  // When `most` messages wait, the oldest one is dropped.
  log_queue(std::shared_ptr<spdlog::sinks::sink> to, std::size_t most);
  // Writes what waits, then ends the thread.
  ~log_queue() override;

  void log(const spdlog::details::log_msg& message) override;
  void flush() override {}
  void set_pattern(const std::string& pattern) override { to_->set_pattern(pattern); }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    to_->set_formatter(std::move(formatter));
  }

 private:
  void write_all();

  std::shared_ptr<spdlog::sinks::sink> to_;
  std::size_t most_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<spdlog::details::log_msg_buffer> waiting_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace hasup::hasupd
