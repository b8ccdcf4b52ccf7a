#include "model/version_range.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace hasup::model {
namespace {

constexpr std::size_t most_numbers = 4;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_space(char c) {
  return c == ' ' || c == ',' || c == '\t';
}

// "rc.1" of "-rc.1+build …"; "" for a suffix that is not known to come before the release.
std::string read_before(std::string_view rest) {
  if (rest.empty() || (rest[0] != '-' && rest[0] != '~' && rest[0] != '.' && !is_word(rest[0]))) return {};
  if (!is_word(rest[0])) rest.remove_prefix(1);
  std::string out;
  for (const char c : rest) {
    if (!is_word(c) && c != '.') break;
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  }
  const auto letters = std::string_view(out).substr(
      0, static_cast<std::size_t>(std::find_if_not(out.begin(), out.end(), [](char c) { return c >= 'a'; }) -
                                  out.begin()));
  for (const std::string_view known : {"alpha", "beta", "dev", "pre", "preview", "rc"})
    if (letters == known) return out;
  return {};
}

// A number that is too large for any version, or none, is none.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t n = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (failed != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return n;
}

std::optional<version> take_version(std::string_view& text) {
  version out;
  while (out.numbers.size() < most_numbers) {
    const auto n = take_number(text);
    if (!n) return std::nullopt;
    out.numbers.push_back(*n);
    if (text.size() < 2 || text[0] != '.' || !is_digit(text[1])) break;
    text.remove_prefix(1);
  }
  out.before = read_before(text);
  return out;
}

std::uint64_t number_at(const version& v, std::size_t i) {
  return i < v.numbers.size() ? v.numbers[i] : 0;
}

int compare_numbers(const version& a, const version& b) {
  for (std::size_t i = 0; i < most_numbers; ++i)
    if (number_at(a, i) != number_at(b, i)) return number_at(a, i) < number_at(b, i) ? -1 : 1;
  return 0;
}

// "rc2" before "rc10".
int compare_words(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const auto x = take_number(a);
      const auto y = take_number(b);
      if (!x || !y) break;
      if (*x != *y) return *x < *y ? -1 : 1;
      continue;
    }
    if (a[0] != b[0]) return a[0] < b[0] ? -1 : 1;
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.empty() && b.empty() ? 0 : a.empty() ? -1 : 1;
}

// The first one that is no longer of "1.2": 1.3.
version after(const version& v, std::size_t kept) {
  version out;
  out.numbers.assign(v.numbers.begin(), v.numbers.begin() + static_cast<std::ptrdiff_t>(kept));
  ++out.numbers.back();
  return out;
}

}  // namespace

std::optional<version> find_version(std::string_view text) {
  std::optional<version> lone;
  for (std::size_t i = 0; i < text.size();) {
    const bool begins = is_digit(text[i]) && (i == 0 || !is_word(text[i - 1]) ||
                                              ((text[i - 1] | 0x20) == 'v' && (i == 1 || !is_word(text[i - 2]))));
    if (!begins) {
      ++i;
      continue;
    }
    auto rest = text.substr(i);
    auto found = take_version(rest);
    if (found && found->numbers.size() > 1) return found;
    if (found && !lone) lone = std::move(found);
    while (i < text.size() && is_digit(text[i])) ++i;
  }
  return lone;
}

int compare(const version& a, const version& b) {
  if (const int numbers = compare_numbers(a, b); numbers != 0) return numbers;
  if (a.before.empty() != b.before.empty()) return a.before.empty() ? 1 : -1;
  return compare_words(a.before, b.before);
}

base::result<version_range::bounds> version_range::read_condition(std::string_view text) {
  const auto whole = std::string(text);
  std::string_view sign;
  for (const std::string_view known : {"<=", ">=", "<", ">", "=", "^", "~"})
    if (sign.empty() && text.starts_with(known)) sign = known;
  text.remove_prefix(sign.size());
  if (sign.empty() && text == "*") return bounds{};
  if (text.starts_with('v')) text.remove_prefix(1);
  const auto v = take_version(text);
  const bool star = text == ".*" || text == ".x";
  if (!v || (!text.empty() && v->before.empty() && !star) || (star && !sign.empty()))
    return base::error{"\"" + whole + "\" is no condition on a version; write \">=5.0\", \"^1.2\" or \"1.2\""};
  bounds b;
  const auto count = v->numbers.size();
  if (sign == "<" || sign == "<=") {
    b.most = v;
    b.most_too = sign == "<=";
    return b;
  }
  b.least = v;
  b.least_too = sign != ">";
  if (sign == ">" || sign == ">=") return b;
  if (sign == "=" && (count >= 3 || !v->before.empty())) {
    b.most = v;
    b.most_too = true;
    return b;
  }
  std::size_t kept = count;  // "1.2", "=1.2"
  if (sign == "~") kept = std::min<std::size_t>(count, 2);
  if (sign == "^") {  // what stands left of the first number above 0 is as good as fixed
    kept = 1;
    while (kept < count && v->numbers[kept - 1] == 0) ++kept;
  }
  b.most = after(*v, kept);
  // Release candidates of 1.2 begin with 1.2 too.
  if (sign.empty() && v->before.empty()) b.least->before = "alpha";
  return b;
}

base::result<version_range> version_range::from(std::string_view text) {
  version_range out;
  while (true) {
    const auto end = text.find("||");
    auto part = text.substr(0, end);
    std::vector<bounds> all;
    while (true) {
      while (!part.empty() && is_space(part.front())) part.remove_prefix(1);
      if (part.empty()) break;
      auto stop = std::size_t{0};
      while (stop < part.size() && (std::string_view("<>=^~").find(part[stop]) != std::string_view::npos)) ++stop;
      while (stop < part.size() && is_space(part[stop])) ++stop;  // ">= 5.0"
      while (stop < part.size() && !is_space(part[stop])) ++stop;
      std::string one(part.substr(0, stop));
      std::erase_if(one, is_space);
      auto read = read_condition(one);
      if (!read) return read.error();
      all.push_back(std::move(*read));
      part.remove_prefix(stop);
    }
    if (all.empty()) return base::error{"a range of versions is missing; write \">=5.0\", \"^1.2\" or \"*\""};
    out.any_of_.push_back(std::move(all));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 2);
  }
}

bool version_range::holds(const bounds& b, const version& v) {
  if (b.least) {
    const int c = compare(v, *b.least);
    if (c < 0 || (c == 0 && !b.least_too)) return false;
  }
  if (!b.most) return true;
  // What is before 6 is of 5: a candidate for the release of 6 is not.
  const int c = !b.most_too && b.most->before.empty() ? compare_numbers(v, *b.most) : compare(v, *b.most);
  return c < 0 || (c == 0 && b.most_too);
}

bool version_range::contains(const version& v) const {
  return std::any_of(any_of_.begin(), any_of_.end(), [&](const auto& all) {
    return std::all_of(all.begin(), all.end(), [&](const bounds& b) { return holds(b, v); });
  });
}

}  // namespace hasup::model
