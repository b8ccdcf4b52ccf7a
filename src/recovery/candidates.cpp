#include "recovery/candidates.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "base/joined.hpp"
#include "base/time_text.hpp"
#include "recovery/freeze.hpp"

namespace hasup::recovery {
namespace {

bool same_snapshot(const model::snapshot& a, const model::snapshot& b) {
  return (!a.sha256.empty() && a.sha256 == b.sha256) || a.url == b.url || same_key(a) == same_key(b);
}

bool shares_a_snapshot(const ports::candidate& a, const ports::candidate& b) {
  return std::any_of(a.snapshots.begin(), a.snapshots.end(), [&](const model::snapshot& x) {
    return std::any_of(b.snapshots.begin(), b.snapshots.end(),
                       [&](const model::snapshot& y) { return same_snapshot(x, y); });
  });
}

// Of a group, only what says of which backup it is; of a follower, only the leader's.
bool fits_group(const ports::candidate& c, const frozen& plan) {
  if (!plan.asked.leader.empty()) return set_of(c) == plan.asked.set;
  return plan.group.empty() || !set_of(c).empty();
}

// A plan that uses a bad snapshot as well is no way out; one that the node merely refused is.
bool worth_a_try(const progress& p, std::size_t i) {
  if (p.fates[i] != fate::untried) return false;
  for (std::size_t j = 0; j < p.candidates.size(); ++j)
    if (p.fates[j] == fate::bad && shares_a_snapshot(p.candidates[i], p.candidates[j])) return false;
  return true;
}

std::optional<std::size_t> other_plan(const progress& p) {
  if (!p.current) return std::nullopt;
  const auto& current = p.candidates[*p.current];
  for (std::size_t i = 0; i < p.candidates.size(); ++i)
    if (i != *p.current && p.candidates[i].plan != current.plan && worth_a_try(p, i) &&
        shares_a_snapshot(p.candidates[i], current))
      return i;
  return std::nullopt;
}

std::string bad_key_of_mirror(const model::snapshot& s, const model::snapshot_mirror& m) {
  auto copy = s;
  copy.source = m.source;
  copy.time = m.time;
  return bad_key_of_copy(copy);
}

void add_bad(memory& m, std::string key) {
  constexpr std::size_t most = 200;
  if (std::find(m.bad.begin(), m.bad.end(), key) == m.bad.end()) m.bad.push_back(std::move(key));
  if (m.bad.size() > most) m.bad.erase(m.bad.begin(), m.bad.end() - most);
}

// A copy, that is: what was refused or bad under way is known by its fate.
bool has_bad_copy(const ports::candidate& c, const memory& m) {
  return std::any_of(c.snapshots.begin(), c.snapshots.end(), [&](const model::snapshot& s) {
    return std::find(m.bad.begin(), m.bad.end(), bad_key_of_copy(s)) != m.bad.end();
  });
}

}  // namespace

std::string bad_key_of_copy(const model::snapshot& s) {
  std::string key = "name:" + s.name + " size:" + (s.size ? std::to_string(*s.size) : "?") + " time:";
  key += s.time ? std::to_string(std::chrono::duration_cast<std::chrono::seconds>(s.time->time_since_epoch()).count())
                : "?";
  return key + " source:" + s.source;
}

std::string same_key(const model::snapshot& s) {
  return s.sha256.empty() ? bad_key_of_copy(s) : bad_key_of_digest(s.sha256);
}

bool is_bad(const model::snapshot& s, const std::set<std::string>& bad) {
  return bad.contains(bad_key_of_copy(s)) || (!s.sha256.empty() && bad.contains(bad_key_of_digest(s.sha256)));
}

std::string bad_key_of_digest(std::string_view sha256) {
  return "sha256:" + std::string(sha256);
}

std::vector<std::string> bad_digests(const memory& m) {
  constexpr std::string_view lead = "sha256:";
  std::vector<std::string> out;
  for (const auto& key : m.bad)
    if (key.starts_with(lead)) out.push_back(key.substr(lead.size()));
  return out;
}

void forget_bad_and_swaps(memory& m) {
  m.bad.clear();
  m.swaps.clear();
  m.forgiven = true;
}

std::vector<std::string> useless_archives(const progress& p) {
  if (p.plan.asked.from.starts_with(p.plan.data_dir + "/.hasup/")) return {};
  const auto is_over = [&](std::size_t i) { return p.fates[i] == fate::bad || p.fates[i] == fate::refused; };
  std::set<std::string> failed, needed;
  for (std::size_t i = 0; i < p.candidates.size(); ++i) {
    const bool usable = !is_over(i) && (p.fates[i] != fate::untried || worth_a_try(p, i));
    if (!usable && !is_over(i)) continue;
    for (const auto& s : p.candidates[i].snapshots) (usable ? needed : failed).insert(s.name);
  }
  std::vector<std::string> out;
  std::set_difference(failed.begin(), failed.end(), needed.begin(), needed.end(), std::back_inserter(out));
  return out;
}

void remember_as_bad(memory& m, const ports::candidate& c, const std::vector<std::string>& sha256) {
  for (const auto& s : c.snapshots) add_bad(m, bad_key_of_copy(s));
  for (const auto& digest : sha256)
    if (!digest.empty()) add_bad(m, bad_key_of_digest(digest));
}

void remember_bad_mirrors(memory& m, const ports::candidate& c, const ports::worker_result& fetched) {
  const auto& at = fetched.damaged_at;
  for (const auto& s : c.snapshots)
    for (const auto& mirror : s.mirrors)
      if (s.name == fetched.snapshot && std::find(at.begin(), at.end(), mirror.source) != at.end())
        add_bad(m, bad_key_of_mirror(s, mirror));
}

ports::candidate without_bad_mirrors(ports::candidate c, const memory& m) {
  for (auto& s : c.snapshots)
    std::erase_if(s.mirrors, [&](const model::snapshot_mirror& mirror) {
      return std::find(m.bad.begin(), m.bad.end(), bad_key_of_mirror(s, mirror)) != m.bad.end();
    });
  return c;
}

base::result<ports::candidate> candidate_from_file(const frozen& plan) {
  const auto& plans = plan.recipe.plans;
  const auto& asked = plan.asked;
  const auto fits = std::find_if(plans.begin(), plans.end(), [&](const model::recovery_plan& p) {
    return p.archives.size() == 1 && may_use(p, plan);
  });
  if (fits == plans.end())
    return base::error{"no plan of recipe " + plan.recipe.name + " needs just one archive, as --from gives"};
  const auto directory = asked.from.substr(0, asked.from.rfind('/') + 1);
  model::snapshot file;
  file.name = asked.from.substr(directory.size());
  file.url = "file://" + asked.from;
  file.source = "file://" + directory;
  ports::candidate only;
  only.plan = static_cast<unsigned>(fits - plans.begin());
  only.snapshots.push_back(std::move(file));
  return only;
}

base::result<ports::worker_job> job_of_file(const frozen& plan) {
  auto only = candidate_from_file(plan);
  if (!only) return only.error();
  auto job = job_of(plan, ports::worker_mode::select);
  job.plans.clear();
  job.sources.clear();
  job.chosen = std::move(*only);
  return job;
}

bool is_beyond(const ports::candidate& c, std::uint64_t block) {
  const auto says = [](const model::snapshot& s) { return s.block && !s.block_is_guess; };
  return std::any_of(c.snapshots.begin(), c.snapshots.end(), says) &&
         std::all_of(c.snapshots.begin(), c.snapshots.end(),
                     [&](const model::snapshot& s) { return !says(s) || *s.block > block; });
}

bool may_use(const model::recovery_plan& p, const frozen& plan) {
  if (plan.asked.plan.empty()) return p.use == model::plan_use::always;
  return p.name == plan.asked.plan;
}

std::string left_to_a_person(const frozen& plan) {
  std::string out;
  for (const auto& p : plan.recipe.plans)
    if (p.use == model::plan_use::by_hand && p.name != plan.asked.plan)
      out += "; plan \"" + p.name + "\", which loses what no archive brings of " + base::joined(p.wipe) +
             ", is tried only when a person names it: `hasup recover " + plan.unit + " --plan \"" + p.name + "\"`";
  return out;
}

std::vector<ports::candidate> allowed(const std::vector<ports::candidate>& all, const frozen& plan,
                                      const std::set<std::string>& bad, std::vector<std::string>* skipped_bad) {
  std::vector<ports::candidate> out;
  for (const auto& c : all) {
    if (c.plan >= plan.recipe.plans.size() || c.snapshots.empty()) continue;
    if (!may_use(plan.recipe.plans[c.plan], plan)) continue;
    if (!fits_group(c, plan)) continue;
    const bool named = std::any_of(c.snapshots.begin(), c.snapshots.end(),
                                   [&](const model::snapshot& s) { return s.name == plan.asked.snapshot; });
    if (!plan.asked.snapshot.empty() && !named) continue;
    if (plan.asked.newer_than && !is_beyond(c, *plan.asked.newer_than)) continue;
    const bool marked =
        std::any_of(c.snapshots.begin(), c.snapshots.end(), [&](const model::snapshot& s) { return is_bad(s, bad); });
    if (marked && !named) {
      // The same archive may be one for several plans.
      if (skipped_bad && std::find(skipped_bad->begin(), skipped_bad->end(), name_of(c)) == skipped_bad->end())
        skipped_bad->push_back(name_of(c));
      continue;
    }
    out.push_back(c);
  }
  return out;
}

std::optional<std::size_t> next_candidate(const progress& p, const std::set<unsigned>& without, const memory& m) {
  const bool named = !p.plan.asked.snapshot.empty() || !p.plan.asked.from.empty();
  const auto may_be = [&](std::size_t i) {
    return !without.contains(p.candidates[i].plan) && (named || !has_bad_copy(p.candidates[i], m));
  };
  if (p.current && p.fates[*p.current] == fate::refused)
    if (const auto i = other_plan(p); i && may_be(*i)) return i;
  for (std::size_t i = 0; i < p.candidates.size(); ++i)
    if (may_be(i) && worth_a_try(p, i)) return i;
  return std::nullopt;
}

bool other_plan_fits(const progress& p) {
  return other_plan(p).has_value();
}

std::string name_of(const ports::candidate& c) {
  std::string out;
  for (const auto& s : c.snapshots) out += (out.empty() ? "" : ", ") + s.name;
  return out;
}

std::string set_of(const ports::candidate& c) {
  const auto set = c.snapshots.empty() ? std::string() : c.snapshots.front().set;
  const bool same = std::all_of(c.snapshots.begin(), c.snapshots.end(), [&](const auto& s) { return s.set == set; });
  return same ? set : std::string();
}

std::optional<std::uint64_t> block_of(const ports::candidate& c) {
  std::optional<std::uint64_t> highest;
  for (const auto& s : c.snapshots)
    if (s.block && (!highest || *s.block > *highest)) highest = s.block;
  return highest;
}

namespace {

constexpr std::string_view opening = "${archive.";

bool keeps_an_archive(const model::recovery_plan& plan) {
  return std::any_of(plan.archives.begin(), plan.archives.end(),
                     [](const model::archive_spec& a) { return !a.as.empty(); });
}

// Words that name an archive are left out where a plan keeps none, see with_archive_paths.
bool are_said(const std::vector<std::string>& words, const model::recovery_plan& plan) {
  if (words.empty() || keeps_an_archive(plan)) return !words.empty();
  return std::none_of(words.begin(), words.end(),
                      [](const std::string& w) { return w.find(opening) != std::string::npos; });
}

base::result<std::vector<std::string>> with_archive_paths(const std::vector<std::string>& words,
                                                          const std::string& key, const model::recipe& recipe,
                                                          const model::recovery_plan& plan,
                                                          const std::map<std::string, std::string>& archive_paths) {
  constexpr std::string_view closing = ".path}";
  const bool keeps_any = keeps_an_archive(plan);
  std::vector<std::string> out;
  for (auto argument : words) {
    for (auto at = argument.find(opening); at != std::string::npos; at = argument.find(opening, at)) {
      if (!keeps_any) return std::vector<std::string>{};
      const auto name_at = at + opening.size();
      const auto end = argument.find(closing, name_at);
      if (end == std::string::npos)
        return base::error{"recipe " + recipe.name + ": " + key + " has an unfinished ${archive.NAME.path} in \"" +
                           argument + "\""};
      const auto name = argument.substr(name_at, end - name_at);
      const auto path = archive_paths.find(name);
      if (path == archive_paths.end())
        return base::error{"recipe " + recipe.name + ": " + key + " names the archive \"" + name +
                           "\", which plan \"" + plan.name + "\" does not keep (as = \"" + name + "\")"};
      argument.replace(at, end + closing.size() - at, path->second);
      at += path->second.size();
    }
    out.push_back(std::move(argument));
  }
  return out;
}

}  // namespace

base::result<std::vector<std::string>> first_start_arguments(
    const model::recipe& recipe, const model::recovery_plan& plan,
    const std::map<std::string, std::string>& archive_paths) {
  return with_archive_paths(recipe.first_start_append, "first_start.append", recipe, plan, archive_paths);
}

base::result<std::vector<std::string>> import_command(const model::recipe& recipe, const model::recovery_plan& plan,
                                                      const std::map<std::string, std::string>& archive_paths) {
  return with_archive_paths(recipe.import_command, "import.command", recipe, plan, archive_paths);
}

std::optional<std::uint64_t> sure_block_of(const ports::candidate& c) {
  std::optional<std::uint64_t> highest;
  for (const auto& s : c.snapshots)
    if (s.block && !s.block_is_guess) highest = std::max(highest.value_or(0), *s.block);
  return highest;
}

std::string as_of(const ports::candidate& c) {
  std::vector<std::string> facts;
  if (const auto block = sure_block_of(c)) facts.push_back("block " + std::to_string(*block));
  std::optional<base::wall_time> newest;
  for (const auto& s : c.snapshots)
    if (s.time) newest = std::max(newest.value_or(*s.time), *s.time);
  if (newest) facts.push_back("of " + base::format_time(*newest));
  return base::joined(facts);
}

std::vector<std::string> must_be_brought(const model::recipe& recipe, const model::recovery_plan& plan) {
  if (are_said(recipe.first_start_append, plan) || are_said(recipe.import_command, plan)) return {};
  return recipe.must_exist;
}

bool counts(base::wall_time swap, base::duration within, base::wall_time now) {
  return swap + within > now && swap < now + within;
}

unsigned swaps_within(const std::vector<base::wall_time>& swaps, base::duration within, base::wall_time now) {
  return static_cast<unsigned>(
      std::count_if(swaps.begin(), swaps.end(), [&](base::wall_time t) { return counts(t, within, now); }));
}

}  // namespace hasup::recovery
