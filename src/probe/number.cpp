#include "probe/number.hpp"

#include <charconv>
#include <cstdlib>
#include <vector>

namespace hasup::probe {
namespace {

constexpr std::size_t longest_hex = 256;
constexpr std::int64_t longest_text = 1000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t count_digits(std::string_view text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  return n;
}

// "1f" -> "31"; nothing when a character is no hexadecimal digit.
std::optional<std::string> hex_to_decimal(std::string_view hex) {
  if (hex.empty() || hex.size() > longest_hex) return std::nullopt;
  std::vector<unsigned> groups{0};  // nine decimal digits each, the lowest first
  for (const char c : hex) {
    unsigned value = 0;
    const auto [end, ec] = std::from_chars(&c, &c + 1, value, 16);
    if (ec != std::errc{}) return std::nullopt;
    std::uint64_t carry = value;
    for (auto& g : groups) {
      const std::uint64_t sum = std::uint64_t{g} * 16 + carry;
      g = static_cast<unsigned>(sum % 1'000'000'000);
      carry = sum / 1'000'000'000;
    }
    if (carry != 0) groups.push_back(static_cast<unsigned>(carry));
  }
  std::string out;
  for (auto g = groups.rbegin(); g != groups.rend(); ++g) {
    const std::string part = std::to_string(*g);
    out += std::string(9 - part.size(), '0') + part;
  }
  return out;
}

}  // namespace

void decimal::normalise() {
  const auto first = digits_.find_first_not_of('0');
  if (first == std::string::npos) {
    *this = decimal{};
    return;
  }
  digits_.erase(0, first);
  exponent_ -= static_cast<std::int64_t>(first);
  digits_.erase(digits_.find_last_not_of('0') + 1);
}

std::optional<decimal> decimal::parse(std::string_view text) {
  decimal out;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    auto digits = hex_to_decimal(text.substr(2));
    if (!digits) return std::nullopt;
    out.digits_ = std::move(*digits);
    out.exponent_ = static_cast<std::int64_t>(out.digits_.size());
    out.normalise();
    return out;
  }
  if (text.starts_with('-') || text.starts_with('+')) {
    out.negative_ = text[0] == '-';
    text.remove_prefix(1);
  }
  const std::size_t whole = count_digits(text);
  if (whole == 0) return std::nullopt;
  out.digits_ = text.substr(0, whole);
  out.exponent_ = static_cast<std::int64_t>(whole);
  text.remove_prefix(whole);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::size_t fraction = count_digits(text);
    if (fraction == 0) return std::nullopt;
    out.digits_ += text.substr(0, fraction);
    text.remove_prefix(fraction);
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+')) text.remove_prefix(1);
    std::int32_t exponent = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (ec != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    out.exponent_ += exponent;
  }
  if (!text.empty()) return std::nullopt;
  out.normalise();
  return out;
}

std::string decimal::text() const {
  if (digits_.empty()) return "0";
  const auto size = static_cast<std::int64_t>(digits_.size());
  if (exponent_ > longest_text || exponent_ < -longest_text || size > longest_text) return {};
  std::string out = negative_ ? "-" : "";
  if (exponent_ <= 0) return out + "0." + std::string(static_cast<std::size_t>(-exponent_), '0') + digits_;
  if (exponent_ >= size) return out + digits_ + std::string(static_cast<std::size_t>(exponent_ - size), '0');
  const auto whole = static_cast<std::size_t>(exponent_);
  return out + digits_.substr(0, whole) + "." + digits_.substr(whole);
}

std::optional<std::uint64_t> decimal::to_uint64() const {
  if (digits_.empty()) return 0;
  if (negative_ || exponent_ < static_cast<std::int64_t>(digits_.size()) || exponent_ > 20) return std::nullopt;
  const std::string whole = text();
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
  if (ec != std::errc{}) return std::nullopt;
  return value;
}

double decimal::to_double() const {
  // strtod rounds exactly and gives infinity or zero out of range; hasup never sets a locale.
  const std::string all =
      (negative_ ? "-0." : "0.") + (digits_.empty() ? "0" : digits_) + "e" + std::to_string(exponent_);
  return std::strtod(all.c_str(), nullptr);
}

std::strong_ordering operator<=>(const decimal& a, const decimal& b) {
  const int sign_a = a.digits_.empty() ? 0 : a.negative_ ? -1 : 1;
  const int sign_b = b.digits_.empty() ? 0 : b.negative_ ? -1 : 1;
  if (sign_a != sign_b) return sign_a <=> sign_b;
  auto size = a.exponent_ <=> b.exponent_;
  if (size == std::strong_ordering::equal) size = a.digits_.compare(b.digits_) <=> 0;
  return sign_a < 0 ? 0 <=> size : size;
}

}  // namespace hasup::probe
