// Base64 of RFC 4648, as keys and signatures are written.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hasup::base {

// The bytes; nothing when the text is not canonical base64 with its padding.
std::optional<std::string> base64_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);

}  // namespace hasup::base
