#include "snapshot/candidate_order.hpp"

#include <fnmatch.h>
#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "snapshot/free_text.hpp"

namespace hasup::snapshot {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// snapshot-<block id>.bin: the id's first 8 hex digits are the block number.
std::optional<std::uint64_t> nodeos_block(std::string_view name) {
  static const RE2 form(R"(snapshot-([0-9a-fA-F]{8})[0-9a-fA-F]{56}\..*)");
  std::string digits;
  if (!RE2::FullMatch(name, form, &digits)) return std::nullopt;
  std::uint64_t block = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), block, 16);
  return block;
}

std::optional<std::uint64_t> only_number(std::string_view name) {
  // The ending is no number of a block: .tar.zst has none, but .bz2, .lz4 and .7z do.
  for (const std::string_view end : {".bz2", ".lz4", ".7z"})
    if (name.ends_with(end)) name.remove_suffix(end.size());
  std::optional<std::string_view> run;
  for (std::size_t i = 0; i < name.size();) {
    if (!is_digit(name[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < name.size() && is_digit(name[end])) ++end;
    if (run) return std::nullopt;
    run = name.substr(i, end - i);
    i = end;
  }
  return run ? decimal(*run) : std::nullopt;
}

// 20241231, 2024-12-31-23, 20241231T235959Z, 1763700000, 1763700000123.
std::optional<base::wall_time> time_in_digits(std::string_view text) {
  std::string digits;
  for (const char c : text)
    if (is_digit(c)) digits += c;
  const auto part = [&](std::size_t at, std::size_t length) {
    return at + length <= digits.size() ? static_cast<int>(*decimal(std::string_view(digits).substr(at, length))) : 0;
  };
  using namespace std::chrono;
  const bool has_form = digits.size() == 8 || digits.size() == 10 || digits.size() == 12 || digits.size() == 14;
  if (has_form && part(0, 4) >= 1970 && part(0, 4) <= 2100) {
    const year_month_day day(year(part(0, 4)), month(static_cast<unsigned>(part(4, 2))),
                             std::chrono::day(static_cast<unsigned>(part(6, 2))));
    const bool is_time = part(8, 2) < 24 && part(10, 2) < 60 && part(12, 2) <= 60;
    if (day.ok() && !is_time) return std::nullopt;
    if (day.ok())
      return base::wall_time(sys_days(day) + hours(part(8, 2)) + minutes(part(10, 2)) + seconds(part(12, 2)));
  }
  const auto number = digits.size() <= 13 ? decimal(digits) : std::nullopt;
  if (!number || (digits.size() != 10 && digits.size() != 13)) return std::nullopt;
  return base::wall_time(milliseconds(digits.size() == 13 ? *number : *number * 1000));
}

std::vector<model::snapshot> matching(const model::archive_spec& spec, const name_matcher& matcher,
                                      const std::string& source, const std::vector<listed_file>& files) {
  std::vector<model::snapshot> out;
  const auto least = least_plausible_size(matcher, files);
  for (const auto& f : files) {
    if (!is_snapshot_name(f.name) || f.size == 0U || !matcher.matches(f.name)) continue;
    if (f.size && *f.size < least) continue;
    out.push_back(snapshot_of(f, source, matcher.block_of(f.name)));
    if (const auto named = matcher.time_of(f.name)) out.back().time = *named;
    out.back().block_is_guess = !f.block && matcher.guesses_block_of(f.name);
  }
  std::stable_sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return newer(a, b, spec.order); });
  return out;
}

model::snapshot_mirror mirror_of(const model::snapshot& s) {
  return {s.url, s.source, s.sha256, s.source_nth, s.beside, s.sha256_by, s.digests, s.digests_by, s.time};
}

// Whether they are known to be different files.
bool contradict(const model::snapshot& a, const model::snapshot& b) {
  if (!a.sha256.empty() && !b.sha256.empty()) return a.sha256 != b.sha256;
  return std::any_of(a.digests.begin(), a.digests.end(), [&](const auto& said) {
    const auto other = b.digests.find(said.first);
    return other != b.digests.end() && other->second != said.second;
  });
}

}  // namespace

