#include "config/probe_section.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "config/reference_section.hpp"
#include "config/schema_check.hpp"
#include "config/section.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

using model::check_kind;

constexpr std::array<std::string_view, 10> probe_settings{"interval",     "timeout",          "failures", "successes",
                                                          "max_head_age", "advances_within",  "needs",    "reference",
                                                          "max_behind",   "max_blocks_behind"};

// What a unit may say of all requests of a preset: what only the site knows, and what must not stand in a parameter.
constexpr std::array<std::string_view, 5> access_keys{"header_file", "ca_file", "client_certificate", "client_key",
                                                      "through"};

struct kind_keys {
  check_kind kind;
  std::vector<std::string_view> keys;
  std::vector<std::string_view> required;
};

const kind_keys& keys_of(check_kind kind) {
  static const std::array<kind_keys, 6> table{{
      {check_kind::http,
       {"url", "method", "headers", "header_file", "ca_file", "client_certificate", "client_key", "body", "status",
        "body_matches", "expect", "head", "port_owner", "through"},
       {"url"}},
      {check_kind::jsonrpc,
       {"url", "method", "params", "headers", "header_file", "ca_file", "client_certificate", "client_key", "status",
        "expect", "head", "port_owner", "through"},
       {"url", "method"}},
      {check_kind::websocket,
       {"url", "headers", "header_file", "ca_file", "client_certificate", "client_key", "subprotocol", "send",
        "body_matches", "expect", "head", "port_owner", "through"},
       {"url"}},
      {check_kind::tcp, {"address", "port_owner"}, {"address"}},
      {check_kind::exec, {"command"}, {"command"}},
      {check_kind::log, {"pattern", "max_age", "time"}, {"pattern"}},
  }};
  return *std::find_if(table.begin(), table.end(), [&](const kind_keys& k) { return k.kind == kind; });
}

constexpr std::array<std::string_view, 23> check_keys{
    "kind",       "url",  "method",      "params",  "headers", "header_file", "ca_file", "client_certificate",
    "client_key", "body", "subprotocol", "send",    "status",  "address",     "command", "body_matches",
    "expect",     "head", "port_owner",  "through", "pattern", "max_age",     "time"};

bool is_decimal(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    return !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  }
  const auto dot = text.find('.');
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return digits(text.substr(0, dot)) && (dot == std::string_view::npos || digits(text.substr(dot + 1)));
}

void read_number(const section& s, std::string_view key, std::optional<std::string>& out) {
  const auto* v = s.raw(key);
  if (v == nullptr) return;
  std::string text = v->is(value_type::text) ? v->text : "";
  if (v->is(value_type::integer)) text = std::to_string(v->integer);
  if (v->is(value_type::real) && std::isfinite(v->real)) {
    std::array<char, 400> buffer{};  // without an exponent: 1e308 has 309 digits
    const auto [end, ec] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), v->real, std::chars_format::fixed);
    if (ec == std::errc{}) text.assign(buffer.data(), end);
  }
  if (is_decimal(text))
    out = text;
  else
    s.error(key, "\"" + std::string(key) + "\" must be a number, or one in quotes such as \"0x1f\"");
}

void read_pointer(const section& s, std::string_view key, std::string& out) {
  s.read(key, out);
  if (!out.empty() && out[0] != '/') s.error(key, "a JSON pointer begins with \"/\"; write \"/" + out + "\"");
}

model::expectation read_expectation(const section& s) {
  model::expectation e;
  read_pointer(s, "pointer", e.pointer);
  if (const auto* v = s.raw("equals")) e.equals = to_json(*v);
  read_number(s, "min", e.min);
  read_number(s, "max", e.max);
  if (const auto* v = s.raw("matches")) {
    e.matches = v->text;
    s.check_pattern("matches", v->text);
  }
  s.read("max_age", e.max_age);
  s.read("time", model::time_format_names, e.time);
  s.read("advances_within", e.advances_within);
  if (s.has("time") && !s.has("max_age"))
    s.error("time", "\"time\" says how max_age is read; without max_age it does nothing");
  return e;
}

