#include "daemon/intent.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/time_text.hpp"
#include "base/unique_fd.hpp"
#include "daemon/disk_thread.hpp"
#include "journal/atomic_file.hpp"

namespace hasup::daemon {
namespace {

namespace json = boost::json;

constexpr int format_version = 1;

template <class Range>
json::array times(const Range& range) {
  json::array out;
  for (const auto& t : range) out.push_back(json::value(base::format_time(t, true)));
  return out;
}

json::object encode_exit(const unit::last_exit& e) {
  json::object o;
  if (e.status.code) o["code"] = *e.status.code;
  if (e.status.signal) o["signal"] = *e.status.signal;
  o["class"] = e.class_name;
  o["evidence"] = e.evidence;
  o["grounds"] = e.grounds;
  o["advice"] = e.advice;
  o["at"] = base::format_time(e.at, true);
  o["recovers"] = e.recovers;
  return o;
}

json::object encode_pace(const recovery::pace& p) {
  return {{"bytes", p.bytes},
          {"took_ms", p.took.count()},
          {"at", base::format_time(p.at, true)},
          {"unpacked", p.unpacked}};
}

json::object encode_stop(const unit::stopping& s) {
  json::object o{{"then", unit::after_stop_names.text(s.then)},
                 {"draining", s.draining},
                 {"no_kill", s.no_kill},
                 {"killed", s.killed},
                 {"returns", s.returns},
                 {"prepared", s.prepared},
                 {"delay_ms", s.delay.count()},
                 {"why", s.why}};
  return o;
}

json::object encode_own(const upstream::own_memory& own) {
  json::object left;
  for (const auto& [endpoint, one] : own.left)
    left[endpoint] = {
        {"at", base::format_time(one.at, true)}, {"until", base::format_time(one.until, true)}, {"why", one.why}};
  return {{"apart", own.apart}, {"left", std::move(left)}};
}

json::object encode_instance(const instance_intent& i) {
  json::object o;
  o["desired"] = model::desired_names.text(i.desired);
  o["reason"] = i.reason;
  o["starts"] = times(i.starts);
  o["backoff_step"] = i.backoff_step;
  o["failed_starts"] = i.failed_starts;
  if (i.stuck_at) o["stuck_at"] = *i.stuck_at;
  if (i.stuck_restarts > 0) o["stuck_restarts"] = i.stuck_restarts;
  if (!i.endpoints.empty()) {
    json::object endpoints;
    for (const auto& [word, name] : i.endpoints) endpoints[word] = name;
    o["endpoints"] = std::move(endpoints);
  }
  if (!i.own_endpoints.empty()) {
    json::object own;
    for (const auto& [word, one] : i.own_endpoints) own[word] = encode_own(one);
    o["own_endpoints"] = std::move(own);
  }
  o["restarts"] = i.restarts;
  o["recoveries"] = i.recoveries;
  if (i.counted) o["counted"] = base::format_time(*i.counted, true);
  o["killed"] = i.killed;
  o["failed"] = i.failed;
  o["recover_why"] = i.recover_why;
  o["back_after_boot"] = i.back_after_boot;
  if (i.stop) o["stop"] = encode_stop(*i.stop);
  if (i.backoff)
    o["backoff"] = {{"until", base::format_time(i.backoff->until, true)},
                    {"delay_ms", i.backoff->was.delay.count()},
                    {"why", i.backoff->was.why}};
  o["starting"] = i.starting;
  o["startup_passed"] = i.startup_passed;
  o["completed"] = i.completed;
  o["ever_started"] = i.ever_started;
  o["run"] = i.run;
  o["fingerprint"] = i.fingerprint;
  o["settings"] = i.settings;
  if (i.by_names != 0) o["by_names"] = i.by_names;
  if (!i.hosts.empty()) o["hosts"] = json::value_from(i.hosts);
  if (!i.once.empty()) o["once"] = json::value_from(i.once);
  if (i.from_nothing) o["from_nothing"] = true;
  o["taken_down_by"] = i.taken_down_by;
  if (i.exit) o["last_exit"] = encode_exit(*i.exit);
  o["swaps"] = times(i.swaps);
  o["bad_snapshots"] = json::value_from(i.bad_snapshots);
  if (i.forgiven) o["forgiven"] = true;
  json::object paces;
  if (i.measured.fetch) paces["fetch"] = encode_pace(*i.measured.fetch);
  if (i.measured.unpack) paces["unpack"] = encode_pace(*i.measured.unpack);
  if (!paces.empty()) o["paces"] = std::move(paces);
  o["emptied"] = i.emptied;
  if (i.data_device != 0) o["data_device"] = i.data_device;
  o["has_data"] = i.has_data;
  return o;
}

// Reads members that may be absent (an older file) but not of another type.
class reader {
 public:
  explicit reader(const json::object& o) : o_(o) {}
  std::string text(std::string_view key) const {
    const auto* v = o_.if_contains(key);
    return v == nullptr ? std::string() : json::value_to<std::string>(*v);
  }
  bool flag(std::string_view key) const {
    const auto* v = o_.if_contains(key);
    return v != nullptr && v->as_bool();
  }
  template <class T>
  T number(std::string_view key) const {
    const auto* v = o_.if_contains(key);
    return v == nullptr ? T{} : v->to_number<T>();
  }
  template <class Out>
  void time_list(std::string_view key, Out& out) const {
    const auto* v = o_.if_contains(key);
    if (v == nullptr) return;
    for (const auto& t : v->as_array())
      if (auto parsed = base::parse_time(t.as_string())) out.push_back(*parsed);
  }
  const json::object& object() const { return o_; }

