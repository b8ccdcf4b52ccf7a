// A value or the reason why there is none. Leaves return it; exceptions are for bugs and for Asio's edges.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace hasup::base {

// What went wrong and, where there is one, the errno behind it (0: none). The message is for a person: it names the
// place and, where it can, the remedy; no trailing full stop, so that callers can put it into a sentence.
struct error {
  std::string message;
  int code = 0;

  friend bool operator==(const error&, const error&) = default;
};

[[noreturn]] inline void throw_exception_from_error(const error& e, const boost::source_location&) {
  throw std::logic_error("unchecked error: " + e.message);
}

template <class T>
using result = boost::system::result<T, error>;

// Boost takes a plain std::string for either side of a result<std::string>; this says which one is meant.
inline result<std::string> success(std::string value) {
  return result<std::string>(boost::system::in_place_value, std::move(value));
}

// errno_error("open /x") is {"open /x: No such file or directory", ENOENT} for the current errno.
error errno_error(std::string what);
error errno_error(std::string what, int code);

}  // namespace hasup::base
