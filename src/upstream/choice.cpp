#include "upstream/choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace hasup::upstream {
namespace {

using model::upstream_select;
using std::chrono::duration_cast;

// The way of the furthest one is kept in steps: sixteen to the time that counts, and larger ones the longer ago it
// is, of an eighth of that age. It takes little room, however fast the chain is and however far back one looks.
constexpr int steps_to_behind = 16, steps_to_age = 8;
constexpr std::size_t most_marks =
    128;  // thinned when there are more; what is left grows with the logarithm of the age

const endpoint_view* find(const std::vector<endpoint_view>& all, const std::string& name) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const auto& e) { return e.name == name; });
  return at == all.end() ? nullptr : &*at;
}

// Of two good ones. Of equals the one that stands first in the file is taken.
bool is_better(upstream_select select, const endpoint_view& a, const endpoint_view& b) {
  if (a.avoided != b.avoided) return b.avoided;
  if (select == upstream_select::priority) return false;
  return a.at && (!b.at || is_before(*b.at, *a.at));
}

const endpoint_view* best_of(upstream_select select, const std::vector<endpoint_view>& all) {
  const endpoint_view* best = nullptr;
  for (const auto& e : all)
    if (e.is == standing::good && (!best || is_better(select, e, *best))) best = &e;
  return best;
}

void remember_way(choice_memory& memory, const std::vector<endpoint_view>& all, base::duration step,
                  base::mono_time now) {
  const position* furthest = nullptr;
  for (const auto& e : all)
    if (e.is == standing::good && e.at && (!furthest || is_before(*furthest, *e.at))) furthest = &*e.at;
  if (!furthest) return;
  auto& marks = memory.marks;
  // Whoever went beyond it is no longer good, or has gone back.
  while (!marks.empty() && is_before(*furthest, marks.back().at)) marks.pop_back();
  if (!marks.empty() && !is_before(marks.back().at, *furthest)) return;
  if (marks.size() > 1 && now - marks[marks.size() - 2].seen < step) marks.pop_back();
  marks.push_back({*furthest, now});
  if (marks.size() <= most_marks) return;
  std::size_t kept = 1;
  for (std::size_t i = 1; i < marks.size(); ++i) {
    const bool is_last = i + 1 == marks.size();
    if (is_last || marks[i + 1].seen - marks[kept - 1].seen > (now - marks[i + 1].seen) / steps_to_age)
      marks[kept++] = marks[i];
  }
  marks.resize(kept);
}

std::string short_text(base::mono_time::duration d) {
  return base::format_duration_short(duration_cast<base::duration>(d));
}

std::string why_best(upstream_select select, const endpoint_view& e) {
  if (select == upstream_select::priority) return "the first in the file that is healthy";
  return e.at ? fmt::format("the furthest, at head {}", e.at->number) : "healthy";
}

choice take(const endpoint_view& endpoint, std::string reason, choice_memory& memory, base::mono_time now) {
  memory.chosen = endpoint.name;
  memory.since = now;
  memory.first_good = memory.worse_since = std::nullopt;
  return {endpoint.name, true, std::move(reason)};
}

choice keep(std::string reason, choice_memory& memory) {
  memory.worse_since = std::nullopt;
  return {memory.chosen, false, std::move(reason)};
}

choice choose_first(const model::upstream& role, const std::vector<endpoint_view>& all, const endpoint_view* best,
                    choice_memory& memory, base::duration patience, base::mono_time now) {
  if (!best) {
    memory.first_good = std::nullopt;
    return {"", false, "no endpoint is healthy"};
  }
  if (!memory.first_good) memory.first_good = now;
  const bool all_told =
      std::none_of(all.begin(), all.end(), [](const auto& e) { return e.is == standing::undecided; });
  if (!all_told && now - *memory.first_good < patience) return {"", false, "waits for the answers of all endpoints"};
  return take(*best, why_best(role.select, *best), memory, now);
}

// Why the chosen one has to be left at once; "" = it has not.
std::string why_left(const model::upstream& role, const choice_memory& memory, const endpoint_view* chosen,
                     const endpoint_view* best) {
  if (!chosen)
    return memory.chosen +
           (role.dns_names.empty() ? " is no longer in the file" : " is not among its endpoints any more");
  if (chosen->is == standing::bad) return memory.chosen + " is unhealthy: " + chosen->reason;
  if (chosen->avoided && best && !best->avoided) return memory.chosen + " is avoided";
  return "";
}

}  // namespace

bool is_before(const position& a, const position& b) {
  if (!a.weight.empty() && !b.weight.empty() && a.weight != b.weight)
    return a.weight.size() != b.weight.size() ? a.weight.size() < b.weight.size() : a.weight < b.weight;
  return a.number < b.number;
}

std::optional<base::duration> behind(const choice_memory& memory, const endpoint_view& endpoint,
                                     base::mono_time now) {
  if (!endpoint.at) return std::nullopt;
  for (const auto& mark : memory.marks)
    if (is_before(*endpoint.at, mark.at)) return duration_cast<base::duration>(now - mark.seen);
  return std::nullopt;
}

bool was_level(const choice_memory& memory, const endpoint_view& endpoint) {
  return !endpoint.at || memory.marks.empty() || !is_before(*endpoint.at, memory.marks.front().at);
}

choice choose(const model::upstream& role, const std::vector<endpoint_view>& all, choice_memory& memory,
              base::duration patience, base::mono_time now) {
  remember_way(memory, all, role.rule.behind / steps_to_behind, now);
  const auto* best = best_of(role.select, all);
  if (memory.chosen.empty()) return choose_first(role, all, best, memory, patience, now);

  const auto* chosen = find(all, memory.chosen);
  if (const auto why = why_left(role, memory, chosen, best); !why.empty()) {
    if (!best) return keep(why + "; no other one is healthy", memory);
    return take(*best, fmt::format("{}; {} is {}", why, best->name, why_best(role.select, *best)), memory, now);
  }
  if (chosen->is == standing::undecided) return keep("kept while it has not answered", memory);
  if (!best || best == chosen || role.select == upstream_select::sticky) return keep("healthy", memory);

  std::string worse;
  if (role.select == upstream_select::priority) {
    worse = best->name + ", which stands before it, is healthy";
  } else {
    const auto lag = behind(memory, *chosen, now);
    if (!lag) return keep("healthy", memory);
    worse = short_text(*lag) + " behind " + best->name;
    if (*lag < role.rule.behind) return keep(worse, memory);
  }
  if (!memory.worse_since) memory.worse_since = now;
  const auto left =
      std::max(role.rule.held - (now - *memory.worse_since), role.rule.min_dwell - (now - memory.since));
  if (left.count() > 0) return {memory.chosen, false, fmt::format("{}; left in {}", worse, short_text(left))};
  return take(*best, fmt::format("{}: {}", chosen->name, worse), memory, now);
}

}  // namespace hasup::upstream
