// One check being asked once: the deadline, the single end, and what all kinds of checks share.
//
//   begin -> ask (by kind) -> finish -> done
//         \-> deadline ----/        cancel at any time: no done
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "probe/lane.hpp"
#include "probe/prober.hpp"
#include "probe/session_state.hpp"
#include "probe/tls_contexts.hpp"

namespace hasup::probe {

// What a prober's checks have in common.
struct check_tools {
  explicit check_tools(boost::asio::io_context& loop, exec_runner r)
      : io(loop), names(loop), owners(loop), runner(std::move(r)) {}

  boost::asio::io_context& io;
  lane names;   // getaddrinfo
  lane owners;  // /proc and sock_diag
  exec_runner runner;
  tls_contexts tls;
};

// All that one asking needs; owned by the check, so that nothing outside has to live.
struct check_order {
  std::shared_ptr<check_tools> tools;
  std::shared_ptr<session_state> session;
  std::size_t index = 0;  // in the probe and in the session
  model::check check;
  target whom;
  base::duration timeout{0};
  std::string unasked{};  // why it is not to be asked, and so unknown; "" = it is
};

class check_run : public std::enable_shared_from_this<check_run> {
 public:
  using done_handler = std::function<void(check_result)>;

  check_run(check_order order, done_handler done);
  virtual ~check_run() = default;
  check_run(const check_run&) = delete;
  check_run& operator=(const check_run&) = delete;

  // `done` may be called before this returns.
  void begin();
  // No `done` any more; connections are closed.
  void cancel();
  [[nodiscard]] bool ended() const { return ended_; }

 protected:
  virtual void ask() = 0;
  // Ends whatever is under way; its handlers may still come and find ended().
  virtual void abandon() = 0;
  // Why there is no answer yet, for the deadline.
  virtual check_result late(const std::string& limit) = 0;

  void finish(check_result result);
  void finish(outcome out, std::string reason);
  // Judges the body of an answer by the check's expectations, and finishes.
  check_result judged(std::string_view body, const std::string& note);
  void judge_and_finish(std::string_view body, const std::string& note);
  // The answer is there now, even if the check ends later.
  void stamp(check_result& result) const;

  [[nodiscard]] const model::check& check() const { return order_.check; }
  [[nodiscard]] const target& whom() const { return order_.whom; }
  [[nodiscard]] base::duration timeout() const { return order_.timeout; }
  [[nodiscard]] check_tools& tools() { return *order_.tools; }
  [[nodiscard]] check_memory& memory() { return order_.session->checks[order_.index]; }

  static check_result result_of(outcome out, std::string reason);

 private:
  void on_deadline();

  check_order order_;
  done_handler done_;
  boost::asio::steady_timer timer_;
  base::mono_time began_{};
  bool ended_ = false;
};

// The kinds. A new one is made here.
std::shared_ptr<check_run> make_check_run(check_order order, check_run::done_handler done);
std::shared_ptr<check_run> make_http_check(check_order order, check_run::done_handler done);  // http and jsonrpc
std::shared_ptr<check_run> make_websocket_check(check_order order, check_run::done_handler done);
std::shared_ptr<check_run> make_tcp_check(check_order order, check_run::done_handler done);
std::shared_ptr<check_run> make_exec_check(check_order order, check_run::done_handler done);
std::shared_ptr<check_run> make_log_check(check_order order, check_run::done_handler done);

}  // namespace hasup::probe
