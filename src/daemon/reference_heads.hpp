// Asks the nodes of a probe's [reference] where their heads are. All probes with the same reference, of whatever
// unit, share one that asks, so that a public API is asked as often as one probe says.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "model/probe.hpp"
#include "probe/prober.hpp"
#include "unit/probe_verdict.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::daemon {

// Asks for as long as the object lives: each node by itself, again an interval after its answer, so that none is
// asked twice at once; several of them at times of their own. Everything runs on the loop.
class reference_heads {
 public:
  // What is known of each node; it outlives who asked.
  struct memory {
    std::vector<unit::other_head> known;
    std::vector<std::optional<base::mono_time>> asked_at;
    std::vector<bool> heard;  // it has answered, well or badly
  };

  // A node that was asked less than an interval ago is not asked before that is over.
  reference_heads(boost::asio::io_context& loop, probe::prober& prober, const model::probe_reference& whom,
                  std::shared_ptr<memory> remembered);
  ~reference_heads();
  reference_heads(const reference_heads&) = delete;
  reference_heads& operator=(const reference_heads&) = delete;

  [[nodiscard]] const std::vector<unit::other_head>& known() const;
  // Has each of them answered, well or badly?
  [[nodiscard]] bool all_heard() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

// Who asks whom now, and what was heard of those that were asked not long ago: the next run of a node that crashes
// again and again asks no sooner.
class reference_pool {
 public:
  std::shared_ptr<const reference_heads> watch(boost::asio::io_context& loop, probe::prober& prober,
                                               const model::probe_reference& whom);

 private:
  struct entry {
    model::probe_reference whom;
    std::shared_ptr<reference_heads::memory> memory;
    std::weak_ptr<const reference_heads> asks;
  };
  static bool is_stale(const entry& e, base::mono_time now);

  std::list<entry> entries_;
};

}  // namespace hasup::daemon
