// From single answers of a probe to a verdict. Pure: time is an argument.
//
//   undecided --successes in a row--> good <--successes / failures in a row--> bad <--failures in a row-- undecided
//
// An unknown answer is neither: it leaves the verdict and both counts as they are. So does an early failure. But what
// could not be seen for long is not healthy: blind answers in a row, as many as failures, at least blind_limit, turn
// good into undecided.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "base/growth.hpp"
#include "model/probe.hpp"

namespace hasup::unit {

// What is known of the head of another node.
struct other_head {
  std::string name;                                 // for people
  std::optional<model::head> head{};                // of its last good answer
  base::mono_time at{};                             // when that came
  std::string problem = "it has not answered yet";  // of its last answer; "" = it was good

  friend bool operator==(const other_head&, const other_head&) = default;
};

// One answer, as the prober gave it.
struct observation {
  enum class kind { passed, failed, unknown };
  kind out = kind::unknown;
  std::string reason;
  std::optional<model::head> head;
  // Asked for sooner than the interval says, to see it pass at once: that it does not yet is no failure that counts.
  bool early = false;
  std::vector<other_head> others{};  // the nodes of the probe's reference, as they are known now
  bool blind = false;  // unknown, for a reason of this machine; else it waits for others, or for a first look
};

inline constexpr unsigned blind_limit = 3;  // a daemon that was held up for a moment takes nobody's health

enum class verdict { undecided, good, bad };
inline constexpr base::enum_names<verdict, 3> verdict_names{
    {{{verdict::undecided, "undecided"}, {verdict::good, "good"}, {verdict::bad, "bad"}}}};

struct probe_verdict {
  verdict value = verdict::undecided;
  std::string reason;        // for a person: why it is so, or what the last answer was while the verdict still stands
  bool head_stands = false;  // of this answer: the node answered well, but its head has not grown for advances_within

  friend bool operator==(const probe_verdict&, const probe_verdict&) = default;
};

// What is kept between answers; a fresh one for each run of the process.
struct probe_memory {
  verdict value = verdict::undecided;
  std::string cause;  // the reason for `value`
  unsigned failures_in_row = 0;
  unsigned successes_in_row = 0;
  unsigned blind_in_row = 0;
  base::growth<std::uint64_t> head;

  friend bool operator==(const probe_memory&, const probe_memory&) = default;
};

// Folds one answer in. An answer that passed is first held against the probe's max_head_age, advances_within and
// reference (head_lag.hpp):
// - a head older than max_head_age fails; one from further in the future than both that age and a minute means that
//   this machine's clock is wrong, and is unknown;
// - a head number that has not grown (base/growth.hpp) for advances_within fails; until growth was seen once it is
//   unknown, not passed.
probe_verdict observe(const model::probe& p, probe_memory& memory, const observation& seen, base::mono_time now,
                      base::wall_time wall_now);

}  // namespace hasup::unit
