// Widths, colours and cleaning of text for terminals.
#include "cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace hasup::cli {
namespace {

// The code point at `at` and its length in bytes; a broken sequence is one byte, U+FFFD.
struct code_point {
  char32_t value;
  std::size_t length;
};

code_point decode(std::string_view s, std::size_t at) {
  const auto b = static_cast<unsigned char>(s[at]);
  if (b < 0x80) return {b, 1};
  const std::size_t length = b >= 0xf0 && b < 0xf8 ? 4 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xc2 && b < 0xe0 ? 2 : 0;
  if (length == 0 || at + length > s.size()) return {0xfffd, 1};
  char32_t v = b & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto c = static_cast<unsigned char>(s[at + i]);
    if ((c & 0xc0) != 0x80) return {0xfffd, 1};
    v = (v << 6) | (c & 0x3f);
  }
  return {v, length};
}

std::size_t columns(char32_t c) {
  if (c < 0x20 || c == 0x7f) return 0;
  if ((c >= 0x300 && c < 0x370) || c == 0x200b || c == 0x200d || (c >= 0xfe00 && c < 0xfe10)) return 0;
  const bool wide = (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) ||
                    (c >= 0xf900 && c < 0xfb00) || (c >= 0xfe30 && c < 0xfe70) || (c >= 0xff00 && c < 0xff61) ||
                    (c >= 0x1f300 && c < 0x1fb00) || (c >= 0x20000 && c < 0x40000);
  return wide ? 2 : 1;
}

// Length of the escape sequence at `at`; `sgr` when it only sets colours.
std::size_t escape_length(std::string_view s, std::size_t at, bool& sgr) {
  sgr = false;
  if (at + 1 >= s.size()) return 1;
  if (s[at + 1] == '[') {
    std::size_t end = at + 2;
    bool plain = true;
    while (end < s.size() && (s[end] < 0x40 || s[end] > 0x7e)) {
      plain = plain && ((s[end] >= '0' && s[end] <= '9') || s[end] == ';');
      ++end;
    }
    if (end >= s.size()) return s.size() - at;
    sgr = plain && s[end] == 'm';
    return end + 1 - at;
  }
  if (s[at + 1] == ']' || s[at + 1] == 'P') {  // up to BEL or ST
    for (std::size_t end = at + 2; end < s.size(); ++end) {
      if (s[end] == '\a') return end + 1 - at;
      if (s[end] == '\x1b') return end + 2 <= s.size() ? end + 2 - at : s.size() - at;
    }
    return s.size() - at;
  }
  return 2;
}

}  // namespace

terminal describe_terminal(int fd) {
  terminal t;
  t.interactive = ::isatty(fd) == 1;
  if (!t.interactive) return t;
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  t.colour = (!no_color || !*no_color) && term && std::string_view(term) != "dumb" && *term;
  winsize w{};
  t.width = 80;
  if (::ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) {
    t.width = w.ws_col;
    t.height = w.ws_row;
  }
  return t;
}

std::string paint(std::string_view text, style s, bool colour) {
  if (!colour || s == style::plain || text.empty()) return std::string(text);
  const char* code = "0";
  switch (s) {
    case style::plain:
      break;
    case style::bold:
      code = "1";
      break;
    case style::dim:
      code = "2";
      break;
    case style::red:
      code = "31";
      break;
    case style::green:
      code = "32";
      break;
    case style::yellow:
      code = "33";
      break;
    case style::blue:
      code = "34";
      break;
    case style::magenta:
      code = "35";
      break;
    case style::cyan:
      code = "36";
      break;
  }
  return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = decode(text, i);
    width += columns(c.value);
    i += c.length;
  }
  return width;
}

std::string shorten(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t used = 0, i = 0;
  while (i < text.size()) {
    const auto c = decode(text, i);
    if (used + columns(c.value) > width - 1) break;
    used += columns(c.value);
    i += c.length;
  }
  std::string out(text.substr(0, i));
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out + "…";
}

std::string pad(std::string_view text, std::size_t width, bool right) {
  const auto own = display_width(text);
  const std::string space(own < width ? width - own : 0, ' ');
  return right ? space + std::string(text) : std::string(text) + space;
}

std::string printable(std::string_view text, bool keep_colours) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\x1b') {
      bool sgr = false;
      const auto length = escape_length(text, i, sgr);
      if (sgr && keep_colours) out += text.substr(i, length);
      i += length;
      continue;
    }
    const auto point = decode(text, i);
    const bool control = point.value < 0x20 || point.value == 0x7f || (point.value >= 0x80 && point.value < 0xa0);
    if (c == '\t')
      out += keep_colours ? '\t' : ' ';
    else if (point.value == 0xfffd && point.length == 1)
      out += "\xef\xbf\xbd";
    else if (!control)
      out += text.substr(i, point.length);
    else if (c == '\n')
      out += ' ';
    i += point.length;
  }
  return out;
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto c = decode(text, i);
    const bool overlong = (c.length == 3 && c.value < 0x800) || (c.length == 4 && c.value < 0x10000);
    const bool none = overlong || c.value > 0x10ffff || (c.value >= 0xd800 && c.value < 0xe000);
    if (none || (c.value == 0xfffd && c.length == 1))
      out += "\xef\xbf\xbd";
    else
      out += text.substr(i, c.length);
    i += c.length;
  }
  return out;
}

}  // namespace hasup::cli
