// A unit read again from what was read with it: for other addresses of the DNS names of its upstreams.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/parsed_unit.hpp"

namespace hasup::config {

// What has been read once is what it says from now on.
file_context remembered(file_context context);

using unit_parser = std::function<parsed_unit(const std::string& name, const std::string& file, std::string_view text,
                                              const file_context& context)>;

// Gives the instances of a unit that uses names what they are made again by. `context` is a remembered one, without
// addresses.
void add_replay(parsed_unit& unit, std::string_view text, file_context context, unit_parser parse);

}  // namespace hasup::config
