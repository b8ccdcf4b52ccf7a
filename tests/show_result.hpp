// Lets Catch print a result<T>: its error, or that it has a value.
#pragma once

#include <boost/system/result.hpp>
#include <catch2/catch.hpp>

namespace Catch {
template <class T, class E>
struct StringMaker<boost::system::result<T, E>> {
  static std::string convert(const boost::system::result<T, E>& r) {
    return r ? "a value" : "error: " + r.error().message;
  }
};
}  // namespace Catch
