#include "config/recipe_file.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "config/schema_check.hpp"
#include "config/section.hpp"
#include "model/exit_status.hpp"
#include "model/own_directory.hpp"
#include "model/version_range.hpp"

namespace hasup::config {
namespace {

using model::archive_order;
using model::unpack_mode;

std::vector<int> read_signals(const section& s, std::string_view key) {
  std::vector<int> out;
  const auto* v = s.raw(key);
  if (v == nullptr) return out;
  const auto one = [&](const value& item) {
    if (const auto n = model::parse_signal(scalar_text(item).value_or(""))) out.push_back(*n);
  };
  if (v->is(value_type::array))
    std::for_each(v->items.begin(), v->items.end(), one);
  else
    one(*v);
  return out;
}

template <class Names, class Enum>
void read_if_there(const section& s, std::string_view key, const Names& names, std::optional<Enum>& out) {
  Enum one{};
  if (s.raw(key) == nullptr) return;
  s.read(key, names, one);
  out = one;
}

// When a run ended, and what its probes had said.
void read_circumstances(const section& s, model::exit_class& c) {
  s.read("within", c.within);
  s.read("after", c.after);
  read_if_there(s, "startup", model::startup_seen_names, c.startup);
  read_if_there(s, "readiness", model::readiness_seen_names, c.readiness);
  if (c.within && *c.within <= c.after.value_or(base::duration{0}))
    return s.error("within",
                   "\"within\" must be longer than \"after\" (0s when it is not given): no run ends both "
                   "before the one and after the other");
  if (c.match != model::match_mode::any) return;
  if (c.within && c.after)
    s.error("match", "with match = \"any\" every run ends within the one or after the other: leave one of them out");
  if (c.action == model::class_action::recover && (c.within || c.after || c.startup || c.readiness))
    s.error("match",
            "with match = \"any\" the time or a probe alone would ask for a recovery, which says nothing of the "
            "state: use match = \"all\", or write a class of its own");
}

model::exit_class read_class(const section& s) {
  model::exit_class c;
  s.read("name", c.name);
  if (c.name.empty()) s.error("name", "a class needs \"name\"");
  s.read("exit_code", c.exit_codes);
  c.signals = read_signals(s, "signal");
  s.read("log", c.log);
  s.check_pattern("log", c.log);
  s.read("match", model::match_mode_names, c.match);
  if (!s.has("action")) s.error("action", "a class needs \"action\": recover, restart, next_endpoint or hold");
  s.read("action", model::class_action_names, c.action);
  s.read("upstream", c.upstream);
  if (s.has("upstream") && c.action != model::class_action::next_endpoint)
    s.error("upstream", "\"upstream\" says whose endpoint is left: it stands beside action = \"next_endpoint\"");
  s.read("advice", c.advice);
  read_circumstances(s, c);
  if (s.has("exit_code") || s.has("signal") || s.has("log")) return c;
  if (!s.has("within") && !s.has("after") && !s.has("startup") && !s.has("readiness"))
    s.error("",
            "a class needs at least one condition, such as exit_code, signal or log; without one it would match "
            "every exit");
  else if (c.action == model::class_action::recover)
    s.error("",
            "a class that recovers needs at least one of exit_code, signal and log: the time and the probes say "
            "nothing of the state");
  return c;
}

bool is_archive_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

model::archive_spec read_archive(const section& s) {
  model::archive_spec a;
  s.read("match", a.match);
  s.read("pattern", a.pattern);
  s.check_pattern("pattern", a.pattern);
  if (s.has("match") == s.has("pattern")) s.error("pattern", "an archive needs either \"match\" or \"pattern\"");
  s.read("order", model::archive_order_names, a.order);
  if (a.order == archive_order::block && !a.pattern.empty() && !pattern_has_group(a.pattern, "block"))
    s.error("pattern", "with order = \"block\" the pattern needs a group (?P<block>[0-9]+)");
  s.read("unpack", model::unpack_mode_names, a.unpack);
  s.read("as", a.as);
  if (s.raw("as") != nullptr && !is_archive_name(a.as))
    s.error("as", "\"as\" is a name of small letters, digits, _ and -");
  s.read("into", a.into);
  if (s.has("as") == s.has("into"))
    s.error("into", "an archive needs either \"as\" (a file beside the data) or \"into\" (\".\" or an entry)");
  if (const auto* v = s.raw("into"); v != nullptr && v->text != ".") {
    const bool plain = !v->text.empty() && v->text != ".." && v->text.find('/') == std::string::npos &&
                       !model::is_own_directory(v->text);
    if (!plain) s.error("into", "\"into\" is \".\" or the name of an entry of the data directory");
  }
  if (const auto* v = s.raw("strip")) {
    if (v->is(value_type::boolean))
      a.strip = v->boolean;
    else if (!v->is(value_type::text) || v->text != "auto")
      s.error("strip", "\"strip\" is \"auto\", true or false");
  }
  s.read_entries("at_hand", section::entries::globs, a.at_hand);
  return a;
}

bool holds(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

void read_wipe(const section& s, model::recovery_plan& plan) {
  s.read_entries("wipe", section::entries::names_or_star, plan.wipe);
  if (plan.wipe.empty() && (!s.has("wipe") || s.raw("wipe") != nullptr))
    s.error("wipe", "a plan needs \"wipe\": the entries that it replaces");
}

void check_archives(const section& s, const model::recovery_plan& plan) {
  if (plan.archives.empty())
    s.error("archive", "plan \"" + plan.name + "\" has no archive: it would wipe and restore nothing");
  for (const auto& a : plan.archives) {
    if (!a.into.empty() && a.into != "." && !holds(plan.wipe, a.into) && !holds(plan.wipe, "*"))
      s.error("archive", "into = \"" + a.into + "\" is not in the plan's wipe");
  }
}

// The archives of a plan are of one moment. Two that are merely the newest are not.
void check_partners(const section& s, const model::recovery_plan& plan) {
  if (plan.same_set || plan.archives.size() < 2) return;
  const auto varies = [](const model::archive_spec& a) {
    return a.pattern.empty() ? a.match.find_first_of("*?[") != std::string::npos : pattern_names_groups(a.pattern);
  };
  const auto n = std::count_if(plan.archives.begin(), plan.archives.end(), varies);
  const bool all_fixed = n == 0 && std::all_of(plan.archives.begin(), plan.archives.end(),
                                               [](const auto& a) { return a.pattern.empty(); });
  if (all_fixed || n == static_cast<std::ptrdiff_t>(plan.archives.size())) return;
  s.error("archive", "nothing says which archives of plan \"" + plan.name +
                         "\" belong together: give each a * in match or a named group in pattern, such as "
                         "(?P<block>[0-9]+) or (?P<time>[0-9-]+), for what their names have in common, or write "
                         "same_set = true in the plan");
}

// What the recipe says for every plan stands in `of_all`; a plan's own words win.
model::snapshot_rule read_require(const section& s, model::snapshot_rule of_all) {
  auto& r = of_all;
  s.read("chain_id", r.chain_id);
  s.read("node_version", r.node_version);
  if (s.raw("node_version") != nullptr && !r.node_version.empty())
    if (const auto range = model::version_range::from(r.node_version); !range)
      s.error("node_version", range.error().message);
  s.read_entry("block_within", r.block_within);
  s.read("strict", r.strict);
  return of_all;
}

// What is replaced together with the state has nothing to fit.
bool is_replaced(const model::recovery_plan& plan, const std::string& path) {
  const auto below = [&](const std::string& top) { return path == top || path.starts_with(top + "/"); };
  if (std::any_of(plan.shared.begin(), plan.shared.end(), below)) return false;
  return holds(plan.wipe, "*") || std::any_of(plan.wipe.begin(), plan.wipe.end(), below);
}

model::snapshot_rule rule_of_plan(const section& plan_section, const model::recovery_plan& plan,
                                  model::snapshot_rule of_all) {
  if (is_replaced(plan, of_all.block_within)) of_all.block_within.clear();
  const auto s = plan_section.sub("require");
  auto out = read_require(s, std::move(of_all));
  if (!out.block_within.empty() && is_replaced(plan, out.block_within))
    s.error("block_within",
            "plan \"" + plan.name + "\" wipes \"" + out.block_within + "\", so that no snapshot has to fit it");
  return out;
}

model::recovery_plan read_plan(const section& s, const model::snapshot_rule& of_all) {
  model::recovery_plan p;
  s.read("name", p.name);
  if (p.name.empty()) s.error("name", "a plan needs \"name\"");
  read_wipe(s, p);
  s.read_entries("shared", section::entries::names, p.shared);
  s.read("refused_by", p.refused_by);
  for (const auto& pattern : p.refused_by) s.check_pattern("refused_by", pattern);
  s.read("same_set", p.same_set);
  s.read("use", model::plan_use_names, p.use);
  for (const auto& a : s.subs("archive")) p.archives.push_back(read_archive(a));
  check_archives(s, p);
  check_partners(s, p);
  p.require = rule_of_plan(s, p, of_all);
  return p;
}

// [data] wipe and [snapshot] instead of [[plan]].
void read_single_plan(const section& root, const model::snapshot_rule& require, model::recipe& r) {
  const auto data = root.sub("data");
  if (root.has("plan")) {
    const auto* what = root.has("snapshot") ? "[snapshot]" : "[data] wipe";
    root.findings().error(root.has("snapshot") ? root.key_place("snapshot") : data.key_place("wipe"),
                          std::string(what) + " is the short form for one plan; it cannot stand beside [[plan]]");
    return;
  }
  model::recovery_plan p;
  p.name = "restore";
  read_wipe(data, p);
  if (root.has("snapshot")) {
    if (const auto s = root.sub("snapshot"); s.present()) p.archives.push_back(read_archive(s));
  }
  check_archives(root, p);
  p.require = require;
  if (is_replaced(p, p.require.block_within)) p.require.block_within.clear();
  r.plans.push_back(std::move(p));
}

// What may never be wiped must not stand in a plan, neither itself nor something above or below it in `shared`.
void check_kept(const section& root, const model::recipe& r) {
  const auto inside = [](const std::string& inner, const std::string& outer) {
    return inner == outer || inner.starts_with(outer + "/");
  };
  for (const auto& plan : r.plans) {
    for (const auto& archive : plan.archives)
      for (const auto& file : archive.at_hand)
        for (const auto& kept : r.keep)
          if (inside(file, kept))
            root.error("plan", "plan \"" + plan.name + "\" has \"" + file +
                                   "\" at hand, which [data] keep protects: nothing else may read it");
    for (const auto& kept : r.keep)
      if (const auto& log = plan.require.block_within; !log.empty() && inside(log, kept))
        root.error("plan", "plan \"" + plan.name + "\" holds snapshots against \"" + log +
                               "\" (block_within), which [data] keep protects: nothing else may read it");
    for (const auto& wiped : plan.wipe) {
      for (const auto& kept : r.keep)
        if (inside(wiped, kept))
          root.error("plan", "plan \"" + plan.name + "\" wipes \"" + wiped + "\", which [data] keep protects");
      for (const auto& shared : plan.shared)
        if (inside(wiped, shared) || inside(shared, wiped))
          root.error("plan", "plan \"" + plan.name + "\" both wipes \"" + wiped + "\" and shares \"" + shared + "\"");
    }
  }
}

// What ${archive.NAME.path} names in these words must be kept by each plan.
void check_archive_paths(const section& root, const value* words, const model::recipe& r) {
  constexpr std::string_view lead = "${archive.";
  if (words == nullptr) return;
  for (const auto& item : words->items) {
    for (auto at = item.text.find(lead); at != std::string::npos; at = item.text.find(lead, at + 1)) {
      const auto close = item.text.find('}', at);
      const auto token = item.text.substr(at, close == std::string::npos ? close : close - at + 1);
      std::string_view name = token;
      name.remove_prefix(lead.size());
      const bool path = name.ends_with(".path}");
      if (path) name.remove_suffix(6);
      for (const auto& plan : r.plans) {
        if (path &&
            std::any_of(plan.archives.begin(), plan.archives.end(), [&](const auto& a) { return a.as == name; }))
          continue;
        root.findings().error(place_of(item, token), token + " needs an archive with as = \"" + std::string(name) +
                                                         "\" in plan \"" + plan.name + "\"");
      }
    }
  }
}

// What a parameter fills in is a text: of a [trigger], which counts, it is read as the number that it says.
void numbers_of_parameters(value& root) {
  auto* trigger = root.find("trigger");
  if (trigger == nullptr) return;
  for (auto& m : trigger->members) {
    auto& v = m.content;
    std::int64_t n = 0;
    const char* end = v.text.data() + v.text.size();
    if (!v.is(value_type::text) || std::from_chars(v.text.data(), end, n).ptr != end || v.text.empty()) continue;
    v.type = value_type::integer;
    v.integer = n;
  }
}

void read_import(const section& root, model::recipe& r) {
  const auto import = root.sub("import");
  if (!import.present()) return;
  import.read("command", r.import_command);
  import.read("timeout", r.import_timeout);
  check_archive_paths(root, import.raw("command"), r);
  if (r.import_command.empty()) root.error("import", "[import] needs a command");
  if (!r.first_start_append.empty())
    root.error("import", "[import] cannot stand beside [first_start] append: the node starts on what is imported");
}

}  // namespace

std::optional<recipe_file> read_recipe(const std::string& name, const place& at, const file_context& context,
                                       report& findings) {
  const auto files = context.recipes(name);
  if (files.empty()) {
    findings.error(at, no_such_file("recipe", name, "recipes/", context.recipe_directories, context.recipe_names));
    return std::nullopt;
  }
  auto root = parse_document(files[0].path, files[0].text, findings);
  if (!root) return std::nullopt;
  recipe_file out{std::move(*root), {}};
  out.parameters = read_parameters(out.root, findings);
  return out;
}

model::recipe apply_recipe(const std::string& name, recipe_file file, const std::map<std::string, std::string>& given,
                           const place& at, report& findings) {
  fill_parameters(file.root, file.parameters, given, "archive.", at, "recipe \"" + name + "\"", findings);
  numbers_of_parameters(file.root);
  check_schema(file.root, recipe_keys(), {}, findings);
  model::recipe r;
  r.name = name;
  const section root(&file.root, findings);
  root.read("description", r.description);
  for (const auto& c : root.subs("classify")) r.classes.push_back(read_class(c));
  const auto trigger = root.sub("trigger");
  trigger.read("failed_starts", 0, 1000, r.failed_starts);
  trigger.read("stuck_restarts", 0, 1000, r.stuck_restarts);
  const auto data = root.sub("data");
  data.read_entries("must_exist", section::entries::names, r.must_exist);
  data.read("bootstrap", model::bootstrap_mode_names, r.bootstrap);
  data.read_entries("locks", section::entries::names, r.locks);
  data.read_entries("keep", section::entries::names, r.keep);
  const auto require = read_require(root.sub("require"), {});
  for (const auto& p : root.subs("plan")) r.plans.push_back(read_plan(p, require));
  if (root.has("snapshot") || data.has("wipe")) read_single_plan(root, require, r);
  if (r.plans.empty() && !root.has("plan"))
    findings.error(root.where(), "a recipe needs at least one [[plan]], or [data] wipe with [snapshot]");
  check_kept(root, r);
  root.sub("first_start").read("append", r.first_start_append);
  check_archive_paths(root, root.sub("first_start").raw("append"), r);
  read_import(root, r);
  const auto confirm = root.sub("confirm");
  confirm.read("when", model::confirm_when_names, r.confirm);
  confirm.read("within", r.confirm_within);
  confirm.read("advancing_for", r.confirm_advancing_for);
  confirm.read("healthy_for", r.confirm_healthy_for);
  return r;
}

}  // namespace hasup::config
