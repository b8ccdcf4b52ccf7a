// The event file of the daemon, read without it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/context.hpp"
#include "control/event.hpp"

namespace hasup::cli {

// The newest events of STATE/events/events.jsonl that concern `unit` ("" = all), oldest first.
base::result<std::vector<control::event>> stored_events(const std::string& state_directory, std::size_t newest,
                                                        std::string_view unit);

// The newest events of `unit` ("" = all), oldest first: from the daemon, with what it no longer holds from its file,
// or from the file alone when it is down.
control::client_result<std::vector<control::event>> recent_events(const context& c, std::size_t wanted,
                                                                  const std::string& unit);

}  // namespace hasup::cli
