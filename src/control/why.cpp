// The codec of a unit's story.
#include "control/why.hpp"

#include "control/status_json.hpp"

namespace json = boost::json;

namespace hasup::control {

std::string encode(const why_report& w) {
  json::array all;
  for (const auto& s : w.instances) {
    json::array events;
    for (const auto& e : s.events) events.emplace_back(to_json(e));
    all.emplace_back(json::object{{"status", to_json(s.status)},
                                  {"evidence", text_array(s.evidence)},
                                  {"grounds", text_or_null(s.grounds)},
                                  {"advice", text_or_null(s.advice)},
                                  {"tried", text_array(s.tried)},
                                  {"next", text_or_null(s.next)},
                                  {"actions", text_array(s.actions)},
                                  {"events", std::move(events)}});
  }
  return json_text(json::object{{"instances", std::move(all)}});
}

base::result<why_report> decode_why(std::string_view text) {
  return decode_guarded("the story of a unit", text, [](const json::value& v) {
    why_report w;
    for (const auto& one : json_fields(v).array("instances")) {
      const json_fields f(one);
      instance_story s;
      const auto* status = f.find("status");
      if (!status) throw json_mismatch("\"status\" is missing");
      s.status = instance_from_json(*status);
      s.evidence = f.texts("evidence");
      s.grounds = f.text("grounds");
      s.advice = f.text("advice");
      s.tried = f.texts("tried");
      s.next = f.text("next");
      s.actions = f.texts("actions");
      for (const auto& e : f.array("events")) s.events.push_back(event_from_json(e));
      w.instances.push_back(std::move(s));
    }
    return w;
  });
}

}  // namespace hasup::control
