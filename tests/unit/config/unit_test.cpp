// Unit files: defaults, every key, instances, what stays and what is refused.
#include <set>

#include "config/schema.hpp"
#include "unit/config/support.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using test::parse;
using test::unit_of;

namespace {

const std::string minimal = "[run]\ncommand = [\"/bin/true\"]\n";
const std::string probed = "[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\n";

const test::files beside{
    .units = {},
    .presets = {{"antelope",
                 "[params]\nurl = \"http://127.0.0.1:8888\"\n[[check]]\nkind = \"http\"\nurl = \"${url}/v1\"\n"
                 "head = { number = \"/n\", time = \"/t\", chain = \"/c\" }\n"}},
    .recipes = {
        {"tiny", "[params]\nname = \"x\"\n[data]\nwipe = [\"${name}\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n"}}};

// One way to write each key that works, in a unit in which it is allowed.
struct sample {
  std::string before;  // further lines at the top
  std::string section;
  std::string line;
};

const std::string http_check = "kind = \"http\"\nurl = \"http://127.0.0.1/\"\n";
const std::string own_upstream =
    "[upstream.x]\nselect = \"sticky\"\nprobe = { kind = \"tcp\", address = \"${endpoint.host}:1\" }\n"
    "[[upstream.x.endpoint]]\nhost = \"a\"\n";
const std::string proxied =
    "upstream.x]\nprobe = { kind = \"http\", url = \"http://${endpoint.host}\", head = { number = \"/n\" } }\n"
    "[[upstream.x.endpoint]]\nhost = \"a\"\n[proxy";
const std::string list =
    "upstream = \"x\"\ntemplate = \"/t\"\noutput = \"/o\"\ncheck_command = [\"/c\", \"${candidate}\"]\n"
    "reload_command = [\"/r\"]";
const std::string jsonrpc_check = "kind = \"jsonrpc\"\nurl = \"http://127.0.0.1/\"\n";

std::map<std::string, sample> check_samples(const std::string& role) {
  const auto http = [&](const std::string& line) { return sample{"", role, http_check + line}; };
  const auto https = [&](const std::string& line) {
    return sample{"", role, "kind = \"http\"\nurl = \"https://localhost/\"\n" + line};
  };
  const auto websocket = [&](const std::string& line) {
    return sample{"", role, "kind = \"websocket\"\nurl = \"wss://localhost/\"\n" + line};
  };
  const auto log = [&](const std::string& line) {
    return sample{"", role, "kind = \"log\"\npattern = '(?P<head>\\d+) at (?P<time>\\d+)'\n" + line};
  };
  return {
      {"kind", {"", role, "kind = \"tcp\"\naddress = \"[::1]:80\""}},
      {"url", http("")},
      {"method", http("method = \"POST\"")},
      {"params", {"", role, jsonrpc_check + "method = \"m\"\nparams = [\"latest\", false, { a = 1 }]"}},
      {"headers", http("headers = { A = \"b\" }")},
      {"headers.*", http("headers = { A = \"c\" }")},
      {"header_file", http("header_file = \"/etc/h\"")},
      {"ca_file", https("ca_file = \"/etc/ca.pem\"")},
      {"client_certificate", https("client_certificate = \"/etc/c.pem\"")},
      {"client_key", https("client_certificate = \"/etc/d.pem\"\nclient_key = \"/etc/d.key\"")},
      {"body", http("body = \"x\"")},
      {"subprotocol", websocket("subprotocol = \"graphql-ws\"")},
      {"send", websocket("send = \"{}\"")},
      {"status", http("status = [200, 204]")},
      {"address", {"", role, "kind = \"tcp\"\naddress = \"localhost:80\""}},
      {"command", {"", role, "kind = \"exec\"\ncommand = [\"/bin/check\", \"a\"]"}},
      {"body_matches", http("body_matches = \"^ok$\"")},
      {"expect", http("expect = [{ pointer = \"\" }]")},
      {"expect[].pointer", http("expect = [{ pointer = \"/a/0\" }]")},
      {"expect[].equals", http("expect = [{ pointer = \"/a\", equals = false }]")},
      {"expect[].min", http("expect = [{ pointer = \"/a\", min = 1.5 }]")},
      {"expect[].max", http("expect = [{ pointer = \"/a\", max = \"0xff\" }]")},
      {"expect[].matches", http("expect = [{ pointer = \"/a\", matches = \"^ok$\" }]")},
      {"expect[].max_age", http("expect = [{ pointer = \"/a\", max_age = \"10s\" }]")},
      {"expect[].time", http("expect = [{ pointer = \"/a\", max_age = \"10s\", time = \"unix_ms\" }]")},
      {"expect[].advances_within", http("expect = [{ pointer = \"/a\", advances_within = \"30s\" }]")},
      {"head", http("head = { number = \"/n\" }")},
      {"head.number", http("head = { number = \"/m\" }")},
      {"head.time", http("head = { time = \"/t\" }")},
      {"head.weight", http("head = { weight = \"/w\" }")},
      {"head.chain", http("head = { number = \"/n\", chain = \"/c\" }")},
      {"head.peers", http("head = { number = \"/n\", peers = \"/p\" }")},
      {"head.format", http("head = { time = \"/t\", format = \"unix\" }")},
      {"port_owner", http("port_owner = \"any\"")},
      {"through", http("through = \"rpc\"")},
      {"pattern", log("")},
      {"max_age", log("max_age = \"1m\"")},
      {"time", log("time = \"unix\"")},
  };
}

// A check of a reference needs a head, and its probe a limit.
std::map<std::string, sample> reference_samples(const std::string& role) {
  const std::string head = "head = { number = \"/n\", time = \"/t\" }\n", path = role + ".reference";
  const auto in = [&](const std::string& section, const std::string& line) {
    return sample{"", role + "]\n" + http_check + head + "max_behind = \"30s\"\n[" + section, line};
  };
  std::map<std::string, sample> out{
      {role + ".max_behind", in(path, http_check + head)},
      {role + ".max_blocks_behind",
       {"", role + "]\n" + http_check + head + "max_blocks_behind = 9\n[" + path, http_check + head}},
      {path, in(path, http_check + head)},
      {path + ".preset", in(path, "preset = \"antelope\"\nurl = \"http://10.0.0.1\"")},
      {path + ".urls", in(path, "preset = \"antelope\"\nurls = [\"http://10.0.0.1\", \"http://10.0.0.2\"]")},
      {path + ".interval", in(path, http_check + head + "interval = \"3s\"")},
      {path + ".timeout", in(path, http_check + head + "timeout = \"3s\"")},
      {path + ".check", in("[" + path + ".check]", http_check + head)},
  };
  for (const std::string at : {".", ".check[]."}) {
    const auto section = at == "." ? path : "[" + path + ".check]";
    for (const auto& [key, s] : check_samples(""))
      if (!key.starts_with("head.") && key != "head") out[path + at + key] = in(section, head + s.line);
    out[path + at + "head"] = in(section, http_check + "head = { time = \"/t\" }");
    out[path + at + "head.number"] = in(section, http_check + "head = { number = \"/m\", time = \"/t\" }");
    out[path + at + "head.time"] = in(section, http_check + "head = { time = \"/u\" }");
    out[path + at + "head.weight"] = in(section, http_check + "head = { time = \"/t\", weight = \"/w\" }");
    out[path + at + "head.chain"] = in(section, http_check + "head = { time = \"/t\", chain = \"/c\" }");
    out[path + at + "head.peers"] = in(section, http_check + "head = { time = \"/t\", peers = \"/p\" }");
    out[path + at + "head.format"] = in(section, http_check + "head = { time = \"/t\", format = \"unix\" }");
    out[path + at + "kind"] = in(section, jsonrpc_check + "method = \"m\"\n" + head);
  }
  return out;
}

std::map<std::string, sample> probe_samples(const std::string& role) {
  const std::string head = http_check + "head = { number = \"/n\", time = \"/t\" }\n";
  std::map<std::string, sample> out{
      {role, {"", role, http_check}},
      {role + ".preset", {"", role, "preset = \"antelope\"\nurl = \"http://10.0.0.1\""}},
      {role + ".interval", {"", role, http_check + "interval = \"3s\""}},
      {role + ".timeout", {"", role, http_check + "timeout = \"3s\""}},
      {role + ".failures", {"", role, http_check + "failures = 4"}},
      {role + ".successes", {"", role, http_check + "successes = 4"}},
      {role + ".max_head_age", {"", role, head + "max_head_age = \"10s\""}},
      {role + ".advances_within", {"", role, head + "advances_within = \"1m\""}},
      {role + ".check", {"", "[" + role + ".check]", http_check}},
  };
  if (role != "startup") out[role + ".needs"] = {"", role, http_check + "needs = [\"leap\", \"rpc\"]"};
  if (role != "startup") out.merge(reference_samples(role));
  for (const auto& [key, s] : check_samples(role)) out[role + "." + key] = s;
  for (const auto& [key, s] : check_samples("[" + role + ".check]")) out[role + ".check[]." + key] = s;
  return out;
}

std::map<std::string, sample> samples() {
  std::map<std::string, sample> out{
      {"description", {"description = \"é\"", "", ""}},
      {"enabled", {"enabled = false", "", ""}},
      {"groups", {"groups = [\"a\", \"b\"]", "", ""}},
      {"vars", {"", "vars", "a = \"b\"\n[run.env]\nA = \"${a}\""}},
      {"data", {"", "data", "dir = \"/d\""}},
      {"data.dir", {"", "data", "dir = \"/d//e/\""}},
      {"data.also", {"", "data", "dir = \"/d\"\nalso = [\"/e\"]"}},
      {"data.mount", {"", "data", "dir = \"/d\"\nmount = [\"/d\", \"/d/state/\"]"}},
      {"data.min_free", {"", "data", "dir = \"/d\"\nmin_free = \"5GiB\""}},
      {"data.shared_with", {"", "data", "shared_with = \"other\""}},
      {"run", {"", "run.env", "X = \"1\""}},
      {"run.command", {"", "run.env", "X = \"2\""}},
      {"run.env", {"", "run.env", "X = \"3\""}},
      {"run.env.*", {"", "run.env", "X = \"${secret:Y}\""}},
      {"run.limits", {"", "run.limits", "nice = 1"}},
      {"run.limits.open_files", {"", "run.limits", "open_files = 30000"}},
      {"run.limits.memory_restart", {"", "run.limits", "memory_restart = \"2GiB\""}},
      {"run.limits.memory_max", {"", "run.limits", "memory_max = \"3GiB\""}},
      {"run.limits.cpu_weight", {"", "run.limits", "cpu_weight = 200"}},
      {"run.limits.pids", {"", "run.limits", "pids = 512"}},
      {"run.limits.memlock", {"", "run.limits", "memlock = \"unlimited\""}},
      {"run.limits.stack", {"", "run.limits", "stack = \"64000KiB\""}},
      {"run.limits.core", {"", "run.limits", "core = 0"}},
      {"run.limits.nice", {"", "run.limits", "nice = -5"}},
      {"run.limits.oom_score_adjust", {"", "run.limits", "oom_score_adjust = 500"}},
      {"restart", {"", "restart", "policy = \"never\""}},
      {"restart.policy", {"", "restart", "policy = \"on_failure\""}},
      {"restart.success_codes", {"", "restart", "success_codes = [0, 3]"}},
      {"restart.backoff", {"", "restart", "backoff = { initial = \"0s\" }"}},
      {"restart.backoff.initial", {"", "restart", "backoff = { initial = \"2s\" }"}},
      {"restart.backoff.max", {"", "restart", "backoff = { max = \"2m\" }"}},
      {"restart.backoff.factor", {"", "restart", "backoff = { factor = 3 }"}},
      {"restart.backoff.jitter", {"", "restart", "backoff = { jitter = 0.5 }"}},
      {"restart.start_limit", {"", "restart", "start_limit = { count = 0 }"}},
      {"restart.start_limit.count", {"", "restart", "start_limit = { count = 3 }"}},
      {"restart.start_limit.within", {"", "restart", "start_limit = { within = \"1h\" }"}},
      {"requires", {"", "[requires]", "unit = \"leap\""}},
      {"requires[].unit", {"", "[requires]", "unit = \"leap2\""}},
      {"requires[].condition", {"", "[requires]", "unit = \"leap\"\ncondition = \"completed\""}},
      {"requires[].upstream", {"", "[requires]", "upstream = \"x\"\n" + own_upstream}},
      {"proxy", {"", proxied, list}},
      {"proxy.upstream", {"", proxied, list}},
      {"proxy.template", {"", proxied, list}},
      {"proxy.output", {"", proxied, list}},
      {"proxy.check_command", {"", proxied, list}},
      {"proxy.reload_command", {"", proxied, list}},
      {"proxy.max_behind", {"", proxied, list + "\nmax_behind = \"20s\""}},
      {"proxy.max_blocks_behind", {"", proxied, list + "\nmax_blocks_behind = 0"}},
      {"proxy.back_after", {"", proxied, list + "\nback_after = \"0s\""}},
      {"proxy.min_interval", {"", proxied, list + "\nmin_interval = \"1s\""}},
      {"upstream", {"", "[requires]", "upstream = \"x\"\n" + own_upstream}},
      {"upstream.*", {"", "[requires]", "upstream = \"x\"\n" + own_upstream}},
      {"requires[].on_loss", {"", "[requires]", "unit = \"leap\"\non_loss = \"stop\""}},
      {"schedule", {"", "schedule", "restart = \"@daily\""}},
      {"schedule.restart", {"", "schedule", "restart = \"0 4 * * *\""}},
      {"schedule.restart.cron", {"", "schedule", "restart = { cron = \"0 4 * * mon-fri\" }"}},
      {"schedule.restart.timezone", {"", "schedule", "restart = { cron = \"@daily\", timezone = \"UTC\" }"}},
      {"schedule.restart.splay", {"", "schedule", "restart = { cron = \"@daily\", splay = \"30m\" }"}},
      {"log", {"", "log", "max_files = 0"}},
      {"log.max_size", {"", "log", "max_size = \"1MiB\""}},
      {"log.max_files", {"", "log", "max_files = 3"}},
      {"log.max_age", {"", "log", "max_age = \"14d\""}},
      {"log.max_total", {"", "log", "max_total = \"1GiB\""}},
      {"log.compress", {"", "log", "compress = true"}},
      {"log.follow", {"", "log", "follow = [\"/var/log/${unit}/error.log\"]"}},
  };
  const auto run = [&](const std::string& key, const std::string& value) {
    out["run." + key] = {"", "run", "command = [\"/bin/true\"]\n" + key + " = " + value};
  };
  run("append", "[\"--x\", \"${instance}\"]");
  run("user", "\"leap\"");
  run("groups", "[\"a\"]");
  run("directory", "\"/srv\"");
  run("env_file", "[\"/a\", \"-/b\"]");
  run("instances", "1");
  run("stop_command", "[\"/bin/stop\"]");
  run("pre_start", "[[\"/bin/a\", \"${secret:X}\"], [\"/bin/b\"]]");
  run("post_start", "[\"/bin/a\"]");
  run("post_stop", "[[\"/bin/a\"]]");
  run("check_command", "[\"nginx\", \"-t\"]");
  run("hook_timeout", "\"5s\"");
  run("stop_signal", "\"INT\"");
  run("reload_signal", "\"SIGHUP\"");
  run("drain_time", "\"5s\"");
  run("stop_timeout", "\"1h\"");
  run("start_timeout", "\"1h\"");
  run("umask", "\"027\"");
  run("capabilities", "[\"NET_BIND_SERVICE\"]");
  run("create_directories", "[\"/srv/${unit}\", { path = \"/run/x\", mode = \"0750\" }]");
  const auto recovery = [&](const std::string& key, const std::string& lines) {
    out[key.empty() ? "recovery" : "recovery." + key] = {"", "data",
                                                         "dir = \"/d\"\n[recovery]\nrecipe = \"tiny\"\n" + lines};
  };
  recovery("", "source = \"/backup\"");
  recovery("recipe", "source = \"file:///b\"");
  recovery("params", "source = \"/b\"\n[recovery.params]\nname = \"y\"");
  recovery("mode", "source = \"/b\"\nmode = \"ask\"");
  recovery("source", "source = [\"https://a/\", { url = \"http://b/\" }]");
  recovery("source.url", "source = { url = \"sftp://a@h:22/b/\" }");
  for (const std::string key : {"identity_file", "known_hosts"})
    recovery("source." + key, "source = { url = \"sftp://h/b/\", " + key + " = \"/k\" }");
  for (const std::string key : {"region", "profile"})
    recovery("source." + key, "source = { url = \"s3://b/p/\", " + key + " = \"k\" }");
  recovery("source.credentials_file", "source = { url = \"s3://b/p/\", credentials_file = \"/k\" }");
  recovery("source.endpoint", "source = { url = \"s3://b/p/\", endpoint = \"http://h:9\" }");
  for (const std::string key : {"ca_file", "client_certificate", "header_file"})
    recovery("source." + key, "source = [{ url = \"https://h/b/\", " + key + " = \"/k\" }]");
  recovery("source.client_key",
           "source = { url = \"https://h/b/\", client_certificate = \"/c\", client_key = \"/k\" }");
  recovery("source.proxy", "source = { url = \"https://h/b/\", proxy = \"http://p:1\" }");
  recovery("checksum", "source = \"/b\"\nchecksum = \"required\"");
  recovery("budget", "source = \"/b\"\nbudget = { count = 1 }");
  recovery("budget.count", "source = \"/b\"\nbudget = { count = 2 }");
  recovery("budget.within", "source = \"/b\"\nbudget = { within = \"1h\" }");
  recovery("prefetch", "source = \"/b\"\nprefetch = { every = \"2h\" }");
  recovery("prefetch.every", "source = \"/b\"\nprefetch = { every = \"3h\" }");
  recovery("prefetch.max_size", "source = \"/b\"\nprefetch = { max_size = \"50GiB\" }");
  const std::string reference = "source = \"/b\"\n[recovery.reference]\npreset = \"antelope\"\n";
  recovery("reference", reference);
  recovery("reference.preset", reference + "url = \"http://10.0.0.1\"");
  recovery("reference.urls", reference + "urls = [\"http://10.0.0.1\", \"http://10.0.0.2\"]");
  recovery("reference.interval", reference + "interval = \"3s\"");
  recovery("reference.timeout", reference + "timeout = \"3s\"");
  const std::string secure = reference + "url = \"https://10.0.0.1\"\n";
  recovery("reference.header_file", reference + "header_file = \"/etc/h\"");
  recovery("reference.ca_file", secure + "ca_file = \"/etc/ca.pem\"");
  recovery("reference.client_certificate", secure + "client_certificate = \"/etc/c.pem\"");
  recovery("reference.client_key", secure + "client_certificate = \"/etc/d.pem\"\nclient_key = \"/etc/d.key\"");
  recovery("reference.chain_id", reference + "chain_id = \"aca3\"");
  recovery("max_snapshot_age", "source = \"/b\"\nmax_snapshot_age = \"72h\"");
  recovery("source.patience", "source = { url = \"https://h/b/\", patience = \"5m\" }");
  recovery("public_key",
           "source = \"/b\"\npublic_key = \"RWQN/LuEHqZLOjBPKgFDPgVM33bqZrk3c99j/UKnnw4yGa7JOkohUYWJ\"");
  recovery("max_rate", "source = \"/b\"\nmax_rate = \"200MiB/s\"");
  recovery("max_window", "source = \"/b\"\nmax_window = \"128MiB\"");
  recovery("group", "source = \"/b\"\ngroup = \"evm\"");
  recovery("space", "source = \"/b\"\nspace = \"stage\"");
  for (const std::string role : {"startup", "readiness", "liveness"}) out.merge(probe_samples(role));
  return out;
}

std::string unit_text(const sample& s) {
  const auto body = "[" + s.section + "]\n" + s.line + "\n";
  return s.before + "\n" + (s.section == "run" ? body : minimal + (s.section.empty() ? "" : body));
}

}  // namespace