model::snapshot snapshot_of(const listed_file& f, const std::string& source, std::optional<std::uint64_t> named) {
  model::snapshot out{f.name, f.url, source, f.size, f.time, f.block ? f.block : named, f.sha256, {}, f.chunks};
  out.chain_id = f.chain_id;
  out.unpacked = f.unpacked;
  out.node_version = f.node_version;
  out.set = f.set;
  out.sha256_by = f.sha256_by;
  out.sha256_else = f.sha256_else;
  out.beside = f.beside;
  for (const auto& [kind, hex] : f.other_digests) out.digests.emplace(digest_kind_names.text(kind), hex);
  out.digests_by = f.other_digests_by;
  return out;
}

struct name_matcher::parts {
  std::string glob;
  std::unique_ptr<RE2> free_text;  // the glob, with a group for each stretch that it leaves open
  std::unique_ptr<RE2> pattern;
  int block_group = -1;
  int time_group = -1;
  model::archive_order order = model::archive_order::time;
};

name_matcher::name_matcher(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
name_matcher::~name_matcher() = default;
name_matcher::name_matcher(name_matcher&&) noexcept = default;
name_matcher& name_matcher::operator=(name_matcher&&) noexcept = default;

base::result<name_matcher> name_matcher::from(const model::archive_spec& spec) {
  auto p = std::make_unique<parts>();
  p->order = spec.order;
  if (spec.match.empty() == spec.pattern.empty())
    return base::error{"an archive needs exactly one of `match` and `pattern`"};
  if (spec.pattern.empty()) {
    p->glob = spec.match;
    p->free_text = std::make_unique<RE2>(free_text_of_glob(spec.match), RE2::Quiet);
    return name_matcher(std::move(p));
  }
  RE2::Options quiet;
  quiet.set_log_errors(false);
  p->pattern = std::make_unique<RE2>(spec.pattern, quiet);
  if (!p->pattern->ok()) return base::error{"pattern \"" + spec.pattern + "\": " + p->pattern->error()};
  const auto& groups = p->pattern->NamedCapturingGroups();
  if (const auto found = groups.find("block"); found != groups.end()) p->block_group = found->second;
  if (const auto found = groups.find("time"); found != groups.end()) p->time_group = found->second;
  return name_matcher(std::move(p));
}

std::optional<std::string_view> name_matcher::group_of(std::string_view name, int group) const {
  if (!parts_->pattern || group < 1) return std::nullopt;
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(group) + 1);
  if (!parts_->pattern->Match(name, 0, name.size(), RE2::ANCHOR_BOTH, groups.data(), static_cast<int>(groups.size())))
    return std::nullopt;
  return std::string_view(groups.back().data(), groups.back().size());
}

std::optional<base::wall_time> name_matcher::time_of(std::string_view name) const {
  const auto text = group_of(name, parts_->time_group);
  return text ? time_in_digits(*text) : std::nullopt;
}

std::optional<std::vector<std::string>> name_matcher::free_text(std::string_view name) const {
  const auto& form = parts_->pattern ? parts_->pattern : parts_->free_text;
  const bool is_glob = !parts_->pattern;
  if (!form->ok() || (!is_glob && form->NamedCapturingGroups().empty())) return std::nullopt;
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(form->NumberOfCapturingGroups()) + 1);
  if (!form->Match(name, 0, name.size(), RE2::ANCHOR_BOTH, groups.data(), static_cast<int>(groups.size())))
    return std::nullopt;
  std::vector<std::string> out;
  for (int i = 1; i < static_cast<int>(groups.size()); ++i)
    if (is_glob || form->CapturingGroupNames().contains(i))
      out.push_back(std::string(groups[static_cast<std::size_t>(i)]));
  while (!out.empty()) {
    drop_endings(out.back());
    if (!out.back().empty()) break;
    out.pop_back();
  }
  return out;
}

