// Parsing of command lines and endpoints for the modes of hasup-demo-node.
#include "demo/node/arguments.hpp"

#include <algorithm>
#include <charconv>

namespace hasup::demo {

base::result<arguments> arguments::parse(std::span<const std::string> words, std::span<const option> known) {
  arguments parsed;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (!word.starts_with("--")) return base::error{"too many positional options have been specified: " + words[i]};
    word.remove_prefix(2);
    const auto equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto it = std::ranges::find_if(known, [&](const option& o) { return o.name == name || o.alias == name; });
    if (it == known.end()) return base::error{"unrecognised option '" + words[i] + "'"};
    if (!it->takes_value) {
      parsed.values_.emplace(it->name, "true");
    } else if (equals != std::string_view::npos) {
      parsed.values_.emplace(it->name, word.substr(equals + 1));
    } else if (i + 1 < words.size()) {
      parsed.values_.emplace(it->name, words[++i]);
    } else {
      return base::error{"the required argument for option '--" + std::string(name) + "' is missing"};
    }
  }
  return parsed;
}

void arguments::add_default(const std::string& name, std::string value) {
  if (!has(name)) values_.emplace(name, std::move(value));
}

bool arguments::has(std::string_view name) const {
  return values_.find(name) != values_.end();
}

std::string arguments::text(std::string_view name, std::string_view fallback) const {
  const auto [begin, end] = values_.equal_range(name);
  return begin == end ? std::string(fallback) : std::prev(end)->second;
}

std::vector<std::string> arguments::all(std::string_view name) const {
  std::vector<std::string> found;
  const auto [begin, end] = values_.equal_range(name);
  for (auto it = begin; it != end; ++it) found.push_back(it->second);
  return found;
}

base::result<std::uint64_t> arguments::number(std::string_view name, std::uint64_t fallback) const {
  if (!has(name)) return fallback;
  const std::string value = text(name);
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (error != std::errc{} || end != value.data() + value.size())
    return base::error{"the argument ('" + value + "') for option '--" + std::string(name) + "' is invalid"};
  return n;
}

base::result<host_port> parse_host_port(std::string_view text) {
  const std::string original(text);
  for (const std::string_view scheme : {"http://", "ws://"})
    if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  if (const auto slash = text.find('/'); slash != std::string_view::npos) text = text.substr(0, slash);
  const auto colon = text.rfind(':');
  host_port parsed;
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parsed.port);
    if (error == std::errc{} && end == port.data() + port.size()) {
      parsed.host = colon == 0 ? "0.0.0.0" : std::string(text.substr(0, colon));
      if (parsed.host == "localhost") parsed.host = "127.0.0.1";
      return parsed;
    }
  }
  return base::error{"'" + original + "' is not HOST:PORT"};
}

}  // namespace hasup::demo
