#include "daemon/reference_heads.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "unit/head_lag.hpp"

namespace hasup::daemon {
namespace {

base::mono_time now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

struct reference_heads::impl : std::enable_shared_from_this<impl> {
  impl(boost::asio::io_context& l, probe::prober& p, const model::probe_reference& whom, std::shared_ptr<memory> m)
      : prober(p), interval(whom.interval), remembered(std::move(m)) {
    for (const auto& one : whom.nodes) nodes.emplace_back(l, unit::asked_as_probe(whom, one));
  }

  struct node {
    node(boost::asio::io_context& loop, model::probe what) : asks(std::move(what)), timer(loop) {}

    model::probe asks;
    boost::asio::steady_timer timer;
    probe::session session;
    probe::prober::handle asking;
    bool first = true;
  };

  probe::prober& prober;
  base::duration interval;
  std::shared_ptr<memory> remembered;
  std::vector<node> nodes;

  void begin() {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      const auto& asked = remembered->asked_at[i];
      const auto due = asked ? *asked + interval : now();
      if (due > now())
        ask_at(i, due);
      else
        ask(i);
    }
  }

  void ask_at(std::size_t i, base::mono_time when) {
    nodes[i].timer.expires_at(when);
    nodes[i].timer.async_wait([weak = weak_from_this(), i](const boost::system::error_code& ec) {
      if (ec) return;
      if (const auto self = weak.lock()) self->ask(i);
    });
  }

  void ask(std::size_t i) {
    auto& n = nodes[i];
    remembered->asked_at[i] = now();
    n.asking = prober.start(n.asks, {}, n.session, [weak = weak_from_this(), i](const probe::probe_result& r) {
      if (const auto self = weak.lock()) self->answered(i, r);
    });
  }

  void answered(std::size_t i, const probe::probe_result& r) {
    remembered->heard[i] = true;
    unit::remember(remembered->known[i], r.out == probe::outcome::passed, r.reason, r.head, now());
    // Apart from each other, from the first time on.
    const auto share = static_cast<base::duration::rep>(i + 1), all = static_cast<base::duration::rep>(nodes.size());
    ask_at(i, now() + (std::exchange(nodes[i].first, false) ? interval * share / all : interval));
  }
};

reference_heads::reference_heads(boost::asio::io_context& loop, probe::prober& prober,
                                 const model::probe_reference& whom, std::shared_ptr<memory> remembered)
    : impl_(std::make_shared<impl>(loop, prober, whom, std::move(remembered))) {
  impl_->begin();
}

reference_heads::~reference_heads() {
  for (auto& n : impl_->nodes) {
    n.timer.cancel();
    n.asking.cancel();
  }
}

const std::vector<unit::other_head>& reference_heads::known() const {
  return impl_->remembered->known;
}

bool reference_heads::all_heard() const {
  const auto& heard = impl_->remembered->heard;
  return std::all_of(heard.begin(), heard.end(), [](bool h) { return h; });
}

bool reference_pool::is_stale(const entry& e, base::mono_time now) {
  if (!e.asks.expired()) return false;
  return std::all_of(e.memory->asked_at.begin(), e.memory->asked_at.end(),
                     [&](const auto& at) { return !at || now - *at > unit::counts_for(e.whom); });
}

std::shared_ptr<const reference_heads> reference_pool::watch(boost::asio::io_context& loop, probe::prober& prober,
                                                             const model::probe_reference& whom) {
  std::erase_if(entries_, [at = now()](const entry& e) { return is_stale(e, at); });
  auto it = std::find_if(entries_.begin(), entries_.end(), [&](const entry& e) { return e.whom == whom; });
  if (it == entries_.end()) {
    auto memory = std::make_shared<reference_heads::memory>();
    for (const auto& node : whom.nodes) memory->known.push_back({node.name});
    memory->asked_at.resize(whom.nodes.size());
    memory->heard.resize(whom.nodes.size());
    it = entries_.insert(entries_.end(), entry{whom, std::move(memory), {}});
  }
  if (auto asks = it->asks.lock()) return asks;
  const auto asks = std::make_shared<const reference_heads>(loop, prober, whom, it->memory);
  it->asks = asks;
  return asks;
}

}  // namespace hasup::daemon
