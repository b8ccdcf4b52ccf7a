// Every key of every file, in one table: its type, its default, one line of help, and whether it works yet. Unknown
// keys, suggestions, "not yet" refusals and the manual page all come from here.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hasup::config {

enum class value_kind {
  text,  // string
  name,  // unit, preset or recipe name
  integer,
  number,  // integer or float
  boolean,
  duration,       // "10s"
  size,           // "64KiB"
  limit,          // size or "unlimited"
  texts,          // array of strings
  text_or_texts,  // string or array of strings
  commands,       // one argv, or an array of them: [["a", "b"], ["c"]]
  integer_or_integers,
  signals,        // "TERM", 15 or an array of these
  word,           // one of key::words
  anything,       // any value
  anything_json,  // array or table, sent as JSON
  text_map,       // table of name -> string
  parameters,     // table of name -> string, number or boolean
  directories,    // string, table with path and mode, or an array of these
  sources,        // string, table with url, or an array of these
  table,
  tables,         // array of tables
  text_or_table,  // the table's main value, or the table
};

enum class availability { now, not_yet };

struct key {
  std::string path;  // "run.limits.nice", "readiness.check[].kind", "vars.*"
  value_kind kind = value_kind::text;
  std::string default_text;  // as TOML; "" = none
  std::string help;          // one line
  availability when = availability::now;
  std::vector<std::string> words = {};  // for value_kind::word; a trailing "!" = not yet
};

// In the order of the manual page.
std::span<const key> unit_keys();
std::span<const key> recipe_keys();
std::span<const key> preset_keys();
std::span<const key> upstream_keys();
std::span<const key> daemon_keys();

}  // namespace hasup::config
