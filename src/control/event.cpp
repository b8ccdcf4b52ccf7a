// The codec of events.
#include "control/event.hpp"

#include <algorithm>
#include <iterator>

#include "control/status_json.hpp"
#include "model/unit_name.hpp"

namespace json = boost::json;

namespace hasup::control {

json::object to_json(const event& e) {
  json::object detail;
  for (const auto& [key, value] : e.detail) detail.emplace(key, value);
  json::object out{{"seq", e.seq},
                   {"at", base::format_time(e.at, true)},
                   {"unit", text_or_null(e.unit)},
                   {"instance", value_or_null(e.instance)},
                   {"kind", e.kind},
                   {"state", text_or_null(e.state)},
                   {"reason", e.reason},
                   {"detail", std::move(detail)}};
  if (!e.recovery.empty()) out["recovery"] = json::parse(e.recovery);
  return out;
}

event event_from_json(const json::value& v) {
  const json_fields f(v);
  event e;
  e.seq = f.number_or<std::uint64_t>("seq", 0);
  const auto at = f.time("at");
  if (!at) throw json_mismatch("\"at\" is missing");
  e.at = *at;
  e.unit = f.text("unit");
  e.instance = f.number<unsigned>("instance");
  e.kind = f.text("kind");
  e.state = f.text("state");
  e.reason = f.text("reason");
  if (const auto* detail = f.find("detail")) {
    if (!detail->is_object()) throw json_mismatch("\"detail\" must be an object");
    for (const auto& [key, value] : detail->get_object()) {
      const bool is_text = value.is_string();
      e.detail.emplace(key, is_text ? std::string(value.get_string()) : json::serialize(value));
    }
  }
  if (const auto* r = f.find("recovery")) e.recovery = json::serialize(*r);
  return e;
}

std::string encode(const event& e) {
  return json::serialize(to_json(e));
}

base::result<event> decode_event(std::string_view text) {
  return decode_guarded("an event", text, event_from_json);
}

bool is_alert(const event& e) {
  static constexpr std::string_view kinds[] = {
      "asking",           "became_unhealthy", "disk_low",       "disk_silent",     "failed",
      "head_stuck",       "journal_damaged",  "journal_failed", "listen_failed",   "data_missing",
      "killed",           "proxy_lost",       "proxy_refused",  "recovery_asks",   "recovery_stands",
      "recovery_waiting", "shim_lost",        "upgrade_failed", "upgrade_refused", "upstream_lost"};
  return std::find(std::begin(kinds), std::end(kinds), e.kind) != std::end(kinds);
}

bool concerns(const event& e, std::string_view filter) {
  if (filter.empty()) return true;
  if (filter == "hasupd" && e.unit.empty()) return true;  // as it is shown
  const auto wanted = model::parse_unit_reference(filter);
  if (!wanted || wanted->unit != e.unit) return false;
  return !wanted->index || !e.instance || *wanted->index == *e.instance;
}

}  // namespace hasup::control
