// The story of a recovery is told by events of kind "recovery_…" and by those that leave the state recovering.
#include "cli/recovery_history.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>

#include "base/time_text.hpp"

namespace json = boost::json;

namespace hasup::cli {
namespace {

// "exited with code 2: dirty database; recovering" -> without what it led to.
std::string cause(std::string why) {
  constexpr std::string_view led_to = "; recovering";
  if (why.ends_with(led_to)) why.erase(why.size() - led_to.size());
  return why;
}

bool in_recovery(const control::event& e) {
  return e.state.empty() || e.state == "recovering" || e.state == "asking" || e.kind.starts_with("recovery_");
}

std::string result_of(const past_recovery& r, const std::string& outcome) {
  if (outcome == "refused" || outcome == "unavailable") return "failed";
  // By hand, after the swap: what was cancelled was put back.
  if (outcome == "cancelled" && r.outcome.starts_with("the old state is back")) return "rolled_back";
  return outcome;
}

// Its last event names the outcome; a hasupd that knew no such event left only the state that followed.
void take_in(past_recovery& r, const control::event& e) {
  if (e.kind == "recovery_dropped") ++r.refused;
  if (e.kind == "recovery_swapped") r.snapshot = e.reason.substr(0, e.reason.find(' '));
  const bool named = e.kind == "recovery_ended" && e.detail.contains("outcome");
  if (named) {
    r.result = result_of(r, e.detail.at("outcome"));
    r.ended = e.at;
  }
  if (e.kind == "recovery_rolled_back") r.snapshot.clear();
  if (e.kind == "recovery_failed" && r.result.empty()) r.result = "failed";
  const bool goes_on = in_recovery(e) || (r.beside && !r.ended);
  if ((!r.ended || named) && e.kind != "recovery_progress") r.outcome = e.reason;
  if (goes_on && !(named && r.beside && e.state != "recovering")) return;
  r.state = e.state;
  if (!r.ended) r.ended = e.at;
  if (r.result.empty()) r.result = e.state == "running" ? "recovered" : e.state == "stopped" ? "cancelled" : "failed";
}

bool is_over(const past_recovery& r) {
  return r.ended && !r.state.empty();
}

std::string took(const past_recovery& r) {
  return base::format_duration_rounded(std::chrono::duration_cast<base::duration>(*r.ended - r.began));
}

std::string outcome_text(const past_recovery& r) {
  if (!r.ended) return "goes on: " + r.outcome;
  if (r.result == "recovered") return "recovered in " + took(r) + (r.snapshot.empty() ? "" : " from " + r.snapshot);
  const auto* const words = r.result == "rolled_back" ? "rolled back"
                            : r.result == "parked"    ? "stopped half way"
                            : r.result == "stuck"     ? "stuck, neither forth nor back,"
                            : r.result == "emptied"   ? "failed with the old state deleted"
                                                      : r.result.c_str();
  return fmt::format("{} after {}{}: {}", words, took(r), r.snapshot.empty() ? "" : " on " + r.snapshot, r.outcome);
}

}  // namespace

std::vector<past_recovery> past_recoveries(const std::vector<control::event>& events, bool several) {
  std::vector<past_recovery> all;
  std::map<std::pair<std::string, unsigned>, std::size_t> open;
  for (const auto& e : events) {
    const std::pair key{e.unit, e.instance.value_or(0)};
    if (const auto o = open.find(key); o != open.end()) {
      take_in(all[o->second], e);
      if (is_over(all[o->second])) open.erase(o);
    } else if (e.kind == "recovering" || e.kind == "recovery_began") {
      past_recovery r;
      r.began = e.at;
      r.unit = several || key.second > 0 ? e.unit + "@" + std::to_string(key.second) : e.unit;
      r.why = cause(e.reason);
      r.outcome = e.reason;
      r.beside = !e.state.empty() && e.state != "recovering" && e.state != "asking";
      open[key] = all.size();
      all.push_back(std::move(r));
    }
  }
  return all;
}

std::string render_history(const std::vector<past_recovery>& all, const terminal& t) {
  std::string text;
  for (const auto& r : all) {
    const bool numbered = r.unit.find('@') != std::string::npos;
    const auto how = !r.ended ? style::blue : r.result == "recovered" ? style::green : style::red;
    text += paint(base::format_time(r.began), style::dim, t.colour) + "  " +
            (numbered ? printable(r.unit) + "  " : "") + paint(printable(outcome_text(r)), how, t.colour) +
            (r.refused > 0 ? fmt::format(", {} refused", r.refused) : "") + "; why: " + printable(r.why) + "\n";
  }
  return text;
}

std::string history_json(const std::vector<past_recovery>& all) {
  const auto text_or_null = [](const std::string& s) { return s.empty() ? json::value() : json::value(s); };
  json::array out;
  for (const auto& r : all) {
    json::object o{{"unit", r.unit},
                   {"began", base::format_time(r.began, true)},
                   {"ended", nullptr},
                   {"why", r.why},
                   {"snapshot", text_or_null(r.snapshot)},
                   {"refused", r.refused},
                   {"recovered", r.result == "recovered"},
                   {"result", text_or_null(r.result)},
                   {"state", text_or_null(r.state)},
                   {"outcome", r.outcome}};
    if (r.ended) o["ended"] = base::format_time(*r.ended, true);
    out.emplace_back(std::move(o));
  }
  return json::serialize(out);
}

}  // namespace hasup::cli
