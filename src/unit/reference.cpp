#include "unit/reference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace hasup::unit {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::optional<std::uint64_t> number_in(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  std::uint64_t n = 0;
  const auto* end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, n, hex ? 16 : 10);
  return failed == std::errc{} && at == end && !text.empty() ? std::optional(n) : std::nullopt;
}

std::string ago(base::mono_time since, base::mono_time now) {
  return base::format_duration_short(std::chrono::duration_cast<base::duration>(now - since));
}

bool is_evidence(const reference_memory& m, const own_head& own, base::mono_time now) {
  return m.first && m.last && *m.first > own.number && *m.last > *m.first && now - m.grew_at <= own.may_stand;
}

std::string text_of(const reference_memory& m, const own_head& own, base::mono_time now) {
  if (is_evidence(m, own, now))
    return fmt::format("{} advances: head {} {} ago, {} {} ago", m.name, *m.first, ago(m.first_at, now), *m.last,
                       ago(m.grew_at, now));
  if (!m.problem.empty()) return m.name + ": " + m.problem;
  if (*m.last == *m.first)
    return fmt::format("{}: its head {} has not been seen to grow for {}", m.name, *m.last, ago(m.first_at, now));
  return fmt::format("{}: its head {} has not grown for {} (limit {})", m.name, *m.last, ago(m.grew_at, now),
                     base::format_duration(own.may_stand));
}

}  // namespace

bool same_chain(const std::string& a, const std::string& b) {
  const auto x = number_in(a), y = number_in(b);
  if (x && y) return *x == *y;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char p, char q) { return lower(p) == lower(q); });
}

void observe(reference_memory& memory, const reference_answer& answer, const own_head& own, base::mono_time now) {
  // What it said before of a lower own head says nothing of this one.
  if (memory.first && *memory.first <= own.number) memory.first = memory.last = std::nullopt;
  if (!answer.passed) {
    memory.problem = answer.reason.empty() ? "no answer" : answer.reason;
    return;
  }
  if (!answer.head || !answer.head->number) {
    memory.problem = "it does not say a head number";
    return;
  }
  const auto& chain = answer.head->chain;
  if (!own.chain.empty() && chain.empty()) {
    memory.problem = "it does not say its chain, which must be " + own.chain;
    return;
  }
  if (!own.chain.empty() && !same_chain(chain, own.chain)) {
    memory.first = memory.last = std::nullopt;
    memory.problem = fmt::format("it is of another chain: {}, not {}", chain, own.chain);
    return;
  }
  const auto number = *answer.head->number;
  if (number <= own.number) {
    memory.problem = fmt::format("its head {} is not beyond the own head {}", number, own.number);
    return;
  }
  memory.problem.clear();
  if (!memory.first) {
    memory.first = number;
    memory.first_at = now;
  }
  if (!memory.last || number > *memory.last) {
    memory.last = number;
    memory.grew_at = now;
  }
}

others judge_others(const std::vector<reference_memory>& all, const own_head& own, base::mono_time now) {
  others out;
  for (const auto& m : all)
    if (is_evidence(m, own, now)) return {true, text_of(m, own, now)};
  if (all.empty()) return {false, "there is no [recovery.reference] to ask"};
  for (const auto& m : all) out.text += (out.text.empty() ? "" : "; ") + text_of(m, own, now);
  return out;
}

}  // namespace hasup::unit
