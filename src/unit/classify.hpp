// Why a run of a node ended: the recipe's classes first, then what any program can die of. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "model/exit_status.hpp"
#include "model/recipe.hpp"

namespace hasup::unit {

// What a class asks for. next_endpoint: restart, with another endpoint of its upstream. unexplained: nobody knows;
// several failed starts of this kind in a row may trigger a recovery.
enum class exit_action { recover, restart, next_endpoint, hold, unexplained };
inline constexpr base::enum_names<exit_action, 5> exit_action_names{{{{exit_action::recover, "recover"},
                                                                      {exit_action::restart, "restart"},
                                                                      {exit_action::next_endpoint, "next_endpoint"},
                                                                      {exit_action::hold, "hold"},
                                                                      {exit_action::unexplained, "unexplained"}}}};

struct classification {
  std::string name = "unexplained";
  exit_action action = exit_action::unexplained;
  std::string evidence;  // the line that decided, at most 400 bytes; for unexplained exits the last line; "" = none
  std::string advice;    // for a person; may be empty
  std::string
      grounds{};         // what decided beside or without a line: when it ended, its probes, the kernel; may be empty
  bool by_line = false;  // the evidence decided; else it is only the last that the run said
  std::string upstream{};  // of next_endpoint: whose endpoint; "" = of all that the run used

  friend bool operator==(const classification&, const classification&) = default;
};

// What is known of a run beside its status and output.
struct run_facts {
  bool startup_passed = false;
  bool asked_to_stop = false;    // hasup sent the stop signal: whatever follows is no failure of the node
  bool killed_by_hasup = false;  // with SIGKILL, since it did not end within its stop_timeout
  unsigned oom_kills = 0;        // processes of the run that the kernel killed for want of memory
  // On the whole machine while it ran, where nobody counts those of the run alone; nothing = not known.
  std::optional<unsigned> machine_oom_kills{};
  bool kill_sent = false;        // SIGKILL went to it by way of hasup, for whatever reason
  std::uint64_t memory_max = 0;  // of its cgroup; 0 = none
  bool disk_full = false;        // where its data is, nothing was free at its end, whatever the output says
  // What the conditions of a class are held against; nothing = not known, and then none of them holds.
  std::optional<base::duration> lived{};  // from its start to its end
  std::optional<bool> startup{};          // its startup had passed, also in the first start after a restore
  std::optional<bool> readiness{};        // the last verdict of its readiness probe
};

// The size of the ring that keeps a run's last output. Evidence of this size may begin inside a line, which is
// skipped: an anchored pattern must not match the torn rest of a line that a peer wrote.
inline constexpr std::size_t evidence_limit = 64 * 1024;

// `recipe` may be null. Promises:
// - nothing but a class of the recipe ever says recover;
// - never recover while the run's output or the facts say that the disk is full;
// - a bus error that no class of the recipe knows holds, since that is how a full disk ends who writes into a mapped
// file;
// - never recover by a log match alone in a run that had not started and that also shows a taken port, a denied
//   permission or exhausted memory: log text is partly written by peers, and these are no damage to the state;
// - words of a damaged database that no class of the recipe knows ("corrupted state") are unexplained as well, and
//   only named: a failed start counts as every other of which nobody knows whether the state is good;
// - a run that the kernel killed for want of memory says only that, whatever its output shows; where that is only
//   likely, the words say so, the recipe's restart and hold stand, and nothing says recover;
// - next_endpoint speaks of a run that ended by itself: it is restart where hasup stopped the run, where the kernel
//   killed it for want of memory, and where a line alone says it of a run that was killed from outside;
// - a run that hasup stopped never says recover, and no condition on its time and probes holds: hasup chose its end.
classification classify(const model::recipe* recipe, const model::exit_status& status, std::string_view evidence,
                        const run_facts& facts);

// Would a full disk, were it known, make something else of an exit of which this was said?
bool asks_for_free_space(const classification& c, const model::exit_status& status);

// "exited with code 1: dirty database (3.2s after its start)"; what explains nothing is not named.
std::string exit_text(const model::exit_status& status, const classification& c);
// The line that decided, shortened and in quotation marks, to stand behind that; "" where it was not a line that did.
std::string quoted_line(const classification& c);

// What the output of a run that has not started yet, and goes on, says of why it never will: a class of the recipe
// that a log line alone decides and that says restart or next_endpoint, or a taken port. nodeos without its HTTP port
// runs on without an API, as if it still loaded. Never hold or recover.
std::optional<classification> why_never_started(const model::recipe* recipe, std::string_view evidence);

// What the output of a run that goes on says of why its state must be left alone: a class of the recipe that a log
// line alone decides and that says hold, or a full disk. "" = nothing.
std::string why_left_alone(const model::recipe& recipe, std::string_view evidence);

// The class of a start that never became a run: `error` is the errno of the failed exec, 0 when it did not come to
// one. Always hold or restart.
classification classify_exec_error(int error, std::string_view program);

// The last line of the evidence that one of the patterns (RE2, unanchored) matches; "" = none.
std::string matching_line(const std::vector<std::string>& patterns, std::string_view evidence);

}  // namespace hasup::unit
