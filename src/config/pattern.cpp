// Checks regular expressions; the only file here that knows RE2.
#include <re2/re2.h>

#include "config/section.hpp"

namespace hasup::config {
namespace {

RE2::Options quiet() {
  RE2::Options options;
  options.set_log_errors(false);
  return options;
}

}  // namespace

std::optional<std::string> pattern_problem(const std::string& pattern) {
  const RE2 re(pattern, quiet());
  return re.ok() ? std::nullopt : std::optional(re.error());
}

bool pattern_has_group(const std::string& pattern, const std::string& group) {
  const RE2 re(pattern, quiet());
  return re.ok() && re.NamedCapturingGroups().contains(group);
}

bool pattern_names_groups(const std::string& pattern) {
  const RE2 re(pattern, quiet());
  return !re.ok() || !re.NamedCapturingGroups().empty();
}

}  // namespace hasup::config