TEST_CASE("all that is wrong with a schedule is said at once") {
  auto context = test::files{}.context();
  context.is_time_zone = [](const std::string& name) { return name == "Europe/Berlin"; };
  const auto said = [&](const std::string& restart) {
    return test::messages(config::parse_unit_text("x", "units/x.toml",
                                                  "[run]\ncommand = [\"/a\"]\n[schedule]\nrestart = " + restart,
                                                  context)
                              .problems);
  };
  CHECK(said(R"({ cron = "@daily", timezone = "Europe/Berlin" })").empty());
  CHECK(said(R"("@daily")").empty());
  const auto both = said(R"({ cron = "61 * * * *", timezone = "Europe/Atlantis", splay = "soon" })");
  INFO(both);
  CHECK(both.find("units/x.toml:4:20: error: \"61\" is no minute") != std::string::npos);
  CHECK(both.find("units/x.toml:4:45: error: there is no time zone \"Europe/Atlantis\"") != std::string::npos);
  CHECK(both.find("splay") != std::string::npos);
  const auto without = said(R"({ timezone = "Europe/Atlantis" })");
  CHECK(without.find("needs \"cron\"") != std::string::npos);
  CHECK(without.find("Europe/Atlantis") != std::string::npos);
}

TEST_CASE("a command is enough; everything else has the defaults of the table of keys") {
  const auto u = unit_of(minimal);
  CHECK(u.id == model::instance_id{"x", 0});
  CHECK(u.run.command == std::vector<std::string>{"/bin/true"});
  CHECK(u.enabled);
  CHECK_FALSE(u.has_data());
  CHECK_FALSE(u.has_recovery());
  CHECK(u.run.stop_timeout == 10min);
  CHECK(u.restart.policy == model::restart_when::always);
}

