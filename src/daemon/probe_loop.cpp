#include "daemon/probe_loop.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace hasup::daemon {
namespace {

// Nobody could look, and not because a unit that answers for it does not.
bool is_blind(const model::probe& what, const probe::probe_result& r) {
  if (r.out != probe::outcome::unknown) return false;
  for (std::size_t i = 0; i < r.checks.size(); ++i)
    if (r.checks[i].out == probe::outcome::unknown && what.checks[i].through.empty()) return true;
  return r.checks.empty();
}

}  // namespace

struct probe_loop::impl : std::enable_shared_from_this<impl> {
  impl(boost::asio::io_context& loop, probe::prober& p, const model::probe& w, probe::target t,
       std::function<void(const answer&)> cb, holder h, std::shared_ptr<const reference_heads> o)
      : prober(p),
        what(w),
        whom(std::move(t)),
        on_answer(std::move(cb)),
        held(std::move(h)),
        others(std::move(o)),
        timer(loop) {}

  probe::prober& prober;
  model::probe what;
  probe::target whom;
  std::function<void(const answer&)> on_answer;
  holder held;
  std::shared_ptr<const reference_heads> others;
  bool was_held = false;
  boost::asio::steady_timer timer;
  probe::session session;
  probe::prober::handle asking;
  unit::probe_memory memory;
  unit::verdict last = unit::verdict::undecided;
  base::duration pace{50};
  bool passed_once = false;
  bool has_phase = false;
  std::chrono::steady_clock::time_point counted_at =
      std::chrono::steady_clock::now();  // the last answer that counted, or the beginning

  void ask() {
    // A head that stood still meanwhile, or lines that did not come, are no fault of its own.
    if (was_held && held().empty()) {
      was_held = false;
      session = {};
    }
    asking = prober.start(what, whom, session, [weak = weak_from_this()](const probe::probe_result& r) {
      if (const auto self = weak.lock()) self->answered(r);
    });
  }

  // At its interval at last; those that began together part on the way there.
  base::duration next_wait() {
    const auto wait = passed_once ? what.interval : pace;
    pace = std::min(pace * 2, what.interval);
    if (wait < what.interval || std::exchange(has_phase, true)) return std::min(wait, what.interval);
    return prober.next_phase(what.interval);
  }

  void answered(const probe::probe_result& r) {
    using kind = unit::observation::kind;
    unit::observation seen;
    seen.out = r.out == probe::outcome::passed   ? kind::passed
               : r.out == probe::outcome::failed ? kind::failed
                                                 : kind::unknown;
    seen.reason = r.reason;
    seen.head = r.head;
    seen.blind = is_blind(what, r);
    if (others) seen.others = others->known();
    const auto now = std::chrono::steady_clock::now();
    seen.early = now - counted_at < what.interval;
    if (!seen.early) counted_at = now;
    answer a;
    if (held) a.held = held();
    if (a.held.empty() && !was_held) {
      a.verdict = unit::observe(what, memory, seen, now, std::chrono::system_clock::now());
    } else {
      was_held = true;
      memory = {};
      a.verdict.reason = a.held;
    }
    if (others && r.answered && a.held.empty() && a.verdict.value == unit::verdict::undecided)
      a.alone = a.verdict.reason;
    a.changed = std::exchange(last, a.verdict.value) != a.verdict.value;
    a.failing = memory.failures_in_row > 0;
    a.answered = r.answered;
    a.head = r.head;
    for (const auto& c : r.checks) a.latency = std::max(a.latency, c.latency);
    passed_once = passed_once || (seen.out == kind::passed && (!others || others->all_heard()));
    timer.expires_after(next_wait());
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
      if (ec) return;
      if (const auto self = weak.lock()) self->ask();
    });
    const auto cb = on_answer;  // it may destroy this object
    cb(a);
  }
};

probe_loop::probe_loop(boost::asio::io_context& loop, probe::prober& prober, const model::probe& what,
                       probe::target whom, std::function<void(const answer&)> on_answer, holder held,
                       std::shared_ptr<const reference_heads> others)
    : impl_(std::make_shared<impl>(loop, prober, what, std::move(whom), std::move(on_answer), std::move(held),
                                   std::move(others))) {
  impl_->ask();
}

probe_loop::~probe_loop() {
  impl_->timer.cancel();
  impl_->asking.cancel();
}

unit::verdict probe_loop::verdict() const {
  return impl_->last;
}

}  // namespace hasup::daemon
