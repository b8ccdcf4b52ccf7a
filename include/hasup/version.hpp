// The version of hasup and of its protocols.
#pragma once

namespace hasup {

inline constexpr const char* version = "0.1.0";

}  // namespace hasup