// "user@HOST:PORT" of "http://user@HOST:PORT/path"; "" where there is none.
std::string_view authority_of(std::string_view url) {
  const auto slashes = url.find("//");
  if (slashes == std::string_view::npos) return {};
  url.remove_prefix(slashes + 2);
  return url.substr(0, url.find_first_of("/?#"));
}

// "" when nothing is wrong with host and port of this authority.
std::string wrong_place(std::string_view place) {
  place.remove_prefix(place.rfind('@') == std::string_view::npos ? 0 : place.rfind('@') + 1);
  const auto bracket = place.find(']');
  if (place.starts_with('[') && bracket == std::string_view::npos)
    return "the URL's address has no \"]\"; write [::1]:8888";
  const auto colon = place.find(':', place.starts_with('[') ? bracket : 0);
  if (colon == std::string_view::npos) return "";
  const auto port = place.substr(colon + 1);
  if (!place.starts_with('[') && port.find(':') != std::string_view::npos)
    return "an IPv6 address stands in brackets in a URL; write [::1]:8888";
  unsigned number = 0;
  const auto* end = port.data() + port.size();
  const auto [at, ec] = std::from_chars(port.data(), end, number);
  if (ec == std::errc{} && at == end && number > 0 && number < 65536) return "";
  return "the URL's port is \"" + std::string(port) + "\"; a port is a number from 1 to 65535";
}

void check_url(const section& s, const std::string& url, const std::string& scheme) {
  const auto to = scheme + "://", to_tls = scheme + "s://";
  if (url.starts_with(to) || url.starts_with(to_tls)) {
    const auto host = url.substr(url.find("//") + 2);
    if (host.empty() || host[0] == '/' || host[0] == ':')
      s.error("url", "the URL names no host; write " + to + "127.0.0.1:8888/path");
    else if (const auto wrong = wrong_place(authority_of(url)); !wrong.empty())
      s.error("url", wrong);
  } else if (url.starts_with("unix:")) {
    const auto colon = url.find(':', 5);
    if (!url.starts_with("unix:/") || colon == std::string::npos || url.substr(colon + 1, 1) != "/")
      s.error("url", "a URL on a Unix socket is written unix:/path.sock:/request-path");
  } else {
    s.error("url", "the URL must begin with " + to + ", " + to_tls + " or unix:/");
  }
  // Reasons of probes name the URL, and anyone may read them.
  if (!url.starts_with("unix:") && authority_of(url).find('@') != std::string_view::npos)
    s.error("url", "the URL holds a user name; put an Authorization line into header_file instead");
  if (url.find_first_of(" \t\r\n") != std::string::npos) s.error("url", "the URL holds a blank; write %20");
}

// The handshake is a request: its header has no line ends, and no list of several.
void check_subprotocol(const section& s, const std::string& name) {
  const auto token = [](char c) {
    return c > ' ' && c < 0x7F && std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
  };
  if (name.empty() || !std::all_of(name.begin(), name.end(), token))
    s.error("subprotocol", "a subprotocol is one word, such as \"graphql-ws\"");
}

void check_address(const section& s, const std::string& address) {
  if (address.starts_with("unix:/")) return;
  const auto colon = address.rfind(':');
  unsigned port = 0;
  const char* end = address.data() + address.size();
  const bool good = colon != std::string::npos && colon > 0 &&
                    std::from_chars(address.data() + colon + 1, end, port).ptr == end && port > 0 && port < 65536 &&
                    (address.find(':') == colon || (address[0] == '[' && address[colon - 1] == ']'));
  if (!good) s.error("address", "write HOST:PORT, [V6]:PORT or unix:/path");
}

// Which kind the keys suggest, for a check without `kind`.
std::string_view likely_kind(const section& s) {
  if (s.has("command")) return "exec";
  if (s.has("pattern")) return "log";
  if (s.has("address")) return "tcp";
  if (s.has("params")) return "jsonrpc";
  if (s.has("send") || s.has("subprotocol")) return "websocket";
  if (const auto* v = s.raw("url"); v != nullptr && v->text.starts_with("ws")) return "websocket";
  return "http";
}

