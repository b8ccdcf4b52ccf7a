#include "base/result.hpp"

#include <cerrno>
#include <system_error>

namespace hasup::base {

error errno_error(std::string what, int code) {
  what += ": ";
  what += std::generic_category().message(code);
  return {std::move(what), code};
}

error errno_error(std::string what) {
  return errno_error(std::move(what), errno);
}

}  // namespace hasup::base
