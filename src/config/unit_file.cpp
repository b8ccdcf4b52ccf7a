#include "config/unit_file.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/duration.hpp"
#include "config/extends.hpp"
#include "config/parsed_unit.hpp"
#include "config/probe_section.hpp"
#include "config/proxy_section.hpp"
#include "config/recipe_file.hpp"
#include "config/reference_section.hpp"
#include "config/schema_check.hpp"
#include "config/section.hpp"
#include "config/unit_replay.hpp"
#include "config/unit_sections.hpp"
#include "config/unit_variables.hpp"
#include "config/upstream_file.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

constexpr std::array<std::string_view, 3> roles{"startup", "readiness", "liveness"};
constexpr std::string_view reference_path = "recovery.reference";
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> steady_references{
    {{"readiness", "readiness.reference"}, {"liveness", "liveness.reference"}}};
constexpr std::string_view not_at_startup =
    "a startup probe never asks for a fresh head, since a node that is behind has started; write it into [readiness]";
constexpr std::int64_t most_instances = 1000;

// Resolves one instance of a unit from the merged tree.
class instance_reader {
 public:
  instance_reader(const value& root, instance_of who, const upstream_values& upstreams, const file_context& context,
                  report& findings)
      : tree_(fill_variables(root, who, upstreams, findings)),
        who_(std::move(who)),
        context_(context),
        findings_(findings) {
    tree_.erase("upstream");  // has been read
  }

  model::unit read(const std::string& file) {
    const bool refused = refuse_startup_reference();
    load_presets();
    load_recipe();
    check_schema(tree_, unit_keys(), options_, findings_);
    model::unit u;
    u.id = {who_.unit, who_.index};
    u.instances = who_.count;
    u.file = file;
    read_unit(tree_, context_, u, findings_);
    u.startup = probe("startup");
    u.readiness = probe("readiness");
    u.liveness = probe("liveness");
    if (u.startup && u.startup->reference && !refused)
      section(tree_.find("startup"), findings_)
          .error("preset",
                 "preset \"" + u.startup->preset + "\" does not belong here: " + std::string(not_at_startup));
    if (u.startup && u.startup->max_head_age)
      findings_.warning(section(tree_.find("startup"), findings_).key_place("max_head_age"),
                        "a node that is behind would count as not started; ask for a fresh head in [readiness]");
    apply_recovery(u);
    collect_uses(u);
    if (!u.data.shared_with.empty()) {  // the other unit owns it: this one neither locks nor restores it
      u.data.dir.clear();
      u.data.also.clear();
    }
    u.fingerprint = fingerprint_of(u);
    u.settings = settings_of(u);
    return u;
  }

  std::optional<model::recipe> recipe;
  std::vector<data_use> data;
  std::vector<unit_reference_use> requires_units;
  std::vector<judged_by_use> judged_by;
  std::vector<unit_reference_use> needed_upstreams;  // by the word behind "upstream."
  std::optional<unit_reference_use> shared_with;

 private:
  // The name of a preset or recipe, when it is one.
  const value* named(const value* table, std::string_view key) const {
    const auto* v = table == nullptr ? nullptr : table->find(key);
    return v != nullptr && v->is(value_type::text) && !v->broken && model::is_unit_name(v->text) ? v : nullptr;
  }

  bool refuse_startup_reference() {
    auto* startup = tree_.find("startup");
    return startup != nullptr && startup->is(value_type::table) &&
           refuse_reference(*startup, std::string(not_at_startup), findings_);
  }

  void load_preset(std::string_view path, const value* table) {
    const auto* name = named(table, "preset");
    if (name == nullptr) return;
    auto& file = presets_[path] = read_preset(name->text, name->where, context_, findings_);
    offer(std::string(path), file);
  }

  template <class File>
  void offer(const std::string& path, const std::optional<File>& file) {
    if (!file) {
      options_.open_paths.insert(path);
      return;
    }
    for (const auto& [name, p] : file->parameters) options_.extras[path].insert(name);
  }

  void load_presets() {
    for (const auto role : roles) load_preset(role, tree_.find(role));
    load_preset(reference_path, reference_table());
    for (const auto& [role, path] : steady_references)
      if (const auto* table = tree_.find(role)) load_preset(path, table->find("reference"));
  }

