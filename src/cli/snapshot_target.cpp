#include "cli/snapshot_target.hpp"

#include <fmt/format.h>
#include <re2/re2.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>

#include "base/byte_rate.hpp"
#include "base/small_file.hpp"
#include "cli/acting_user.hpp"
#include "cli/selection.hpp"
#include "config/source_section.hpp"
#include "config/unit_dir.hpp"
#include "model/minisign.hpp"
#include "model/unit_name.hpp"
#include "process/account.hpp"
#include "recovery/freeze.hpp"

namespace json = boost::json;

namespace hasup::cli {
namespace {

target_error usage(std::string message) {
  return {exit_code::usage, std::move(message)};
}

std::string absolute(const std::string& path) {
  return config::normal_path(path.starts_with('/') ? path : std::filesystem::current_path().string() + "/" + path);
}

// Options that a unit's file has, so that typing them would show something else than its recovery sees.
std::string option_of_sources(const snapshot_call& o) {
  for (const auto& [key, text] : o.source_options)
    if (!text.empty()) return key;
  if (!o.match.empty()) return "match";
  if (!o.pattern.empty()) return "pattern";
  if (!o.order.empty()) return "order";
  if (!o.max_age.empty()) return "max-age";
  return {};
}

std::optional<target_error> apply_policy(const snapshot_call& o, ports::worker_job& job) {
  if (!o.checksum.empty()) job.checksum = *model::checksum_policy_names.parse(o.checksum);
  if (!o.max_rate.empty()) {
    const auto rate = base::parse_byte_rate(o.max_rate);
    if (!rate) return usage("--max-rate: " + rate.error().message);
    job.max_rate = *rate;
  }
  if (o.public_key.empty()) return std::nullopt;
  auto key = read_public_key(o.public_key);
  if (!key) return usage("--public-key: " + key.error().message);
  job.public_key = std::move(*key);
  return std::nullopt;
}

std::optional<target_error> read_name_options(const snapshot_call& o, ports::worker_job& job) {
  model::archive_spec spec;
  spec.unpack = model::unpack_mode::none;
  spec.into = ".";
  spec.match = o.match;
  spec.pattern = o.pattern;
  if (!o.pattern.empty()) {
    if (!o.match.empty()) return usage("--match or --pattern, not both");
    RE2::Options quiet;
    quiet.set_log_errors(false);
    const RE2 pattern(o.pattern, quiet);
    if (!pattern.ok()) return usage("--pattern: " + pattern.error());
    if (pattern.NamedCapturingGroups().contains("block")) spec.order = model::archive_order::block;
  } else if (o.match.empty()) {
    spec.match = "*";
    job.only_archives = true;
  }
  if (!o.order.empty()) spec.order = *model::archive_order_names.parse(o.order);
  model::recovery_plan plan;
  plan.name = "snapshots";
  plan.archives = {spec};
  job.plans = {plan};
  if (o.max_age.empty()) return std::nullopt;
  const auto age = base::parse_duration(o.max_age);
  if (!age) return usage("--max-age: " + age.error().message);
  job.max_age = *age;
  return std::nullopt;
}

std::variant<snapshot_target, target_error> source_target(const context& c, const std::string& word) {
  snapshot_target out;
  const auto& o = c.call.snapshots;
  if (!c.call.plan.empty()) return usage("--plan is of a unit's recipe; with a source, say --match or --pattern");
  auto source = read_source(word, o);
  if (auto* wrong = std::get_if<target_error>(&source)) return *wrong;
  out.job.sources = {std::get<model::source>(source)};
  if (auto wrong = read_name_options(o, out.job)) return *wrong;
  if (auto wrong = apply_policy(o, out.job)) return *wrong;
  out.name = out.job.sources.front().url;
  return out;
}

std::variant<snapshot_target, target_error> unit_target(const context& c, const std::string& word) {
  const auto& o = c.call.snapshots;
  if (const auto option = option_of_sources(o); !option.empty()) {
    auto spelled = option;
    std::replace(spelled.begin(), spelled.end(), '_', '-');
    return usage(fmt::format("--{} is for a source that is named; of a unit its file says it", spelled));
  }
  const auto found = find_instance(c, word);
  if (const auto* wrong = std::get_if<target_error>(&found)) return *wrong;
  if (const auto* unknown = std::get_if<unknown_unit_name>(&found)) {
    auto message = unknown->message;
    if (std::filesystem::exists(word)) message += fmt::format("; for the directory, say ./{}", word);
    return target_error{exit_code::no_such_unit, message};
  }
  const auto& [entry, index] = std::get<found_instance>(found);
  const auto& unit = entry.instances[index];
  if (!entry.recipe || unit.recovery.sources.empty())
    return target_error{exit_code::failed,
                        fmt::format("unit {} has no {}: set it, or name a source: hasup snapshot {} https://…", word,
                                    entry.recipe ? "recovery.source" : "recovery.recipe", c.call.word)};
  snapshot_target out;
  out.name = shown_name(unit);
  out.is_unit = true;
  out.job = recovery::job_of(recovery::freeze(unit, *entry.recipe, "", {}), ports::worker_mode::select);
  out.data_dir = std::move(out.job.data_dir);
  out.job.data_dir.clear();
  out.job.min_free = 0;
  if (!c.call.plan.empty()) {
    std::erase_if(out.job.plans, [&](const auto& p) { return p.name != c.call.plan; });
    if (out.job.plans.empty())
      return usage(fmt::format("recipe {} has no plan \"{}\"", entry.recipe->name, c.call.plan));
  }
  if (auto wrong = apply_policy(o, out.job)) return *wrong;
  if (::geteuid() == 0 && !unit.run.user.empty())
    if (const auto who = process::resolve_account(unit.run.user, {})) out.home = who->home;
  const auto path = c.dirs.state + "/intent.json";
  const auto text = base::read_small_file(path, 64U << 20);
  if (!text && text.error().code != ENOENT) out.bad_unknown = text.error().message;
  if (!text) return out;
  auto bad = remembered_as_bad(*text, to_text(unit.id));
  if (bad)
    out.bad = std::move(*bad);
  else
    out.bad_unknown = path + ": " + bad.error().message;
  return out;
}

}  // namespace

exit_code refuse(const context& c, const target_error& e) {
  complain(c, printable(e.message));
  return e.code;
}

std::variant<found_instance, unknown_unit_name, target_error> find_instance(const context& c,
                                                                            const std::string& word) {
  const auto acting = act_as_owner(c.dirs);
  if (!acting)
    return target_error{acting.error().code == EPERM ? exit_code::permission_denied : exit_code::failed,
                        acting.error().message};
  const auto all = config::load(c.dirs);
  const auto ref = model::parse_unit_reference(word);
  const auto found = all.units.find(ref ? ref->unit : word);
  if (found == all.units.end()) {
    std::vector<std::string> names;
    for (const auto& [name, unit] : all.units) names.push_back(name);
    return unknown_unit_name{unknown_unit(word, names)};
  }
  const auto& entry = found->second;
  if (!entry.valid)
    return target_error{
        exit_code::invalid_configuration,
        fmt::format("the file of unit \"{}\" is invalid; `hasup check` shows what is wrong", entry.name)};
  const auto index = ref->index.value_or(0);
  if (index >= entry.instances.size())
    return target_error{exit_code::no_such_unit, no_instance(entry.name, index, entry.instances.size())};
  return found_instance{entry, index};
}

bool names_a_source(std::string_view word) {
  return word.find('/') != std::string_view::npos || word == "." || word == "..";
}

std::variant<snapshot_target, target_error> find_snapshot_target(const context& c, const std::string& word) {
  return names_a_source(word) ? source_target(c, word) : unit_target(c, word);
}

std::variant<model::source, target_error> read_source(const std::string& word, const snapshot_call& o) {
  config::value table;
  const bool is_url = word.find("://") != std::string::npos;
  table.set("url", config::make_text(is_url ? word : absolute(word), {}));
  for (const auto& [key, text] : o.source_options) {
    const bool is_path = key.ends_with("_file") || key == "known_hosts" || key.starts_with("client_");
    if (!text.empty()) table.set(key, config::make_text(is_path ? absolute(text) : text, {}));
  }
  const auto from = is_url ? word.find("://") + 3 : word.size();
  const auto user = word.substr(from, word.find('/', from) - from);
  if (const auto at = user.rfind('@'); at != std::string::npos && user.find(':') < at)
    return usage(
        "no password in the URL, where everybody sees it; --header-file takes a file with \"Authorization: Basic "
        "…\"");
  if (const auto proxy = o.source_options.find("proxy");
      proxy != o.source_options.end() && proxy->second.find('@') != std::string::npos)
    return usage(
        "no password in --proxy, where everybody sees it: put the proxy into the environment (http_proxy, "
        "https_proxy)");
  config::report findings;
  std::vector<model::source> found;
  config::read_sources(table, findings, found);
  if (findings.failed()) return usage(findings.all().front().message);
  return found.front();
}

base::result<std::string> read_public_key(const std::string& word) {
  if (model::parse_minisign_key(word)) return base::success(word);
  const auto text = base::read_small_file(word, 4096);
  if (!text) {
    if (text.error().code != ENOENT) return text.error();
    return base::error{"it is neither a key (RW…) nor a file that minisign -G wrote"};
  }
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (model::parse_minisign_key(line)) return base::success(std::string(line));
  }
  return base::error{word + " holds no public key of minisign"};
}

