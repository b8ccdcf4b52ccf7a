// `hasup help TOPIC` of what is no verb: the files, with their keys from the table in config/schema.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hasup::cli {

// unit, recipe, preset, hasup.toml; with `part` one table of it ("readiness"). A table of unit files is a topic by
// itself: `schedule`. Nothing: there is no such topic.
std::optional<std::string> help_topic(std::string_view topic, std::string_view part = {});

// Whether unit files have a table of this name.
bool is_unit_table(std::string_view name);

}  // namespace hasup::cli
