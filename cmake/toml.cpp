// toml++, whose package has no static library: its bodies compiled once (cmake/static_libraries.cmake).
#define TOML_IMPLEMENTATION
#include <toml++/toml.h>