  // The one that the [reference] of that probe names.
  const preset_file* reference_preset(std::string_view role) const {
    for (const auto& [of, path] : steady_references)
      if (const auto it = presets_.find(path); of == role && it != presets_.end() && it->second) return &*it->second;
    return nullptr;
  }

  const value* reference_table() const {
    const auto* recovery = tree_.find("recovery");
    return recovery == nullptr ? nullptr : recovery->find("reference");
  }

  void load_recipe() {
    const auto* name = named(tree_.find("recovery"), "recipe");
    if (name == nullptr) return;
    recipe_ = read_recipe(name->text, name->where, context_, findings_);
    offer("recovery", recipe_);
  }

  std::optional<model::probe> probe(std::string_view role) {
    const section s = section(&tree_, findings_).sub(role);
    if (!s.present()) return std::nullopt;
    const auto& table = *tree_.find(role);
    if (s.has("preset")) {
      const auto* name = s.raw("preset");
      const auto it = presets_.find(role);
      if (name == nullptr || it == presets_.end() || !it->second) return std::nullopt;
      return apply_preset(name->text, std::move(*it->second), given(s, it->second->parameters), &table, table.where,
                          findings_, reference_preset(role));
    }
    if (!s.has("kind") && !s.has("check")) {
      findings_.error(table.where, "[" + std::string(role) + "] needs \"preset\", \"kind\" or [[" +
                                       std::string(role) + ".check]]; write for example kind = \"http\"");
      return std::nullopt;
    }
    return read_probe(table, findings_, reference_preset(role));
  }

  static std::map<std::string, std::string> given(const section& s, const std::map<std::string, parameter>& offered) {
    std::map<std::string, std::string> out;
    for (const auto& [name, p] : offered)
      if (const auto* v = s.raw(name))
        if (auto text = scalar_text(*v)) out[name] = std::move(*text);
    return out;
  }

  void apply_recovery(model::unit& u) {
    const section s = section(&tree_, findings_).sub("recovery");
    if (s.raw("reference") != nullptr)
      u.recovery.reference = read_reference(*s.raw("reference"), presets_[reference_path], findings_);
    if (!recipe_ || s.raw("recipe") == nullptr) return;
    u.recovery.params = given(s, recipe_->parameters);
    if (const auto* params = s.raw("params")) {
      for (const auto& m : params->members) {
        if (m.content.broken) continue;
        if (!recipe_->parameters.contains(m.key))
          findings_.error(m.key_place, "recipe \"" + u.recovery.recipe + "\" has no parameter \"" + m.key + "\"");
        else if (u.recovery.params.contains(m.key))
          findings_.error(m.key_place, "\"" + m.key + "\" stands in [recovery] too; leave one of them out");
        else if (auto text = scalar_text(m.content))
          u.recovery.params[m.key] = std::move(*text);
        else
          findings_.error(m.content.where, "parameter \"" + m.key + "\" must be a string, a number or a boolean");
      }
    }
    check_command(u, section(&recipe_->root, findings_));
    recipe = apply_recipe(u.recovery.recipe, std::move(*recipe_), u.recovery.params, s.where("recipe"), findings_);
    check_probes_of(u, s);
    check_stuck_trigger(u, s);
    check_confirm(u, s);
  }

  // What the recipe knows to do harm at each start.
  void check_command(const model::unit& u, const section& recipe_root) {
    const auto* words = section(&tree_, findings_).sub("run").raw("command");
    for (const auto& c : recipe_root.subs("caution")) {
      std::string wanted, why;
      c.read("word", wanted);
      c.read("why", why);
      if (wanted.empty() || why.empty()) c.error("word", "a caution needs \"word\" and \"why\"");
      if (words == nullptr || wanted.empty()) continue;
      for (const auto& word : words->items)
        if (word.text == wanted || word.text.starts_with(wanted + "="))
          findings_.warning(word.where, "recipe \"" + u.recovery.recipe + "\" warns of " + wanted + ": " + why);
    }
  }

