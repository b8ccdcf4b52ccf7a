// Typed reading of a table that check_schema has passed over: absent and broken values read as nothing, so that the
// caller's default stands.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "config/document.hpp"

namespace hasup::config {

class section {
 public:
  // `table` may be null: everything reads as nothing.
  section(const value* table, report& findings) : table_(table), findings_(findings) {}

  [[nodiscard]] bool present() const { return table_ != nullptr; }
  [[nodiscard]] const value* raw(std::string_view key) const;  // null when absent or broken
  [[nodiscard]] bool has(std::string_view key) const;          // also when broken
  [[nodiscard]] section sub(std::string_view key) const { return {raw(key), findings_}; }
  [[nodiscard]] std::vector<section> subs(std::string_view key) const;  // of an array of tables

  [[nodiscard]] place where() const { return table_ == nullptr ? place{} : table_->where; }
  [[nodiscard]] place where(std::string_view key) const;      // of the value; of the section when absent
  [[nodiscard]] place key_place(std::string_view key) const;  // of the key; of the section when absent
  void error(std::string_view key, std::string message) const { findings_.error(where(key), std::move(message)); }
  [[nodiscard]] report& findings() const { return findings_; }

  void read(std::string_view key, std::string& out) const;
  void read(std::string_view key, bool& out) const;
  void read(std::string_view key, double& out) const;
  void read(std::string_view key, base::duration& out) const;
  void read(std::string_view key, std::optional<base::duration>& out) const;
  void read(std::string_view key, std::vector<std::string>& out) const;  // a string or an array of strings
  void read(std::string_view key, std::vector<std::vector<std::string>>& out) const;  // one command or several
  void read(std::string_view key, std::vector<int>& out) const;  // an integer or an array of integers
  void read(std::string_view key, std::map<std::string, std::string>& out) const;
  void read_size(std::string_view key, std::uint64_t& out) const;
  void read_limit(std::string_view key, std::optional<std::uint64_t>& out) const;  // "unlimited" = UINT64_MAX
  // Reports what is outside of low … high.
  void read(std::string_view key, std::int64_t low, std::int64_t high, unsigned& out) const;
  void read(std::string_view key, std::int64_t low, std::int64_t high, int& out) const;

  template <class Enum, std::size_t N>
  void read(std::string_view key, const base::enum_names<Enum, N>& names, Enum& out) const {
    if (const auto* v = raw(key))
      if (const auto e = names.parse(v->text)) out = *e;
  }

  // Reads a path and makes it normal; a relative one is reported.
  void read_absolute(std::string_view key, std::string& out) const;
  // Entries of a data directory: relative, no "..", not hasup's own; reported otherwise.
  enum class entries { names, names_or_star, globs };
  void read_entries(std::string_view key, entries allowed, std::vector<std::string>& out) const;
  // One of them; "" stays "".
  void read_entry(std::string_view key, std::string& out) const;
  // Reports a regular expression that RE2 does not take.
  void check_pattern(std::string_view key, const std::string& pattern) const;

 private:
  std::optional<std::int64_t> integer(std::string_view key, std::int64_t low, std::int64_t high) const;

  const value* table_;
  report& findings_;
};

// Why RE2 does not take it; nothing when it does.
std::optional<std::string> pattern_problem(const std::string& pattern);
// Does the expression have a group of that name?
bool pattern_has_group(const std::string& pattern, const std::string& group);
bool pattern_names_groups(const std::string& pattern);

}  // namespace hasup::config