TEST_CASE("writing out a default changes nothing") {
  auto all = samples();
  unsigned checked = 0;
  for (const auto& key : config::unit_keys()) {
    if (key.default_text.empty() || key.when == config::availability::not_yet || key.path == "run.append") continue;
    CAPTURE(key.path, key.default_text);
    const auto leaf = key.path.substr(key.path.rfind('.') + 1);
    const auto line = leaf + " = " + key.default_text;
    sample with = all.contains(key.path) ? all[key.path] : sample{};
    const auto last = with.line.rfind('\n');
    const auto kept = last == std::string::npos ? std::string() : with.line.substr(0, last + 1);
    sample plain{"", with.section, kept};
    if (key.path.find('.') == std::string::npos)
      with = {line, "", ""};
    else if (key.path.starts_with("restart.") || key.path.starts_with("recovery.budget.") ||
             key.path.starts_with("recovery.prefetch.")) {
      const auto table = key.path.substr(0, key.path.rfind('.'));
      const auto at = table.starts_with("recovery")
                          ? "data]\ndir = \"/d\"\n[recovery]\nrecipe = \"tiny\"\nsource = \"/b\"\n[" + table
                          : table;
      with = {"", at, line};
      plain = {"", at, ""};
    } else if (key.path == "proxy.reload_command") {
      continue;  // without it a reload_signal is needed
    } else if (key.path.find("expect[]") != std::string::npos || key.path.find(".head.") != std::string::npos ||
               key.path.ends_with("[].condition") || key.path.ends_with("[].on_loss")) {
      continue;  // inside of inline tables; their defaults show in the samples below
    } else {
      with.line = kept + line;
    }
    if (key.path == "data.min_free" || key.path == "data.also")
      plain.line = "dir = \"/d\"", with.line = plain.line + "\n" + line;
    ++checked;
    CHECK(unit_of(unit_text(with), beside) == unit_of(unit_text(plain), beside));
  }
  CHECK(checked > 40);
}

