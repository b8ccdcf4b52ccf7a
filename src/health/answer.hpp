// What a load balancer is told about a unit, an instance or a [[health]] group.
//
// The question behind it is: may this get requests now? So only what runs and is healthy counts; unknown, completed
// and a unit that is not configured (any more) do not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/health_group.hpp"
#include "model/state.hpp"

namespace hasup::health {

struct instance_view {
  model::instance_id id;
  model::unit_state state = model::unit_state::stopped;
  model::health health = model::health::unknown;
  model::desired desired = model::desired::down;
  std::string reason;
  bool draining = false;   // it still serves what it was asked for, and is about to stop
  bool restoring = false;  // a recovery has it, or a person is asked about one
};

struct answer {
  bool known = true;  // false: no such unit, instance or group
  bool healthy = false;
  std::string text;   // for a person, one line a unit, each with its end
  std::string agent;  // the answer to an agent check of HAProxy, without the end of its line
};

// `name`: a group's, a unit's, or an instance's ("miner@0"). Of a unit one healthy instance is enough.
answer answer_for(std::string_view name, const std::vector<instance_view>& all,
                  const std::vector<model::health_group>& groups);
answer answer_for(const model::health_group& group, const std::vector<instance_view>& all);

}  // namespace hasup::health
