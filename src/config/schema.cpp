// The table of schema.hpp: keys of unit files, of presets of probes and of hasup.toml; those of recipes are next
// door.
#include "config/schema.hpp"

#include <algorithm>
#include <array>

namespace hasup::config {
namespace {

using k = value_kind;
constexpr auto later = availability::not_yet;

void add_condition_keys(std::vector<key>& out, const std::string& at) {
  out.push_back({at + "pointer", k::text, "\"\"", "JSON pointer to the value; \"\" is the whole answer"});
  out.push_back({at + "equals", k::anything, "", "the value is exactly this"});
  out.push_back({at + "min", k::anything, "", "the number is at least this; \"0x1f\" counts as a number"});
  out.push_back({at + "max", k::anything, "", "the number is at most this"});
  out.push_back({at + "matches", k::text, "", "the string matches this regular expression (RE2) somewhere"});
  out.push_back({at + "max_age", k::duration, "", "the time is not older than this"});
  out.push_back({at + "time",
                 k::word,
                 "\"rfc3339\"",
                 "how the time of max_age is written",
                 availability::now,
                 {"rfc3339", "unix", "unix_ms"}});
  out.push_back({at + "advances_within", k::duration, "", "the number grew within this time"});
}

void add_check_keys(std::vector<key>& out, const std::string& at) {
  out.push_back({at + "kind",
                 k::word,
                 "",
                 "what the check does",
                 availability::now,
                 {"http", "jsonrpc", "websocket", "tcp", "exec", "log"}});
  out.push_back({at + "url", k::text, "",
                 "http, jsonrpc: http://…, https://… or unix:/path.sock:/path; websocket: ws://…, wss://… or unix:"});
  out.push_back({at + "method", k::text, "\"GET\"", "http: the method; jsonrpc: the name of the call"});
  out.push_back({at + "params", k::anything_json, "", "jsonrpc: array or table of parameters"});
  out.push_back({at + "headers", k::text_map, "", "http, jsonrpc, websocket: headers to send"});
  out.push_back({at + "headers.*", k::text, "", "value of the header of this name"});
  out.push_back({at + "header_file", k::text, "",
                 "file of \"Name: value\" lines, read at each check, for tokens; also beside a preset"});
  out.push_back(
      {at + "ca_file", k::text, "",
       "https, wss: certificates (PEM) that vouch for the server instead of the system's; also beside a preset"});
  out.push_back({at + "client_certificate", k::text, "",
                 "https, wss: certificate (PEM, with its chain) to show; read again when it has changed; also beside "
                 "a preset"});
  out.push_back({at + "client_key", k::text, "",
                 "its key (PEM, no password), also beside a preset; default: in client_certificate"});
  out.push_back({at + "body", k::text, "", "http: body to send"});
  out.push_back({at + "subprotocol", k::text, "", "websocket: the server must agree to this one"});
  out.push_back({at + "send", k::text, "",
                 "websocket: a text message to send after the handshake; the first message that comes is the answer. "
                 "It is awaited where there is send, body_matches, expect or head; else the handshake is enough"});
  out.push_back({at + "status", k::integer_or_integers, "[200]", "http: accepted status codes"});
  out.push_back({at + "address", k::text, "", "tcp: HOST:PORT, [V6]:PORT or unix:/path"});
  out.push_back({at + "command", k::texts, "", "exec: program and arguments; exit 0 passes"});
  out.push_back({at + "pattern", k::text, "",
                 "log: regular expression (RE2); a line of the run's own output matches it somewhere. (?P<head>…) is "
                 "the head's number, (?P<time>…) its time"});
  out.push_back({at + "max_age", k::duration, "", "log: the newest line that matches is not older than this"});
  out.push_back({at + "time",
                 k::word,
                 "\"rfc3339\"",
                 "log: how (?P<time>…) is written",
                 availability::now,
                 {"rfc3339", "unix", "unix_ms"}});
  out.push_back({at + "through", k::name, "",
                 "http, jsonrpc, websocket: this unit answers for the one that is judged: unknown while it is not "
                 "running or does not answer, and port_owner is about its processes; also beside a preset"});
  out.push_back({at + "body_matches", k::text, "", "the answer matches this regular expression (RE2) somewhere"});
  out.push_back({at + "expect", k::tables, "", "conditions on the JSON answer; all must hold"});
  add_condition_keys(out, at + "expect[].");
  out.push_back({at + "head", k::table, "", "where the head of the chain is in the answer"});
  out.push_back({at + "head.number", k::text, "", "JSON pointer to the block number"});
  out.push_back({at + "head.time", k::text, "", "JSON pointer to the block time"});
  out.push_back({at + "head.weight", k::text, "", "JSON pointer to the weight of the chain"});
  out.push_back({at + "head.chain", k::text, "", "JSON pointer to the name of the chain, where the node says it"});
  out.push_back({at + "head.peers", k::text, "", "JSON pointer to how many peers it has, where the node says it"});
  out.push_back({at + "head.format",
                 k::word,
                 "\"rfc3339\"",
                 "how head.time is written",
                 availability::now,
                 {"rfc3339", "unix", "unix_ms"}});
  out.push_back({at + "port_owner",
                 k::word,
                 "",
                 "who must own the listening socket; default: unit for loopback, else any",
                 availability::now,
                 {"unit", "any"}});
}

void add_probe_settings(std::vector<key>& out, const std::string& at) {
  out.push_back({at + "interval", k::duration, "\"2s\"", "time between two probes"});
  out.push_back({at + "timeout", k::duration, "\"1s\"", "a check that takes longer is no answer"});
  out.push_back({at + "failures", k::integer, "3", "in a row until the verdict is bad"});
  out.push_back({at + "successes", k::integer, "1", "in a row until the verdict is good"});
  out.push_back({at + "max_head_age", k::duration, "", "the head must not be older than this"});
  out.push_back({at + "advances_within", k::duration, "", "the head number must grow within this time"});
}

void add_lag_limits(std::vector<key>& out, const std::string& at, value_kind number) {
  out.push_back(
      {at + "max_behind", k::duration, "",
       "the time of the own head is at most so long before that of the reference's, whatever their numbers"});
  out.push_back({at + "max_blocks_behind", number, "",
                 "the own head is at most so many blocks behind the reference's, which is of the same chain"});
}

// Others are asked over the network: no programs, no logs, and no unit's own socket.
constexpr std::array<std::string_view, 6> of_units_alone{"command", "pattern", "max_age",
                                                         "time",    "through", "port_owner"};

// Without these keys of the check itself, and with these kinds.
std::vector<key> checks_of_others(const std::string& at, const std::vector<std::string>& kinds) {
  std::vector<key> all, out;
  add_check_keys(all, at);
  for (auto& one : all) {
    const auto name = std::string_view(one.path).substr(at.size());
    if (std::find(of_units_alone.begin(), of_units_alone.end(), name) != of_units_alone.end()) continue;
    if (name == "kind") one.words = kinds;
    out.push_back(std::move(one));
  }
  return out;
}

void add_reference_checks(std::vector<key>& out, const std::string& at) {
  for (auto& one : checks_of_others(at, {"http", "jsonrpc"})) {
    const auto name = std::string_view(one.path).substr(at.size());
    if (name == "subprotocol" || name == "send" || name == "address") continue;
    if (name == "url") one.help = "http://…, https://… or unix:/path.sock:/path; shown without user, path and query";
    out.push_back(std::move(one));
  }
}

void add_reference(std::vector<key>& out, const std::string& at, bool may_name_preset) {
  out.push_back({at + "reference", k::table, "",
                 "somebody else's node, whose head the own one must not fall behind (max_behind, max_blocks_behind). "
                 "While no answer of it counts, the verdict stays as it was"});
  const auto in = at + "reference.";
  if (may_name_preset) {
    out.push_back({in + "preset", k::name, "",
                   "recipes/probes/NAME.toml, which must say where the head is; its parameters stand beside it"});
    out.push_back({in + "urls", k::texts, "", "several nodes, instead of the preset's parameter url"});
  }
  out.push_back({in + "interval", k::duration, "\"10s\"",
                 "time between two questions; a good answer counts for three of these and a timeout"});
  out.push_back({in + "timeout", k::duration, "\"5s\"", "a check that takes longer is no answer"});
  add_reference_checks(out, in);
  out.push_back({in + "check", k::tables, "", "several nodes, of which the furthest counts"});
  add_reference_checks(out, in + "check[].");
}

void add_probe(std::vector<key>& out, const std::string& role, const std::string& help) {
  const std::string at = role + ".";
  out.push_back({role, k::table, "", help});
  out.push_back({at + "preset", k::name, "", "recipes/probes/NAME.toml; its parameters stand beside it"});
  add_probe_settings(out, at);
  const bool of_steady_unit = role == "readiness" || role == "liveness";
  if (of_steady_unit) {
    out.push_back(
        {at + "needs", k::texts, "",
         "units, and upstreams of this unit as \"upstream.NAME\": while one of them is not healthy there is "
         "no verdict, and what fails does not count"});
    add_lag_limits(out, at, k::integer);
  }
  add_check_keys(out, at);
  out.push_back({at + "check", k::tables, "", "several checks, all of which must pass"});
  add_check_keys(out, at + "check[].");
  if (of_steady_unit) add_reference(out, at, true);
}

void add_endpoint_probe(std::vector<key>& out) {
  out.push_back({"probe", k::table, "",
                 "asks each endpoint how it is, over the network; ${endpoint.KEY} is its value, and must stand where "
                 "there are several"});
  out.push_back({"probe.preset", k::name, "", "recipes/probes/NAME.toml; its parameters stand beside it"});
  add_probe_settings(out, "probe.");
  const auto add_checks = [&](const std::string& at) {
    for (auto& one : checks_of_others(at, {"http", "jsonrpc", "websocket", "tcp"})) out.push_back(std::move(one));
  };
  add_checks("probe.");
  out.push_back({"probe.check", k::tables, "", "several checks, all of which must pass"});
  add_checks("probe.check[].");
}

void add_unit_and_data(std::vector<key>& out) {
  out.push_back({"description", k::text, "\"\"", "one line for people"});
  out.push_back({"enabled", k::boolean, "true", "started when the daemon starts"});
  out.push_back({"extends", k::name, "", "another unit file whose values hold where this one says nothing"});
  out.push_back({"groups", k::texts, "[]", "hasup restart @GROUP"});
  out.push_back({"vars", k::parameters, "", "variables: ${name} in any string"});
  out.push_back({"data", k::table, "", "what must never have two writers or be lost"});
  out.push_back({"data.dir", k::text, "", "the data directory, absolute"});
  out.push_back({"data.also", k::texts, "[]", "further directories of the same node"});
  out.push_back({"data.mount", k::text_or_texts, "",
                 "must be mounted before a start; one below dir is recovered by what is in it"});
  out.push_back({"data.min_free", k::size, "\"0\"", "with less free space it is stopped in order, and not started"});
  out.push_back(
      {"data.shared_with", k::name, "", "the unit whose data this one opens; stopped while that is swapped"});
}

void add_run(std::vector<key>& out) {
  out.push_back({"run", k::table, "", "how the node is run"});
  out.push_back({"run.command", k::texts, "", "program and arguments, no shell"});
  out.push_back({"run.append", k::texts, "[]", "arguments after those of command, with extends"});
  out.push_back({"run.user", k::text, "", "user name or number; default: the daemon's own"});
  out.push_back({"run.groups", k::texts, "[]", "further groups; default: those of the user"});
  out.push_back({"run.directory", k::text, "", "working directory, absolute"});
  out.push_back({"run.env", k::text_map, "", "environment, over env_file and a clean base"});
  out.push_back({"run.env.*", k::text, "", "value of the variable of this name"});
  out.push_back({"run.env_file", k::text_or_texts, "[]",
                 "files of KEY=VALUE lines, read at each run; \"-FILE\" may be missing. ${secret:KEY} in command and "
                 "env is the "
                 "value from there"});
  out.push_back({"run.instances", k::integer, "1", "copies, told apart by ${instance}: 0, 1 …"});
  out.push_back(
      {"run.create_directories", k::directories, "[]",
       "made before pre_start when missing: owned by run.user, mode 0755 unless { path = \"/run/x\", mode = "
       "\"0750\" } says otherwise; one that is there stays as it is"});
  out.push_back({"run.capabilities", k::texts, "[]",
                 "such as \"NET_BIND_SERVICE\": what the node and its commands may do although they are not root"});
  out.push_back({"run.pre_start", k::commands, "[]",
                 "run before each start, as run.user; one that fails is a failed start. What a command leaves in the "
                 "background "
                 "is ended with it"});
  out.push_back({"run.post_start", k::commands, "[]", "run once the node has started (startup passed)"});
  out.push_back(
      {"run.stop_command", k::commands, "[]",
       "run instead of sending stop_signal, which follows when it fails or the node has not ended by stop_timeout"});
  out.push_back({"run.post_stop", k::commands, "[]", "run when the last process of a run is gone"});
  out.push_back({"run.check_command", k::commands, "[]", "checks the node's configuration before a reload"});
  out.push_back({"run.hook_timeout", k::duration, "\"1m\"",
                 "a command of pre_start, post_start, post_stop or check_command that takes longer is killed"});
  out.push_back({"run.stop_signal", k::signals, "\"TERM\"", "asks the node to stop"});
  out.push_back({"run.reload_signal", k::signals, "", "sent by `hasup reload`; without it that restarts"});
  out.push_back({"run.drain_time", k::duration, "\"0s\"",
                 "this long before a healthy node is asked to stop, load balancers are told that it will"});
  out.push_back({"run.stop_timeout", k::duration, "\"10m\"",
                 "this long after stop_signal the whole tree is killed, with an alert"});
  out.push_back({"run.start_timeout", k::duration, "\"5m\"", "not started by then is a failed start"});
  out.push_back({"run.umask", k::text, "", "file mode mask, octal; default 022"});
  out.push_back({"run.limits", k::table, "", "resource limits of the node"});
  out.push_back({"run.limits.open_files", k::integer, "", "open files"});
  out.push_back({"run.limits.memory_restart", k::size, "",
                 "orderly restart when anonymous and shared memory stays above; counts for backoff and start_limit"});
  out.push_back({"run.limits.memory_max", k::size, "", "the kernel kills the node above this (cgroup v2)"});
  out.push_back({"run.limits.memlock", k::limit, "", "locked memory: a size or \"unlimited\""});
  out.push_back({"run.limits.stack", k::limit, "", "stack: a size or \"unlimited\""});
  out.push_back({"run.limits.core", k::limit, "", "core dumps: a size or \"unlimited\""});
  out.push_back(
      {"run.limits.cpu_weight", k::integer, "", "share of the processor, 1 to 10000; others have 100 (cgroup v2)"});
  out.push_back({"run.limits.pids", k::integer, "", "processes and threads of the whole tree (cgroup v2)"});
  out.push_back({"run.limits.nice", k::integer, "", "-20 (first) to 19 (last)"});
  out.push_back({"run.limits.oom_score_adjust", k::integer, "0", "-1000 to 1000 (killed first when memory is out)"});
}

void add_policies(std::vector<key>& out) {
  out.push_back({"restart", k::table, "", "what happens when the node ends by itself"});
  out.push_back({"restart.policy",
                 k::word,
                 "\"always\"",
                 "when it is started again",
                 availability::now,
                 {"never", "on_failure", "always"}});
  out.push_back({"restart.success_codes", k::integer_or_integers, "[0]", "exit codes that are no failure"});
  out.push_back({"restart.backoff", k::table, "", "how long to wait before the next start"});
  out.push_back({"restart.backoff.initial", k::duration, "\"1s\"", "the first wait"});
  out.push_back({"restart.backoff.max", k::duration, "\"1m\"", "the longest wait"});
  out.push_back({"restart.backoff.factor", k::number, "2.0", "each wait is this many times the one before"});
  out.push_back({"restart.backoff.jitter", k::number, "0.1", "random share of the wait, 0 to 1"});
  out.push_back({"restart.start_limit", k::table, "", "more starts than this and the unit is failed"});
  out.push_back({"restart.start_limit.count", k::integer, "10", "starts; 0 = no limit"});
  out.push_back({"restart.start_limit.within", k::duration, "\"10m\"", "in this time"});
  out.push_back({"requires", k::tables, "", "what must be there before a start"});
  out.push_back({"requires[].unit", k::name, "", "another unit"});
  out.push_back({"requires[].upstream", k::name, "",
                 "an upstream of which an endpoint is healthy; what runs keeps its endpoint"});
  out.push_back({"requires[].lease", k::name, "", "a lease", later});
  out.push_back({"requires[].condition",
                 k::word,
                 "\"healthy\"",
                 "what that unit must be",
                 availability::now,
                 {"started", "healthy", "completed"}});
  out.push_back(
      {"requires[].on_loss",
       k::word,
       "\"keep\"",
       "when it is so no longer: keep running, restart as soon as it is so again, or stop until a person starts it",
       availability::now,
       {"keep", "restart", "stop"}});
}

void add_recovery_and_log(std::vector<key>& out) {
  out.push_back({"recovery", k::table, "", "how broken state is restored"});
  out.push_back({"recovery.recipe", k::name, "", "recipes/NAME.toml; its parameters stand beside it or in params"});
  out.push_back({"recovery.params", k::parameters, "", "parameters of the recipe"});
  out.push_back({"recovery.mode",
                 k::word,
                 "\"auto\"",
                 "auto, ask (a person says yes before the swap) or off",
                 availability::now,
                 {"auto", "ask", "off"}});
  out.push_back(
      {"recovery.source", k::sources, "[]",
       "where snapshots are: https://HOST/DIR/, http://, sftp://USER@HOST/DIR/, s3://BUCKET/PREFIX/, "
       "file:///DIR/, or a table with url and the keys below; all are asked, and the newest snapshot of all "
       "is taken first, of equal ones that of the source which stands first"});
  const auto option = [&](const char* name, const char* help) {
    out.push_back({std::string("recovery.source.") + name, k::text, "", help});
  };
  option("url", "the place itself; an https address may lead to other https addresses, but to none of http");
  option("patience",
         "how long it is borne with, further attempts included, before the next source or another one with the same "
         "file is taken: so much for all that it is asked when a snapshot is looked for (listing, sizes, times), so "
         "much for all checksums of one that is to be fetched, and, while a file comes, so much without a byte or at "
         "less than 4 KiB a second: \"5m\"; without it 2m, and a few attempts without a byte");
  option("identity_file", "sftp: the private key; without it the agent's keys and ~/.ssh/id_ed25519 …");
  option("known_hosts", "sftp: without it ~/.ssh/known_hosts; a host that is not in it is refused");
  option("endpoint", "s3: https://HOST of a store that is not Amazon's; addressed as https://HOST/BUCKET/KEY");
  option("region", "s3: us-east-1 unless it is told");
  option("credentials_file",
         "s3: a file as ~/.aws/credentials; without it AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, then "
         "AWS_SHARED_CREDENTIALS_FILE or that file; without any the requests are not signed");
  option("profile",
         "s3: the section of the credentials file; without it AWS_PROFILE where credentials_file is not set, else "
         "\"default\"");
  option("ca_file", "https, s3: the certificates to trust instead of the system's");
  option("client_certificate", "https: shown to the host of url, to no other one to which it leads");
  option("client_key", "https: its key, where client_certificate does not hold it");
  option("header_file",
         "http, https: lines such as \"Authorization: Bearer …\" for each request to scheme, host and port of url, "
         "and to https of that host (port 443) where url is its http (port 80); no other place to which it leads is "
         "shown them");
  option(
      "proxy",
      "http, https, s3: http://HOST:PORT or socks5h://HOST:PORT, also http://USER:PASSWORD@HOST:PORT where its owner "
      "alone can read the file; without it http_proxy, https_proxy of the environment");
  out.push_back({"recovery.checksum",
                 k::word,
                 "\"if_present\"",
                 "may a snapshot be without a checksum? A host that answers 403 for what is not there, as S3 does "
                 "to who may not list, has none where the archive itself can be read",
                 availability::now,
                 {"required", "if_present"}});
  out.push_back({"recovery.public_key", k::text, "",
                 "minisign's, \"RWQ…\": only snapshots with a signature of it beside them, as NAME.minisig, made "
                 "under that name"});
  out.push_back({"recovery.budget", k::table, "", "more swaps than this and the unit is failed"});
  out.push_back({"recovery.budget.count", k::integer, "3", "swaps"});
  out.push_back({"recovery.budget.within", k::duration, "\"24h\"", "in this time"});
  out.push_back({"recovery.max_snapshot_age", k::duration, "\"0s\"",
                 "older snapshots are not used; one whose age nobody tells is; 0s = any age"});
  out.push_back(
      {"recovery.space",
       k::word,
       "\"auto\"",
       "stage: the old state stays until the new one is confirmed, so there must be room for both; in_place: it "
       "is deleted once the archive is here and verified, with no way back; auto: in_place only without room "
       "for both, for a class of the recipe that says recover or with a person's yes",
       availability::now,
       {"auto", "stage", "in_place"}});
  out.push_back({"recovery.group", k::text, "",
                 "units with the same word are restored as one set, from archives of the same backup (\"set\" in "
                 "manifest.json): all are staged before one is replaced, and all go back when one cannot go on"});
  out.push_back({"recovery.max_rate", k::text, "", "download no faster than this: \"200MiB/s\""});
  out.push_back({"recovery.max_window", k::size, "\"2GiB\"",
                 "memory that an archive may need to be decompressed (zstd --long, the dictionary of xz), beside 64 "
                 "MiB; one that needs more, or "
                 "more than the machine has free, is refused"});
  out.push_back(
      {"recovery.prefetch", k::table, "",
       "the newest snapshot is fetched, verified and, where there is room, unpacked while the node runs, with "
       "what the disk and the processor have left: a recovery is then a rename and a start"});
  out.push_back(
      {"recovery.prefetch.every", k::duration, "\"1h\"",
       "how often the sources are asked; a newer snapshot is fetched when the one that is here is older than "
       "half of max_snapshot_age, without that always"});
  out.push_back(
      {"recovery.prefetch.max_size", k::size, "",
       "what the archives and their unpacked content may take on the disk; without it, what leaves free min_free "
       "and a quarter more, and a tenth of what is free. It is the first to go when space gets short"});
  out.push_back(
      {"recovery.reference", k::table, "",
       "somebody else's nodes of the same chain (a public API, the node of another machine): the evidence that "
       "others advance, without which a head that stands still never leads to a recovery, and a restored node whose "
       "head stands still is not rolled back but waited for. Asked only while it does"});
  out.push_back({"recovery.reference.preset", k::name, "",
                 "recipes/probes/NAME.toml, which must say head.number; its parameters stand beside it"});
  out.push_back(
      {"recovery.reference.urls", k::texts, "",
       "several nodes: one of them that advances beyond the own head is enough. Instead of the parameter url"});
  out.push_back({"recovery.reference.interval", k::duration, "\"10s\"", "time between two rounds"});
  out.push_back({"recovery.reference.timeout", k::duration, "\"5s\"", "a check that takes longer is no answer"});
  out.push_back({"recovery.reference.header_file", k::text, "",
                 "file of \"Name: value\" lines to send, read each time, for tokens"});
  out.push_back(
      {"recovery.reference.ca_file", k::text, "", "certificates (PEM) that vouch for them instead of the system's"});
  out.push_back({"recovery.reference.client_certificate", k::text, "", "certificate (PEM, with its chain) to show"});
  out.push_back({"recovery.reference.client_key", k::text, "", "its key; default: in client_certificate"});
  out.push_back(
      {"recovery.reference.chain_id", k::text, "",
       "the chain that they must name (head.chain of the preset); without it that of the recipe's [require], "
       "else the one that the unit's own node names"});
  out.push_back({"log", k::table, "", "the log of the node's output"});
  out.push_back({"log.max_size", k::size, "\"100MiB\"", "a file of this size is rotated"});
  out.push_back({"log.max_files", k::integer, "10", "rotated files kept"});
  out.push_back({"log.max_age", k::duration, "",
                 "rotated files whose last line is older are deleted, and the current file is rotated daily"});
  out.push_back({"log.max_total", k::size, "", "the oldest rotated files are deleted above this sum"});
  out.push_back({"log.compress", k::boolean, "false", "compress rotated files with zstd"});
  out.push_back({"log.follow", k::texts, "[]",
                 "log files that the node writes itself, absolute: shown by `hasup logs`, evidence after an exit"});
  out.push_back({"schedule", k::table, "", "what is done by the clock"});
  out.push_back(
      {"schedule.restart", k::text_or_table, "", "an orderly restart, instance by instance; a text is its cron"});
  out.push_back({"schedule.restart.cron", k::text, "", "minute hour day month weekday, or @daily, @weekly …"});
  out.push_back({"schedule.restart.timezone", k::text, "",
                 "\"local\" (the default), \"UTC\", or a name such as \"Europe/Berlin\""});
  out.push_back({"schedule.restart.splay", k::duration, "",
                 "a delay of up to this, another one for each host and unit, so that not all restart at once"});
  out.push_back({"upstream", k::table, "", "servers to choose from, for this unit alone; see hasup-upstream(5)"});
  out.push_back({"upstream.*", k::table, "",
                 "the keys of upstreams/NAME.toml; it is ${upstream.NAME.KEY} in strings, as one of a file is"});
}

void add_proxy(std::vector<key>& out) {
  out.push_back({"proxy", k::table, "",
                 "the unit is nginx or HAProxy: hasup writes which endpoints of an upstream get its requests"});
  out.push_back(
      {"proxy.upstream", k::name, "", "whose endpoints; the first start waits until one of them can be listed"});
  out.push_back(
      {"proxy.template", k::text, "",
       "file, absolute: a line that names ${endpoint.KEY} is written once for each endpoint of the list, one with "
       "${other.KEY} once for each but the first, ${first.KEY} is of the first, the chosen one; all else, also other "
       "dollars, stays as it is. Read when the list changes, before a start and by `hasup reload`"});
  out.push_back({"proxy.output", k::text, "",
                 "what is made of it, absolute, in a directory that only hasupd's user can write to; replaced as a "
                 "whole, and only when its text differs"});
  out.push_back({"proxy.check_command", k::texts, "",
                 "must succeed before the text is used: ${candidate} is a file beside output that has it, such as "
                 "[\"nginx\", \"-t\", \"-c\", \"${candidate}\"]; when it fails, the old one stays"});
  out.push_back({"proxy.reload_command", k::commands, "[]",
                 "run instead of sending reload_signal, when the list was written while the unit runs"});
  out.push_back(
      {"proxy.max_behind", k::duration, "\"10s\"",
       "one that has not had for so long what the furthest one has is left out, as is one that is unhealthy "
       "or avoided"});
  out.push_back({"proxy.max_blocks_behind", k::integer, "",
                 "and one that is so many blocks behind; the answers of two endpoints are up to an interval apart"});
  out.push_back({"proxy.back_after", k::duration, "\"10s\"", "it comes back when it was fit for so long"});
  out.push_back(
      {"proxy.min_interval", k::duration, "\"5s\"",
       "time between two changes of the list; one that is to leave it leaves at once. When none is fit, the "
       "last list stays"});
}

std::vector<key> make_unit_keys() {
  std::vector<key> out;
  add_unit_and_data(out);
  add_run(out);
  add_probe(out, "startup", "has it started? never asks for a fresh head");
  add_probe(out, "readiness", "is it healthy?");
  add_probe(out, "liveness", "failing leads to an orderly restart");
  add_policies(out);
  add_recovery_and_log(out);
  add_proxy(out);
  return out;
}

std::vector<key> make_preset_keys() {
  std::vector<key> out{
      {"description", k::text, "\"\"", "one line for people"},
      {"params", k::parameters, "", "name = default, or a table with default, required, help"},
  };
  add_probe_settings(out, "");
  add_lag_limits(out, "", k::anything);  // a parameter is a text
  add_check_keys(out, "");
  out.push_back({"check", k::tables, "", "several checks, all of which must pass"});
  add_check_keys(out, "check[].");
  add_reference(out, "", false);
  return out;
}

std::vector<key> make_upstream_keys() {
  std::vector<key> out{
      {"description", k::text, "\"\"", "one line for people"},
      {"select",
       k::word,
       "\"best_head\"",
       "best_head: the one that is furthest; sticky: the best at first, another one only when that is unhealthy; "
       "priority: the first in the file that is healthy",
       availability::now,
       {"best_head", "sticky", "priority"}},
      {"switch", k::table, "", "when one that is still healthy is left for a better one"},
      {"switch.behind", k::duration, "\"10s\"",
       "best_head: another one has had its head for so long; ones that take turns by a block are never behind"},
      {"switch.for", k::duration, "\"30s\"", "and was so all this time"},
      {"switch.min_dwell", k::duration, "\"5m\"", "and was kept at least so long"},
      {"on_change",
       k::word,
       "\"restart\"",
       "what is done with units that run with the one that was left: restarted, instance by instance, or kept until "
       "their next start",
       availability::now,
       {"restart", "keep"}},
      {"leave_for", k::duration, "\"1h\"",
       "a unit that ended because of its endpoint (action = \"next_endpoint\" in its recipe) is started with another "
       "one for so long"},
      {"join", k::text, "\",\"", "stands between the values of all endpoints: ${upstream.NAME.KEYs}"},
      {"resolve_every", k::duration, "\"30s\"", "how often it is asked which addresses the names in \"dns\" have"},
      {"keep_address_for", k::duration, "\"5m\"",
       "an address that is in no answer for so long is none of the name any more"},
  };
  add_endpoint_probe(out);
  out.push_back({"endpoint", k::tables, "", "the servers, in the order that counts for priority and between equals"});
  out.push_back({"endpoint[].name", k::anything, "", "what it is called; without it its host, else its url"});
  out.push_back({"endpoint[].dns", k::text, "",
                 "a name in place of \"name\" and \"host\": each of its addresses is an endpoint, at most 8"});
  out.push_back(
      {"endpoint[].*", k::anything, "",
       "a string, number or boolean that all endpoints have: ${upstream.NAME.KEY} is that of the chosen one"});
  return out;
}

}  // namespace

std::span<const key> unit_keys() {
  static const auto keys = make_unit_keys();
  return keys;
}

std::span<const key> preset_keys() {
  static const auto keys = make_preset_keys();
  return keys;
}

std::span<const key> upstream_keys() {
  static const auto keys = make_upstream_keys();
  return keys;
}

std::span<const key> daemon_keys() {
  static const std::vector<key> keys{
      {"cgroup", k::table, "", "where the nodes' cgroups are"},
      {"cgroup.root", k::text, "", "a delegated directory of cgroup v2, or \"off\""},
      {"boot", k::table, "", "after a reboot"},
      {"boot.start",
       k::word,
       "\"enabled\"",
       "which units start: those that are enabled, or those that were wanted up",
       availability::now,
       {"enabled", "as_before"}},
      {"log", k::table, "", "the daemon's own log"},
      {"log.level",
       k::word,
       "\"info\"",
       "how much it says",
       availability::now,
       {"trace", "debug", "info", "warning", "error"}},
      {"http", k::table, "", "a TCP listener, for load balancers"},
      {"http.listen", k::text, "", "its address, such as \"127.0.0.1:9770\": answers /healthz and /healthz/NAME"},
      {"health", k::tables, "", "units combined for load balancers"},
      {"health[].name", k::name, "", "of the group: /healthz/NAME"},
      {"health[].units", k::tables, "", "the units that must be healthy"},
      {"health[].units[].unit", k::text, "", "a unit, or one instance of it: \"miner@0\""},
      {"health[].units[].min", k::integer, "1", "so many instances of it must be healthy"},
      {"health[].agent_check", k::text, "",
       "an address, such as \"0.0.0.0:9771\", that answers HAProxy's agent checks"},
  };
  return keys;
}

}  // namespace hasup::config