base::result<std::set<std::string>> remembered_as_bad(std::string_view intent, const std::string& instance) {
  boost::system::error_code failed;
  const auto parsed = json::parse(intent, failed);
  if (failed || !parsed.is_object()) return base::error{"it is not what hasupd writes"};
  std::set<std::string> out;
  const auto* instances = parsed.get_object().if_contains("instances");
  const auto* one =
      instances != nullptr && instances->is_object() ? instances->get_object().if_contains(instance) : nullptr;
  const auto* bad = one != nullptr && one->is_object() ? one->get_object().if_contains("bad_snapshots") : nullptr;
  if (bad == nullptr || !bad->is_array()) return out;
  for (const auto& key : bad->get_array())
    if (key.is_string()) out.insert(std::string(key.get_string()));
  return out;
}

std::string data_directory_problem(const context& c, const std::string& directory, const std::string& option) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const auto place = fs::weakly_canonical(directory, ignored);
  for (auto up = place; !up.empty(); up = up.parent_path()) {
    if (fs::exists(up / ".hasup", ignored))
      return fmt::format("{} is a node's data directory ({} is there); say another with {}", up.string(),
                         (up / ".hasup").string(), option);
    if (up == up.parent_path()) break;
  }
  for (const auto& [name, entry] : config::load(c.dirs).units) {
    for (const auto& unit : entry.instances) {
      auto data = unit.data.also;
      if (!unit.data.dir.empty()) data.push_back(unit.data.dir);
      for (const auto& one : data) {
        const auto root = fs::weakly_canonical(one, ignored).string();
        if (place.string() == root || place.string().starts_with(root + "/"))
          return fmt::format("{} is the data of unit {}; say another directory with {}", root, name, option);
      }
    }
  }
  return {};
}

}  // namespace hasup::cli
