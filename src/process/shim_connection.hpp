// The connection of a shim_client: finds the living shim or starts one, carries frames, notices its end. What the
// frames mean is none of its business.
#pragma once

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.hpp"
#include "process/shim_client.hpp"
#include "process/shim_messages.hpp"

namespace hasup::process {

class shim_connection : public std::enable_shared_from_this<shim_connection> {
 public:
  shim_connection(boost::asio::io_context& io, directories dirs, std::string name,
                  std::function<void(const shim_event&)> on_event)
      : io_(io),
        socket_(io),
        retry_(io),
        dirs_(std::move(dirs)),
        name_(std::move(name)),
        on_event_(std::move(on_event)) {}
  virtual ~shim_connection() = default;
  shim_connection(const shim_connection&) = delete;
  shim_connection& operator=(const shim_connection&) = delete;

  // Ends in a hello, or in shim_lost or shim_busy.
  void open();
  // For good: nothing is told any more.
  void close();
  [[nodiscard]] bool connected() const { return phase_ == phase::connected; }
  [[nodiscard]] bool claimed() const { return is_claimed(dirs_, name_); }

 protected:
  virtual void on_frame(message type, const shim_reply& r) = 0;
  // There is no connection any more: what was asked for will not be answered.
  virtual void on_gone() = 0;

  [[nodiscard]] bool closed() const { return phase_ == phase::closed; }
  [[nodiscard]] bool has_owner() const { return on_event_ != nullptr; }
  // Waits for begin_to_send() when the shim has yet to greet; shim_lost when there is none.
  void send(std::string frame);
  // The first word of this connection; false: it has been said already.
  bool take_hello();
  void begin_to_send();
  // Unless the connection is another one by then.
  void from_the_loop(std::function<void()> what);
  // At once: only from the loop.
  void tell(const shim_event& event);
  // Always by way of the loop, so that no handler runs inside a call of its owner.
  void emit(shim_event event);

  boost::asio::io_context& io_;

 private:
  enum class phase { closed, opening, connected };
  static constexpr auto first_retry = std::chrono::milliseconds(5);

  bool try_connect();
  void spawn();
  void retry_later();
  void report_busy();
  void use(base::unique_fd socket);
  void lose(std::string message);
  void give_up(std::string message);
  void drop_connection();
  void write_next();
  void read_more();
  bool take_frames();
  // That there is no connection is nothing to tell to an owner that has asked for a new one since.
  void emit_unless_reopened(shim_event event);

  boost::asio::local::stream_protocol::socket socket_;
  boost::asio::steady_timer retry_;
  directories dirs_;
  std::string name_;
  std::function<void(const shim_event&)> on_event_;
  phase phase_ = phase::closed;
  std::uint64_t epoch_ = 0;     // counts connections: what belongs to an older one is ignored
  std::uint64_t openings_ = 0;  // counts calls of open()
  bool greeted_ = false;
  bool spawned_ = false;  // this connection was given to a shim that we started
  std::chrono::steady_clock::time_point give_up_at_;
  std::chrono::milliseconds pause_{first_retry};
  std::deque<std::string> outgoing_;
  bool writing_ = false;
  std::string incoming_;
  std::array<char, 4096> buffer_;
};

}  // namespace hasup::process
