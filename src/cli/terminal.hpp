// Text for a terminal: its width, colours, and what must never reach it.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace hasup::cli {

struct terminal {
  bool interactive = false;  // a person looks at it
  bool colour = false;
  std::size_t width = 0;  // columns; 0 = unlimited (not a terminal)
  std::size_t height = 24;
};

// Of a descriptor. Colours only on a terminal, without NO_COLOR and with TERM other than dumb.
terminal describe_terminal(int fd);

enum class style { plain, bold, dim, red, green, yellow, blue, magenta, cyan };

std::string paint(std::string_view text, style s, bool colour);

// Columns that UTF-8 text takes; wide East Asian characters and emoji count two.
std::size_t display_width(std::string_view text);

// At most `width` columns, the end replaced by "…" when it does not fit.
std::string shorten(std::string_view text, std::size_t width);

// Filled with spaces up to `width` columns, on the right or on the left.
std::string pad(std::string_view text, std::size_t width, bool right = false);

// Without control characters and escape sequences: reasons and log lines hold what nodes and their peers wrote.
// keep_colours leaves SGR sequences ("\x1b[31m") as they are.
std::string printable(std::string_view text, bool keep_colours = false);

// Bytes that are no UTF-8 become U+FFFD: for JSON.
std::string valid_utf8(std::string_view text);

}  // namespace hasup::cli