  // Who believes that the head was seen to move should know that nobody looks.
  void check_confirm(const model::unit& u, const section& recovery) {
    if (!u.has_recovery()) return;
    if (recipe->confirm == model::confirm_when::healthy && !u.tells_health())
      return findings_.warning(recovery.where("recipe"),
                               "no probe of this unit says whether a restored node works: the old state is deleted "
                               "when the node has run for " +
                                   base::format_duration(recipe->proving_time(false)) + "; write [readiness]");
    if (recipe->confirm != model::confirm_when::advancing || u.tells_head()) return;
    findings_.warning(recovery.where("recipe"),
                      "recipe \"" + u.recovery.recipe +
                          "\" confirms a restored node when its head moves (confirm.when), but no probe of this unit "
                          "tells the head: it is confirmed when it has been healthy for " +
                          base::format_duration(recipe->confirm_advancing_for) +
                          "; write a probe with a head, such as preset = \"antelope\" or \"evm\"");
  }

  // A wipe for a head that stands still needs somebody who shows that others advance.
  void check_stuck_trigger(const model::unit& u, const section& recovery) {
    const bool counts = recipe->stuck_restarts > 0;
    if (!counts && recovery.has("reference") && recipe->confirm != model::confirm_when::advancing)
      findings_.warning(recovery.key_place("reference"),
                        "[recovery.reference] is never asked: trigger.stuck_restarts of recipe \"" +
                            u.recovery.recipe + "\" is 0, and it does not confirm by the head");
    if (!counts || u.recovery.mode == model::recovery_mode::off) return;
    const auto trigger =
        "stuck_restarts = " + std::to_string(recipe->stuck_restarts) + " of recipe \"" + u.recovery.recipe + "\"";
    if (!recovery.has("reference"))
      recovery.error("recipe", trigger +
                                   " needs [recovery.reference]: somebody else's node, whose head shows that "
                                   "others advance while the own one stands still; write for example preset = "
                                   "\"antelope\" and urls = [\"https://…\"]");
    const auto& own = u.liveness;
    if (!own || !own->advances_within)
      return findings_.warning(recovery.where("recipe"), trigger +
                                                             " never counts: a head stands still when [liveness] has "
                                                             "advances_within and it fails");
    if (u.recovery.reference && u.recovery.reference->interval >= *own->advances_within)
      section(reference_table(), findings_)
          .error("interval",
                 "\"interval\" must be shorter than liveness.advances_within: others are believed to "
                 "advance when their head grew within that");
  }

  // A condition on a probe that the unit does not have never holds, which nobody would notice.
  void check_probes_of(const model::unit& u, const section& recovery) {
    for (const auto& c : recipe->classes) {
      const bool no_startup = c.startup == model::startup_seen::not_passed && !u.startup && !u.readiness;
      if (!no_startup && (!c.readiness || u.readiness)) continue;
      findings_.warning(recovery.where("recipe"),
                        "its class \"" + c.name + "\" asks for what " +
                            (no_startup ? "a startup probe has not said: this unit has neither [startup] nor "
                                        : "the readiness probe said: this unit has no ") +
                            "[readiness], so that this never holds");
    }
  }

  void collect_judges(const std::optional<model::probe>& probe, model::probe_role role) {
    if (!probe) return;
    const auto s = section(&tree_, findings_).sub(model::probe_role_names.text(role));
    constexpr std::string_view prefix = "upstream.";
    for (const auto& name : probe->needs) {
      if (name.starts_with(prefix))
        needed_upstreams.push_back({name.substr(prefix.size()), s.where("needs")});
      else
        judged_by.push_back({{name, s.where("needs")}, role, false});
    }
    const auto checks = s.subs("check");
    for (std::size_t i = 0; i < probe->checks.size(); ++i) {
      const auto& through = probe->checks[i].through;
      const bool inside = !s.has("through") && i < checks.size();
      if (!through.empty())
        judged_by.push_back({{through, inside ? checks[i].where("through") : s.where("through")}, role, true});
    }
  }

  void collect_uses(const model::unit& u) {
    const section root(&tree_, findings_);
    for (const auto& r : root.subs("requires"))
      if (const auto* v = r.raw("unit")) requires_units.push_back({v->text, v->where});
    collect_judges(u.startup, model::probe_role::startup);
    collect_judges(u.readiness, model::probe_role::readiness);
    collect_judges(u.liveness, model::probe_role::liveness);
    const auto s = root.sub("data");
    if (!u.data.shared_with.empty()) {
      shared_with = {u.data.shared_with, s.where("shared_with")};
      return;
    }
    if (!u.data.dir.empty()) data.push_back({u.data.dir, who_.index, s.where("dir")});
    for (const auto& path : u.data.also) data.push_back({path, who_.index, s.where("also")});
  }