 private:
  const json::object& o_;
};

// One that says nothing, as a damaged one may, is none.
std::optional<recovery::pace> decode_pace(const json::object& paces, std::string_view key) {
  const auto* found = paces.if_contains(key);
  if (found == nullptr) return std::nullopt;
  const reader r(found->as_object());
  recovery::pace p;
  p.bytes = r.number<std::uint64_t>("bytes");
  p.took = base::duration(r.number<std::int64_t>("took_ms"));
  p.unpacked = r.flag("unpacked");
  const auto at = base::parse_time(r.text("at"));
  if (p.bytes == 0 || p.took.count() <= 0 || !at) return std::nullopt;
  p.at = *at;
  return p;
}

upstream::own_memory decode_own(const json::object& object) {
  const reader r(object);
  upstream::own_memory own;
  own.apart = r.flag("apart");
  for (const auto& [endpoint, one] : object.at("left").as_object()) {
    const reader l(one.as_object());
    const auto at = base::parse_time(l.text("at")), until = base::parse_time(l.text("until"));
    if (at && until) own.left[std::string(endpoint)] = {*at, *until, l.text("why")};
  }
  return own;
}

instance_intent decode_instance(const json::object& object) {
  const reader r(object);
  instance_intent i;
  i.desired = model::desired_names.parse(r.text("desired")).value_or(model::desired::down);
  i.reason = r.text("reason");
  r.time_list("starts", i.starts);
  i.backoff_step = r.number<unsigned>("backoff_step");
  i.failed_starts = r.number<unsigned>("failed_starts");
  i.stuck_restarts = r.number<unsigned>("stuck_restarts");
  if (object.contains("stuck_at")) i.stuck_at = r.number<std::uint64_t>("stuck_at");
  if (const auto* endpoints = object.if_contains("endpoints"))
    for (const auto& [word, name] : endpoints->as_object()) i.endpoints[std::string(word)] = name.as_string().c_str();
  if (const auto* own = object.if_contains("own_endpoints"))
    for (const auto& [word, one] : own->as_object()) i.own_endpoints[std::string(word)] = decode_own(one.as_object());
  i.restarts = r.number<unsigned>("restarts");
  i.recoveries = r.number<unsigned>("recoveries");
  if (object.contains("counted"))
    if (const auto at = base::parse_time(r.text("counted"))) i.counted = *at;
  i.killed = r.flag("killed");
  i.failed = r.flag("failed");
  i.recover_why = r.text("recover_why");
  i.back_after_boot = r.flag("back_after_boot");
  if (const auto* s = object.if_contains("stop")) {
    const reader sr(s->as_object());
    unit::stopping out;
    out.then = unit::after_stop_names.parse(sr.text("then")).value_or(unit::after_stop::stop);
    out.draining = sr.flag("draining");
    out.no_kill = sr.flag("no_kill");
    out.killed = sr.flag("killed");
    out.returns = sr.flag("returns");
    out.prepared = sr.flag("prepared");
    out.delay = base::duration(sr.number<std::int64_t>("delay_ms"));
    out.why = sr.text("why");
    i.stop = std::move(out);
  }
  if (const auto* b = object.if_contains("backoff")) {
    const reader br(b->as_object());
    if (const auto until = base::parse_time(br.text("until")))
      i.backoff = {*until, {base::duration(br.number<std::int64_t>("delay_ms")), br.text("why")}};
  }
  i.starting = r.flag("starting");
  i.startup_passed = r.flag("startup_passed");
  i.completed = r.flag("completed");
  i.ever_started = r.flag("ever_started");
  i.run = r.number<std::uint64_t>("run");
  i.fingerprint = r.number<std::uint64_t>("fingerprint");
  i.settings = r.number<std::uint64_t>("settings");
  i.by_names = r.number<std::uint64_t>("by_names");
  if (const auto* hosts = object.if_contains("hosts"))
    i.hosts = json::value_to<std::map<std::string, std::string>>(*hosts);
  if (const auto* once = object.if_contains("once")) i.once = json::value_to<std::vector<std::string>>(*once);
  i.from_nothing = r.flag("from_nothing");
  i.taken_down_by = r.text("taken_down_by");
  if (const auto* e = object.if_contains("last_exit")) {
    const reader er(e->as_object());
    unit::last_exit out;
    if (er.object().contains("code")) out.status.code = er.number<int>("code");
    if (er.object().contains("signal")) out.status.signal = er.number<int>("signal");
    out.class_name = er.text("class");
    out.evidence = er.text("evidence");
    out.grounds = er.text("grounds");
    out.advice = er.text("advice");
    if (auto at = base::parse_time(er.text("at"))) out.at = *at;
    out.recovers = er.flag("recovers");
    i.exit = out;
  }
  r.time_list("swaps", i.swaps);
  if (const auto* bad = object.if_contains("bad_snapshots"))
    i.bad_snapshots = json::value_to<std::vector<std::string>>(*bad);
  i.forgiven = r.flag("forgiven");
  if (const auto* paces = object.if_contains("paces"))
    i.measured = {decode_pace(paces->as_object(), "fetch"), decode_pace(paces->as_object(), "unpack")};
  i.emptied = r.flag("emptied");
  i.data_device = r.number<std::uint64_t>("data_device");
  i.has_data = !object.contains("has_data") || r.flag("has_data");
  return i;
}

}  // namespace

bool worth_keeping(const instance_intent& i) {
  return i.has_data || !i.swaps.empty() || !i.bad_snapshots.empty();
}

namespace {

std::optional<base::wall_time> time_of(std::string_view text) {
  const auto t = base::parse_time(text);
  return t ? std::optional(*t) : std::nullopt;
}

}  // namespace

std::string encode(const intent& i) {
  json::object instances;
  for (const auto& [name, one] : i.instances) instances[name] = encode_instance(one);
  json::object units;
  for (const auto& [name, set] : i.units) {
    json::object o;
    if (set.enabled) o["enabled"] = *set.enabled;
    if (set.instances) o["instances"] = *set.instances;
    if (set.maintenance) o["maintenance"] = true;
    units[name] = std::move(o);
  }
  json::object restarts;
  for (const auto& [name, r] : i.restarts) {
    json::array left;
    for (const auto& id : r.left) left.push_back(json::value(to_text(id)));
    restarts[name] = {{"left", std::move(left)}, {"run_before", r.run_before}, {"begun", r.begun}, {"why", r.why}};
  }
  json::object stops;
  for (const auto& [id, s] : i.stops)
    stops[to_text(id)] = {{"no_kill", s.no_kill}, {"force", s.force}, {"why", s.why}};
  json::object upstreams;
  for (const auto& [name, known] : i.upstreams) {
    json::object avoided;
    for (const auto& [endpoint, until] : known.avoided)
      avoided[endpoint] = until ? json::value(base::format_time(*until, true)) : json::value(nullptr);
    json::object o{{"chosen", known.chosen}, {"reason", known.reason}, {"avoided", std::move(avoided)}};
    if (known.since) o["since"] = base::format_time(*known.since, true);
    upstreams[name] = std::move(o);
  }
  json::object addresses;
  for (const auto& [name, known] : i.addresses) {
    json::array all;
    for (const auto& a : known) all.push_back(json::object{{"host", a.host}, {"gone", a.gone}});
    addresses[name] = std::move(all);
  }
  return json::serialize(json::object{{"version", format_version},
                                      {"upstreams", upstreams},
                                      {"addresses", addresses},
                                      {"stops", stops},
                                      {"boot_id", i.boot_id},
                                      {"units", units},
                                      {"restarts", restarts},
                                      {"instances", instances}});
}

base::result<intent> decode_intent(std::string_view text) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // arguments are bytes
  boost::system::error_code no_json;
  const auto value = json::parse(text, no_json, {}, options);
  if (no_json) return base::error{"damaged: it is no whole JSON text"};
  try {
    const reader r(value.as_object());
    if (r.number<int>("version") != format_version) return base::error{"written by another version of hasup"};
    intent out;
    out.boot_id = r.text("boot_id");
    if (const auto* units = r.object().if_contains("units")) {
      for (const auto& [name, one] : units->as_object()) {
        const reader u(one.as_object());
        auto& set = out.units[std::string(name)];
        if (u.object().contains("enabled")) set.enabled = u.flag("enabled");
        if (u.object().contains("instances")) set.instances = u.number<unsigned>("instances");
        set.maintenance = u.flag("maintenance");
      }
    }
    if (const auto* upstreams = r.object().if_contains("upstreams")) {
      for (const auto& [name, one] : upstreams->as_object()) {
        const reader u(one.as_object());
        auto& known = out.upstreams[std::string(name)];
        known.chosen = u.text("chosen");
        known.reason = u.text("reason");
        known.since = time_of(u.text("since"));
        for (const auto& [endpoint, until] : u.object().at("avoided").as_object())
          known.avoided[std::string(endpoint)] =
              until.is_string() ? time_of(std::string(until.as_string())) : std::nullopt;
      }
    }
    if (const auto* addresses = r.object().if_contains("addresses"))
      for (const auto& [name, all] : addresses->as_object())
        for (const auto& one : all.as_array()) {
          const reader a(one.as_object());
          out.addresses[std::string(name)].push_back({a.text("host"), a.flag("gone")});
        }
    if (const auto* stops = r.object().if_contains("stops")) {
      for (const auto& [name, one] : stops->as_object()) {
        const auto ref = model::parse_unit_reference(std::string(name));
        if (!ref || !ref->index) continue;
        const reader sr(one.as_object());
        out.stops[{ref->unit, *ref->index}] = {sr.flag("no_kill"), sr.flag("force"), sr.text("why"), false};
      }
    }
    if (const auto* restarts = r.object().if_contains("restarts")) {
      for (const auto& [name, one] : restarts->as_object()) {
        const reader rr(one.as_object());
        auto& restart = out.restarts[std::string(name)];
        for (const auto& id : rr.object().at("left").as_array())
          if (const auto ref = model::parse_unit_reference(std::string(id.as_string())); ref && ref->index)
            restart.left.push_back({ref->unit, *ref->index});
        restart.run_before = rr.number<std::uint64_t>("run_before");
        restart.begun = rr.flag("begun");
        restart.why = rr.text("why");
      }
    }
    for (const auto& [name, one] : value.at("instances").as_object())
      out.instances[std::string(name)] = decode_instance(one.as_object());
    return out;
  } catch (const std::exception&) {  // what it says is about the JSON library
    return base::error{"damaged: something in it is not what hasup writes there"};
  }
}

