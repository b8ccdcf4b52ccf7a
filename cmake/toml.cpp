// toml++, whose package has no static library: its bodies compiled once (cmake/static_libraries.cmake).
//
// Version 3.3 states some of its assumptions about what it parses as assertions, and there are files that break them.
// The package's own library goes on then, into undefined behaviour; here such a file is refused
// (config/document.cpp).
#include <stdexcept>

[[noreturn]] static void refuse() {
  throw std::logic_error("not TOML that the parser can make sense of");
}

#undef NDEBUG
#define TOML_ASSERT(expression) ((expression) ? void() : refuse())
#define TOML_IMPLEMENTATION
#include <toml++/toml.h>
