// Completion scripts, made from the verbs themselves.
#pragma once

#include <string>
#include <string_view>

namespace hasup::cli {

// For "bash", "zsh" or "fish"; "" for any other.
std::string completion_script(std::string_view shell);

}  // namespace hasup::cli
