// Which names are snapshots, and which one is the newest: an order that contradicts itself would sort out of bounds.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "expect.hpp"
#include "snapshot/candidate_order.hpp"

using namespace hasup;
using namespace hasup::snapshot;

namespace {

int sign(int n) {
  return (n > 0) - (n < 0);
}

}  // namespace

// The first line is a pattern, the others are names.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() < 8) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (lines.empty()) return 0;
  model::recovery_plan plan;
  plan.name = "p";
  std::vector<listed_file> files;
  for (std::size_t i = 1; i < lines.size(); ++i)
    files.push_back({lines[i], "https://h/" + lines[i], i, {}, false, ""});
  for (const auto order : {model::archive_order::name, model::archive_order::block, model::archive_order::time}) {
    plan.archives.assign(1, {lines[0], "", order, model::unpack_mode::archive, "", ".", true});
    std::vector<std::string> notes;
    const auto found = plan_candidates(plan, 0, "https://h/", files, notes);
    for (const auto& a : found)
      for (const auto& b : found) {
        EXPECT(!(newer(a.snapshots[0], b.snapshots[0], order) && newer(b.snapshots[0], a.snapshots[0], order)));
        for (const auto& c : found)
          if (newer(a.snapshots[0], b.snapshots[0], order) && newer(b.snapshots[0], c.snapshots[0], order))
            EXPECT(newer(a.snapshots[0], c.snapshots[0], order));
      }
  }
  plan.archives[0].match.clear();
  plan.archives[0].pattern = lines[0];
  if (const auto matcher = name_matcher::from(plan.archives[0]))
    for (const auto& name : lines)
      if (matcher->matches(name)) static_cast<void>(matcher->block_of(name));
  for (const auto& a : lines)
    for (const auto& b : lines) {
      EXPECT(sign(compare_names(a, b)) == -sign(compare_names(b, a)));
      for (const auto& c : lines)
        if (compare_names(a, b) <= 0 && compare_names(b, c) <= 0) EXPECT(compare_names(a, c) <= 0);
    }
  return 0;
}