TEST_CASE("every key that works is read, and the effective file reads back to the same unit") {
  const auto all = samples();
  const auto plain = parse(minimal, beside);
  for (const auto& key : config::unit_keys()) {
    if (key.when == config::availability::not_yet || key.path == "extends") continue;
    CAPTURE(key.path);
    REQUIRE(all.contains(key.path));
    const auto text = unit_text(all.at(key.path));
    CAPTURE(text);
    const auto entry = parse(text, beside);
    INFO(test::rendered(entry.problems));
    REQUIRE(entry.valid);
    if (key.path != "run.instances") CHECK_FALSE(entry.instances == plain.instances);
    CAPTURE(entry.effective_toml);
    const auto again = parse(entry.effective_toml, beside);
    INFO(test::rendered(again.problems));
    REQUIRE(again.valid);
    CHECK(again.instances == entry.instances);
    CHECK(again.recipe == entry.recipe);
    CHECK(again.effective_toml == entry.effective_toml);
  }
}

TEST_CASE("every key that does not work yet is refused, not ignored") {
  for (const auto& key : config::unit_keys()) {
    if (key.when == config::availability::now) continue;
    CAPTURE(key.path);
    std::string text = minimal;
    const auto dot = key.path.rfind('.');
    const auto leaf = dot == std::string::npos ? key.path : key.path.substr(dot + 1);
    auto section = dot == std::string::npos ? std::string() : key.path.substr(0, dot);
    if (section.ends_with("[]")) section = "[" + section.substr(0, section.size() - 2) + "]";
    const auto line = leaf + " = \"x\"\n";
    if (section.empty())
      text = line + text;
    else if (section == "run")
      text += line;
    else
      text += "[" + section + "]\n" + line;
    const auto entry = parse(text, beside);
    CHECK_FALSE(entry.valid);
    CHECK(test::messages(entry.problems).find("\" is not available in this version yet") != std::string::npos);
  }
}

