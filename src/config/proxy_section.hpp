// [proxy]: which servers nginx or HAProxy sends its requests to.
#pragma once

#include "config/section.hpp"
#include "model/unit.hpp"

namespace hasup::config {

// Of the tree that check_schema has passed over; what it finds is reported.
void read_proxy(const section& root, model::unit& u);

// What depends on how the endpoints are asked.
void check_proxy(const section& root, const model::proxy_policy& proxy, const model::upstream& role);

}  // namespace hasup::config
