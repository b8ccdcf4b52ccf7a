// Numbers of any length, because the weights of some chains do not fit 64 bits.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hasup::probe {

// An exact decimal: 0.DIGITS x 10^exponent.
class decimal {
 public:
  // Reads JSON numbers ("-12.5e3"), the same in a string with a "+" or leading zeros, and "0x1f" of at most 256
  // digits.
  static std::optional<decimal> parse(std::string_view text);

  [[nodiscard]] std::optional<std::uint64_t> to_uint64() const;  // only when it is exactly that
  [[nodiscard]] double to_double() const;                        // infinity when out of range
  // Without an exponent; empty when that were longer than 1,000 characters.
  [[nodiscard]] std::string text() const;

  friend std::strong_ordering operator<=>(const decimal& a, const decimal& b);
  friend bool operator==(const decimal& a, const decimal& b) = default;

 private:
  bool negative_ = false;
  std::string digits_;         // neither begins nor ends with '0'; empty = zero
  std::int64_t exponent_ = 0;  // 0 for zero

  void normalise();
};

}  // namespace hasup::probe