bool name_matcher::matches(std::string_view name) const {
  if (parts_->pattern) return RE2::FullMatch(name, *parts_->pattern);
  return ::fnmatch(parts_->glob.c_str(), std::string(name).c_str(), FNM_PERIOD) == 0;
}

std::optional<std::uint64_t> name_matcher::block_of(std::string_view name) const {
  if (parts_->block_group > 0) {
    const auto text = group_of(name, parts_->block_group);
    return text ? decimal(*text) : std::nullopt;
  }
  if (const auto block = nodeos_block(name)) return block;
  return parts_->order == model::archive_order::block ? only_number(name) : std::nullopt;
}

bool name_matcher::guesses_block_of(std::string_view name) const {
  if (parts_->block_group >= 1 || nodeos_block(name)) return false;
  const auto number = only_number(name).value_or(0);
  const auto month = number / 100 % 100;
  const auto day = number % 100;
  const bool is_date = number >= 19700101 && number < 21010101 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
  return is_date || number >= 1'000'000'000;  // seconds since 1970, or a date with a time
}

std::uint64_t least_plausible_size(const name_matcher& matcher, const std::vector<listed_file>& files) {
  constexpr std::size_t enough = 4;
  constexpr std::uint64_t share = 10;
  std::vector<std::uint64_t> sizes;
  for (const auto& f : files)
    if (f.size.value_or(0) > 0 && is_snapshot_name(f.name) && matcher.matches(f.name)) sizes.push_back(*f.size);
  if (sizes.size() < enough) return 0;
  const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
  std::nth_element(sizes.begin(), middle, sizes.end());
  return *middle / share;
}

int compare_names(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const auto run = [](std::string_view& s) {
        std::size_t end = 0;
        while (end < s.size() && is_digit(s[end])) ++end;
        auto digits = s.substr(0, end);
        s.remove_prefix(end);
        while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
        return digits;
      };
      const auto x = run(a);
      const auto y = run(b);
      if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
      if (const int c = x.compare(y); c != 0) return c;
      continue;
    }
    if (a[0] != b[0]) return static_cast<unsigned char>(a[0]) < static_cast<unsigned char>(b[0]) ? -1 : 1;
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.empty() == b.empty() ? 0 : a.empty() ? -1 : 1;
}

bool newer(const model::snapshot& a, const model::snapshot& b, model::archive_order order) {
  if (order == model::archive_order::block && a.block != b.block) return a.block > b.block;  // nullopt is the least
  if (order != model::archive_order::name && !(order == model::archive_order::block && !a.block) && a.time != b.time)
    return a.time > b.time;
  return compare_names(a.name, b.name) > 0;
}

namespace {

// By their names: the same moment where both tell one, else the same text wherever the recipe leaves it open.
bool belong_together(const name_matcher& a, const std::string& name, const name_matcher& b,
                     const std::string& other) {
  const auto time = a.time_of(name);
  if (const auto others = b.time_of(other); time && others) return *time == *others;
  const auto text = a.free_text(name);
  return text && text == b.free_text(other);
}

// Of a plan's archives: what its recipe matches them with, and the files that match, newest first.
struct column {
  name_matcher matcher;
  std::vector<model::snapshot> files;
};

const model::snapshot* partner_of(const model::snapshot& first, const name_matcher& matcher, const column& others,
                                  bool same_set) {
  const auto found = [&](const auto& fits) {
    const auto it = std::find_if(others.files.begin(), others.files.end(), fits);
    return it == others.files.end() ? nullptr : &*it;
  };
  if (same_set) return found([&](const auto& s) { return s.set == first.set; });
  if (first.block) {
    if (const auto* same = found([&](const auto& s) { return s.block == first.block; })) return same;
  }
  return found([&](const auto& s) {
    return !(first.block && s.block) && belong_together(matcher, first.name, others.matcher, s.name);
  });
}

std::string wanted_by(const model::archive_spec& spec) {
  return spec.match.empty() ? spec.pattern : spec.match;
}

}  // namespace

