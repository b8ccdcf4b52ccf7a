#include "unit/head_lag.hpp"

#include <algorithm>
#include <chrono>

#include "unit/reference.hpp"

namespace hasup::unit {
namespace {

using kind = observation::kind;
using seconds = std::chrono::duration<double>;  // no pair of times overflows

std::string own_name(const model::head& own) {
  return own.number ? "head " + std::to_string(*own.number) : "the head";
}

base::duration as_duration(seconds s) {
  return std::chrono::duration_cast<base::duration>(std::min(s, seconds(1e9)));
}

// Why its head is not one to compare with; "" = it is, but for what the limit is about.
std::string lacking(const other_head& o, base::duration limit, base::mono_time now) {
  if (o.head && now - o.at <= limit) return {};
  if (!o.problem.empty()) return o.problem;
  return "its last answer is " + base::format_duration_short(std::chrono::duration_cast<base::duration>(now - o.at)) +
         " old";
}

std::string of_another_chain(const model::head& own, const model::head& other) {
  if (own.chain.empty() || other.chain.empty() || same_chain(own.chain, other.chain)) return {};
  return "it is of chain " + other.chain + ", the own node of " + own.chain;
}

// The furthest of those that `why_not` says nothing against; else what it says of each.
template <class Further, class WhyNot>
const other_head* furthest(const std::vector<other_head>& others, std::string& missing, Further further,
                           WhyNot why_not) {
  const other_head* best = nullptr;
  for (const auto& o : others) {
    if (const auto why = why_not(o); !why.empty())
      missing += (missing.empty() ? "" : "; ") + o.name + ": " + why;
    else if (best == nullptr || further(*o.head, *best->head))
      best = &o;
  }
  if (others.empty()) missing = "no reference is known";
  return best;
}

lag unknown(const std::string& missing) {
  return {kind::unknown, "no head to compare with: " + missing};
}

lag by_time(const model::head& own, const std::vector<other_head>& others, base::duration limit, base::duration fresh,
            base::mono_time now) {
  if (!own.time) return {kind::unknown, "the node has not said the time of its head, for max_behind"};
  std::string missing;
  const auto* best = furthest(
      others, missing, [](const auto& a, const auto& b) { return *a.time > *b.time; },
      [&](const other_head& o) {
        auto why = lacking(o, fresh, now);
        return why.empty() && !o.head->time ? std::string("it does not say the time of its head") : why;
      });
  if (best == nullptr) return unknown(missing);
  const seconds behind = seconds(best->head->time->time_since_epoch()) - seconds(own.time->time_since_epoch());
  if (behind <= seconds(0)) return {kind::passed, own_name(own) + " is not behind " + best->name};
  return {behind > limit ? kind::failed : kind::passed,
          own_name(own) + " is " + base::format_duration_short(as_duration(behind)) + " behind " + best->name +
              " (limit " + base::format_duration(limit) + ")"};
}

lag by_number(const model::head& own, const std::vector<other_head>& others, std::uint64_t limit,
              base::duration fresh, base::mono_time now) {
  if (!own.number) return {kind::unknown, "the node has not said the number of its head, for max_blocks_behind"};
  std::string missing;
  const auto* best = furthest(
      others, missing, [](const auto& a, const auto& b) { return *a.number > *b.number; },
      [&](const other_head& o) {
        auto why = lacking(o, fresh, now);
        if (why.empty() && !o.head->number) why = "it does not say the number of its head";
        return why.empty() ? of_another_chain(own, *o.head) : why;
      });
  if (best == nullptr) return unknown(missing);
  if (*best->head->number <= *own.number) return {kind::passed, own_name(own) + " is not behind " + best->name};
  const auto behind = *best->head->number - *own.number;
  return {behind > limit ? kind::failed : kind::passed, own_name(own) + " is " + std::to_string(behind) +
                                                            (behind == 1 ? " block" : " blocks") + " behind " +
                                                            best->name + " (limit " + std::to_string(limit) + ")"};
}

}  // namespace

model::probe asked_as_probe(const model::probe_reference& r, const model::reference_node& node) {
  model::probe out;
  out.checks = node.checks;
  out.interval = r.interval;
  out.timeout = r.timeout;
  return out;
}

void remember(other_head& known, bool passed, const std::string& reason, const std::optional<model::head>& head,
              base::mono_time now) {
  if (passed && head) {
    known.head = head;
    known.at = now;
    known.problem.clear();
  } else {
    known.problem = passed ? "it does not say where its head is" : reason.empty() ? "no answer" : reason;
  }
}

base::duration counts_for(const model::probe_reference& r) {
  return 3 * r.interval + r.timeout;
}

std::vector<lag> judge_lag(const model::probe& p, const model::head& own, const std::vector<other_head>& others,
                           base::mono_time now) {
  std::vector<lag> out;
  if (!p.reference) return out;
  const auto fresh = counts_for(*p.reference);
  if (p.max_behind) out.push_back(by_time(own, others, *p.max_behind, fresh, now));
  if (p.max_blocks_behind) out.push_back(by_number(own, others, *p.max_blocks_behind, fresh, now));
  return out;
}

}  // namespace hasup::unit
