// Holds an answer against what a check expects of it. Pure: time is an argument.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/growth.hpp"
#include "model/probe.hpp"
#include "probe/number.hpp"
#include "probe/prober.hpp"

namespace hasup::probe {

// What `advances_within` has seen, by the index of the expectation.
using answer_memory = std::vector<base::growth<decimal>>;

// Whether the body has to be read as JSON at all, and whether anything is asked of it.
bool asks_for_json(const model::check& c);
bool asks_for_body(const model::check& c);

// Every condition is judged; the reason is that of the first which failed, else of the first unknown one. A head
// pointer without a value in the answer fails the check. Latency is left alone.
check_result judge_answer(const model::check& c, std::string_view body, answer_memory& memory, base::mono_time now,
                          base::wall_time wall_now);

// The same after a look at the envelope: an `error` member fails with what it says, and so does a missing result.
check_result judge_jsonrpc(const model::check& c, std::string_view body, answer_memory& memory, base::mono_time now,
                           base::wall_time wall_now);

// What a JSON answer says went wrong (JSON-RPC error, or the error of an Antelope node); empty when it says nothing.
std::string error_in_answer(std::string_view body);

// A time as text.
std::optional<base::wall_time> read_time(std::string_view text, model::time_format format);

// At most `longest` bytes on one line, for a message: control characters become spaces, a cut is marked by "…".
std::string excerpt(std::string_view text, std::size_t longest = 80);

// An object is equal in any order of its members; a number also to a string that holds that number ("0x1f" is 31).
bool equal_json(std::string_view found_json, std::string_view wanted_json);

}  // namespace hasup::probe
