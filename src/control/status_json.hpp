// The JSON values of status structs, shared by the codecs of status and story. For .cpp files only.
#pragma once

#include "control/event.hpp"
#include "control/json_fields.hpp"
#include "control/status.hpp"

namespace hasup::control {

boost::json::object to_json(const instance_status& s);
instance_status instance_from_json(const boost::json::value& v);
boost::json::object to_json(const event& e);
event event_from_json(const boost::json::value& v);

}  // namespace hasup::control
