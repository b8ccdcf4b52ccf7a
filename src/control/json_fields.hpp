// Reading and writing members of JSON objects with checked types. For .cpp files only: it brings Boost.JSON.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_number.hpp"
#include "base/result.hpp"
#include "base/time_text.hpp"

namespace hasup::control {

// Thrown inside a decoder and turned into an error at its edge (decode_guarded).
struct json_mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The object of a decoder with the checks of its members. Absent and null are the same.
class json_fields {
 public:
  explicit json_fields(const boost::json::value& v) : object_(v.if_object()) {
    if (!object_) throw json_mismatch("expected an object");
  }

  const boost::json::value* find(std::string_view key) const {
    const auto* v = object_->if_contains(key);
    return v && !v->is_null() ? v : nullptr;
  }
  std::string text(std::string_view key) const {
    const auto* v = find(key);
    if (!v) return {};
    if (!v->is_string()) fail(key, "a string");
    return std::string(v->get_string());
  }
  bool flag(std::string_view key) const {
    const auto* v = find(key);
    if (!v) return false;
    if (!v->is_bool()) fail(key, "true or false");
    return v->get_bool();
  }
  template <class Number>
  std::optional<Number> number(std::string_view key) const {
    const auto* v = find(key);
    if (!v) return std::nullopt;
    boost::system::error_code ec;
    const auto n = v->to_number<Number>(ec);
    if (ec) fail(key, "a number in range");
    return n;
  }
  template <class Number>
  Number number_or(std::string_view key, Number fallback) const {
    return number<Number>(key).value_or(fallback);
  }
  std::optional<base::wall_time> time(std::string_view key) const {
    const auto* v = find(key);
    if (!v) return std::nullopt;
    if (!v->is_string()) fail(key, "a time");
    const auto t = base::parse_time(std::string_view(v->get_string()));
    if (!t) fail(key, "a time");
    return *t;
  }
  std::vector<std::string> texts(std::string_view key) const {
    std::vector<std::string> all;
    for (const auto& v : array(key)) {
      if (!v.is_string()) fail(key, "an array of strings");
      all.emplace_back(v.get_string());
    }
    return all;
  }
  const boost::json::array& array(std::string_view key) const {
    static const boost::json::array none;
    const auto* v = find(key);
    if (!v) return none;
    if (!v->is_array()) fail(key, "an array");
    return v->get_array();
  }
  template <class Names>
  auto named(std::string_view key, const Names& names) const {
    const auto value = names.parse(text(key));
    if (!value) throw json_mismatch("\"" + std::string(key) + "\" has the unknown value \"" + text(key) + "\"");
    return *value;
  }

 private:
  [[noreturn]] static void fail(std::string_view key, const char* wanted) {
    throw json_mismatch("\"" + std::string(key) + "\" must be " + wanted);
  }
  const boost::json::object* object_;
};

inline boost::json::value text_or_null(const std::string& s) {
  return s.empty() ? boost::json::value(nullptr) : boost::json::value(s);
}
template <class T>
boost::json::value value_or_null(const std::optional<T>& v) {
  return v ? boost::json::value(*v) : boost::json::value(nullptr);
}
inline boost::json::value time_or_null(const std::optional<base::wall_time>& t) {
  if (!t) return nullptr;
  const bool fraction = std::chrono::floor<std::chrono::seconds>(*t) != *t;
  return boost::json::value(base::format_time(*t, fraction));
}
inline boost::json::array text_array(const std::vector<std::string>& all) {
  boost::json::array a;
  for (const auto& s : all) a.emplace_back(s);
  return a;
}

// What goes over the wire, and to people: numbers without exponents.
template <class Json>
std::string json_text(const Json& v) {
  return base::plain_numbers(boost::json::serialize(v));
}

// Parses and decodes; the errors of both say what was being read.
template <class Decode>
auto decode_guarded(std::string_view what, std::string_view json, Decode decode)
    -> base::result<decltype(decode(std::declval<const boost::json::value&>()))> {
  boost::system::error_code ec;
  const auto value = boost::json::parse(json, ec);
  if (ec) return base::error{std::string(what) + " is not JSON: " + ec.message()};
  try {
    return {boost::system::in_place_value, decode(value)};
  } catch (const json_mismatch& e) {
    return base::error{std::string(what) + ": " + e.what()};
  }
}

}  // namespace hasup::control
