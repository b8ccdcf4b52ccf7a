// One table joins an enum and its texts: the same spelling in TOML, JSON, CLI and code.
//   inline constexpr enum_names<kind, 2> kind_names{{{kind::http, "http"}, {kind::tcp, "tcp"}}};
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace hasup::base {

template <class Enum, std::size_t N>
struct enum_names {
  std::array<std::pair<Enum, std::string_view>, N> rows;

  [[nodiscard]] constexpr std::string_view text(Enum value) const {
    for (const auto& [e, t] : rows)
      if (e == value) return t;
    return "?";
  }
  [[nodiscard]] constexpr std::optional<Enum> parse(std::string_view text) const {
    for (const auto& [e, t] : rows)
      if (t == text) return e;
    return std::nullopt;
  }
};

}  // namespace hasup::base
