#include "probe/prober.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "probe/check_run.hpp"

namespace hasup::probe {

session::session() : state_(std::make_shared<session_state>()) {}
session::~session() = default;
session::session(session&&) noexcept = default;
session& session::operator=(session&&) noexcept = default;

namespace {

// One check may know the number and another one the time.
void add_head(std::optional<model::head>& all, const std::optional<model::head>& one) {
  if (!one) return;
  if (!all) all.emplace();
  if (!all->number) all->number = one->number;
  if (!all->time) all->time = one->time;
  if (all->weight.empty()) all->weight = one->weight;
  if (all->chain.empty()) all->chain = one->chain;
  if (!all->peers) all->peers = one->peers;
}

// Of a unit that answers for another one only what it says of the head is about that one.
check_result told_by(const std::string& unit, check_result r) {
  if (r.out != outcome::failed || r.answered) return r;
  r.out = outcome::unknown;
  r.reason = "asked through " + unit + ": " + r.reason;
  return r;
}

}  // namespace

struct prober::shared : check_tools {
  using check_tools::check_tools;
};

// One probe being asked: fans out, waits for all, answers once.
struct prober::run : std::enable_shared_from_this<prober::run> {
  std::vector<std::shared_ptr<check_run>> checks;
  std::vector<std::optional<check_result>> results;
  std::size_t open = 0;
  handler done;

  void begin() {
    // A check may end at once, and the end of the last one may destroy the handle.
    const auto self = shared_from_this();
    if (checks.empty()) return end();
    const auto all = checks;
    for (const auto& c : all)
      if (done) c->begin();
  }

  void check_done(std::size_t index, check_result r) {
    results[index] = std::move(r);
    if (--open == 0) end();
  }

  void end() {
    if (!done) return;
    probe_result all;
    if (checks.empty()) {
      all.reason = "the probe has no checks";
    } else {
      all.out = outcome::passed;
      all.answered = true;
      for (auto& r : results) all.checks.push_back(std::move(*r));
      for (const auto& c : all.checks) {
        const bool worse = (c.out == outcome::failed && all.out != outcome::failed) ||
                           (c.out == outcome::unknown && all.out == outcome::passed);
        if (worse) all.out = c.out;
        if (worse || all.reason.empty()) all.reason = c.reason;
        all.answered = all.answered && (c.out == outcome::passed || c.answered);
        add_head(all.head, c.head);
      }
    }
    const handler answer = std::exchange(done, {});
    answer(std::move(all));
  }

  void cancel() {
    done = {};
    for (const auto& c : checks) c->cancel();
    checks.clear();
  }
};

prober::prober(boost::asio::io_context& io, exec_runner runner)
    : shared_(std::make_shared<shared>(io, std::move(runner))) {}

prober::~prober() = default;

prober::handle& prober::handle::operator=(handle&& other) noexcept {
  if (this != &other) {
    cancel();
    run_ = std::move(other.run_);
  }
  return *this;
}

void prober::handle::cancel() {
  if (const auto r = std::exchange(run_, {})) r->cancel();
}

prober::handle prober::start(const model::probe& probe, const target& whom, session& memory, handler done) {
  auto r = std::make_shared<run>();
  r->done = std::move(done);
  r->open = probe.checks.size();
  r->results.resize(probe.checks.size());
  memory.state_->checks.resize(probe.checks.size());
  const std::weak_ptr<run> weak = r;
  for (std::size_t i = 0; i < probe.checks.size(); ++i) {
    check_order order{shared_, memory.state_, i, probe.checks[i], whom, probe.timeout};
    const auto& through = probe.checks[i].through;
    if (!through.empty()) {
      const auto by = whom.through ? whom.through(through) : stand_in{"not known here"};
      order.whom.main_pid = by.main_pid;
      if (!by.down.empty()) order.unasked = "asked through " + through + ", which is " + by.down;
    }
    r->checks.push_back(make_check_run(std::move(order), [weak, i, through](check_result result) {
      if (const auto self = weak.lock())
        self->check_done(i, through.empty() ? std::move(result) : told_by(through, std::move(result)));
    }));
  }
  boost::asio::post(shared_->io, [r] { r->begin(); });
  return handle(std::move(r));
}

// Steps of the golden ratio: however many there are, no gap is much wider than another.
base::duration prober::next_phase(base::duration interval) {
  constexpr std::uint32_t step = 2'654'435'769U;  // of 2^32
  phases_ += step;
  const double part = (phases_ + 1.0) / 4'294'967'296.0;
  return std::max(std::chrono::duration_cast<base::duration>(interval * part), base::duration{1});
}

prober::handle prober::start(const model::probe& probe, const target& whom, handler done) {
  session once;
  return start(probe, whom, once, std::move(done));
}

}  // namespace hasup::probe
