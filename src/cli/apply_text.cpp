// Tenses of `hasup apply`.
#include "cli/apply_text.hpp"

#include <string_view>

namespace hasup::cli {
namespace {

struct tense {
  std::string_view said, dry, done;
};
constexpr tense tenses[]{
    {", will be ", ", would be ", ", is being "},
    {", applies without", ", would apply without", ", applied without"},
    {"; applies after its recovery", "; would apply after its recovery", "; applies after its recovery"}};

}  // namespace

std::string in_tense_of_apply(std::string message, bool dry_run) {
  for (const auto& t : tenses) {
    const auto words = dry_run ? t.dry : t.done;
    for (std::size_t at = 0; (at = message.find(t.said, at)) != std::string::npos; at += words.size())
      message.replace(at, t.said.size(), words);
  }
  return message;
}

}  // namespace hasup::cli
