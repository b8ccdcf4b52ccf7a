// What a log check has seen of a run's output, and what that says. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/duration.hpp"
#include "model/probe.hpp"
#include "probe/prober.hpp"

namespace re2 {
class RE2;
}

namespace hasup::probe {

// Of one check in one run.
struct log_memory {
  std::uint64_t next = 0;                // the byte of the run's output to go on with
  std::optional<base::mono_time> since;  // the first look
  std::optional<std::string> line;       // the newest one that matches
  base::mono_time seen{};                // when it was read
  bool older = false;                    // it stood there at the first look: nobody knows how old it is
  std::optional<model::head> head;       // of `line`
  std::string unreadable;                // which group of `line` is no number or time, and what it holds
  std::shared_ptr<const re2::RE2> pattern;
};

// Folds in whole lines that come after those of the last look. Only the newest that matches counts.
void take_lines(const model::check& c, log_memory& memory, std::string_view lines, base::mono_time now);

// - no line has matched yet: unknown; with max_age, failed once it has been looked for that long;
// - the newest one is older than max_age, by (?P<time>…) or else by when it was read: failed. How old one is that
//   stood there at the first look and says no time of its own is unknown until then;
// - a group that cannot be read fails.
check_result judge_lines(const model::check& c, const log_memory& memory, base::mono_time now,
                         base::wall_time wall_now);

}  // namespace hasup::probe
