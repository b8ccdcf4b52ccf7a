#include "base/diagnostic.hpp"

#include <algorithm>

namespace hasup::base {
namespace {

std::string place(const diagnostic& d) {
  std::string out = d.file;
  if (d.line > 0) out += ":" + std::to_string(d.line) + ":" + std::to_string(std::max(1U, d.column));
  return out.empty() ? out : out + ": ";
}

std::string_view level_text(severity s) {
  return s == severity::error ? "error: " : "warning: ";
}

}  // namespace

bool has_errors(const diagnostics& all) {
  return std::any_of(all.begin(), all.end(), [](const diagnostic& d) { return d.level == severity::error; });
}

std::string headline(const diagnostic& d) {
  return place(d) + std::string(level_text(d.level)) + d.message;
}

std::string render(const diagnostic& d, bool colour) {
  const auto paint = [&](std::string_view code, const std::string& text) {
    return colour ? "\x1b[" + std::string(code) + "m" + text + "\x1b[0m" : text;
  };
  const auto* const level_colour = d.level == severity::error ? "1;31" : "1;33";
  std::string out = paint("1", place(d)) + paint(level_colour, std::string(level_text(d.level))) + d.message + "\n";
  if (d.line == 0 || d.source_line.empty()) return out;

  const std::string number = std::to_string(d.line);
  out += "  " + number + " | " + d.source_line + "\n";
  out += "  " + std::string(number.size(), ' ') + " | ";
  // Tabs stay tabs, so that the caret stands under the text whatever the tab width.
  const std::size_t before = std::min<std::size_t>(d.column > 0 ? d.column - 1 : 0, d.source_line.size());
  std::string pad;
  for (std::size_t i = 0; i < before; ++i) {
    const auto byte = static_cast<unsigned char>(d.source_line[i]);
    if (byte == '\t')
      pad += '\t';
    else if ((byte & 0xC0U) != 0x80U)
      pad += ' ';  // continuation bytes of UTF-8 take no column
  }
  std::string caret = "^";
  caret.append(std::max(1U, d.length) - 1, '~');
  return out + pad + paint("1;32", caret) + "\n";
}

}  // namespace hasup::base
