// One probe of one run, asked again and again until the object goes: interval, thresholds, verdicts.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "daemon/reference_heads.hpp"
#include "model/probe.hpp"
#include "probe/prober.hpp"
#include "unit/probe_verdict.hpp"

namespace hasup::daemon {

class probe_loop {
 public:
  struct answer {
    unit::probe_verdict verdict;
    bool changed = false;                  // the verdict differs from the one before
    bool failing = false;                  // this answer, or one before it since the last good one, was a failure
    bool answered = false;                 // the node works, though it may be behind
    std::optional<model::head> head;       // of this answer
    std::chrono::microseconds latency{0};  // of its slowest check
    std::string held;                      // why no answer counts now; "" = they do
    std::string alone;                     // what a first verdict waits for: with others to compare with there is one
  };
  // Why no answer counts now; "" = they do. May be empty itself.
  using holder = std::function<std::string()>;

  // Asks at once, then quickly until it passes for the first time (from 50 ms, doubling up to the interval), then
  // every interval. `others` are the nodes of its reference; it is asked quickly until they were heard, too. What was
  // seen while `held` says why not is forgotten. `on_answer` comes from the loop, never from inside the constructor;
  // it may destroy this object.
  probe_loop(boost::asio::io_context& loop, probe::prober& prober, const model::probe& what, probe::target whom,
             std::function<void(const answer&)> on_answer, holder held = {},
             std::shared_ptr<const reference_heads> others = {});
  ~probe_loop();
  probe_loop(const probe_loop&) = delete;
  probe_loop& operator=(const probe_loop&) = delete;

  // Of the last answer.
  [[nodiscard]] unit::verdict verdict() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace hasup::daemon
