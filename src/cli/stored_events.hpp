// The event file of the daemon, read without it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "control/event.hpp"

namespace hasup::cli {

// The newest events of STATE/events/events.jsonl that concern `unit` ("" = all), oldest first.
base::result<std::vector<control::event>> stored_events(const std::string& state_directory, std::size_t newest,
                                                        std::string_view unit);

}  // namespace hasup::cli
