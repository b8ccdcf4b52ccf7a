// Asks the nodes of [recovery.reference] where their heads are, for as long as the object lives: round after round,
// the next one an interval after the last answer of the one before.
#pragma once

#include <functional>
#include <memory>

#include "model/unit.hpp"
#include "probe/prober.hpp"
#include "unit/reference.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::daemon {

class reference_watch {
 public:
  // Asks at once. `own` says what is known of the unit's own node whenever that is needed; it is called from the loop
  // and from judge(), and outlives this object.
  reference_watch(boost::asio::io_context& loop, probe::prober& prober, const model::reference_policy& whom,
                  probe::target as, std::function<unit::own_head()> own);
  ~reference_watch();
  reference_watch(const reference_watch&) = delete;
  reference_watch& operator=(const reference_watch&) = delete;

  // Of all that was heard since it began.
  [[nodiscard]] unit::others judge() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace hasup::daemon
