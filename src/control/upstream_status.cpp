// The codec of upstreams.
#include "control/upstream_status.hpp"

#include "control/json_fields.hpp"

namespace json = boost::json;

namespace hasup::control {

namespace {

json::array encode_uses(const std::vector<upstream_use>& uses) {
  json::array out;
  for (const auto& u : uses) {
    json::array left;
    for (const auto& l : u.left_ones)
      left.emplace_back(json::object{
          {"endpoint", l.endpoint}, {"at", time_or_null(l.at)}, {"until", time_or_null(l.until)}, {"why", l.why}});
    out.emplace_back(json::object{{"unit", u.unit},
                                  {"instance", u.instance},
                                  {"instances", u.instances},
                                  {"endpoint", text_or_null(u.endpoint)},
                                  {"runs", u.runs},
                                  {"apart", u.apart},
                                  {"left", std::move(left)}});
  }
  return out;
}

upstream_use decode_use(const json::value& v) {
  const json_fields f(v);
  upstream_use u;
  u.unit = f.text("unit");
  u.instance = f.number<unsigned>("instance").value_or(0);
  u.instances = f.number<unsigned>("instances").value_or(1);
  u.endpoint = f.text("endpoint");
  u.runs = f.flag("runs");
  u.apart = f.flag("apart");
  for (const auto& one : f.array("left")) {
    const json_fields l(one);
    u.left_ones.push_back({l.text("endpoint"), l.time("at"), l.time("until"), l.text("why")});
  }
  return u;
}

}  // namespace

std::string encode(const std::vector<upstream_status>& all) {
  json::array upstreams;
  for (const auto& u : all) {
    json::array endpoints;
    for (const auto& e : u.endpoints)
      endpoints.emplace_back(json::object{{"endpoint", e.name},
                                          {"dns", text_or_null(e.dns)},
                                          {"health", e.health},
                                          {"reason", text_or_null(e.reason)},
                                          {"head", value_or_null(e.head)},
                                          {"head_time", time_or_null(e.head_time)},
                                          {"latency_ms", value_or_null(e.latency_ms)},
                                          {"behind_s", value_or_null(e.behind_s)},
                                          {"chosen", e.chosen},
                                          {"avoided", e.avoided},
                                          {"avoided_until", time_or_null(e.avoided_until)}});
    json::array names;
    for (const auto& n : u.names)
      names.emplace_back(
          json::object{{"dns", n.name}, {"problem", text_or_null(n.problem)}, {"addresses", n.addresses}});
    upstreams.emplace_back(json::object{{"upstream", u.name},
                                        {"select", u.select},
                                        {"chosen", text_or_null(u.chosen)},
                                        {"chosen_why", text_or_null(u.chosen_why)},
                                        {"since", time_or_null(u.since)},
                                        {"reason", text_or_null(u.reason)},
                                        {"endpoints", std::move(endpoints)},
                                        {"names", std::move(names)},
                                        {"units", text_array(u.units)},
                                        {"uses", encode_uses(u.uses)}});
  }
  return json_text(json::object{{"upstreams", std::move(upstreams)}});
}

base::result<std::vector<upstream_status>> decode_upstreams(std::string_view text) {
  return decode_guarded("upstreams", text, [](const json::value& v) {
    std::vector<upstream_status> all;
    for (const auto& one : json_fields(v).array("upstreams")) {
      const json_fields f(one);
      upstream_status u;
      u.name = f.text("upstream");
      u.select = f.text("select");
      u.chosen = f.text("chosen");
      u.chosen_why = f.text("chosen_why");
      u.since = f.time("since");
      u.reason = f.text("reason");
      u.units = f.texts("units");
      if (f.find("names") != nullptr)  // an older hasupd does not say
        for (const auto& row : f.array("names")) {
          const json_fields r(row);
          u.names.push_back({r.text("dns"), r.text("problem"), r.number_or<std::size_t>("addresses", 0)});
        }
      if (f.find("uses") != nullptr)
        for (const auto& use : f.array("uses")) u.uses.push_back(decode_use(use));
      for (const auto& row : f.array("endpoints")) {
        const json_fields r(row);
        endpoint_status e;
        e.name = r.text("endpoint");
        e.dns = r.text("dns");
        e.health = r.text("health");
        e.reason = r.text("reason");
        e.head = r.number<std::uint64_t>("head");
        e.head_time = r.time("head_time");
        e.latency_ms = r.number<double>("latency_ms");
        e.behind_s = r.number<double>("behind_s");
        e.chosen = r.flag("chosen");
        e.avoided = r.flag("avoided");
        e.avoided_until = r.time("avoided_until");
        u.endpoints.push_back(std::move(e));
      }
      all.push_back(std::move(u));
    }
    return all;
  });
}

}  // namespace hasup::control
