// Whatever has a list of members (job_members.hpp) as JSON, and back. For worker_job.cpp.
#pragma once

#include <boost/json.hpp>
#include <limits>
#include <type_traits>

#include "ports/job_members.hpp"

namespace hasup::ports {

namespace json = boost::json;

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

class writer {
 public:
  template <class T>
  void operator()(std::string_view name, T& value) {
    object_[name] = make(value);
  }
  json::object take() { return std::move(object_); }

 private:
  template <class T>
  static json::value make(T& v) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) {
      return json::value(v);
    } else if constexpr (std::is_enum_v<T>) {
      return json::value(names_of(v).text(v));
    } else if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_signed_v<T>)
        return json::value(static_cast<std::int64_t>(v));
      else
        return json::value(static_cast<std::uint64_t>(v));
    } else if constexpr (std::is_same_v<T, base::duration>) {
      return json::value(static_cast<std::int64_t>(v.count()));
    } else if constexpr (std::is_same_v<T, base::wall_time>) {
      return json::value(static_cast<std::int64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(v.time_since_epoch()).count()));
    } else if constexpr (is_optional<T>::value) {
      return v ? make(*v) : json::value(nullptr);
    } else if constexpr (is_vector<T>::value) {
      json::array array;
      array.reserve(v.size());
      for (auto& item : v) array.push_back(make(item));
      return array;
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
      json::object object;
      for (const auto& [key, text] : v) object[key] = text;
      return object;
    } else {
      writer inner;
      members(inner, v);
      return inner.take();
    }
  }

  json::object object_;
};

// An absent member leaves the default; a present one of a wrong type is an error that names its path.
class reader {
 public:
  reader(const json::object& object, std::string path) : object_(object), path_(std::move(path)) {}

  template <class T>
  void operator()(std::string_view name, T& value) {
    const auto* found = object_.if_contains(name);
    if (found == nullptr || !error_.empty()) return;
    const std::string path = path_.empty() ? std::string(name) : path_ + "." + std::string(name);
    error_ = read(*found, path, value);
  }
  const std::string& error() const { return error_; }

 private:
  static std::string expected(const std::string& path, std::string_view what) {
    return "\"" + path + "\" is not " + std::string(what);
  }

  // The empty text when it went well.
  template <class T>
  static std::string read(const json::value& in, const std::string& path, T& out) {
    if constexpr (std::is_same_v<T, std::string>) {
      if (!in.is_string()) return expected(path, "a string");
      out = std::string(in.get_string());
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!in.is_bool()) return expected(path, "true or false");
      out = in.get_bool();
    } else if constexpr (std::is_enum_v<T>) {
      const auto parsed = in.is_string() ? names_of(out).parse(std::string_view(in.get_string())) : std::nullopt;
      if (!parsed) return expected(path, "one of the known words");
      out = *parsed;
    } else if constexpr (std::is_integral_v<T>) {
      return read_number(in, path, out);
    } else if constexpr (std::is_same_v<T, base::duration>) {
      std::int64_t n = 0;
      if (auto bad = read_number(in, path, n); !bad.empty()) return bad;
      out = base::duration(n);
    } else if constexpr (std::is_same_v<T, base::wall_time>) {
      std::int64_t n = 0;
      if (auto bad = read_number(in, path, n); !bad.empty()) return bad;
      out = base::wall_time(std::chrono::duration_cast<base::wall_time::duration>(std::chrono::nanoseconds(n)));
    } else if constexpr (is_optional<T>::value) {
      out.reset();
      if (in.is_null()) return {};
      return read(in, path, out.emplace());
    } else if constexpr (is_vector<T>::value) {
      return read_array(in, path, out);
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
      if (!in.is_object()) return expected(path, "an object of strings");
      out.clear();
      for (const auto& [key, value] : in.get_object()) {
        if (auto bad = read(value, path + "." + std::string(key), out[std::string(key)]); !bad.empty()) return bad;
      }
    } else {
      if (!in.is_object()) return expected(path, "an object");
      reader inner(in.get_object(), path);
      members(inner, out);
      return inner.error();
    }
    return {};
  }

  template <class T>
  static std::string read_array(const json::value& in, const std::string& path, T& out) {
    out.clear();
    if constexpr (std::is_same_v<typename T::value_type, std::string>) {
      if (in.is_string()) {  // what was one text once; "" = none
        if (!in.get_string().empty()) out.emplace_back(std::string_view(in.get_string()));
        return {};
      }
    }
    if (!in.is_array()) return expected(path, "an array");
    for (const auto& item : in.get_array()) {
      typename T::value_type value{};
      if (auto bad = read(item, path + "[" + std::to_string(out.size()) + "]", value); !bad.empty()) return bad;
      out.push_back(std::move(value));
    }
    return {};
  }

  template <class T>
  static std::string read_number(const json::value& in, const std::string& path, T& out) {
    boost::system::error_code failed;
    if (!in.is_int64() && !in.is_uint64()) return expected(path, "a whole number");
    const auto number = in.to_number<T>(failed);
    if (failed) return expected(path, "within its range");
    out = number;
    return {};
  }

  const json::object& object_;
  std::string path_;
  std::string error_;
};

template <class T>
std::string encode_object(const T& value) {
  T copy = value;  // members() takes the fields by reference for both directions
  writer out;
  members(out, copy);
  return json::serialize(out.take());
}

template <class T>
base::result<T> decode_object(std::string_view text, const std::string& what) {
  boost::system::error_code failed;
  json::parse_options options;
  options.max_depth = 32;
  options.allow_invalid_utf8 = true;  // command lines and file names are bytes
  const auto parsed = json::parse(text, failed, {}, options);
  if (failed) return base::error{what + " is not JSON: " + failed.message()};
  if (!parsed.is_object()) return base::error{what + " is not a JSON object"};
  T value{};
  reader in(parsed.get_object(), "");
  members(in, value);
  if (!in.error().empty()) return base::error{what + ": " + in.error()};
  return value;
}

}  // namespace hasup::ports