TEST_CASE("values of all kinds arrive") {
  const auto u = unit_of(R"(
[data]
dir = "/var/lib/x"
min_free = "50GiB"
[run]
command = ["/bin/x", "${data.dir}", "$$HOME"]
umask = "027"
stop_signal = "INT"
reload_signal = 1
env = { KEY = "${secret:K}", URL = "http://${unit}" }
[run.limits]
memlock = "unlimited"
stack = "1MiB"
[readiness]
kind = "jsonrpc"
url = "http://127.0.0.1:1"
method = "eth_x"
params = ["latest", false]
expect = [{ pointer = "/result", equals = { a = [1, "x"] }, min = 1.5, max = 99999999999 }]
[log]
max_size = 2048
)");
  CHECK(u.data.min_free == 50ULL << 30);
  CHECK(u.run.command == std::vector<std::string>{"/bin/x", "/var/lib/x", "$HOME"});
  CHECK(u.run.umask == 027);
  CHECK(u.run.stop_signal == 2);
  CHECK(u.run.reload_signal == 1);
  CHECK(u.run.env == std::map<std::string, std::string>{{"KEY", "${secret:K}"}, {"URL", "http://x"}});
  CHECK(u.run.limit.memlock == UINT64_MAX);
  CHECK(u.run.limit.stack == 1U << 20);
  REQUIRE(u.readiness);
  CHECK(u.readiness->checks[0].params == R"(["latest",false])");
  CHECK(u.readiness->checks[0].expect[0].equals == R"({"a":[1,"x"]})");
  CHECK(u.readiness->checks[0].expect[0].min == "1.5");
  CHECK(u.readiness->checks[0].expect[0].max == "99999999999");
  CHECK(u.log.max_size == 2048);
}

TEST_CASE("capabilities are read with and without CAP_, directories with and without their mode") {
  const auto u = unit_of(minimal +
                         "capabilities = [\"NET_BIND_SERVICE\", \"CAP_CHECKPOINT_RESTORE\"]\n"
                         "create_directories = [\"/run/${unit}/\", { path = \"/srv/b\", mode = \"2770\" }]\n");
  CHECK(u.run.capabilities == ((1ULL << 10) | (1ULL << 40)));
  CHECK(u.run.create_directories == std::vector<model::wanted_directory>{{"/run/x", 0755}, {"/srv/b", 02770}});
  CHECK(unit_of(minimal + "create_directories = \"/srv/c\"\n").run.create_directories[0].path == "/srv/c");
}