  value tree_;
  instance_of who_;
  const file_context& context_;
  report& findings_;
  schema_options options_;
  std::map<std::string_view, std::optional<preset_file>> presets_;
  std::optional<recipe_file> recipe_;
};

unsigned instance_count(const value& root, report& findings) {
  const auto* run = root.find("run");
  const auto* n = run == nullptr ? nullptr : run->find("instances");
  if (n == nullptr || !n->is(value_type::integer)) return 1;  // a wrong type is reported with all others
  if (n->integer >= 1 && n->integer <= most_instances) return static_cast<unsigned>(n->integer);
  findings.error(n->where, "\"instances\" must be 1 to " + std::to_string(most_instances));
  return 1;
}

// A number by hand counts, over that of the file. What is wrong in the file is told all the same.
unsigned scale(value& root, unsigned count, unsigned by_hand) {
  auto* table = root.find("run");
  if (table == nullptr || !table->is(value_type::table)) return count;
  const auto* own = table->find("instances");
  if (own != nullptr && !own->is(value_type::integer)) return count;
  value n;
  n.type = value_type::integer;
  n.integer = by_hand;
  n.where = own == nullptr ? table->where : own->where;
  table->set("instances", std::move(n));
  return by_hand;
}

// The instance as it is with each endpoint that could be chosen.
std::vector<model::unit> read_variants(const value& root, const instance_of& who, const used_upstreams& upstreams,
                                       const std::vector<std::map<std::string, std::string>>& endpoints,
                                       const file_context& context, parsed_unit& out) {
  std::vector<model::unit> all;
  for (const auto& chosen : endpoints) {
    instance_reader reader(root, who, values_of(upstreams, chosen), context, out.findings);
    all.push_back(reader.read(out.entry.file));
    all.back().endpoints = chosen;
  }
  return all;
}

// The endpoints that are named, as far as they are there.
std::map<std::string, std::string> endpoints_of(const used_upstreams& upstreams,
                                                const std::map<std::string, std::string>& named) {
  std::map<std::string, std::string> out;
  for (const auto& role : upstreams.chosen_from) {
    const auto& all = upstreams.roles.at(role).endpoints;
    const auto name = named.find(role);
    const bool there = name != named.end() &&
                       std::any_of(all.begin(), all.end(), [&](const auto& e) { return e.name == name->second; });
    out[role] = there ? name->second : all.front().name;
  }
  return out;
}

// Valid for other addresses, it was read as a whole.
void read_one(const value& root, unsigned count, const used_upstreams& upstreams, const file_context& context,
              parsed_unit& out) {
  const instance_of who{out.entry.name, context.only->instance, count};
  auto variants =
      read_variants(root, who, upstreams, {endpoints_of(upstreams, context.only->endpoints)}, context, out);
  out.entry.instances = variants;
  out.entry.instances.front().choices.all =
      std::make_shared<const model::unit_choices>(model::unit_choices{upstreams.roles, std::move(variants)});
}

