// A finding in a configuration file, with its place. Rendered as compilers do:
//   units/geth.toml:14:9: error: unknown key "restrat"; did you mean "restart"?
//     14 | restrat = "always"
//        | ^~~~~~~
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hasup::base {

enum class severity { error, warning };

struct diagnostic {
  severity level = severity::error;
  std::string file;          // as the user named it; empty when it concerns no file
  std::uint32_t line = 0;    // from 1; 0 = the whole file
  std::uint32_t column = 0;  // from 1, in bytes
  std::uint32_t length = 1;  // of the underlined text, in bytes
  std::string message;       // with the remedy; no trailing full stop
  std::string source_line;   // without its newline; empty when there is none

  friend bool operator==(const diagnostic&, const diagnostic&) = default;
};

using diagnostics = std::vector<diagnostic>;

bool has_errors(const diagnostics& all);

// "file:line:column: error: message"
std::string headline(const diagnostic& d);

// Headline, source line and caret, each line ended by '\n'. Colour with ANSI sequences only when asked.
std::string render(const diagnostic& d, bool colour);

}  // namespace hasup::base
