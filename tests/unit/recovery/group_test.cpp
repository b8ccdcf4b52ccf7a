// Units that are restored as one set: all on archives of the same backup, or all as they were, wherever it is cut.
#include <iostream>

#include "unit/recovery/group_world.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using tests::cut;
using tests::group_world;
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
  std::size_t cuts = 0;
  for (const auto& t : tales())
    for (const auto kind : {cut::daemon, cut::machine})
      for (std::size_t at = 1;; ++at) {
        group_world w(t.members);
        w.refuses = t.refuses;
        w.kind = kind;
        w.cut_at = at;
        for (const auto i : t.leads) w.begin(i);
        w.run();
        if (!w.was_cut) break;
        ++cuts;
        w.cut_at = 0;
        w.resume();
        w.run();
        w.check_end();
        INFO(t.name << ", cut at " << at << (kind == cut::daemon ? ", daemon" : ", machine"));
        REQUIRE(w.complaints == "");
      }
  std::cout << "crash matrix of groups: " << cuts << " cuts in " << tales().size() << " stories\n";
}