intent_file::intent_file(disk_thread& disk, std::string path) : disk_(disk), path_(std::move(path)) {}

base::result<intent> intent_file::read() const {
  const base::unique_fd fd{::open(path_.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) {
    if (errno == ENOENT) return intent{};
    return base::errno_error(path_);
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return base::errno_error(path_);
  std::string text(static_cast<std::size_t>(st.st_size), '\0');
  if (::pread(fd.get(), text.data(), text.size(), 0) != st.st_size) return base::errno_error(path_);
  auto decoded = decode_intent(text);
  if (!decoded) return base::error{path_ + " is " + decoded.error().message};
  return decoded;
}

void intent_file::write(std::function<std::string()> content, write_answer then) {
  next_ = std::move(content);
  if (then) waiting_.push_back(std::move(then));
  if (!writing_) flush();
}

void intent_file::write_last(std::string content) {
  next_ = nullptr;
  disk_.run([path = path_, content = std::move(content), wait = before_write] {
    wait();
    if (const auto written = journal::write_atomic(path, content); !written) return;  // nobody is left to tell
  });
}

void intent_file::flush() {
  writing_ = true;
  auto content = std::make_shared<std::string>(std::exchange(next_, nullptr)());
  auto served = std::make_shared<std::vector<write_answer>>(std::exchange(waiting_, {}));
  auto done = std::make_shared<base::result<void>>();
  disk_.run(
      [path = path_, content, done, wait = before_write] {
        wait();
        *done = journal::write_atomic(path, *content);
      },
      [this, served, done] {
        writing_ = false;
        if (!*done && on_error) on_error(done->error());
        for (const auto& then : *served) then(*done);
        if (next_) flush();
      });
}

}  // namespace hasup::daemon