TEST_CASE("each instance has its own values, in the effective file too") {
  const auto entry = parse(R"(
[vars]
base = 50305
port = "${base + instance}"
name = "miner"
[data]
dir = "/d/${name}/${instance}"
[run]
command = ["/bin/${name}", "--port", "${port}", "$${instance}"]
instances = 3
env = { KEY = "${secret:K}$$${instance}" }
[readiness]
kind = "tcp"
address = "127.0.0.1:${port}"
)");
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.instances.size() == 3);
  CHECK(entry.instances[2].id == model::instance_id{"x", 2});
  CHECK(entry.instances[2].instances == 3);
  CHECK(entry.instances[2].run.command == std::vector<std::string>{"/bin/miner", "--port", "50307", "$${instance}"});
  CHECK(entry.instances[2].data.dir == "/d/miner/2");
  CHECK(entry.instances[1].readiness->checks[0].address == "127.0.0.1:50306");
  CHECK(entry.instances[0].fingerprint != entry.instances[1].fingerprint);
  CHECK(entry.effective_toml.find("name = ") == std::string::npos);
  CHECK(entry.effective_toml.find("port = \"${50305 + instance}\"") != std::string::npos);
  const auto again = parse(entry.effective_toml);
  INFO(entry.effective_toml << test::rendered(again.problems));
  CHECK(again.instances == entry.instances);
}

TEST_CASE("a secret's value is in no effective file: only its placeholder is") {
  ::setenv("HASUP_TEST_SECRET", "hunter2", 1);
  const auto entry = parse("[run]\ncommand = [\"/bin/x\", \"${env:HASUP_TEST_SECRET}\"]\n");
  REQUIRE(entry.valid);
  CHECK(entry.effective_toml.find("hunter2") == std::string::npos);
  CHECK(entry.effective_toml.find("${env:HASUP_TEST_SECRET}") != std::string::npos);
}

TEST_CASE("variables may use each other in any order; loops and mistakes are named once") {
  CHECK(unit_of("[vars]\na = \"${b}/x\"\nb = \"/${c}\"\nc = 7\n[data]\ndir = \"${a}\"\n[run]\ncommand = "
                "[\"${data.dir}/y\"]\n")
            .run.command[0] == "/7/x/y");
  const auto loop = parse("[vars]\na = \"${b}\"\nb = \"${a}\"\n[run]\ncommand = [\"${a}\", \"${b}\"]\n");
  CHECK(test::messages(loop.problems) == "units/x.toml:2:5: error: variables form a loop: a -> b -> a\n");
  const auto typo = parse("[vars]\na = \"${hme}\"\nhome = \"/x\"\n[run]\ncommand = [\"${a}\"]\ninstances = 3\n");
  CHECK(test::messages(typo.problems) ==
        "units/x.toml:2:6: error: undefined variable \"hme\"; did you mean \"home\"?\n");
  const auto own = parse("[vars]\nunit = \"a\"\n[run]\ncommand = [\"/bin/x\"]\n");
  CHECK(test::messages(own.problems) ==
        "units/x.toml:2:1: error: \"unit\" is hasup's own variable; choose another name\n");
  const auto table = parse("[vars]\na = [1]\n[run]\ncommand = [\"/bin/x\"]\n");
  CHECK_FALSE(table.valid);
  CHECK(unit_of("[vars]\na = \"${a-b}\"\na-b = \"z\"\n[run]\ncommand = [\"${a}\"]\n").run.command[0] == "z");
}

TEST_CASE("a unit whose data belongs to another owns none") {
  const auto u =
      unit_of("[data]\nshared_with = \"node\"\ndir = \"/d\"\n[run]\ncommand = [\"/bin/x\", \"${data.dir}\"]\n");
  CHECK(u.data.shared_with == "node");
  CHECK_FALSE(u.has_data());
  CHECK(u.run.command[1] == "/d");
}

