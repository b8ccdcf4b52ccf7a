// Picks single values out of a JSON answer by pointer, without building the whole answer in memory.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hasup::probe {

struct json_value {
  enum class kind { null, boolean, number, string, array, object };
  kind is = kind::null;
  std::string text;  // of a string: what it says; of everything else: JSON text, numbers digit for digit

  [[nodiscard]] std::string to_json() const;
  friend bool operator==(const json_value&, const json_value&) = default;
};

// RFC 6901: "" is the whole document, "/a/0/b~1c" a path.
base::result<std::vector<std::string>> parse_json_pointer(std::string_view text);

// One entry for each pointer, empty where the document has no such value. Of equal names in one object the last
// counts. An error says why the text is no JSON, or which pointer is none.
base::result<std::vector<std::optional<json_value>>> read_json_values(std::string_view document,
                                                                      std::span<const std::string> pointers);

std::string json_quote(std::string_view text);

}  // namespace hasup::probe
