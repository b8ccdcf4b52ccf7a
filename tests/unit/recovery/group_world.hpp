// Several of world.hpp, each with its node, its data and its journal, whose recoveries restore one set. They take
// turns on one clock; a cut ends all of them at once, as a death of hasupd or of the machine does.
#pragma once

#include <memory>

#include "unit/recovery/world.hpp"

namespace hasup::tests {

class group_world {
 public:
  // The first leads. Names are in the order of the alphabet: "a", "b", …
  explicit group_world(const std::vector<story>& stories) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < stories.size(); ++i) names.emplace_back(1, static_cast<char>('a' + i));
    for (std::size_t i = 0; i < stories.size(); ++i) {
      membership m;
      m.unit = names[i];
      for (const auto& n : names)
        if (n != names[i]) m.others.push_back(n);
      m.call = [this, i](const recovery::call_group& c) { call(i, c); };
      m.tick = [this] { tick(); };
      m.worker_dies = [this] { return worker_dies(); };
      m.look = [this, i] { return others_of(i); };
      members.push_back(std::make_unique<world>(stories[i], std::move(m)));
    }
    told_.resize(members.size());
    names_ = std::move(names);
  }

  std::vector<std::unique_ptr<world>> members;
  cut kind = cut::daemon;
  std::size_t cut_at = 0;
  std::size_t steps = 0;
  bool was_cut = false;
  std::string complaints;
  std::vector<std::string> refuses;  // by member: why it cannot follow; "" = it can

  void begin(std::size_t leader = 0) { members[leader]->wake(true); }

  // hasupd is there again: what has a journal goes on.
  void resume() {
    for (const auto& m : members)
      if (!m->journal.empty() || !m->outcomes.empty()) m->wake(false);
  }

  void run() {
    was_cut = false;
    for (const auto& m : members) m->kind = kind;
    try {
      for (std::size_t rounds = 0;; ++rounds) {
        if (rounds > 20'000) return complain("no end");
        if (!turn()) break;
      }
    } catch (const cut_off&) {
      was_cut = true;
      for (const auto& m : members) m->die();
    }
    for (auto& t : told_) t.clear();
  }

  // All on one backup, or all as they were.
  void check_end() {
    std::string sets;
    for (std::size_t i = 0; i < members.size(); ++i) {
      auto& m = *members[i];
      if (!m.outcomes.empty()) m.check_end();
      // Never begun, or cut off right before it would have said how it ended.
      const bool whole = m.data == world::place::old_state || m.data == world::place::loaded;
      if (m.outcomes.empty() && (!whole || m.marker || m.old_aside)) complain(names_[i] + " is left half done");
      if (!m.complaints.empty()) complaints += names_[i] + ": " + m.complaints;
      if (!m.journal.empty()) complain(names_[i] + " has a journal");
      const bool restored = m.data == world::place::loaded;
      const auto set = restored ? m.data_set : std::string("old");
      if (restored && set.empty()) complain(names_[i] + " was restored from no backup");
      if (i > 0 && sets != set) complain(names_[i] + " is on " + set + " and " + names_[0] + " on " + sets);
      if (i == 0) sets = set;
    }
    end = sets;
  }
  std::string end;  // the backup that all are on; "old"

 private:
  struct cut_off {};

  void complain(const std::string& what) { complaints += what + " at step " + std::to_string(steps) + "; "; }

  void tick() {
    ++steps;
    if (kind != cut::worker && cut_at != 0 && steps == cut_at) throw cut_off{};
    check_promises();
  }

  bool worker_dies() {
    if (cut_at == 0 || ++worker_steps_ != cut_at) return false;
    was_cut = true;
    return true;
  }

  // The first state that is put aside for a backup is so when all others have that staged.
  void check_promises() {
    if (kind == cut::worker && was_cut) return;  // who was staged may have gone back for that
    were_aside_.resize(members.size());
    for (std::size_t i = 0; i < members.size(); ++i) {
      const bool first = members[i]->old_aside && !were_aside_[i];
      were_aside_[i] = members[i]->old_aside;
      if (!first || !replaced_with_.insert(members[i]->data_set).second) continue;
      for (const auto& other : members)
        if (!other->staged && !other->old_aside && other->data == world::place::old_state)
          return complain("one is replaced before another is staged");
    }
  }

  [[nodiscard]] static bool is_at_rest(const world& m) {
    const auto& now = m.machine().now;
    return std::holds_alternative<recovery::idle>(now) || std::holds_alternative<recovery::ended>(now);
  }

  recovery::member_view view(std::size_t i) const {
    const auto& m = *members[i];
    auto v = recovery::view_of(m.machine());
    if (is_at_rest(m) && !m.journal.empty())
      if (const auto done = recovery::replay(m.journal)) v = recovery::view_of(*done);
    if (is_at_rest(m) && i < refused_.size() && !refused_[i].empty()) {
      v.gave_up_on = refused_[i];
      v.why = refuses[i];
    }
    v.unit = names_[i];
    return v;
  }

  std::vector<recovery::member_view> others_of(std::size_t i) const {
    std::vector<recovery::member_view> others;
    for (std::size_t k = 0; k < members.size(); ++k)
      if (k != i) others.push_back(view(k));
    return others;
  }

  void call(std::size_t leader, const recovery::call_group& c) {
    for (const auto& name : c.members) {
      const auto i = static_cast<std::size_t>(name[0] - 'a');
      if (!is_at_rest(*members[i]) || members[i]->is_called()) continue;
      if (i < refuses.size() && !refuses[i].empty()) {
        refused_.resize(members.size());
        refused_[i] = c.set;
        continue;
      }
      members[i]->follow(names_[leader], c.set);
    }
  }

  // Whoever has something to do does one thing; the news goes round; then time passes.
  bool turn() {
    for (std::size_t i = 0; i < members.size(); ++i) {
      auto others = others_of(i);
      if (others == told_[i] || is_at_rest(*members[i])) continue;
      told_[i] = others;
      members[i]->hear(recovery::group_seen{std::move(others)});
    }
    world* next = nullptr;
    for (const auto& m : members)
      if (m->has_events() && (next == nullptr || m->clock() < next->clock())) next = m.get();
    // The others would wait for ever for one that a person has stopped.
    if (next == nullptr && started_again_ < 3)
      for (const auto& m : members)
        if (!m->journal.empty() && is_at_rest(*m)) {
          ++started_again_;
          for (auto& t : told_) t.clear();  // who is taken up is told anew
          m->wake(false);
          return true;
        }
    if (next == nullptr)
      for (const auto& m : members)
        if (m->due() && (next == nullptr || *m->due() < *next->due())) next = m.get();
    if (next == nullptr) return false;
    return next->take_turn();
  }

  std::vector<std::vector<recovery::member_view>> told_;
  std::vector<std::string> names_;
  std::vector<bool> were_aside_;
  std::set<std::string> replaced_with_;
  unsigned started_again_ = 0;
  std::size_t worker_steps_ = 0;
  std::vector<std::string> refused_;
};

}  // namespace hasup::tests