std::optional<check_kind> read_kind(const section& s) {
  if (!s.has("kind")) {
    s.findings().error(s.where(), "a check needs \"kind\"; write kind = \"" + std::string(likely_kind(s)) + "\"");
    return std::nullopt;
  }
  const auto* v = s.raw("kind");
  return v == nullptr ? std::nullopt : model::check_kind_names.parse(v->text);
}

void check_tls_keys(const section& s, const model::check& c) {
  const bool tls = c.url.starts_with("https://") || c.url.starts_with("wss://");
  for (const std::string_view key : {"ca_file", "client_certificate", "client_key"})
    if (s.raw(key) != nullptr && !tls && !c.url.empty())
      s.error(key, "\"" + std::string(key) + "\" is for https:// and wss://; the URL is \"" + c.url + "\"");
  if (s.raw("client_key") != nullptr && s.raw("client_certificate") == nullptr)
    s.error("client_key", "\"client_key\" needs \"client_certificate\"");
}

void read_log_keys(const section& s, model::check& c) {
  const auto* v = s.raw("pattern");
  if (v == nullptr) return;
  c.pattern = v->text;
  s.check_pattern("pattern", c.pattern);
  if (c.pattern.empty()) s.error("pattern", "an empty \"pattern\" matches every line");
  s.read("max_age", c.max_age);
  // Names of groups where the other kinds have JSON pointers: what looks for a head finds it in both.
  if (pattern_has_group(c.pattern, "head")) c.head.number = "head";
  if (pattern_has_group(c.pattern, "time")) c.head.time = "time";
  if (c.head.empty() && pattern_names_groups(c.pattern))
    s.error("pattern", "the groups of \"pattern\" are (?P<head>…) and (?P<time>…)");
  s.read("time", model::time_format_names, c.head.format);
  if (s.has("time") && c.head.time.empty())
    s.error("time", "\"time\" says how the group (?P<time>…) is read; \"pattern\" has no such group");
}

model::check read_check(const section& s) {
  model::check c;
  const auto kind = read_kind(s);
  if (!kind) return c;
  c.kind = *kind;
  const auto& allowed = keys_of(c.kind);
  const std::string kind_text(model::check_kind_names.text(c.kind));
  for (const auto key : check_keys) {
    if (key != "kind" && s.has(key) && std::find(allowed.keys.begin(), allowed.keys.end(), key) == allowed.keys.end())
      s.findings().error(s.key_place(key),
                         "\"" + std::string(key) + "\" does not belong to a check of kind \"" + kind_text + "\"");
  }
  for (const auto key : allowed.required)
    if (!s.has(key))
      s.findings().error(s.where(), "a check of kind \"" + kind_text + "\" needs \"" + std::string(key) + "\"");
  s.read("url", c.url);
  if (s.raw("url") != nullptr) check_url(s, c.url, c.kind == check_kind::websocket ? "ws" : "http");
  if (c.kind == check_kind::http) c.method = "GET";
  s.read("method", c.method);
  if (const auto* v = s.raw("params")) c.params = to_json(*v);
  s.read("headers", c.headers);
  s.read_absolute("header_file", c.header_file);
  s.read_absolute("ca_file", c.ca_file);
  s.read_absolute("client_certificate", c.client_certificate);
  s.read_absolute("client_key", c.client_key);
  check_tls_keys(s, c);
  s.read("body", c.body);
  s.read("subprotocol", c.subprotocol);
  if (s.raw("subprotocol") != nullptr) check_subprotocol(s, c.subprotocol);
  if (const auto* v = s.raw("send")) c.send = v->text;
  s.read("status", c.status);
  for (const auto code : c.status)
    if (code < 100 || code > 599) s.error("status", "a status code is 100 to 599");
  s.read("address", c.address);
  if (s.raw("address") != nullptr) check_address(s, c.address);
  s.read("command", c.command);
  if (s.raw("command") != nullptr && (c.command.empty() || c.command[0].empty()))
    s.error("command", "\"command\" names no program");
  if (const auto* v = s.raw("body_matches")) {
    c.body_matches = v->text;
    s.check_pattern("body_matches", v->text);
  }
  for (const auto& e : s.subs("expect")) c.expect.push_back(read_expectation(e));
  const auto head = s.sub("head");
  read_pointer(head, "number", c.head.number);
  read_pointer(head, "time", c.head.time);
  read_pointer(head, "weight", c.head.weight);
  read_pointer(head, "chain", c.head.chain);
  read_pointer(head, "peers", c.head.peers);
  head.read("format", model::time_format_names, c.head.format);
  if (const auto* v = s.raw("port_owner")) c.owner = model::port_owner_names.parse(v->text);
  s.read("through", c.through);
  if (c.kind == check_kind::log) read_log_keys(s, c);
  return c;
}