TEST_CASE("faults that need a sentence") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[data]\ndir = \"relative\"\n" + minimal, "\"dir\" must be an absolute path"},
      {"[data]\ndir = \"/\"\n" + minimal, "the data directory cannot be /"},
      {"[data]\nmin_free = \"1GiB\"\n" + minimal, "\"min_free\" needs \"dir\" beside it"},
      {"[run]\ncommand = []\n", "\"command\" names no program"},
      {"description = \"x\"\n", "no command: write [run] with command"},
      {"[run]\nuser = \"x\"\n", "no command: write [run] with command"},
      {minimal + "instances = 0\n", "\"instances\" must be 1 to 1000"},
      {minimal + "user = \"a b\"\n", "\"a b\" is no user name"},
      {minimal + "umask = \"9\"\n", "\"umask\" is octal"},
      {minimal + "env_file = \"x\"\n", "must be an absolute path"},
      {minimal + "capabilities = [\"net_bind_servce\"]\n", "did you mean \"NET_BIND_SERVICE\"?"},
      {minimal + "capabilities = [\"CAP_EVERYTHING_THERE_IS\"]\n", "capabilities(7) lists them"},
      {minimal + "capabilities = \"NET_RAW\"\n", "write [\"NET_RAW\"]"},
      {minimal + "AmbientCapabilities = [\"NET_RAW\"]\n", "did you mean \"capabilities\"?"},
      {minimal + "create_directories = [\"data\"]\n", "\"data\" must be an absolute path"},
      {minimal + "create_directories = [\"/\"]\n", "must be an absolute path"},
      {minimal + "create_directories = [\"/a\", \"/a/\"]\n", "is there twice"},
      {minimal + "create_directories = [{ mode = \"0755\" }]\n", "a directory needs \"path\""},
      {minimal + "create_directories = [{ path = \"/a\", mode = 755 }]\n", "octal, in quotes"},
      {minimal + "create_directories = [{ path = \"/a\", owner = \"b\" }]\n", "unknown key \"owner\""},
      {minimal + "env = { \"A=B\" = \"x\" }\n", "is no name of an environment variable"},
      {minimal + "[restart]\nbackoff = { initial = \"1m\", max = \"1s\" }\n", "\"max\" is shorter than \"initial\""},
      {minimal + "[restart.backoff]\nfactor = 0.5\n", "\"factor\" must be 1 to 1000"},
      {minimal + "[restart.backoff]\njitter = nan\n", "\"jitter\" must be 0 to 1"},
      {minimal + "[[requires]]\ncondition = \"healthy\"\n", "[[requires]] needs \"unit\""},
      {minimal + "[[requires]]\nunit = \"a\"\n[[requires]]\nunit = \"a\"\n", "\"a\" is required twice"},
      {minimal + "[recovery]\nmode = \"auto\"\n", "[recovery] needs \"recipe\""},
      {minimal + "[recovery]\nrecipe = \"../x\"\n", "is no name"},
      {minimal + "[readiness]\npreset = \"x/y\"\n", "is no name"},
      {minimal + "[data]\nshared_with = \"a\"\n[recovery]\nrecipe = \"tiny\"\n", "belongs into \"a\""},
      {minimal + "[log]\nmax_size = 1\n", "at least 1KiB"},
      {"groups = [\"A\"]\n" + minimal, "is no group name"},
      {minimal + "[readiness]\npreset = \"antelop\"\n", "did you mean \"antelope\"?"},
      {minimal + "[readiness]\npreset = \"antelope\"\nkind = \"tcp\"\n", "\"kind\" is no parameter of preset"},
      {minimal + "[readiness]\npreset = \"antelope\"\nulr = \"x\"\n", "unknown key \"ulr\"; did you mean \"url\"?"},
      {minimal + "[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\nmax_head_age = \"1s\"\n",
       "needs a check with head.time"},
      {minimal + "[liveness]\nkind = \"log\"\npattern = 'block'\nadvances_within = \"1m\"\n",
       "needs a check with head.number; write head = { number = \"/…\" }, or (?P<head>…) in a pattern"},
      {minimal + "[liveness]\nkind = \"log\"\npattern = '(?P<haed>\\d+)'\n",
       "the groups of \"pattern\" are (?P<head>…) and (?P<time>…)"},
      {minimal + "[liveness]\nkind = \"log\"\npattern = 'block'\ntime = \"unix\"\n", "has no such group"},
      {minimal + "[liveness]\nkind = \"log\"\npattern = '('\n", "is no regular expression"},
      {minimal + "[liveness]\npattern = 'block'\n", "needs \"preset\", \"kind\""},
      {minimal + "[liveness]\nkind = \"tcp\"\naddress = \"h:1\"\nthrough = \"rpc\"\n",
       "\"through\" does not belong to a check of kind \"tcp\""},
      {minimal + "[liveness]\nkind = \"tcp\"\naddress = \"h:1\"\nneeds = [\"Leap\"]\n", "\"Leap\" is no name"},
      {minimal + "[liveness]\nkind = \"tcp\"\naddress = \"h:1\"\nneeds = [\"upstream.leap\"]\n",
       "this unit has no upstream \"leap\""},
      {minimal + "[readiness]\nkind = \"tcp\"\n[[readiness.check]]\nkind = \"tcp\"\naddress = \"h:1\"\n",
       "stands beside [[check]]"},
      {minimal + "[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\nmethod = \"${secret:X}\"\n",
       "for a token in a header use header_file"},
      {"[data]\ndir = \"/d\"\n" + minimal + "[recovery]\nrecipe = \"tiny\"\nnmae = \"a\"\n",
       "did you mean \"name\"?"},
      {"[data]\ndir = \"/d\"\n" + minimal + "[recovery]\nrecipe = \"tiny\"\n[recovery.params]\nz = \"a\"\n",
       "has no parameter \"z\""},
      {"[data]\ndir = \"/d\"\n" + minimal +
           "[recovery]\nrecipe = \"tiny\"\nname = \"a\"\n[recovery.params]\nname = \"a\"\n",
       "leave one of them out"},
      {"[requires]\nunit = \"a\"\n" + minimal, "write [[requires]] with two brackets"},
      {"[run]\ncommand = [\"a\", 1]\n", "an array with an integer in it"},
      {"command = [\"a\"]\n", "did you mean \"command\" in [run]?"},
      {std::string("a = 1\0", 6), "zero bytes"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text, expected);
    const auto entry = parse(text, beside);
    CHECK_FALSE(entry.valid);
    const auto said = test::messages(entry.problems);
    CAPTURE(said);
    CHECK(said.find(expected) != std::string::npos);
  }
}

