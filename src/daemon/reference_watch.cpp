#include "daemon/reference_watch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>
#include <vector>

namespace hasup::daemon {

struct reference_watch::impl : std::enable_shared_from_this<impl> {
  impl(boost::asio::io_context& loop, probe::prober& p, const model::reference_policy& w, probe::target t,
       std::function<unit::own_head()> o)
      : prober(p), whom(w), as(std::move(t)), own(std::move(o)), timer(loop), asked(w.endpoints.size()) {
    for (const auto& e : whom.endpoints) {
      heard.emplace_back();
      heard.back().name = e.name;
    }
  }

  struct one_asked {
    probe::session session;
    probe::prober::handle asking;
  };

  probe::prober& prober;
  model::reference_policy whom;
  probe::target as;
  std::function<unit::own_head()> own;
  boost::asio::steady_timer timer;
  std::vector<one_asked> asked;
  std::vector<unit::reference_memory> heard;
  std::size_t open = 0;

  void ask_all() {
    open = asked.size();
    for (std::size_t i = 0; i < asked.size(); ++i)
      asked[i].asking = prober.start(whom.endpoints[i].asks, as, asked[i].session,
                                     [weak = weak_from_this(), i](const probe::probe_result& r) {
                                       if (const auto self = weak.lock()) self->answered(i, r);
                                     });
  }

  void answered(std::size_t i, const probe::probe_result& r) {
    const unit::reference_answer answer{r.out == probe::outcome::passed, r.reason, r.head};
    unit::observe(heard[i], answer, own(), std::chrono::steady_clock::now());
    if (--open > 0) return;
    timer.expires_after(whom.interval);
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
      if (ec) return;
      if (const auto self = weak.lock()) self->ask_all();
    });
  }
};

reference_watch::reference_watch(boost::asio::io_context& loop, probe::prober& prober,
                                 const model::reference_policy& whom, probe::target as,
                                 std::function<unit::own_head()> own)
    : impl_(std::make_shared<impl>(loop, prober, whom, std::move(as), std::move(own))) {
  impl_->ask_all();
}

reference_watch::~reference_watch() {
  impl_->timer.cancel();
  for (auto& one : impl_->asked) one.asking.cancel();
}

unit::others reference_watch::judge() const {
  return unit::judge_others(impl_->heard, impl_->own(), std::chrono::steady_clock::now());
}

}  // namespace hasup::daemon
