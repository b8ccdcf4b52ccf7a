// `hasup probe`: how hasup sees a node, tried out by hand. Not in `hasup` itself but in `hasup-probe`
// (become_probe.cpp).
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>

#include "base/json_number.hpp"
#include "base/time_text.hpp"
#include "cli/acting_user.hpp"
#include "cli/chosen_endpoints.hpp"
#include "cli/probe_others.hpp"
#include "cli/selection.hpp"
#include "cli/verbs.hpp"
#include "config/unit_dir.hpp"
#include "model/unit_name.hpp"
#include "probe/prober.hpp"
#include "start/probe_programs.hpp"
#include "unit/classify.hpp"
#include "unit/head_lag.hpp"
#include "unit/probe_verdict.hpp"

namespace json = boost::json;

namespace hasup::cli {
namespace {

struct asked {
  std::string title;  // "leap readiness", "antelope"
  model::probe probe;
  probe::target whom;
  std::string held;  // why hasupd makes nothing of its answers now; "" = it does
};

struct answered {
  probe::probe_result result;
  unit::probe_verdict verdict;  // with what the probe asks of the head
  unsigned samples = 0;
  std::vector<probe::probe_result> others;  // of the nodes of its reference
  std::vector<unit::lag> lags;              // behind them
};

style style_of(probe::outcome o) {
  return o == probe::outcome::passed ? style::green : o == probe::outcome::failed ? style::red : style::yellow;
}

probe::outcome outcome_of(unit::observation::kind k) {
  return k == unit::observation::kind::passed   ? probe::outcome::passed
         : k == unit::observation::kind::failed ? probe::outcome::failed
                                                : probe::outcome::unknown;
}

unit::observation::kind kind_of(probe::outcome o) {
  return o == probe::outcome::passed   ? unit::observation::kind::passed
         : o == probe::outcome::failed ? unit::observation::kind::failed
                                       : unit::observation::kind::unknown;
}

const char* mark_of(probe::outcome o) {
  return o == probe::outcome::passed ? "ok" : o == probe::outcome::failed ? "no" : "??";
}

std::string subject(const model::check& check) {
  switch (check.kind) {
    case model::check_kind::http:
      return fmt::format("{} {}", check.method.empty() ? "GET" : check.method, check.url);
    case model::check_kind::jsonrpc:
      return fmt::format("{} at {}", check.method, check.url);
    case model::check_kind::websocket:
      return check.url;
    case model::check_kind::tcp:
      return check.address;
    case model::check_kind::log:
      return check.pattern;
    case model::check_kind::exec:
      break;
  }
  std::string text;
  for (const auto& word : check.command) text += (text.empty() ? "" : " ") + word;
  return text;
}

// A number that must grow cannot be judged at one look: such a probe is asked again.
bool wants_growth(const model::probe& p) {
  const auto grows = [](const model::expectation& e) { return e.advances_within.has_value(); };
  return p.advances_within || std::any_of(p.checks.begin(), p.checks.end(), [&](const model::check& check) {
           return check.max_age || std::any_of(check.expect.begin(), check.expect.end(), grows);
         });
}

// The longest time that any of its numbers may stand still.
base::duration longest_growth(const model::probe& p) {
  auto longest = p.advances_within.value_or(base::duration{0});
  for (const auto& check : p.checks) longest = std::max(longest, check.max_age.value_or(base::duration{0}));
  for (const auto& check : p.checks)
    for (const auto& e : check.expect) longest = std::max(longest, e.advances_within.value_or(base::duration{0}));
  return longest;
}

// One line on a terminal, drawn anew and gone at the end.
void show_progress(const context& c, std::string_view text) {
  if (!c.err.interactive) return;
  const auto line = "\r\x1b[K" + shorten(text, c.err.width > 1 ? c.err.width - 1 : 1);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

probe::probe_result ask_once(boost::asio::io_context& io, probe::prober& prober, const asked& a,
                             probe::session& memory) {
  probe::probe_result result;
  const auto handle = prober.start(a.probe, a.whom, memory, [&](probe::probe_result r) {
    result = std::move(r);
    io.stop();
  });
  io.restart();
  io.run();
  return result;
}

// The nodes of a probe's reference, no more often than it says.
class other_nodes {
 public:
  explicit other_nodes(const model::probe& p) {
    if (p.reference) whom_ = *p.reference;
    results.resize(whom_.nodes.size());
    sessions_.resize(whom_.nodes.size());
    for (const auto& node : whom_.nodes) known.push_back({node.name});
  }

  std::vector<unit::other_head> known;
  std::vector<probe::probe_result> results;

  void ask(boost::asio::io_context& io, probe::prober& prober) {
    const auto now = std::chrono::steady_clock::now();
    if (known.empty() || (asked_at_ && now - *asked_at_ < whom_.interval)) return;
    asked_at_ = now;
    std::size_t open = known.size();
    std::vector<probe::prober::handle> handles;
    for (std::size_t i = 0; i < known.size(); ++i)
      handles.push_back(prober.start(unit::asked_as_probe(whom_, whom_.nodes[i]), {}, sessions_[i],
                                     [this, &io, &open, i](probe::probe_result r) {
                                       unit::remember(known[i], r.out == probe::outcome::passed, r.reason, r.head,
                                                      std::chrono::steady_clock::now());
                                       results[i] = std::move(r);
                                       if (--open == 0) io.stop();
                                     }));
    io.restart();
    io.run();
  }

 private:
  model::probe_reference whom_;
  std::vector<probe::session> sessions_;
  std::optional<base::mono_time> asked_at_;
};

void sleep_for(boost::asio::io_context& io, base::duration time) {
  boost::asio::steady_timer timer(io, time);
  timer.async_wait([&](const boost::system::error_code&) { io.stop(); });
  io.restart();
  io.run();
}

// Until there is a verdict, or no time is left for one.
answered ask(const context& c, const asked& a) {
  using std::chrono::steady_clock;
  const auto limit = c.call.timeout.value_or(base::duration{15'000});
  const auto began = steady_clock::now();
  const auto pause = std::clamp(a.probe.interval, base::duration{10}, base::duration{1'000});
  boost::asio::io_context io;
  answered got;
  // Thresholds are for a unit that is watched: here one answer that can be judged is the verdict.
  auto once = a.probe;
  once.failures = once.successes = 1;
  unit::probe_memory memory;
  probe::session session;
  {
    probe::prober prober(io, start::run_probe_programs(io));
    other_nodes others(a.probe);
    for (;;) {
      others.ask(io, prober);
      got.result = ask_once(io, prober, a, session);
      ++got.samples;
      got.others = others.results;
      got.lags = unit::judge_lag(a.probe, got.result.head.value_or(model::head{}), others.known, steady_clock::now());
      got.verdict = unit::observe(once, memory,
                                  {kind_of(got.result.out), got.result.reason, got.result.head, false, others.known},
                                  steady_clock::now(), std::chrono::system_clock::now());
      const auto asked_for = std::chrono::duration_cast<base::duration>(steady_clock::now() - began);
      if (got.verdict.value != unit::verdict::undecided || !wants_growth(a.probe)) break;
      if (asked_for + pause > limit) {
        const auto certain = longest_growth(a.probe) + 2 * pause;
        got.verdict.reason += fmt::format(" (asked for {})", base::format_duration_short(asked_for));
        if (certain > limit)
          got.verdict.reason +=
              fmt::format("; `--timeout {}` asks until it is certain", base::format_duration(certain));
        break;
      }
      show_progress(c, fmt::format("{}: {} ({} of {})", a.title, printable(got.verdict.reason),
                                   base::format_duration_short(asked_for), base::format_duration_short(limit)));
      sleep_for(io, pause);
    }
  }
  show_progress(c, "");
  return got;
}

std::string head_text(const model::head& h) {
  std::string text = h.number ? std::to_string(*h.number) : "-";
  if (h.time) {
    const auto age = std::chrono::duration_cast<base::duration>(std::chrono::system_clock::now() - *h.time);
    text += fmt::format(", {} old", base::format_duration_short(std::max(age, base::duration{0})));
  }
  if (!h.weight.empty()) text += ", weight " + h.weight;
  if (!h.chain.empty()) text += ", chain " + h.chain;
  if (h.peers) text += fmt::format(", {} {}", *h.peers, *h.peers == 1 ? "peer" : "peers");
  return text;
}

// "passed", or why not; what could not be judged in the time says so.
std::string verdict_text(const answered& got) {
  if (got.verdict.value == unit::verdict::good) return "passed";
  const auto word = got.verdict.value == unit::verdict::bad ? "failed" : "unknown";
  return fmt::format("{}: {}", word, printable(got.verdict.reason));
}

base::duration slowest(const probe::probe_result& r) {
  std::chrono::microseconds out{0};
  for (const auto& check : r.checks) out = std::max(out, check.latency);
  return std::chrono::duration_cast<base::duration>(out);
}

std::string others_text(const context& c, const asked& a, const answered& got) {
  std::string text;
  for (std::size_t i = 0; i < got.others.size(); ++i) {
    const auto& r = got.others[i];
    text += fmt::format("  reference {}  {}  ({} ms)\n", printable(a.probe.reference->nodes[i].name),
                        paint(probe::outcome_names.text(r.out), style_of(r.out), c.out.colour), slowest(r).count());
    if (r.out != probe::outcome::passed) text += "    " + printable(r.reason) + "\n";
    if (r.head) text += "    head " + printable(head_text(*r.head)) + "\n";
  }
  for (const auto& one : got.lags) {
    const auto out = outcome_of(one.out);
    text += fmt::format("  {} {}\n", paint(mark_of(out), style_of(out), c.out.colour), printable(one.text));
  }
  return text;
}

void show(const context& c, const asked& a, const answered& got) {
  const auto s = got.verdict.value == unit::verdict::good  ? style::green
                 : got.verdict.value == unit::verdict::bad ? style::red
                                                           : style::yellow;
  std::string text =
      paint(a.title, style::bold, c.out.colour) + "  " + paint(verdict_text(got), s, c.out.colour) + "\n";
  if (!a.held.empty())
    text += "  " + paint("does not count now: " + printable(a.held), style::yellow, c.out.colour) + "\n";
  for (std::size_t i = 0; i < got.result.checks.size(); ++i) {
    const auto& check = a.probe.checks[i];
    const auto& r = got.result.checks[i];
    const auto through = check.through.empty() ? "" : " through " + check.through;
    text += fmt::format("  {} {}{}  {}  ({:.1f} ms)\n", model::check_kind_names.text(check.kind),
                        printable(subject(check)), through,
                        paint(probe::outcome_names.text(r.out), style_of(r.out), c.out.colour),
                        static_cast<double>(r.latency.count()) / 1000.0);
    if (r.conditions.empty() && r.out != probe::outcome::passed) text += "    " + printable(r.reason) + "\n";
    for (const auto& one : r.conditions)
      text +=
          fmt::format("    {} {}\n", paint(mark_of(one.out), style_of(one.out), c.out.colour), printable(one.text));
    if (r.head) text += "    head " + printable(head_text(*r.head)) + "\n";
  }
  print(text + others_text(c, a, got));
}

json::value to_json(const std::optional<model::head>& h) {
  if (!h) return nullptr;
  json::object head{{"number", nullptr}, {"time", nullptr}};
  if (h->number) head["number"] = *h->number;
  if (h->time) head["time"] = base::format_time(*h->time, true);
  if (!h->chain.empty()) head["chain"] = h->chain;
  return head;
}

void add_others(json::object& o, const asked& a, const answered& got) {
  json::array others, lags;
  for (std::size_t i = 0; i < got.others.size(); ++i) {
    const auto& r = got.others[i];
    others.emplace_back(json::object{{"name", a.probe.reference->nodes[i].name},
                                     {"outcome", probe::outcome_names.text(r.out)},
                                     {"reason", r.reason},
                                     {"latency_ms", slowest(r).count()},
                                     {"head", to_json(r.head)}});
  }
  for (const auto& one : got.lags)
    lags.emplace_back(json::object{{"outcome", probe::outcome_names.text(outcome_of(one.out))}, {"text", one.text}});
  o["reference"] = std::move(others);
  o["lag"] = std::move(lags);
}

json::object to_json(const asked& a, const answered& got) {
  json::array checks;
  for (std::size_t i = 0; i < got.result.checks.size(); ++i) {
    const auto& r = got.result.checks[i];
    json::array conditions;
    for (const auto& one : r.conditions)
      conditions.emplace_back(json::object{{"outcome", probe::outcome_names.text(one.out)}, {"text", one.text}});
    checks.emplace_back(json::object{{"kind", model::check_kind_names.text(a.probe.checks[i].kind)},
                                     {"subject", subject(a.probe.checks[i])},
                                     {"through", a.probe.checks[i].through},
                                     {"outcome", probe::outcome_names.text(r.out)},
                                     {"reason", r.reason},
                                     {"latency_ms", static_cast<double>(r.latency.count()) / 1000.0},
                                     {"conditions", std::move(conditions)}});
  }
  json::object o{{"probe", a.title},
                 {"passed", got.verdict.value == unit::verdict::good},
                 {"verdict", unit::verdict_names.text(got.verdict.value)},
                 {"reason", got.verdict.reason},
                 {"samples", got.samples},
                 {"held", a.held},
                 {"head", to_json(got.result.head)},
                 {"checks", std::move(checks)}};
  if (a.probe.reference) add_others(o, a, got);
  return o;
}

// As the daemon has it. Who is not root asks with his own rights, and without the env files that he may not read.
base::result<probe::target> target_of(const model::unit& u) {
  auto launch = start::prepare_launch(u);
  if (!launch && ::geteuid() == 0) return launch.error();
  if (!launch) {
    auto self = process::resolve_account({}, {});
    if (!self) return self.error();
    launch = start::launch_as(std::move(*self));
  }
  auto whom = start::probe_target_of(u, *launch);
  if (::geteuid() != 0) {
    whom.uid = whom.gid = std::nullopt;
    whom.groups.clear();
  }
  return whom;
}

bool runs_programs(const std::vector<asked>& all) {
  return std::any_of(all.begin(), all.end(), [](const asked& a) {
    return std::any_of(a.probe.checks.begin(), a.probe.checks.end(),
                       [](const model::check& check) { return check.kind == model::check_kind::exec; });
  });
}

// The probes of a unit's instances, with the processes that the daemon knows.
base::result<std::vector<asked>> probes_of(const context& c, const config::unit_entry& entry,
                                           const model::unit_reference& which) {
  const auto status = c.daemon.status();
  std::vector<asked> all;
  for (const auto& in_file : entry.instances) {
    if (which.index && *which.index != in_file.id.index) continue;
    const auto u = with_chosen_endpoints(c, in_file);
    auto target = target_of(u);
    if (!target) return target.error();
    auto& whom = *target;
    if (status) add_run(c, *status, u, whom);
    const auto name = shown_name(u);
    const auto add = [&](const char* role, const std::optional<model::probe>& probe) {
      if (probe) all.push_back({name + role, *probe, whom, status ? lacking_need(c, *status, u, *probe) : ""});
    };
    add(" startup", u.startup);
    add(" readiness", u.readiness);
    add(" liveness", u.liveness);
  }
  return all;
}

using parameters = std::map<std::string, std::string>;

// "127.0.0.1:8888", "[::1]:8888", "node:8888"
bool is_host_and_port(const std::string& word) {
  const auto colon = word.rfind(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < word.size() &&
         word.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
         word.find_first_of("=/?#@ ") == std::string::npos;
}

bool has_scheme(const std::string& url) {
  return url.find("://") != std::string::npos || url.starts_with("unix:");
}

// A bare word that is the parameter url: the first "=" of one may stand in its query.
bool is_url(const std::string& word) {
  return word.starts_with("unix:") || word.find("://") < word.find('=') || is_host_and_port(word);
}

// What was given is wrong, not the file of the preset that it is filled into.
base::error blame_given(const context& c, const parameters& given, const base::error& why) {
  constexpr std::string_view mark = ": error: ";
  const auto at = why.message.find(mark);
  if (at == std::string::npos || given.empty()) return why;
  const auto alone = config::resolve_preset(c.call.targets[0], {}, c.dirs);
  if (!alone && alone.error().message == why.message) return why;
  std::string words;
  for (const auto& [key, value] : given) words += " " + key + "=" + value;
  return {printable(words.substr(1)) + ": " + why.message.substr(at + mark.size()), why.code};
}

// One URL without a scheme has that which the preset takes.
base::result<model::probe> resolve(const context& c, parameters given, bool bare_url) {
  const auto& name = c.call.targets[0];
  auto as_given = config::resolve_preset(name, given, c.dirs);
  const auto url = given.find("url");
  if (as_given || url == given.end()) return as_given ? std::move(as_given) : blame_given(c, given, as_given.error());
  if (!has_scheme(url->second)) {
    for (const auto* scheme : {"http://", "ws://"}) {
      auto tried = given;
      tried["url"] = scheme + url->second;
      auto with_scheme = config::resolve_preset(name, tried, c.dirs);
      if (with_scheme && bare_url) return with_scheme;
      if (with_scheme)
        return base::error{
            printable(fmt::format("url={} needs {}: write url={}", url->second, scheme, tried.at("url")))};
    }
  }
  return blame_given(c, given, as_given.error());
}

base::result<std::vector<asked>> preset_probe(const context& c) {
  if (const auto& name = c.call.targets[0]; is_url(name))
    return base::error{
        printable(fmt::format("of which preset? `hasup probe PRESET {}`; `hasup help preset` lists them", name))};
  parameters params;
  bool bare_url = false;
  for (std::size_t i = 1; i < c.call.targets.size(); ++i) {
    const auto& word = c.call.targets[i];
    const auto eq = word.find('=');
    const bool bare = is_url(word);
    if (!bare && (eq == std::string::npos || eq == 0))
      return base::error{printable("expected key=value or the URL of the node, not \"" + word + "\"")};
    const auto key = bare ? "url" : word.substr(0, eq);
    if (!params.emplace(key, bare ? word : word.substr(eq + 1)).second)
      return base::error{printable("\"" + key + "\" is given twice")};
    bare_url = bare_url || bare;
  }
  auto p = resolve(c, std::move(params), bare_url);
  if (!p) return p.error();
  std::vector<asked> all;
  all.push_back({c.call.targets[0], std::move(*p), {}, {}});
  return {boost::system::in_place_value, std::move(all)};
}

}  // namespace

exit_code run_probe(const context& c) {
  // Root before any file is read: a probe sends what files hold (header_file) and runs programs.
  const auto acting = act_as_owner(c.dirs);
  if (!acting && ::geteuid() == 0) {
    complain(c, acting.error().message);
    return acting.error().code == EPERM ? exit_code::permission_denied : exit_code::failed;
  }
  std::vector<asked> all;
  const auto which = model::parse_unit_reference(c.call.targets[0]);
  const bool maybe_unit = which && c.call.targets.size() == 1;
  const auto loaded = maybe_unit ? config::load(c.dirs) : config::loaded{};
  const auto unit = maybe_unit ? loaded.units.find(which->unit) : loaded.units.end();
  if (unit != loaded.units.end()) {
    if (!unit->second.valid) {
      complain(c, fmt::format("{} has errors; `hasup check` shows them", unit->second.file));
      return exit_code::invalid_configuration;
    }
    if (which->index && *which->index >= unit->second.instances.size()) {
      complain(c, no_instance(which->unit, *which->index, unit->second.instances.size()));
      return exit_code::no_such_unit;
    }
    auto probes = probes_of(c, unit->second, *which);
    if (!probes) {
      complain(c, probes.error().message);
      return exit_code::failed;
    }
    all = std::move(*probes);
    if (all.empty()) {
      complain(c, c.call.targets[0] + " has no probes");
      return exit_code::failed;
    }
  } else {
    auto preset = preset_probe(c);
    if (!preset) {
      std::vector<std::string> names;
      for (const auto& [name, entry] : loaded.units) names.push_back(name);
      auto text = maybe_unit ? unknown_unit(c.call.targets[0], names) : "";
      if (!text.empty()) text += text.ends_with('?') ? " Also, " : "; ";
      complain(c, text + preset.error().message);
      return maybe_unit ? exit_code::no_such_unit : exit_code::usage;
    }
    all = std::move(*preset);
  }
  if (!acting && runs_programs(all)) {
    complain(c, acting.error().message);
    return exit_code::permission_denied;
  }
  bool passed = true;
  json::array out;
  for (const auto& a : all) {
    const auto got = ask(c, a);
    passed = passed && got.verdict.value == unit::verdict::good;
    if (c.call.json)
      out.emplace_back(to_json(a, got));
    else
      show(c, a, got);
  }
  if (c.call.json) print(base::plain_numbers(json::serialize(out)) + "\n");
  return passed ? exit_code::done : exit_code::failed;
}

}  // namespace hasup::cli
