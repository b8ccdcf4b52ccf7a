#include "snapshot/wipe_rules.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <iterator>

#include "base/folded_name.hpp"
#include "model/own_directory.hpp"

namespace hasup::snapshot {
namespace {

enum class relation { none, leads_to, covers };

using matching = bool (*)(const std::string& pattern, const std::string& name);

bool matches(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Of a pattern that is not ASCII only the case of ASCII letters is left aside: folded, all such names would be alike.
bool matches_when_folded(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), (is_ascii(pattern) ? base::folded_name(name) : name).c_str(), FNM_CASEFOLD) == 0;
}

// covers: the path is what the pattern names, or below it. leads_to: the path is a directory above such a place.
relation relate(std::string_view pattern, std::string_view path, matching matches_component) {
  while (true) {
    const auto p = pattern.find('/');
    const auto q = path.find('/');
    const std::string want(pattern.substr(0, p));
    const std::string have(path.substr(0, q));
    if (!matches_component(want, have)) return relation::none;
    if (p == std::string_view::npos) return relation::covers;
    if (q == std::string_view::npos) return relation::leads_to;
    pattern.remove_prefix(p + 1);
    path.remove_prefix(q + 1);
  }
}

relation relate_any(const std::vector<std::string>& patterns, std::string_view path,
                    matching matches_component = matches) {
  relation best = relation::none;
  for (const auto& pattern : patterns) best = std::max(best, relate(pattern, path, matches_component));
  return best;
}

std::optional<failure> check(std::vector<std::string>& patterns, std::string_view key) {
  for (auto& p : patterns) {
    while (p.size() > 1 && p.back() == '/') p.pop_back();
    while (p.starts_with("./")) p.erase(0, 2);
    if (!is_plain_relative(p) || model::is_in_own_directory(p))
      return refusal(std::string(key) + " has \"" + p +
                     "\"; it must be a path below the data directory without \"..\" and not .hasup");
  }
  return std::nullopt;
}

outcome<void> collect(const spot_of& at, const std::string& dir, const wipe_rules& rules,
                      std::vector<std::string>& out) {
  auto names = list_names(at(dir));
  if (!names) return names.error();
  for (const auto& name : *names) {
    const auto path = joined(dir, name);
    auto what = rules.decide(path);
    if (what == fate::descend) {
      auto found = look(at(path));
      if (!found) return found.error();
      if (!*found) continue;
      if ((*found)->is_directory()) {
        if (auto below = collect(at, path, rules, out); !below) return below;
        continue;
      }
      if ((*found)->is_link())
        return refusal(path +
                       " is a symbolic link and what is to be replaced lies behind it; replace the link by the "
                       "directory it means");
      what = fate::untouched;  // a file where a directory was expected: nothing named lies below it
    }
    if (what == fate::replaced) out.push_back(path);
  }
  return {};
}

bool is_or_is_below(std::string_view path, std::string_view dir) {
  return path == dir || (path.size() > dir.size() && path.starts_with(dir) && path[dir.size()] == '/');
}

// What a volume's file system and hasup have there for themselves.
bool is_of_the_volume(std::string_view path, std::string_view volume) {
  if (!is_or_is_below(path, volume) || path == volume) return false;
  const auto inside = path.substr(volume.size() + 1);
  return model::is_in_own_directory(inside) || is_or_is_below(inside, "lost+found");
}

}  // namespace

outcome<wipe_rules> wipe_rules::from(std::vector<std::string> wipe, std::vector<std::string> keep,
                                     std::vector<std::string> shared, std::vector<std::string> volumes) {
  if (auto bad = check(wipe, "wipe")) return *bad;
  if (auto bad = check(keep, "keep")) return *bad;
  if (auto bad = check(shared, "shared")) return *bad;
  wipe_rules rules;
  rules.wipe_ = std::move(wipe);
  rules.keep_ = std::move(keep);
  rules.shared_ = std::move(shared);
  rules.volumes_ = std::move(volumes);
  return rules;
}

fate wipe_rules::decide(std::string_view path) const {
  if (model::is_in_own_directory(path)) return fate::untouched;
  const auto guarded = std::max(relate_any(keep_, path), relate_any(shared_, path));
  if (guarded == relation::covers) return fate::untouched;
  const auto wiped = relate_any(wipe_, path);
  if (wiped == relation::none) return fate::untouched;
  bool holds_a_volume = false;
  for (const auto& v : volumes_) {
    if (is_of_the_volume(path, v)) return fate::untouched;
    holds_a_volume = holds_a_volume || is_or_is_below(v, path);
  }
  if (wiped == relation::leads_to || guarded == relation::leads_to || holds_a_volume) return fate::descend;
  return fate::replaced;
}

std::vector<std::string> wipe_rules::volumes() const {
  std::vector<std::string> out;
  std::copy_if(volumes_.begin(), volumes_.end(), std::back_inserter(out),
               [this](const auto& v) { return decide(v) != fate::untouched; });
  return out;
}

bool wipe_rules::keeps(std::string_view path) const {
  return relate_any(keep_, path) == relation::covers;
}

bool wipe_rules::keeps_when_folded(std::string_view path) const {
  return !keeps(path) && relate_any(keep_, path, matches_when_folded) == relation::covers;
}

outcome<std::vector<std::string>> replaced_entries(const spot_of& at, const wipe_rules& rules) {
  std::vector<std::string> out;
  auto found = look(at(""));
  if (!found) return found.error();
  if (!*found) return out;
  if (auto walked = collect(at, "", rules, out); !walked) return walked.error();
  std::sort(out.begin(), out.end());
  return out;
}

outcome<std::vector<std::string>> replaced_entries(int root, std::string_view under, const wipe_rules& rules) {
  return replaced_entries(
      [&](std::string_view path) {
        return spot{root, path.empty() ? std::string(under) : joined(under, path)};
      },
      rules);
}

}  // namespace hasup::snapshot
