// A TOML file as a tree in which every key and value knows its place, so that any later finding can point at it.
// The only files that know the TOML library are document.cpp and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.hpp"

namespace hasup::config {

struct text_source {
  std::string file;
  std::vector<std::string> lines;
};

struct place {
  std::shared_ptr<const text_source> source;
  std::uint32_t line = 0;    // from 1; 0 = the whole file
  std::uint32_t column = 0;  // from 1, in bytes
  std::uint32_t length = 1;  // in bytes, on that line
};

enum class value_type { text, integer, real, boolean, time, array, table };

// "a string", "an array", … for messages.
std::string_view type_name(value_type t);

struct member;

struct value {
  value_type type = value_type::table;
  std::string text;  // of a text; of a time as it was written
  std::int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  std::vector<value> items;     // of an array
  std::vector<member> members;  // of a table, in the order of the file
  bool is_inline = false;       // a table written with braces
  bool broken = false;          // reported already: nothing more is said about it
  place where;

  [[nodiscard]] bool is(value_type t) const { return type == t; }
  [[nodiscard]] const value* find(std::string_view key) const;  // nullptr when absent or no table
  [[nodiscard]] value* find(std::string_view key);
  [[nodiscard]] const member* find_member(std::string_view key) const;
  void set(std::string_view key, value v);  // adds or replaces
  void erase(std::string_view key);
};

struct member {
  std::string key;
  place key_place;
  value content;
};

value make_text(std::string text, const place& where);

// The text that a scalar stands for when a string is wanted: "7", "true", "1.5". Nothing for arrays and tables.
std::optional<std::string> scalar_text(const value& v);
// JSON text of any value; times become strings.
std::string to_json(const value& v);
// TOML text of a whole table, in the order of the tree; reads back as the same tree.
std::string to_toml(const value& table);

// Collects findings; the same finding twice (two instances, two units with one preset) is said once.
class report {
 public:
  void error(const place& at, std::string message) { add(base::severity::error, at, std::move(message)); }
  void warning(const place& at, std::string message) { add(base::severity::warning, at, std::move(message)); }
  void add(base::severity level, const place& at, std::string message);
  void add(base::diagnostic d);

  [[nodiscard]] const base::diagnostics& all() const { return all_; }
  [[nodiscard]] base::diagnostics take() { return std::move(all_); }
  [[nodiscard]] bool failed() const { return base::has_errors(all_); }

 private:
  base::diagnostics all_;
};

// The place of `token` within the value's own text in its file; the value's place when it can't be found there.
place place_of(const value& v, std::string_view token);

// Nothing, and a finding, when the text is no TOML.
std::optional<value> parse_document(const std::string& file, std::string_view text, report& findings);

}  // namespace hasup::config