std::vector<ports::candidate> plan_candidates(const model::recovery_plan& plan, unsigned index,
                                              const std::string& source, const std::vector<listed_file>& all,
                                              std::vector<std::string>& notes) {
  std::vector<column> columns;
  for (const auto& spec : plan.archives) {
    auto matcher = name_matcher::from(spec);
    if (!matcher) {
      notes.push_back("plan \"" + plan.name + "\": " + matcher.error().message);
      return {};
    }
    auto files = matching(spec, *matcher, source, all);
    if (files.empty()) {
      notes.push_back(without_password(source) + " has nothing that matches \"" + wanted_by(spec) + "\" for plan \"" +
                      plan.name + "\"");
      return {};
    }
    columns.push_back({std::move(*matcher), std::move(files)});
  }
  std::vector<ports::candidate> out;
  if (columns.empty()) return out;
  for (const auto& first : columns[0].files) {
    ports::candidate c{index, {first}};
    if (plan.same_set && columns.size() > 1 && first.set.empty()) {
      notes.push_back(first.name + " does not say of which backup it is, and plan \"" + plan.name +
                      "\" takes archives of the same one (\"set\" in manifest.json, `hasup snapshot create --set`)");
      continue;
    }
    for (std::size_t k = 1; k < columns.size(); ++k) {
      const auto* partner = partner_of(first, columns[0].matcher, columns[k], plan.same_set);
      if (partner == nullptr) {
        notes.push_back(first.name + " has no partner for plan \"" + plan.name + "\" at " + without_password(source) +
                        ": of what matches \"" + wanted_by(plan.archives[k]) + "\" nothing " +
                        (plan.same_set ? "is of backup \"" + first.set + "\""
                                       : "has its block, or in its name the same text where \"" +
                                             wanted_by(plan.archives[0]) + "\" leaves it open"));
        break;
      }
      c.snapshots.push_back(*partner);
    }
    if (c.snapshots.size() == columns.size()) out.push_back(std::move(c));
  }
  return out;
}

void join_ways(std::vector<ports::candidate>& candidates) {
  std::vector<ports::candidate> out;
  for (auto& c : candidates) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const ports::candidate& o) {
      return o.plan == c.plan &&
             std::equal(o.snapshots.begin(), o.snapshots.end(), c.snapshots.begin(), c.snapshots.end(),
                        [](const auto& a, const auto& b) { return a.url == b.url && a.source == b.source; });
    });
    if (same == out.end()) {
      out.push_back(std::move(c));
      continue;
    }
    for (std::size_t i = 0; i < c.snapshots.size(); ++i) {
      auto& kept = same->snapshots[i];
      auto& other = c.snapshots[i];
      // A listing that says less sorts its files elsewhere: the order of the sources counts all the same.
      if (other.source_nth < kept.source_nth) std::swap(other.source_nth, kept.source_nth);
      const auto after = std::find_if(kept.mirrors.begin(), kept.mirrors.end(),
                                      [&](const auto& m) { return m.source_nth > other.source_nth; });
      kept.mirrors.insert(after, mirror_of(other));
    }
  }
  candidates = std::move(out);
}

void find_mirrors(std::vector<ports::candidate>& candidates) {
  std::map<std::pair<std::string, std::uint64_t>, std::vector<model::snapshot>> places;
  for (const auto& c : candidates)
    for (const auto& s : c.snapshots)
      if (s.size) places[{s.name, *s.size}].push_back(s);
  for (auto& c : candidates) {
    for (auto& s : c.snapshots) {
      if (!s.size) continue;
      for (const auto& other : places[{s.name, *s.size}]) {
        if (other.source == s.source || other.url == s.url || contradict(s, other)) continue;
        s.mirrors.push_back(mirror_of(other));
        s.mirrors.insert(s.mirrors.end(), other.mirrors.begin(), other.mirrors.end());  // further ways to it
      }
    }
  }
}

void merge_newest_first(std::vector<ports::candidate>& candidates, const model::recovery_plan& plan) {
  if (plan.archives.empty()) return;
  std::stable_sort(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) {
    return newer(a.snapshots[0], b.snapshots[0], plan.archives[0].order);
  });
}

}  // namespace hasup::snapshot
