#include "snapshot/fetch/refining.hpp"

#include <chrono>
#include <unordered_map>

#include "snapshot/candidate_order.hpp"
#include "snapshot/fetch/source_listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t most_asked_for_times = 500;  // of one source
constexpr std::size_t most_refined = 64;           // of one source, where empty ones make room for the next

class refining {
 public:
  refining(remote_client& host, const std::vector<model::recovery_plan>& plans, const refining_rule& rule,
           std::vector<listed_file>& files)
      : host_(host), plans_(plans), rule_(rule), files_(files), now_(std::chrono::system_clock::now()) {
    for (auto& f : files)
      if (!file_source_path(f.url)) by_name_.emplace(f.name, &f);
  }

  // With half of the time that is left: the other half is for sizes and proofs.
  void ask_for_times();
  void ask_for_the_newest();
  [[nodiscard]] std::set<std::string> unasked() const { return tells_none() ? std::set<std::string>{} : unasked_; }
  [[nodiscard]] std::size_t asked() const { return asked_; }
  // Before what was wanted was known.
  [[nodiscard]] bool cut_short() const { return cut_short_ && !tells_none(); }

 private:
  template <class Visit>
  void each_archive(Visit visit);
  void ask_for_times_of(const model::archive_spec& spec, const std::vector<ports::candidate>& candidates);
  [[nodiscard]] bool may_ask();
  [[nodiscard]] bool is_old(const model::snapshot& s) const {
    return rule_.max_age.count() > 0 && s.time && *s.time < now_ - rule_.max_age;
  }
  [[nodiscard]] bool tells_none() const { return told_ == 0 && told_none_ >= refined_per_archive; }
  listed_file* file_of(const std::string& name) {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

  remote_client& host_;
  const std::vector<model::recovery_plan>& plans_;
  const refining_rule& rule_;
  std::vector<listed_file>& files_;
  std::unordered_map<std::string, listed_file*> by_name_;  // of other hosts
  const base::wall_time now_;
  std::chrono::milliseconds kept_{0};  // of the host's time
  std::set<std::string> seen_;         // that were asked for their times
  std::set<std::string> unasked_;
  std::size_t asked_ = 0;
  std::size_t told_ = 0;
  std::size_t told_none_ = 0;
  bool cut_short_ = false;
};

template <class Visit>
void refining::each_archive(Visit visit) {
  for (const auto& plan : plans_) {
    for (const auto& spec : plan.archives) {
      model::recovery_plan one;
      one.name = plan.name;
      one.archives = {spec};
      std::vector<std::string> unused;
      visit(spec, plan_candidates(one, 0, host_.access().url, files_, unused));
    }
  }
}

bool refining::may_ask() {
  if (tells_none() || host_.control().cancelled()) return false;
  const bool more = asked_ < most_asked_for_times && host_.time_left().value_or(kept_) >= kept_;
  cut_short_ = cut_short_ || !more;
  return more;
}

void refining::ask_for_times() {
  kept_ = host_.time_left().value_or(std::chrono::milliseconds(0)) / 2;
  each_archive([this](const auto& spec, const auto& candidates) { ask_for_times_of(spec, candidates); });
}

void refining::ask_for_times_of(const model::archive_spec& spec, const std::vector<ports::candidate>& candidates) {
  const bool by_time = spec.order == model::archive_order::time;
  if (rule_.max_age.count() <= 0 && !by_time) return;
  std::size_t young = 0;
  for (const auto& c : candidates) {
    const auto& s = c.snapshots[0];
    if (s.time) {
      if (!is_old(s)) ++young;
      continue;
    }
    auto* file = file_of(s.name);
    if (file == nullptr) continue;
    if (!seen_.contains(s.name)) {
      const bool enough = young >= refined_per_archive && !rule_.all && !by_time;
      if (enough || !may_ask()) {
        unasked_.insert(s.name);
        continue;
      }
      seen_.insert(s.name);
      ++asked_;
      if (!refine(host_, *file)) {
        unasked_.insert(s.name);
        continue;
      }
      ++(file->time ? told_ : told_none_);
    }
    auto now_known = s;
    now_known.time = file->time;
    if (!unasked_.contains(s.name) && !is_old(now_known)) ++young;
  }
  for (const auto& name : seen_)
    if (const auto* file = file_of(name); file != nullptr && file->time) unasked_.erase(name);
}

// Listings round sizes and cut seconds; the order of the newest must not depend on that. One that turns out to be
// empty or too old makes room for the next.
void refining::ask_for_the_newest() {
  std::set<std::string> refined;
  for (bool more = true; more && refined.size() < most_refined;) {
    std::set<std::string> wanted;
    each_archive([&](const auto&, const auto& candidates) {
      std::size_t taken = 0;
      for (std::size_t i = 0; i < candidates.size() && taken < refined_per_archive; ++i) {
        const auto& s = candidates[i].snapshots[0];
        if (is_old(s) || (!s.time && rule_.max_age.count() > 0 && unasked().contains(s.name))) continue;
        ++taken;
        if (!refined.contains(s.name)) wanted.insert(s.name);
      }
    });
    more = !wanted.empty();
    for (const auto& name : wanted) {
      if (host_.control().cancelled()) return;
      refined.insert(name);
      auto* file = file_of(name);
      const bool needs = file != nullptr && (!file->size || (!file->time_exact && !seen_.contains(name)));
      if (needs) (void)refine(host_, *file);
    }
  }
}

}  // namespace

std::set<std::string> refine_what_counts(remote_client& host, const std::vector<model::recovery_plan>& plans,
                                         const refining_rule& rule, std::vector<listed_file>& files,
                                         std::vector<std::string>& notes) {
  refining asking(host, plans, rule, files);
  asking.ask_for_times();
  asking.ask_for_the_newest();
  auto unasked = asking.unasked();
  if (asking.cut_short() && !unasked.empty())
    notes.push_back(without_password(host.access().url) + " lists no times: it was asked for those of " +
                    std::to_string(asking.asked()) + " files, and not of " + std::to_string(unasked.size()) +
                    " more" + (rule.max_age.count() > 0 ? ", which are passed over as they may be too old" : ""));
  return unasked;
}

}  // namespace hasup::snapshot