TEST_CASE("warnings do not make a unit invalid") {
  auto as_root = beside;
  as_root.root = true;
  const auto recovery =
      parse("[data]\ndir = \"/d\"\n" + minimal + "[recovery]\nrecipe = \"tiny\"\nsource = \"/b\"\n", as_root);
  CHECK(recovery.valid);
  CHECK(test::messages(recovery.problems).find("warning: the node runs as root") != std::string::npos);
  CHECK(parse("[data]\ndir = \"/d\"\n" + minimal + "user = \"leap\"\n" + probed +
                  "[recovery]\nrecipe = \"tiny\"\nsource = \"/b\"\n",
              as_root)
            .problems.empty());
  const auto sourceless = parse("[data]\ndir = \"/d\"\n" + minimal + "[recovery]\nrecipe = \"tiny\"\n", beside);
  CHECK(sourceless.valid);
  CHECK(test::messages(sourceless.problems).find("nothing can restore it") != std::string::npos);
  const auto raw = parse(minimal + "capabilities = [\"NET_RAW\"]\n", as_root);
  CHECK(raw.valid);
  CHECK(test::messages(raw.problems).find("root has all capabilities") != std::string::npos);
  CHECK(parse(minimal + "user = \"leap\"\ncapabilities = [\"NET_RAW\"]\n", as_root).problems.empty());
  CHECK(parse(minimal + "capabilities = [\"NET_RAW\"]\n", beside).problems.empty());
  const auto fresh = parse(minimal + "[startup]\npreset = \"antelope\"\nmax_head_age = \"1s\"\n", beside);
  CHECK(fresh.valid);
  CHECK(test::messages(fresh.problems).find("ask for a fresh head in [readiness]") != std::string::npos);
}

TEST_CASE("letters beyond ASCII are read in texts and comments, and refused as keys, whichever they are") {
  for (const std::string letter : {"\u00e9", "\u0416", "\u2026", "\u2e1f", "\u4e16", "\ufdfd", "\U0001f40d"}) {
    CAPTURE(letter);
    CHECK(parse("description = \"" + letter + "\"  # " + letter + "\n[run]\ncommand = [\"/bin/x\"]\n").valid);
    CHECK_FALSE(parse("[run]\ncommand = [\"/bin/x\"]\n" + letter + " = 1\n").valid);
    CHECK_FALSE(parse("[run]\ncommand = [\"/bin/x\"]\nus" + letter + "er = \"x\"\n").valid);
    CHECK_FALSE(parse("[run]\ncommand = [\"/bin/x\"]\numask = 0" + letter + "\n").valid);
  }
}

TEST_CASE("a bad name of the file is an error of that file") {
  CHECK_FALSE(parse(minimal, {}, "Leap").valid);
  CHECK_FALSE(parse(minimal, {}, "a b").valid);
}

TEST_CASE("the fingerprint changes with what a restart would run, and with nothing else") {
  const auto base = unit_of(minimal).fingerprint;
  CHECK(unit_of("description = \"other\"\ngroups = [\"g\"]\nenabled = false\n" + minimal).fingerprint == base);
  CHECK(unit_of(minimal + "stop_timeout = \"1m\"\ndrain_time = \"5s\"\n").fingerprint == base);
  CHECK(unit_of(minimal + "[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\n").fingerprint == base);
  CHECK(unit_of("[run]\ncommand = [\"/bin/true\", \"\"]\n").fingerprint != base);
  CHECK(unit_of(minimal + "user = \"a\"\n").fingerprint != base);
  CHECK(unit_of(minimal + "env = { A = \"b\" }\n").fingerprint != base);
  CHECK(unit_of(minimal + "env_file = \"/x\"\n").fingerprint != base);
  CHECK(unit_of(minimal + "[run.limits]\nnice = 1\n[log]\nmax_size = \"1MiB\"\nmax_age = \"7d\"\n").fingerprint ==
        base);
  CHECK(unit_of(minimal + "capabilities = [\"NET_RAW\"]\n").fingerprint != base);
  CHECK(unit_of(minimal + "create_directories = [\"/x\"]\n").fingerprint == base);
}

TEST_CASE("what a run gets while it goes on has a number of its own") {
  const auto base = unit_of(minimal).settings;
  CHECK(unit_of(minimal + "user = \"a\"\n").settings == base);
  CHECK(unit_of(minimal + "[log]\nmax_total = \"1GiB\"\n").settings == base);  // no shim's business
  for (const auto* changed :
       {"[run.limits]\nnice = 1\n", "[run.limits]\nopen_files = 99\n", "[run.limits]\noom_score_adjust = 9\n",
        "[log]\nmax_size = \"1MiB\"\n", "[log]\nmax_files = 3\n", "[log]\nmax_age = \"7d\"\n"})
    CHECK(unit_of(minimal + changed).settings != base);
}

TEST_CASE("sources in their order, each with its own way in") {
  const auto u = parse("[data]\ndir = \"/d\"\n" + minimal + probed + R"([recovery]
recipe = "tiny"
source = [
  "/mnt/backup/",
  { url = "sftp://backup@vm3:2222/leap/", identity_file = "/etc/hasup//keys/b", known_hosts = "/etc/hasup/kh" },
  { url = "s3://snaps/leap/", patience = "5m", endpoint = "https://minio:9000", region = "eu-1", credentials_file = "/c", profile = "p" },
  { url = "https://h/l/", ca_file = "/ca", client_certificate = "/cc", client_key = "/ck", header_file = "/hf", proxy = "http://p:3128" },
]
)",
                       beside);
  INFO(test::rendered(u.problems));
  REQUIRE(u.problems.empty());
  const auto& all = u.instances[0].recovery.sources;
  REQUIRE(all.size() == 4);
  CHECK(all[0] == model::source("file:///mnt/backup/"));
  model::source sftp("sftp://backup@vm3:2222/leap/");
  sftp.identity_file = "/etc/hasup/keys/b";
  sftp.known_hosts = "/etc/hasup/kh";
  CHECK(all[1] == sftp);
  model::source s3("s3://snaps/leap/");
  s3.endpoint = "https://minio:9000";
  s3.region = "eu-1";
  s3.patience = 5min;
  s3.credentials_file = "/c";
  s3.profile = "p";
  CHECK(all[2] == s3);
  model::source web("https://h/l/");
  web.ca_file = "/ca";
  web.client_certificate = "/cc";
  web.client_key = "/ck";
  web.header_file = "/hf";
  web.proxy = "http://p:3128";
  CHECK(all[3] == web);
}
