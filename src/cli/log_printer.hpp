// Prints log lines: for people, or one JSON object a line.
#pragma once

#include <string>
#include <vector>

#include "cli/log_sources.hpp"

namespace hasup::cli {

class log_printer {
 public:
  log_printer(const context& c, const std::vector<log_source>& sources);
  void add(const log_source& from, const logs::log_line& line);
  // What was added is seen only after this.
  void flush();

 private:
  [[nodiscard]] std::string json(const log_source& from, const logs::log_line& line) const;
  [[nodiscard]] std::string text(const log_source& from, const logs::log_line& line) const;

  const context& c_;
  std::vector<std::string> names_;  // the place of a name is its colour
  std::size_t width_ = 0;
  std::string pending_;
};

}  // namespace hasup::cli
