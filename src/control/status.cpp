// The codec of the status: member names and their order are fixed by the documented JSON.
#include "control/status.hpp"

#include "control/status_json.hpp"

namespace json = boost::json;

namespace hasup::control {
namespace {

inline constexpr base::enum_names<base::severity, 2> severity_names{
    {{{base::severity::error, "error"}, {base::severity::warning, "warning"}}}};

json::value to_json(const std::optional<last_exit>& e) {
  if (!e) return nullptr;
  return json::object{{"code", value_or_null(e->code)},
                      {"signal", value_or_null(e->signal)},
                      {"class", text_or_null(e->cls)},
                      {"at", time_or_null(e->at)}};
}

json::value to_json(const std::optional<model::head>& h) {
  if (!h) return nullptr;
  json::object o{{"number", value_or_null(h->number)}, {"time", time_or_null(h->time)}};
  if (!h->weight.empty()) o["weight"] = h->weight;
  if (h->peers) o["peers"] = *h->peers;
  return o;
}

json::value to_json(const std::optional<recovery_status>& r) {
  if (!r) return nullptr;
  return json::object{{"phase", r->phase},
                      {"plan", text_or_null(r->plan)},
                      {"snapshot", text_or_null(r->snapshot)},
                      {"source", text_or_null(r->source)},
                      {"bytes_done", r->bytes_done},
                      {"bytes_total", value_or_null(r->bytes_total)},
                      {"bytes_per_s", r->bytes_per_s},
                      {"eta_s", value_or_null(r->eta_s)},
                      {"asks", r->asks},
                      {"began_at", time_or_null(r->began_at)},
                      {"phase_since", time_or_null(r->phase_since)},
                      {"files_done", r->files_done},
                      {"files_total", value_or_null(r->files_total)},
                      {"head", value_or_null(r->head)},
                      {"confirms_at", time_or_null(r->confirms_at)},
                      {"gives_up_at", time_or_null(r->gives_up_at)}};
}

json::value to_json(const std::optional<prefetch_status>& p) {
  if (!p) return nullptr;
  return json::object{{"snapshot", text_or_null(p->snapshot)},
                      {"unpacked", p->unpacked},
                      {"time", time_or_null(p->time)},
                      {"fetching", text_or_null(p->fetching)},
                      {"bytes_done", p->bytes_done},
                      {"bytes_total", value_or_null(p->bytes_total)},
                      {"bytes_per_s", p->bytes_per_s},
                      {"problem", text_or_null(p->problem)},
                      {"next_look_at", time_or_null(p->next_look_at)}};
}

json::object to_json(const base::diagnostic& d) {
  return json::object{{"severity", severity_names.text(d.level)},
                      {"file", d.file},
                      {"line", d.line},
                      {"column", d.column},
                      {"length", d.length},
                      {"message", d.message},
                      {"source_line", d.source_line}};
}

base::diagnostic diagnostic_from_json(const json::value& v) {
  const json_fields f(v);
  base::diagnostic d;
  d.level = f.named("severity", severity_names);
  d.file = f.text("file");
  d.line = f.number_or<std::uint32_t>("line", 0);
  d.column = f.number_or<std::uint32_t>("column", 0);
  d.length = f.number_or<std::uint32_t>("length", 1);
  d.message = f.text("message");
  d.source_line = f.text("source_line");
  return d;
}

last_exit exit_from_json(const json::value& v) {
  const json_fields f(v);
  return {f.number<int>("code"), f.number<int>("signal"), f.text("class"), f.time("at")};
}

model::head head_from_json(const json::value& v) {
  const json_fields f(v);
  return {f.number<std::uint64_t>("number"), f.time("time"), f.text("weight"), {}, f.number<std::uint64_t>("peers")};
}

recovery_status recovery_from_json(const json::value& v) {
  const json_fields f(v);
  recovery_status r;
  r.phase = f.text("phase");
  r.plan = f.text("plan");
  r.snapshot = f.text("snapshot");
  r.source = f.text("source");
  r.bytes_done = f.number_or<std::uint64_t>("bytes_done", 0);
  r.bytes_total = f.number<std::uint64_t>("bytes_total");
  r.bytes_per_s = f.number_or<std::uint64_t>("bytes_per_s", 0);
  r.eta_s = f.number<std::uint64_t>("eta_s");
  r.asks = f.flag("asks");
  r.began_at = f.time("began_at");
  r.phase_since = f.time("phase_since");
  r.files_done = f.number_or<std::uint64_t>("files_done", 0);
  r.files_total = f.number<std::uint64_t>("files_total");
  r.head = f.number<std::uint64_t>("head");
  r.confirms_at = f.time("confirms_at");
  r.gives_up_at = f.time("gives_up_at");
  return r;
}

prefetch_status prefetch_from_json(const json::value& v) {
  const json_fields f(v);
  prefetch_status p;
  p.snapshot = f.text("snapshot");
  p.unpacked = f.flag("unpacked");
  p.time = f.time("time");
  p.fetching = f.text("fetching");
  p.bytes_done = f.number_or<std::uint64_t>("bytes_done", 0);
  p.bytes_total = f.number<std::uint64_t>("bytes_total");
  p.bytes_per_s = f.number_or<std::uint64_t>("bytes_per_s", 0);
  p.problem = f.text("problem");
  p.next_look_at = f.time("next_look_at");
  return p;
}

// The values are numbers and booleans.
json::value plain_value(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::parse(text);
}

std::string plain_text(const json::value* v) {
  return v == nullptr ? std::string() : json::serialize(*v);
}

json::array to_json(const std::vector<setting_by_hand>& all) {
  json::array out;
  for (const auto& s : all)
    out.emplace_back(json::object{{"key", s.key},
                                  {"value", plain_value(s.value)},
                                  {"in_file", plain_value(s.in_file)},
                                  {"by", s.by},
                                  {"undo", s.undo}});
  return out;
}

setting_by_hand setting_from_json(const json::value& v) {
  const json_fields f(v);
  return {f.text("key"), plain_text(f.find("value")), plain_text(f.find("in_file")), f.text("by"), f.text("undo")};
}

}  // namespace

json::object to_json(const instance_status& s) {
  return json::object{{"unit", s.unit},
                      {"instance", s.instance},
                      {"instances", s.instances},
                      {"state", model::unit_state_names.text(s.state)},
                      {"desired", model::desired_names.text(s.desired)},
                      {"health", model::health_names.text(s.health)},
                      {"reason", s.reason},
                      {"since", time_or_null(s.since)},
                      {"health_since", time_or_null(s.health_since)},
                      {"pid", value_or_null(s.pid)},
                      {"uptime_s", value_or_null(s.uptime_s)},
                      {"restarts", s.restarts},
                      {"recoveries", s.recoveries},
                      {"waiting_for", text_array(s.waiting_for)},
                      {"next_attempt_at", time_or_null(s.next_attempt_at)},
                      {"scheduled_at", time_or_null(s.scheduled_at)},
                      {"drain_ends_at", time_or_null(s.drain_ends_at)},
                      {"kill_at", time_or_null(s.kill_at)},
                      {"last_exit", to_json(s.exit)},
                      {"head", to_json(s.head)},
                      {"upstream", text_or_null(s.upstream)},
                      {"role", text_or_null(s.role)},
                      {"maintenance", s.maintenance},
                      {"by_hand", to_json(s.by_hand)},
                      {"config_changed", s.config_changed},
                      {"addresses_changed", text_or_null(s.addresses_changed)},
                      {"killed", s.killed},
                      {"logs_dropped", s.logs_dropped},
                      {"cpu_percent", value_or_null(s.cpu_percent)},
                      {"memory_bytes", value_or_null(s.memory_bytes)},
                      {"recovery", to_json(s.recovery)},
                      {"prefetch", to_json(s.prefetch)}};
}

instance_status instance_from_json(const json::value& v) {
  const json_fields f(v);
  instance_status s;
  s.unit = f.text("unit");
  s.instance = f.number_or<unsigned>("instance", 0);
  s.instances = f.number_or<unsigned>("instances", 1);
  s.state = f.named("state", model::unit_state_names);
  s.desired = f.named("desired", model::desired_names);
  s.health = f.named("health", model::health_names);
  s.reason = f.text("reason");
  s.since = f.time("since");
  s.health_since = f.time("health_since");
  s.pid = f.number<std::int32_t>("pid");
  s.uptime_s = f.number<double>("uptime_s");
  s.restarts = f.number_or<std::uint64_t>("restarts", 0);
  s.recoveries = f.number_or<std::uint64_t>("recoveries", 0);
  s.waiting_for = f.texts("waiting_for");
  s.next_attempt_at = f.time("next_attempt_at");
  s.scheduled_at = f.time("scheduled_at");
  s.drain_ends_at = f.time("drain_ends_at");
  s.kill_at = f.time("kill_at");
  if (const auto* e = f.find("last_exit")) s.exit = exit_from_json(*e);
  if (const auto* h = f.find("head")) s.head = head_from_json(*h);
  s.upstream = f.text("upstream");
  s.role = f.text("role");
  s.maintenance = f.flag("maintenance");
  for (const auto& one : f.array("by_hand")) s.by_hand.push_back(setting_from_json(one));
  s.config_changed = f.flag("config_changed");
  s.addresses_changed = f.text("addresses_changed");
  s.killed = f.flag("killed");
  s.logs_dropped = f.number_or<std::uint64_t>("logs_dropped", 0);
  s.cpu_percent = f.number<double>("cpu_percent");
  s.memory_bytes = f.number<std::uint64_t>("memory_bytes");
  if (const auto* r = f.find("recovery")) s.recovery = recovery_from_json(*r);
  if (const auto* p = f.find("prefetch")) s.prefetch = prefetch_from_json(*p);
  return s;
}

std::string encode(const recovery_status& r) {
  return json::serialize(to_json(std::optional(r)));
}

std::string encode(const instance_status& s) {
  return json_text(to_json(s));
}

std::string encode(const host_status& s) {
  json::array diagnostics;
  for (const auto& d : s.diagnostics) diagnostics.emplace_back(to_json(d));
  json::array units;
  units.reserve(s.units.size());
  for (const auto& u : s.units) units.emplace_back(to_json(u));
  return json_text(json::object{{"host", s.host},
                                {"version", s.version},
                                {"pid", s.pid},
                                {"uptime_s", s.uptime_s},
                                {"diagnostics", std::move(diagnostics)},
                                {"units", std::move(units)}});
}

base::result<instance_status> decode_instance(std::string_view text) {
  return decode_guarded("the status of a unit", text, instance_from_json);
}

base::result<host_status> decode_status(std::string_view text) {
  return decode_guarded("the status", text, [](const json::value& v) {
    const json_fields f(v);
    host_status s;
    s.host = f.text("host");
    s.version = f.text("version");
    s.pid = f.number_or<std::int32_t>("pid", 0);
    s.uptime_s = f.number_or<double>("uptime_s", 0);
    for (const auto& d : f.array("diagnostics")) s.diagnostics.push_back(diagnostic_from_json(d));
    for (const auto& u : f.array("units")) s.units.push_back(instance_from_json(u));
    return s;
  });
}

std::string to_text(const setting_by_hand& s) {
  const auto file = s.in_file.empty() ? "over its file, which is broken" : "the file says " + s.in_file;
  return s.key + " = " + s.value + " by `" + s.by + "`, " + file + "; back to the file: " + s.undo;
}

std::string display_name(const instance_status& s) {
  return s.instances > 1 ? s.unit + "@" + std::to_string(s.instance) : s.unit;
}

}  // namespace hasup::control
