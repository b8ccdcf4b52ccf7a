#include "config/extends.hpp"

#include <algorithm>
#include <array>

#include "base/cycle.hpp"
#include "model/unit_name.hpp"

namespace hasup::config {
namespace {

bool is_probe_path(const std::string& path) {
  return path == "startup" || path == "readiness" || path == "liveness" || path == "recovery.reference" ||
         path == "readiness.reference" || path == "liveness.reference";
}

// A probe that asks something else than the one it extends takes over only the settings, not the other's checks.
bool asks_something_else(const value& over, const value& under) {
  const auto* mine = over.find("preset");
  const auto* theirs = under.find("preset");
  if (mine != nullptr) return theirs == nullptr || mine->text != theirs->text;
  return over.find("check") != nullptr || over.find("kind") != nullptr;
}

void drop_checks(value& probe) {
  constexpr std::array<std::string_view, 7> settings{"interval",     "timeout",         "failures", "successes",
                                                     "max_head_age", "advances_within", "chain_id"};
  std::erase_if(probe.members, [&](const member& m) {
    return std::find(settings.begin(), settings.end(), m.key) == settings.end();
  });
}

void merge(value& over, value under, const std::string& path) {
  if (is_probe_path(path) && asks_something_else(over, under)) drop_checks(under);
  for (auto& m : under.members) {
    auto* mine = over.find(m.key);
    if (mine == nullptr)
      over.members.push_back(std::move(m));
    else if (mine->is(value_type::table) && m.content.is(value_type::table))
      merge(*mine, std::move(m.content), path.empty() ? m.key : path + "." + m.key);
  }
}

bool is_argument_list(const value* v) {
  return v != nullptr && v->is(value_type::array) &&
         std::all_of(v->items.begin(), v->items.end(), [](const value& i) { return i.is(value_type::text); });
}

// What has the wrong type stays, for check_schema to report.
void fold_append(value& root) {
  auto* run = root.find("run");
  if (run == nullptr) return;
  auto* command = run->find("command");
  const auto* append = run->find("append");
  if (!is_argument_list(command) || !is_argument_list(append)) return;
  command->items.insert(command->items.end(), append->items.begin(), append->items.end());
  run->erase("append");
}

std::string loop_text(const std::vector<std::string>& chain, const std::string& again) {
  const auto from = std::find(chain.begin(), chain.end(), again);
  std::vector<std::string> loop(from, chain.end());
  loop.push_back(again);
  return base::cycle_text(loop);
}

std::optional<value> read_chain(const std::string& file, std::string_view text, const file_context& context,
                                std::vector<std::string>& chain, report& findings) {
  chain.push_back(file);
  auto root = parse_document(file, text, findings);
  if (!root) return std::nullopt;
  const auto* extends = root->find("extends");
  if (extends == nullptr || !extends->is(value_type::text)) {
    fold_append(*root);
    return root;
  }
  const auto name = extends->text;
  const auto at = extends->where;
  if (!model::is_unit_name(name)) {
    findings.error(at, "\"" + name + "\" is no unit name; write the name of a unit file, without path and ending");
    return std::nullopt;
  }
  const auto candidates = context.units(name);
  const auto next = std::find_if(candidates.begin(), candidates.end(), [&](const source_file& c) {
    return std::find(chain.begin(), chain.end(), c.path) == chain.end();
  });
  if (next == candidates.end()) {
    findings.error(at, candidates.empty()
                           ? "extends \"" + name + "\": there is no unit file " + name + ".toml"
                           : "extends leads back to itself: " + loop_text(chain, candidates.front().path));
    return std::nullopt;
  }
  auto under = read_chain(next->path, next->text, context, chain, findings);
  if (!under) {
    findings.error(at, "extends \"" + name + "\", which cannot be read");
    return std::nullopt;
  }
  root->erase("extends");
  merge(*root, std::move(*under), "");
  fold_append(*root);
  return root;
}

}  // namespace

std::optional<merged_unit> read_merged(const std::string& file, std::string_view text, const file_context& context,
                                       report& findings) {
  std::vector<std::string> chain;
  auto root = read_chain(file, text, context, chain, findings);
  if (!root) return std::nullopt;
  chain.erase(chain.begin());
  return merged_unit{std::move(*root), std::move(chain)};
}

}  // namespace hasup::config
