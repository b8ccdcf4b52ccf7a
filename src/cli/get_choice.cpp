#include "cli/get_choice.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace hasup::cli {
namespace {

bool fits(const std::string& wanted, const std::string& name) {
  return wanted == name || ::fnmatch(wanted.c_str(), name.c_str(), FNM_PERIOD) == 0;
}

std::vector<model::snapshot> group_of(const std::vector<snapshot_row>& rows, unsigned group) {
  std::vector<model::snapshot> out;
  for (const auto& r : rows)
    if (r.group == group) out.push_back(r.file);
  return out;
}

// Nothing has a snapshot's name: what there is, and how to say which of it is meant.
std::string others_text(const std::vector<snapshot_row>& rows, bool is_unit) {
  constexpr std::size_t most = 10;
  if (rows.empty()) return "nothing here that a recovery would take";
  std::string names;
  for (std::size_t i = 0; i < std::min(rows.size(), most); ++i) names += (i == 0 ? "" : ", ") + rows[i].file.name;
  if (rows.size() > most) names += " and " + std::to_string(rows.size() - most) + " more";
  const auto out = "nothing here is a snapshot by its name; there is " + names;
  if (is_unit) return out + "; " + rows.front().file.name + " " + rows.front().why_not;
  return out + "; say which it is: hasup snapshot get SOURCE " + rows.front().file.name + " DIR/, or --match GLOB";
}

}  // namespace

base::result<get_words> read_get_words(const invocation& call,
                                       const std::function<bool(const std::string&)>& is_directory) {
  get_words out{call.snapshots.name, call.output};
  for (std::size_t i = 1; i < call.targets.size(); ++i) {
    const auto& word = call.targets[i];
    const bool place = word.find('/') != std::string::npos || is_directory(word);
    auto& slot = place ? out.directory : out.name;
    if (!slot.empty())
      return base::error{place ? "two directories are said: " + slot + " and " + word
                               : "two names are said: " + slot + " and " + word + "; for a directory, say " + word +
                                     "/"};
    slot = word;
  }
  if (out.directory.empty()) out.directory = ".";
  return out;
}

base::result<std::vector<model::snapshot>> choose_snapshot(const std::vector<snapshot_row>& rows,
                                                           const std::string& name, bool is_unit) {
  if (name.empty()) {
    const auto taken = std::find_if(rows.begin(), rows.end(), [](const auto& r) { return r.taken; });
    if (taken != rows.end()) return group_of(rows, taken->group);
    for (const auto& r : rows)
      if (r.matches && !r.why_not.empty())
        return base::error{"nothing here that a recovery would take: " + r.file.name + " " + r.why_not};
    return base::error{others_text(rows, is_unit)};
  }
  const auto wanted = [&](bool candidate) {
    return std::find_if(rows.begin(), rows.end(),
                        [&](const auto& r) { return r.plan.empty() != candidate && fits(name, r.file.name); });
  };
  if (const auto found = wanted(true); found != rows.end()) return group_of(rows, found->group);
  if (const auto passed = wanted(false); passed != rows.end())
    return base::error{passed->file.name + " " + passed->why_not};
  return base::error{"there is no snapshot \"" + name + "\" here; `hasup snapshot list` shows what there is"};
}

}  // namespace hasup::cli
