// What people write from the habit of other tools, and what it is called here.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/schema.hpp"

namespace hasup::config {

// "; did you mean …?" or "; <where to write it>", or "" when nothing comes near. `section` is the path of the table
// that holds the unknown key ("" = top), `siblings` the names that may stand there.
std::string suggest_key(std::string_view section, std::string_view unknown,
                        std::span<const std::string_view> siblings, std::span<const key> all_keys);

// The same for a value that is none of `words`.
std::string suggest_word(std::string_view unknown, std::span<const std::string_view> words);

}  // namespace hasup::config
