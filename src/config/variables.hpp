// ${name} in strings of units, presets and recipes.
//
//   ${name}                 a variable or parameter          ${50305 + instance}   a whole-number sum
//   ${unit} ${instance} ${data.dir}                          $$ is a dollar; a $ before anything but { or $ is itself
//   ${env:NAME} ${secret:NAME}   stay in the text and are filled in at each run: see fill_secrets
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hasup::config {

// A placeholder's value: kind is "env" or "secret"; nothing when there is none of that name.
using placeholder_lookup = std::function<std::optional<std::string>(std::string_view kind, std::string_view name)>;

// Fills ${env:NAME} and ${secret:NAME} of a resolved command word or environment value and turns $$ into $.
// What the filled-in values hold is never expanded again. A missing one is an error that names it, without values.
base::result<std::string> fill_secrets(std::string_view text, const placeholder_lookup& lookup);

// Where fill_secrets is not applied, such a text must not hold placeholders.
bool has_placeholders(std::string_view text);

struct variable {
  std::string value;
  bool per_instance = false;  // depends on ${instance}
  bool per_choice = false;    // depends on which endpoint of an upstream is chosen
};

// The names that a text may use.
struct scope {
  std::map<std::string, variable, std::less<>> names;
  bool placeholders = false;  // ${env:…} and ${secret:…} are allowed and stay
  bool symbolic =
      false;  // what depends on ${instance} or a choice stays as written; the answer can be expanded again
  std::string kept_prefix;         // names with this prefix stay as written ("archive."); "" = none
  std::string placeholder_remedy;  // added where placeholders are not allowed
};

struct expansion {
  std::string text;
  bool per_instance = false;
  bool per_choice = false;
};

struct expansion_error {
  std::string message;
  std::string token;  // the text to underline, such as "${hme}"
};

// Fills in what the scope knows. With placeholders or symbolic the answer keeps the unit file's spelling of dollars,
// so that it can be read again (by fill_secrets, or as a unit file).
boost::system::result<expansion, expansion_error> expand(std::string_view text, const scope& in);
[[noreturn]] inline void throw_exception_from_error(const expansion_error& e, const boost::source_location&) {
  throw std::logic_error("unchecked error: " + e.message);
}

// The known variables that a text names. "${a-b}" is the variable a-b when that is known, else the sum of a and b.
std::set<std::string> variables_in(std::string_view text, const std::function<bool(const std::string&)>& known);

// "upstream.leap.host" of ${upstream.leap.host}, of all that a text names.
std::set<std::string> upstream_variables_in(std::string_view text);

// Names of [vars] and [params]: a letter, then letters, digits, _ and -.
bool is_variable_name(std::string_view text);

}  // namespace hasup::config
