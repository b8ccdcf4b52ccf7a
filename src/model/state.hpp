// The names of unit states and health, as status shows them (fixed).
#pragma once

#include "base/enum_names.hpp"

namespace hasup::model {

enum class unit_state {
  stopped,
  waiting,
  starting,
  running,
  completed,
  backoff,
  stopping,
  recovering,
  failed,
  asking
};
inline constexpr base::enum_names<unit_state, 10> unit_state_names{{{{unit_state::stopped, "stopped"},
                                                                     {unit_state::waiting, "waiting"},
                                                                     {unit_state::starting, "starting"},
                                                                     {unit_state::running, "running"},
                                                                     {unit_state::completed, "completed"},
                                                                     {unit_state::backoff, "backoff"},
                                                                     {unit_state::stopping, "stopping"},
                                                                     {unit_state::recovering, "recovering"},
                                                                     {unit_state::failed, "failed"},
                                                                     {unit_state::asking, "asking"}}}};

enum class health { unknown, healthy, unhealthy };
inline constexpr base::enum_names<health, 3> health_names{
    {{{health::unknown, "unknown"}, {health::healthy, "healthy"}, {health::unhealthy, "unhealthy"}}}};

enum class desired { down, up };
inline constexpr base::enum_names<desired, 2> desired_names{{{{desired::down, "down"}, {desired::up, "up"}}}};

}  // namespace hasup::model
