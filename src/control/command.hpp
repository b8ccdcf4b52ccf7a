// The JSON of commands and of their answers; one codec for both sides of the socket.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "control/service.hpp"

namespace hasup::control {

std::string encode(const command& c);
base::result<command> decode_command(std::string_view json);

std::string encode(const command_reply& r);
base::result<command_reply> decode_reply(std::string_view json);

// {"options":{…}} of POST /v1/units/NAME/VERB; an empty text is no options. Values: strings, true, false, numbers.
base::result<std::map<std::string, std::string>> decode_options(std::string_view json);

std::string encode_error(std::string_view message);    // {"error":…}
std::string decode_error(std::string_view json);       // its text; "" when it is something else
std::string encode(const std::vector<event>& events);  // {"events":[…]}
base::result<std::vector<event>> decode_events(std::string_view json);

}  // namespace hasup::control
