// Manual pages as roff, from the tables of keys.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/schema.hpp"

namespace hasup::cli {

// What a value of the key looks like: "duration such as "1m30s"", "one of never, on_failure, always".
std::string type_of(const config::key& k);

// Text as one roff line prints it.
std::string roff(std::string_view text);
// Lines as they stand, such as a file: blank lines and all.
std::string roff_lines(std::string_view text);
// The same, set as it stands.
std::string roff_example(std::string_view text);

// A paragraph for each key that works, a heading for each table.
std::string roff_keys(std::span<const config::key> keys);
// "These keys are known and refused until they work", with its heading; "" when all work.
std::string roff_not_yet(std::span<const config::key> keys);

}  // namespace hasup::cli
