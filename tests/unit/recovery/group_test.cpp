// Units that are restored as one set: all on archives of the same backup, or all as they were, wherever it is cut.
#include <array>
#include <iostream>
#include <random>

#include "unit/recovery/group_world.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using tests::cut;
using tests::group_world;
using tests::name_of;
using tests::node_kind;
using tests::story;

namespace {

// Candidates of the backups "new" and "old".
story member(std::vector<bool> damaged, std::vector<node_kind> nodes, std::vector<std::string> sets = {"n", "o"}) {
  story s;
  s.archive_is_damaged = std::move(damaged);
  s.node = std::move(nodes);
  s.set = std::move(sets);
  return s;
}

story good() {
  return member({false, false}, {node_kind::good, node_kind::good});
}

struct tale {
  std::string name;
  std::vector<story> members;
  std::string end;                    // the backup that all are on; "old" = the state as it was; "" = one of these
  std::vector<std::size_t> leads{0};  // who begins by itself
  std::vector<std::string> refuses{};
};

std::vector<tale> tales() {
  const auto damaged = member({true, false}, {node_kind::good, node_kind::good});
  const auto breaks = member({false, false}, {node_kind::breaks, node_kind::good});
  const auto breaks_on_all = member({false, false}, {node_kind::breaks, node_kind::breaks});
  const auto lacks = member({false, false}, {node_kind::good, node_kind::good}, {"-", "o"});
  const auto killed = member({false, false}, {node_kind::killed_once, node_kind::good});
  auto beside = good();
  beside.beside = true;
  auto lacks_beside = member({false}, {node_kind::good}, {"x"});
  lacks_beside.beside = true;
  auto replaced = killed;
  replaced.into = true;
  std::vector<tale> all;
  all.push_back({"all are good", {good(), good()}, "n"});
  all.push_back({"three are good", {good(), good(), good()}, "n"});
  all.push_back({"the second leads", {good(), good()}, "n", {1}});
  all.push_back({"both begin", {good(), good()}, "n", {0, 1}});
  all.push_back({"one beside its node", {good(), beside}, "n"});
  all.push_back({"a follower lacks the newest", {good(), lacks}, "o"});
  all.push_back({"a follower has another backup", {good(), lacks_beside}, "old"});
  all.push_back({"a follower's archive is damaged", {good(), damaged}, "o"});
  all.push_back({"the leader's archive is damaged", {damaged, good()}, "o"});
  all.push_back({"a follower's node breaks", {good(), breaks}, "o"});
  all.push_back({"the leader's node breaks", {breaks, good()}, "o"});
  all.push_back({"one of three breaks", {good(), good(), breaks}, "o"});
  all.push_back({"a follower breaks on all", {good(), breaks_on_all}, "old"});
  all.push_back({"the leader breaks on all", {breaks_on_all, good()}, "old"});
  all.push_back({"a follower is killed", {good(), killed}, "n"});
  all.push_back({"the leader is killed", {killed, good()}, "n"});
  all.push_back({"both are killed on replaced state", {replaced, replaced}, "n"});
  all.push_back({"a follower is stopped", {good(), good()}, "old", {0}, {"", "it is stopped"}});
  all.push_back({"no archive says of which backup it is",
                 {member({false}, {node_kind::good}, {""}), member({false}, {node_kind::good}, {""})},
                 "old"});
  for (std::size_t who : {0U, 1U})
    for (std::size_t at = 3; at <= 60; at += 9) {
      auto stopped = good();
      stopped.stop_after = at;
      auto back = good();
      back.back_after = at;
      const std::string name = (who == 0 ? "the leader is " : "a follower is ");
      const auto with = [&](const story& s) { return who == 0 ? std::vector{s, good()} : std::vector{good(), s}; };
      all.push_back({name + "stopped at " + std::to_string(at), with(stopped), ""});
      all.push_back({name + "rolled back at " + std::to_string(at), with(back), ""});
    }
  return all;
}

}  // namespace

TEST_CASE("a group ends on one backup, or as it was") {
  for (const auto& t : tales()) {
    INFO(t.name);
    group_world w(t.members);
    w.refuses = t.refuses;
    for (const auto i : t.leads) w.begin(i);
    w.run();
    w.check_end();
    CHECK(w.complaints == "");
    if (!t.end.empty()) CHECK(w.end == t.end);
  }
}

TEST_CASE("a group that is cut off anywhere ends on one backup, or as it was") {
  std::map<cut, std::size_t> cuts;
  for (const auto& t : tales())
    for (const auto kind : {cut::daemon, cut::worker, cut::both, cut::machine})
      for (std::size_t at = 1;; at += kind == cut::both ? 3 : 1) {
        group_world w(t.members);
        w.refuses = t.refuses;
        w.kind = kind;
        w.cut_at = at;
        for (const auto i : t.leads) w.begin(i);
        w.run();
        if (!w.was_cut) break;
        ++cuts[kind];
        w.cut_at = 0;
        if (kind != cut::worker) {
          w.resume();
          w.run();
        }
        w.check_end();
        INFO(t.name << ", cut at " << at << ", " << name_of(kind));
        REQUIRE(w.complaints == "");
      }
  std::cout << "crash matrix of groups: " << tales().size() << " stories";
  for (const auto& [kind, count] : cuts) std::cout << ", " << count << " deaths of " << name_of(kind);
  std::cout << "\n";
}

TEST_CASE("a group that is cut off once more while it goes on ends on one backup, or as it was") {
  std::mt19937 dice(5);  // the same pairs in every run: all of them take hours
  std::size_t cuts = 0;
  const auto all = tales();
  const auto told = [](const tale& t, cut kind, std::size_t at) {
    auto w = std::make_unique<group_world>(t.members);
    w->refuses = t.refuses;
    w->kind = kind;
    w->cut_at = at;
    for (const auto i : t.leads) w->begin(i);
    w->run();
    return w;
  };
  for (const auto& t : all) {
    const auto length = told(t, cut::machine, 0)->steps;
    for (const auto first : {cut::daemon, cut::both, cut::machine})
      for (std::size_t at = 1 + dice() % 7;; at += 1 + dice() % 7) {
        const auto w = told(t, first, at);
        if (!w->was_cut) break;
        const auto left = length > at ? length - at : 0;
        const auto later = 1 + dice() % (left + 15);  // it looks at what there is once more
        w->kind = std::array{cut::daemon, cut::both, cut::machine}[dice() % 3];
        w->cut_at = w->steps + later;
        INFO(t.name << ", cut at " << at << ", " << name_of(first) << ", and " << later << " later, "
                    << name_of(w->kind));
        w->resume();
        w->run();
        cuts += w->was_cut ? 1 : 0;
        w->cut_at = 0;
        w->resume();
        w->run();
        w->check_end();
        REQUIRE(w->complaints == "");
      }
  }
  CHECK(cuts > 2000);
  std::cout << "crash matrix of groups: " << cuts << " pairs of cuts in " << all.size() << " stories\n";
}
