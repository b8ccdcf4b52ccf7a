#include "unit/probe_verdict.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>

#include "unit/head_lag.hpp"

namespace hasup::unit {
namespace {

using kind = observation::kind;

struct judged {
  kind out;
  std::string reason;
  bool blind = false;  // see observation
};

std::string head_name(const model::head& h) {
  return h.number ? "head " + std::to_string(*h.number) : "the head";
}

// Every head that is seen is remembered, also when the rest of the answer is bad: growth is growth.
void remember_head(const model::probe& p, probe_memory& memory, const observation& seen, base::mono_time now) {
  if (seen.head && seen.head->number && p.advances_within)
    memory.head.see(*seen.head->number, *p.advances_within, now);
}

judged judge_age(const model::head& head, base::duration limit, base::wall_time wall_now) {
  using namespace std::chrono;
  if (!head.time) {
    return {kind::unknown, "max_head_age is set but no check reads the head's time; give head = { time = \"/…\" }",
            true};
  }
  // As seconds in floating point, so that no pair of times overflows.
  const duration<double> age =
      duration<double>(wall_now.time_since_epoch()) - duration<double>(head.time->time_since_epoch());
  const auto as_duration = [](duration<double> d) {
    return duration_cast<base::duration>(std::min(d, duration<double>(1e9)));
  };
  if (age > limit) {
    return {kind::failed, head_name(head) + " is " + base::format_duration_short(as_duration(age)) + " old (limit " +
                              base::format_duration(limit) + ")"};
  }
  if (-age > std::max<base::duration>(limit, minutes{1})) {
    return {kind::unknown,
            head_name(head) + " is " + base::format_duration_short(as_duration(-age)) +
                " ahead of this machine's clock; check its time synchronisation",
            true};
  }
  return {kind::passed, {}};
}

judged judge_growth(const probe_memory& memory, const model::head& head, base::duration within, base::mono_time now) {
  using namespace std::chrono;
  if (!head.number || !memory.head.highest) {
    return {kind::unknown,
            "advances_within is set but no check reads the head's number; give head = { number = \"/…\" }", true};
  }
  const auto still = memory.head.still(now);
  if (still > within) {
    return {kind::failed, head_name(head) + " has not advanced for " + base::format_duration_short(still) +
                              " (limit " + base::format_duration(within) + ")"};
  }
  if (!memory.head.grew) return {kind::unknown, head_name(head) + " has not been seen to advance yet"};
  return {kind::passed, {}};
}

judged judge(const model::probe& p, const probe_memory& memory, const observation& seen, base::mono_time now,
             base::wall_time wall_now) {
  if (seen.out != kind::passed) return {seen.out, seen.reason, seen.blind};
  const model::head head = seen.head.value_or(model::head{});
  judged all{kind::passed, seen.reason};
  const auto worse = [&all](judged j) {
    if (j.out == kind::failed ? all.out != kind::failed : j.out == kind::unknown && all.out == kind::passed) {
      all = std::move(j);
    }
  };
  if (p.max_head_age) worse(judge_age(head, *p.max_head_age, wall_now));
  if (p.advances_within) worse(judge_growth(memory, head, *p.advances_within, now));
  for (auto& lag : judge_lag(p, head, seen.others, now)) worse({lag.out, std::move(lag.text)});
  return all;
}

bool stands_still(const model::probe& p, const probe_memory& memory, const observation& seen, base::mono_time now) {
  return seen.out == kind::passed && seen.head && p.advances_within &&
         judge_growth(memory, *seen.head, *p.advances_within, now).out == kind::failed;
}

void count(unsigned& in_row, unsigned& other) {
  if (in_row != std::numeric_limits<unsigned>::max()) ++in_row;
  other = 0;
}

probe_verdict fold(const model::probe& p, probe_memory& memory, const observation& seen, base::mono_time now,
                   base::wall_time wall_now) {
  const judged j = judge(p, memory, seen, now, wall_now);
  memory.blind_in_row = !j.blind ? 0 : std::min(memory.blind_in_row, std::numeric_limits<unsigned>::max() - 1) + 1;
  if (j.out == kind::unknown) {
    if (memory.value == verdict::good && memory.blind_in_row >= std::max(blind_limit, p.failures)) {
      memory.value = verdict::undecided;
      memory.successes_in_row = memory.failures_in_row = 0;
    }
    if (memory.value == verdict::undecided) return {verdict::undecided, j.reason};
    return {memory.value, memory.cause + "; last answer unknown: " + j.reason};
  }
  const bool passed = j.out == kind::passed;
  if (!passed && seen.early && memory.value == verdict::undecided) return {verdict::undecided, j.reason};
  const unsigned needed = std::max(1U, passed ? p.successes : p.failures);
  unsigned& in_row = passed ? memory.successes_in_row : memory.failures_in_row;
  count(in_row, passed ? memory.failures_in_row : memory.successes_in_row);
  const verdict towards = passed ? verdict::good : verdict::bad;
  if (in_row >= needed || memory.value == towards) {
    memory.value = towards;
    memory.cause = j.reason;
    return {towards, j.reason};
  }
  const std::string progress = std::to_string(in_row) + " of " + std::to_string(needed) + " in a row";
  if (memory.value == verdict::undecided) return {verdict::undecided, j.reason + " (" + progress + ")"};
  return {memory.value,
          memory.cause + "; last answer " + (passed ? "passed" : "failed: " + j.reason) + " (" + progress + ")"};
}

}  // namespace

probe_verdict observe(const model::probe& p, probe_memory& memory, const observation& seen, base::mono_time now,
                      base::wall_time wall_now) {
  remember_head(p, memory, seen, now);
  auto out = fold(p, memory, seen, now, wall_now);
  out.head_stands = stands_still(p, memory, seen, now);
  return out;
}

}  // namespace hasup::unit