void read_settings(const section& s, model::probe& p) {
  s.read("interval", p.interval);
  s.read("timeout", p.timeout);
  s.read("failures", 1, 1'000'000, p.failures);
  s.read("successes", 1, 1'000'000, p.successes);
  s.read("max_head_age", p.max_head_age);
  s.read("advances_within", p.advances_within);
  s.read("needs", p.needs);
  for (const auto& name : p.needs)
    if (!model::is_unit_name(name))
      s.error("needs", "\"" + name + "\" is no name; write a unit, such as \"leap\", or \"upstream.leap\"");
  if (p.interval < base::duration{10}) s.error("interval", "\"interval\" must be at least 10ms");
  if (p.timeout < base::duration{1}) s.error("timeout", "\"timeout\" must be more than 0");
}

void need_head(const section& s, const model::probe& p, bool complete) {
  if (!complete) return;  // a check could not be read: whether it has a head is not known
  const auto any = [&](auto has) { return std::any_of(p.checks.begin(), p.checks.end(), has); };
  if (p.max_head_age && !any([](const model::check& c) { return !c.head.time.empty(); }))
    s.error(
        "max_head_age",
        "\"max_head_age\" needs a check with head.time; write head = { time = \"/…\" }, or (?P<time>…) in a pattern");
  if (p.advances_within && !any([](const model::check& c) { return !c.head.number.empty(); }))
    s.error("advances_within",
            "\"advances_within\" needs a check with head.number; write head = { number = \"/…\" }, or (?P<head>…) in "
            "a pattern");
}

void read_blocks(const section& s, std::optional<std::uint64_t>& out) {
  const auto* v = s.raw("max_blocks_behind");
  if (v == nullptr) return;
  const auto text = scalar_text(*v).value_or("");
  std::uint64_t n = 0;
  const auto* end = text.data() + text.size();
  const auto [at, ec] = std::from_chars(text.data(), end, n);
  if (ec == std::errc{} && at == end && n > 0)
    out = n;
  else
    s.error("max_blocks_behind", "\"max_blocks_behind\" must be a whole number from 1 on");
}

// Either limit is about a value that both sides must tell.
void check_limit(const section& s, const model::probe& p, const std::string& key, const std::string& value,
                 std::string model::head_pointers::*pointer) {
  const auto tells = [&](const std::vector<model::check>& checks) {
    return std::any_of(checks.begin(), checks.end(), [&](const auto& c) { return !(c.head.*pointer).empty(); });
  };
  const auto write = "write head = { " + value + " = \"/…\" }";
  if (!tells(p.checks)) s.error(key, "\"" + key + "\" needs a check with head." + value + "; " + write);
  for (const auto& node : p.reference->nodes)
    if (!tells(node.checks))
      s.error(key, "\"" + key + "\" needs head." + value + " of the reference too, which is not asked of " +
                       node.name + "; " + write + " there");
}

void read_lag(const section& s, model::probe& p, bool complete, const preset_file* reference_preset) {
  const auto before = s.findings().all().size();
  s.read("max_behind", p.max_behind);
  if (p.max_behind && p.max_behind->count() <= 0)
    s.error("max_behind", "\"max_behind\" must be more than 0: no two nodes are asked at one moment");
  read_blocks(s, p.max_blocks_behind);
  const auto* table = s.raw("reference");
  if (table != nullptr) p.reference = read_probe_reference(*table, reference_preset, s.findings());
  if (table != nullptr && !s.has("max_behind") && !s.has("max_blocks_behind"))
    s.error("reference",
            "a reference needs a limit beside it: max_behind = \"30s\" (the time between the heads) or "
            "max_blocks_behind = 100");
  for (const std::string_view key : {"max_behind", "max_blocks_behind"})
    if (s.has(key) && !s.has("reference"))
      s.error(key, "\"" + std::string(key) +
                       "\" needs a node to be held against; write [readiness.reference] or [liveness.reference]");
  if (!complete || s.findings().all().size() != before || !p.reference) return;
  if (p.max_behind) check_limit(s, p, "max_behind", "time", &model::head_pointers::time);
  if (p.max_blocks_behind) check_limit(s, p, "max_blocks_behind", "number", &model::head_pointers::number);
}

