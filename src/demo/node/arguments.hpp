// The command line of a mode: --name value or --name=value, checked against the names that the mode knows.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hasup::demo {

struct option {
  std::string_view name;  // without the dashes
  bool takes_value = true;
  std::string_view alias = {};  // the same option under its short name
};

class arguments {
 public:
  // Fails on a word that is no option, on an unknown name and on a missing value, in the words of nodeos.
  static base::result<arguments> parse(std::span<const std::string> words, std::span<const option> known);

  // Adds name = value unless the name was given already (the command line wins over a file).
  void add_default(const std::string& name, std::string value);

  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name, std::string_view fallback = {}) const;
  [[nodiscard]] std::vector<std::string> all(std::string_view name) const;
  // A whole number that is not negative; an error names the option.
  [[nodiscard]] base::result<std::uint64_t> number(std::string_view name, std::uint64_t fallback) const;

 private:
  std::multimap<std::string, std::string, std::less<>> values_;
};

// "127.0.0.1:8888", ":8888" and "http://127.0.0.1:8888/" as host and port.
struct host_port {
  std::string host;
  std::uint16_t port = 0;
};
base::result<host_port> parse_host_port(std::string_view text);

}  // namespace hasup::demo