void read_instances(const value& root, unsigned count, const used_upstreams& upstreams, const file_context& context,
                    parsed_unit& out) {
  const auto endpoints = combinations(upstreams);
  if (!endpoints)
    return out.findings.error(root.where,
                              "the upstreams that it uses give more than 64 units, one for each set of "
                              "endpoints (\"dns\" counts for 8); take [[requires]] or ${upstream.NAME.KEYs} for "
                              "some of them");
  for (unsigned i = 0; i < count; ++i) {
    const instance_of who{out.entry.name, i, count};
    instance_reader reader(root, who, values_of(upstreams, endpoints->front()), context, out.findings);
    out.entry.instances.push_back(reader.read(out.entry.file));
    auto& made = out.entry.instances.back();
    made.endpoints = endpoints->front();
    if (made.proxy && i == 0)
      if (const auto role = upstreams.roles.find(made.proxy->upstream); role != upstreams.roles.end())
        check_proxy(section(&root, out.findings), *made.proxy, role->second);
    if (!upstreams.roles.empty() && !out.findings.failed())
      made.choices.all = std::make_shared<const model::unit_choices>(
          model::unit_choices{upstreams.roles, read_variants(root, who, upstreams, *endpoints, context, out)});
    std::move(reader.data.begin(), reader.data.end(), std::back_inserter(out.data));
    if (i == 0) {
      out.entry.recipe = std::move(reader.recipe);
      out.requires_units = std::move(reader.requires_units);
      out.judged_by = std::move(reader.judged_by);
      for (const auto& need : reader.needed_upstreams)
        if (!upstreams.roles.contains(need.unit) && !upstreams.broken.contains(need.unit))
          out.findings.error(need.where,
                             "this unit has no upstream \"" + need.unit + "\"; write ${upstream." + need.unit +
                                 ".host} where it belongs, or [[requires]] with upstream = \"" + need.unit + "\"");
      out.shared_with = std::move(reader.shared_with);
      out.recovery_group = out.entry.instances.back().recovery.group;
      out.recovery_group_place = section(&root, out.findings).sub("recovery").where("group");
      out.instances = count;
    } else if (reader.recipe != out.entry.recipe) {
      out.findings.error(section(&root, out.findings).sub("recovery").where(),
                         "parameters of a recipe cannot depend on ${instance}");
    }
    if (out.findings.failed()) return;  // the other instances would only say the same
  }
}

parsed_unit parse_once(const std::string& name, const std::string& file, std::string_view text,
                       const file_context& context) {
  parsed_unit out;
  out.entry.name = name;
  out.entry.file = file;
  auto merged = read_merged(file, text, context, out.findings);
  if (!merged) return out;
  out.extended = std::move(merged->extended);
  auto& root = merged->root;
  if (!model::is_unit_name(name))
    out.findings.error(
        root.where,
        "\"" + name + "\" is no unit name; a unit's file is named [a-z0-9][a-z0-9._-]*.toml, at most 64 characters");
  const value* run = root.find("run");
  if (run == nullptr || (run->is(value_type::table) && run->find("command") == nullptr))
    out.no_command = run == nullptr ? root.where : run->where;
  auto count = instance_count(root, out.findings);
  out.entry.instances_in_file = count;
  if (const auto scaled = context.instances.find(name); scaled != context.instances.end())
    count = scale(root, count, scaled->second);
  auto used = read_upstreams(name, root, context, out.findings);
  if (context.only) {
    if (!out.findings.failed()) read_one(root, count, used, context, out);
    return out;
  }
  read_instances(root, count, used, context, out);
  const auto endpoints = combinations(used);
  auto effective =
      fill_common_variables(root, {name, 0, count}, endpoints ? values_of(used, endpoints->front()) : used.values);
  if (!used.tables.empty()) {
    value all;
    all.where = root.where;
    for (auto& [role, table] : used.tables) all.set(role, std::move(table));
    effective.set("upstream", std::move(all));
  }
  out.entry.effective_toml = to_toml(effective);
  return out;
}

}  // namespace

parsed_unit parse_unit(const std::string& name, const std::string& file, std::string_view text,
                       const file_context& context) {
  auto kept = remembered(context);
  auto out = parse_once(name, file, text, kept);
  add_replay(out, text, std::move(kept), parse_once);
  return out;
}

void report_no_command(parsed_unit& unit) {
  if (unit.no_command.source)
    unit.findings.error(unit.no_command,
                        "no command: write [run] with command = [\"/path/of/program\", \"argument\"]");
}

unit_entry finish(parsed_unit unit) {
  auto entry = std::move(unit.entry);
  entry.valid = !unit.findings.failed();
  entry.problems = unit.findings.take();
  std::stable_sort(entry.problems.begin(), entry.problems.end(), [](const auto& a, const auto& b) {
    return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
  });
  if (!entry.valid) {
    entry.instances.clear();
    entry.recipe.reset();
  }
  return entry;
}

unit_entry parse_unit_text(const std::string& name, const std::string& file, std::string_view text,
                           const file_context& context) {
  auto unit = parse_unit(name, file, text, context);
  report_no_command(unit);
  return finish(std::move(unit));
}

}  // namespace hasup::config