// Into every check of the preset that makes requests.
void set_access(value& probe_table, const member& given, const std::string& preset, report& findings) {
  bool taken = false;
  const auto set = [&](value& check) {
    const auto* kind = check.find("kind");
    if (kind == nullptr || (kind->text != "http" && kind->text != "jsonrpc" && kind->text != "websocket")) return;
    check.set(given.key, given.content);
    taken = true;
  };
  if (auto* checks = probe_table.find("check")) {
    for (auto& check : checks->items) set(check);
  } else {
    set(probe_table);
  }
  if (!taken)
    findings.error(given.key_place, "\"" + given.key + "\" beside preset \"" + preset +
                                        "\" does nothing: it makes no requests over HTTP");
}

}  // namespace

model::probe read_probe(const value& table, report& findings, const preset_file* reference_preset) {
  model::probe p;
  const section s(&table, findings);
  read_settings(s, p);
  const auto before = findings.all().size();
  if (s.has("check")) {
    for (const auto key : check_keys)
      if (key != "port_owner" && s.has(key))
        findings.error(s.key_place(key),
                       "\"" + std::string(key) + "\" stands beside [[check]]; put it into one of the checks");
    for (const auto& c : s.subs("check")) p.checks.push_back(read_check(c));
    if (const auto* v = s.raw("port_owner"))
      for (auto& c : p.checks) c.owner = model::port_owner_names.parse(v->text);
    if (p.checks.empty() && s.raw("check") != nullptr) s.error("check", "no check at all");
  } else {
    p.checks.push_back(read_check(s));
  }
  const bool complete = findings.all().size() == before;
  need_head(s, p, complete);
  read_lag(s, p, complete, reference_preset);
  return p;
}

model::probe apply_preset(const std::string& name, preset_file preset,
                          const std::map<std::string, std::string>& given, const value* table, const place& at,
                          report& findings, const preset_file* reference_preset) {
  fill_parameters(preset.root, preset.parameters, given, "", at, "preset \"" + name + "\"", findings);
  check_schema(preset.root, preset_keys(), {}, findings);
  auto probe_table = std::move(preset.root);
  probe_table.erase("params");
  probe_table.erase("description");
  if (table != nullptr) {
    for (const auto& m : table->members) {
      if (preset.parameters.contains(m.key) || m.key == "preset") continue;
      const bool setting = std::find(probe_settings.begin(), probe_settings.end(), m.key) != probe_settings.end();
      if (setting || m.key == "port_owner") {
        if (!m.content.broken) probe_table.set(m.key, m.content);
      } else if (std::find(access_keys.begin(), access_keys.end(), m.key) != access_keys.end()) {
        if (!m.content.broken) set_access(probe_table, m, name, findings);
      } else if (std::find(check_keys.begin(), check_keys.end(), m.key) != check_keys.end() || m.key == "check") {
        findings.error(m.key_place, "\"" + m.key + "\" is no parameter of preset \"" + name +
                                        "\"; leave it out, or write the check without a preset");
      }
    }
  }
  probe_table.where = at;
  auto probe = read_probe(probe_table, findings, reference_preset);
  probe.preset = name;
  return probe;
}

bool refuse_reference(value& probe_table, const std::string& why, report& findings) {
  bool found = false;
  for (const std::string_view key : {"reference", "max_behind", "max_blocks_behind"}) {
    const section s(&probe_table, findings);
    if (!s.has(key)) continue;
    if (!found) findings.error(s.key_place(key), "\"" + std::string(key) + "\" does not belong here: " + why);
    found = true;
    probe_table.erase(key);
  }
  return found;
}

}  // namespace hasup::config
