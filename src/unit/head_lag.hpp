// Is a node behind others? From its own head and what is known of theirs to a judgement. Pure.
//
// Heads are held against heads, by number or by time, so that no machine's clock matters. What is known of the others
// is some seconds old and their heads have grown since: a lag is judged too small rather than too large.
#pragma once

#include <string>
#include <vector>

#include "base/duration.hpp"
#include "model/probe.hpp"
#include "unit/probe_verdict.hpp"

namespace hasup::unit {

// Of one limit.
struct lag {
  observation::kind out = observation::kind::unknown;
  std::string text;  // for a person: "head 123 is 45s behind https://host (limit 30s)", or why nobody knows

  friend bool operator==(const lag&, const lag&) = default;
};

// What one of the nodes is asked, in the form of a probe of its own.
model::probe asked_as_probe(const model::probe_reference& r, const model::reference_node& node);

// Folds its answer in: the head of a bad one does not count, that of the last good one still does for a while.
void remember(other_head& known, bool passed, const std::string& reason, const std::optional<model::head>& head,
              base::mono_time now);

// For how long a good answer of another node counts, also when the next ones are bad.
base::duration counts_for(const model::probe_reference& r);

// One for each limit of the probe, nothing without a reference. Of several nodes the one counts that is furthest by
// what the limit is about; one without such an answer, and for numbers one of another chain, does not. None: unknown.
std::vector<lag> judge_lag(const model::probe& p, const model::head& own, const std::vector<other_head>& others,
                           base::mono_time now);

}  // namespace hasup::unit
