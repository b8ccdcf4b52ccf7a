// Writes unit files: TOML strings, hasup's spelling of dollars, comments.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hasup::migrate {

// A TOML string that gives back this text exactly, also when hasup looks for ${…} in it.
std::string quoted(std::string_view text);
// The same for a text that holds placeholders of ours, "${instance}": dollars stay as they are.
std::string quoted_as_is(std::string_view text);
// A key of a table: quotes only where TOML wants them.
std::string key_text(std::string_view name);
// Doubles the dollars that hasup would read as its own.
std::string with_literal_dollars(std::string_view text);

// A word of /bin/sh.
std::string shell_word(std::string_view text);
// "a, b, c"
std::string listed(const std::vector<std::string>& words);

class unit_text {
 public:
  void line(std::string_view text) { text_ += std::string(text) + "\n"; }
  void blank() { text_ += "\n"; }
  // Lines of about 110 columns, each behind "# "; control characters become blanks.
  void comment(std::string_view text);
  // "[run.env]" with an empty line before it.
  void section(std::string_view name);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace hasup::migrate
