#include "recovery/progress.hpp"

namespace hasup::recovery {
namespace {

base::error out_of_order(std::string_view what) {
  return base::error{"journal record \"" + std::string(what) + "\" cannot follow the ones before it"};
}

// A candidate's own bookkeeping begins anew.
void forget_attempt(progress& p) {
  p.sha256.clear();
  p.verified = false;
  p.archive_paths.clear();
  p.first_starts = 0;
  p.imports = 0;
  p.wiped_for_current = false;
}

// What was tried already is not tried again because the list is another one.
fate fate_so_far(const progress& p, const ports::candidate& c) {
  for (std::size_t i = 0; i < p.candidates.size(); ++i) {
    const auto& tried = p.candidates[i];
    if (tried.plan != c.plan || tried.snapshots.size() != c.snapshots.size()) continue;
    bool same = true;
    for (std::size_t k = 0; k < c.snapshots.size(); ++k)
      same = same && tried.snapshots[k].name == c.snapshots[k].name && tried.snapshots[k].size == c.snapshots[k].size;
    if (same) return p.fates[i];
  }
  return fate::untried;
}

struct applier {
  progress& p;

  base::result<void> operator()(const begun& r) const {
    if (p.at != mark::none) return out_of_order("begun");
    p.plan = r.plan;
    p.at = mark::begun;
    return {};
  }
  base::result<void> operator()(const selected& r) const {
    const bool after_settled = p.at == mark::selected && !p.settled.empty() && r.settled.empty();
    if (p.at != mark::begun && !after_settled) return out_of_order("selected");
    for (const auto& c : r.candidates)
      if (c.plan >= p.plan.recipe.plans.size())
        return base::error{"journal record \"selected\" names an unknown plan"};
    std::vector<fate> fates;
    for (const auto& c : r.candidates) fates.push_back(fate_so_far(p, c));
    p.candidates = r.candidates;
    p.fates = std::move(fates);
    p.current.reset();
    p.settled = r.settled;
    p.settled_by = r.settled_by;
    p.at = mark::selected;
    return {};
  }
  base::result<void> operator()(const trying& r) const {
    if (p.at < mark::selected || p.at > mark::staged || p.at == mark::wiping || r.candidate >= p.candidates.size())
      return out_of_order("trying");
    if (p.current != r.candidate) p.restagings = 0;
    forget_attempt(p);
    p.current = r.candidate;
    p.undo_why.clear();
    p.then = after_roll_back::next;
    p.at = mark::trying;
    return {};
  }
  base::result<void> operator()(const fetched& r) const {
    if (p.at != mark::trying) return out_of_order("fetched");
    p.sha256 = r.sha256;
    p.verified = r.verified;
    return {};
  }
  // Before the swap it ends the attempt; after it the way back follows.
  base::result<void> operator()(const dropped& r) const {
    if (p.at < mark::trying || p.at == mark::wiping || p.at == mark::confirmed || p.at == mark::rolling_back ||
        r.candidate >= p.candidates.size())
      return out_of_order("dropped");
    p.fates[r.candidate] = r.of;
    p.last_why = r.why;
    if (!p.beyond_swap()) p.at = mark::selected;
    return {};
  }
  base::result<void> operator()(const staged& r) const {
    if (p.at != mark::trying) return out_of_order("staged");
    p.archive_paths = r.archive_paths;
    p.at = mark::staged;
    return {};
  }
  base::result<void> operator()(const approved& r) const {
    if (p.at == mark::none) return out_of_order("approved");
    p.is_approved = true;
    p.approved_in_place = p.approved_in_place || r.in_place;
    return {};
  }
  base::result<void> operator()(const wiping&) const {
    if (p.at != mark::trying) return out_of_order("wiping");
    p.at = mark::wiping;
    return {};
  }
  base::result<void> operator()(const wiped&) const {
    if (p.at == mark::none || p.beyond_swap()) return out_of_order("wiped");
    if (p.at == mark::wiping) {
      p.wiped_for_current = true;
      p.at = mark::trying;
    }
    p.wiped = true;
    return {};
  }
  base::result<void> operator()(const swapping& r) const {
    if (p.at != mark::staged) return out_of_order("swapping");
    p.swaps.push_back(r.at);
    p.at = mark::swapping;
    return {};
  }
  base::result<void> operator()(const swapped&) const {
    if (p.at != mark::swapping) return out_of_order("swapped");
    p.at = mark::swapped;
    return {};
  }
  base::result<void> operator()(const first_start& r) const {
    if (p.at != mark::swapped && p.at != mark::imported && p.at != mark::first_start)
      return out_of_order("first_start");
    p.first_starts = r.attempt;
    p.at = mark::first_start;
    return {};
  }
  base::result<void> operator()(const importing& r) const {
    if (p.at != mark::swapped && p.at != mark::importing) return out_of_order("importing");
    p.imports = r.attempt;
    p.at = mark::importing;
    return {};
  }
  base::result<void> operator()(const imported&) const {
    if (p.at != mark::importing) return out_of_order("imported");
    p.at = mark::imported;
    return {};
  }
  base::result<void> operator()(const loaded&) const {
    if (p.at != mark::first_start) return out_of_order("loaded");
    p.at = mark::loaded;
    return {};
  }
  base::result<void> operator()(const confirmed&) const {
    if (p.at != mark::loaded) return out_of_order("confirmed");
    p.at = mark::confirmed;
    p.undo_wanted = false;
    return {};
  }
  base::result<void> operator()(const rolling_back& r) const {
    if (!p.can_undo_swap()) return out_of_order("rolling_back");
    p.then = r.then;
    p.last_why = r.why;
    p.undo_wanted = false;
    p.renamed_nothing = r.renamed_nothing;
    if (r.renamed_nothing && !p.swaps.empty()) p.swaps.pop_back();
    p.at = mark::rolling_back;
    return {};
  }
  base::result<void> operator()(const rolled_back& r) const {
    if (p.at != mark::rolling_back) return out_of_order("rolled_back");
    if (!p.renamed_nothing) p.was_rolled_back = true;
    if (!r.inexact.empty()) p.inexact = r.inexact;  // a later one that is exact does not undo that
    if (p.then == after_roll_back::again) ++p.restagings;
    forget_attempt(p);
    p.at = mark::selected;
    return {};
  }
  base::result<void> operator()(const undo_wanted& r) const {
    if (!(r.why.empty() ? p.can_roll_back() : p.can_undo_swap())) return out_of_order("undo_wanted");
    p.undo_wanted = true;
    p.undo_why = r.why;
    return {};
  }
};

}  // namespace

base::result<void> apply(progress& p, const record& r) {
  return std::visit(applier{p}, r);
}

base::result<progress> replay(const std::vector<std::string>& records) {
  progress p;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto r = decode(records[i]);
    if (!r) return base::error{"record " + std::to_string(i + 1) + ": " + r.error().message};
    if (const auto done = apply(p, *r); !done)
      return base::error{"record " + std::to_string(i + 1) + ": " + done.error().message};
  }
  return p;
}

}  // namespace hasup::recovery
