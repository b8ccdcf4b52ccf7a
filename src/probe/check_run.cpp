#include "probe/check_run.hpp"

#include <algorithm>

namespace hasup::probe {

check_run::check_run(check_order order, done_handler done)
    : order_(std::move(order)), done_(std::move(done)), timer_(order_.tools->io) {}

void check_run::begin() {
  began_ = std::chrono::steady_clock::now();
  timer_.expires_at(began_ + order_.timeout);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
    if (!ec) self->on_deadline();
  });
  if (!order_.unasked.empty()) return finish(outcome::unknown, order_.unasked);
  ask();
}

void check_run::cancel() {
  if (ended_) return;
  ended_ = true;
  done_ = {};
  timer_.cancel();
  abandon();
}

void check_run::finish(check_result result) {
  if (ended_) return;
  ended_ = true;
  timer_.cancel();
  abandon();
  if (result.latency.count() == 0) stamp(result);
  const auto done = std::move(done_);
  done(std::move(result));
}

void check_run::stamp(check_result& result) const {
  using namespace std::chrono;
  result.latency = duration_cast<microseconds>(steady_clock::now() - began_);
}

check_result check_run::result_of(outcome out, std::string reason) {
  check_result r;
  r.out = out;
  r.reason = std::move(reason);
  return r;
}

void check_run::finish(outcome out, std::string reason) {
  finish(result_of(out, std::move(reason)));
}

check_result check_run::judged(std::string_view body, const std::string& note) {
  const auto judge = check().kind == model::check_kind::jsonrpc ? judge_jsonrpc : judge_answer;
  auto result =
      judge(check(), body, memory().growth, std::chrono::steady_clock::now(), std::chrono::system_clock::now());
  if (!note.empty()) result.reason += "; " + note;
  return result;
}

void check_run::judge_and_finish(std::string_view body, const std::string& note) {
  finish(judged(body, note));
}

void check_run::on_deadline() {
  if (ended_) return;
  // When this very process was held up (stopped, starved, paused with its machine), the answer may be there unread:
  // that says nothing about the unit.
  const auto late_by = std::chrono::steady_clock::now() - timer_.expiry();
  if (late_by > std::max<base::duration>(order_.timeout, std::chrono::milliseconds{500})) {
    const auto ms = std::chrono::duration_cast<base::duration>(late_by);
    return finish(outcome::unknown, "the prober itself was held up for " + base::format_duration_short(ms));
  }
  finish(late(base::format_duration(order_.timeout)));
}

std::shared_ptr<check_run> make_check_run(check_order order, check_run::done_handler done) {
  switch (order.check.kind) {
    case model::check_kind::http:
    case model::check_kind::jsonrpc:
      return make_http_check(std::move(order), std::move(done));
    case model::check_kind::websocket:
      return make_websocket_check(std::move(order), std::move(done));
    case model::check_kind::tcp:
      return make_tcp_check(std::move(order), std::move(done));
    case model::check_kind::log:
      return make_log_check(std::move(order), std::move(done));
    case model::check_kind::exec:
      break;
  }
  return make_exec_check(std::move(order), std::move(done));
}

}  // namespace hasup::probe
