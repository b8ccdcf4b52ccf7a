// A recovery cut off after every single step, in every story, and once more while it goes on: it always ends whole.
#include <iostream>

#include "unit/recovery/world.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using recovery::outcome;
using tests::cut;
using tests::name_of;
using tests::node_kind;
using tests::story;
using tests::world;

namespace {

story told(std::string name, std::vector<bool> damaged, std::vector<node_kind> nodes) {
  story s;
  s.name = std::move(name);
  s.archive_is_damaged = std::move(damaged);
  s.node = std::move(nodes);
  return s;
}

std::vector<story> stories() {
  std::vector<story> all;
  all.push_back(told("the newest is good", {false}, {node_kind::good}));
  all.push_back(told("the newest is damaged", {true, false}, {node_kind::good, node_kind::good}));
  all.push_back(told("the newest is refused", {false, false}, {node_kind::refuses, node_kind::good}));
  all.push_back(told("the node breaks on all", {false, false}, {node_kind::breaks, node_kind::breaks}));
  all.push_back(told("all are damaged", {true, true}, {node_kind::good, node_kind::good}));
  all.push_back(told("killed in its first start", {false}, {node_kind::killed_once}));
  all.push_back(told("killed on replaced state", {false}, {node_kind::killed_once}));
  all.back().into = true;
  all.push_back(told("replaced state is good", {true, false}, {node_kind::good, node_kind::good}));
  all.back().into = true;
  all.push_back(told("the swap is refused", {false}, {node_kind::good}));
  all.back().swap_refuses = 1;
  all.push_back(told("the newest is too large", {false, false}, {node_kind::good, node_kind::good}));
  all.back().too_large = {true, false};
  all.push_back(told("all are too large", {false, false}, {node_kind::good, node_kind::good}));
  all.back().too_large = {true, true};
  all.push_back(told("prefetched, and no host", {false}, {node_kind::good}));
  all.back().warm = all.back().host_down = true;
  all.push_back(told("prefetched, and in place", {false}, {node_kind::good}));
  all.back().warm = all.back().in_place = true;
  all.push_back(told("the prefetched is damaged", {true, false}, {node_kind::good, node_kind::good}));
  all.back().warm = true;
  all.push_back(told("the prefetched is refused", {false, false}, {node_kind::refuses, node_kind::good}));
  all.back().warm = true;
  all.push_back(told("the node breaks on the prefetched, and no host", {false}, {node_kind::breaks}));
  all.back().warm = all.back().host_down = true;
  for (const auto& [name, damaged] :
       {std::pair{"beside a node, the newest is good", false}, std::pair{"beside a node, all are damaged", true}}) {
    all.push_back(told(name, {damaged}, {node_kind::good}));
    all.back().beside = true;
  }
  all.push_back(told("beside a node, the newest is refused", {false, false}, {node_kind::refuses, node_kind::good}));
  all.back().beside = true;
  for (std::size_t at = 1; at <= 20; at += 3) {
    all.push_back(told("beside a node that ends at step " + std::to_string(at), {false}, {node_kind::good}));
    all.back().beside = true;
    all.back().node_dies_after = at;
    all.push_back(told("beside a node, stopped at step " + std::to_string(at), {false}, {node_kind::good}));
    all.back().beside = true;
    all.back().stop_after = at;
  }
  const auto stands = [&](std::string name, std::vector<bool> damaged, std::vector<node_kind> nodes) -> story& {
    all.push_back(told("its head stands, " + std::move(name), std::move(damaged), std::move(nodes)));
    all.back().beside = all.back().by_itself = true;
    return all.back();
  };
  stands("the newest is good", {false}, {node_kind::good}).cut_twice = true;
  stands("all are damaged", {true}, {node_kind::good});
  stands("the newest is refused", {false, false}, {node_kind::refuses, node_kind::good});
  auto& at_hand = stands("prefetched, and no host", {false}, {node_kind::good});
  at_hand.warm = at_hand.host_down = true;
  stands("no host", {false}, {node_kind::good}).host_down = true;
  for (std::size_t at = 1; at <= 20; at += 3) {
    stands("it ends at step " + std::to_string(at), {false}, {node_kind::good}).node_dies_after = at;
    stands("called off at step " + std::to_string(at), {false}, {node_kind::good}).stop_after = at;
    stands("it advances at step " + std::to_string(at), {false}, {node_kind::good}).advances_after = at;
  }
  for (std::size_t at = 1; at <= 40; at += 3) {
    all.push_back(told("stopped at step " + std::to_string(at), {false}, {node_kind::good}));
    all.back().stop_after = at;
  }
  for (std::size_t at = 1; at <= 40; at += 6) {
    all.push_back(told("prefetched, stopped at step " + std::to_string(at), {false}, {node_kind::good}));
    all.back().warm = true;
    all.back().stop_after = at;
  }
  for (std::size_t at = 1; at <= 40; at += 2) {
    all.push_back(told("rolled back at step " + std::to_string(at), {false}, {node_kind::good}));
    all.back().back_after = at;
  }
  // With an import.
  const auto imported = [&](std::string name, std::vector<bool> damaged, std::vector<node_kind> nodes) -> story& {
    all.push_back(told("imported, " + name, std::move(damaged), std::move(nodes)));
    all.back().import = true;
    return all.back();
  };
  imported("the newest is good", {false}, {node_kind::good}).cut_twice = true;
  imported("the node breaks on the newest", {false, false}, {node_kind::breaks, node_kind::good}).cut_twice = true;
  imported("the node breaks on all", {false, false}, {node_kind::breaks, node_kind::breaks});
  imported("killed", {false}, {node_kind::killed_once}).cut_twice = true;
  imported("in place", {false}, {node_kind::good}).in_place = true;
  for (std::size_t at = 1; at <= 46; at += 3)
    imported("stopped at step " + std::to_string(at), {false}, {node_kind::good}).stop_after = at;
  for (std::size_t at = 1; at <= 46; at += 2)
    imported("rolled back at step " + std::to_string(at), {false}, {node_kind::good}).back_after = at;
  // In place.
  const auto in_place = [&](std::string name, std::vector<bool> damaged, std::vector<node_kind> nodes) -> story& {
    all.push_back(told("in place, " + name, std::move(damaged), std::move(nodes)));
    all.back().in_place = true;
    return all.back();
  };
  in_place("the newest is good", {false}, {node_kind::good}).cut_twice = true;
  in_place("the newest is damaged", {true, false}, {node_kind::good, node_kind::good}).cut_twice = true;
  in_place("the newest is refused", {false, false}, {node_kind::refuses, node_kind::good}).cut_twice = true;
  in_place("the older one is damaged", {false, true}, {node_kind::breaks, node_kind::good}).cut_twice = true;
  in_place("the node breaks on all", {false, false}, {node_kind::breaks, node_kind::breaks}).cut_twice = true;
  in_place("all are damaged", {true, true}, {node_kind::good, node_kind::good});
  in_place("killed in its first start", {false}, {node_kind::killed_once});
  in_place("killed on replaced state", {false}, {node_kind::killed_once}).into = true;
  in_place("replaced state is good", {true, false}, {node_kind::good, node_kind::good}).into = true;
  in_place("the swap is refused", {false}, {node_kind::good}).swap_refuses = 1;
  in_place("the deletion is refused", {false}, {node_kind::good}).wipe_refuses = 1;
  in_place("the deletion dies", {false}, {node_kind::good}).wipe_dies = 1;
  in_place("beside a node", {false}, {node_kind::good}).beside = true;
  for (std::size_t at = 1; at <= 46; at += 3)
    in_place("stopped at step " + std::to_string(at), {false}, {node_kind::good}).stop_after = at;
  for (std::size_t at = 1; at <= 46; at += 2)
    in_place("rolled back at step " + std::to_string(at), {false}, {node_kind::good}).back_after = at;
  // With a second plan, which replaces the blocks, too: how the node is on each snapshot with the one and the other.
  using enum node_kind;
  const auto two_plans = [&](std::string name, std::vector<bool> damaged, std::vector<node_kind> nodes,
                             std::vector<node_kind> with_blocks) -> story& {
    all.push_back(told("two plans, " + name, std::move(damaged), std::move(nodes)));
    all.back().with_blocks = std::move(with_blocks);
    return all.back();
  };
  two_plans("the first is refused", {false}, {refuses}, {good}).cut_twice = true;
  two_plans("the first is refused twice", {false, false}, {refuses, refuses}, {refuses, good});
  two_plans("the second is refused, and the older one is good", {false, false}, {refuses, good}, {refuses, good});
  two_plans("all is refused", {false, false}, {refuses, refuses}, {refuses, refuses});
  two_plans("the node breaks with the second", {false, false}, {refuses, good}, {breaks, good});
  two_plans("killed with the second", {false}, {refuses}, {killed_once});
  for (std::size_t at = 22; at <= 70; at += 6)
    two_plans("stopped at step " + std::to_string(at), {false}, {refuses}, {good}).stop_after = at;
  for (std::size_t at = 1; at <= 60; at += 3)
    two_plans("rolled back at step " + std::to_string(at), {false}, {refuses}, {good}).back_after = at;
  // In mode ask.
  const auto asked = [&](std::string name, std::vector<bool> damaged, std::vector<node_kind> nodes) -> story& {
    all.push_back(told("asked, " + name, std::move(damaged), std::move(nodes)));
    all.back().asks = true;
    return all.back();
  };
  asked("the newest is good", {false}, {good}).cut_twice = true;
  asked("the newest is damaged", {true, false}, {good, good});
  asked("the newest is refused", {false, false}, {refuses, good});
  asked("the node breaks on all", {false, false}, {breaks, breaks});
  asked("two plans", {false}, {refuses}).with_blocks = {good};
  for (std::size_t at = 1; at <= 40; at += 3)
    asked("stopped at step " + std::to_string(at), {false}, {good}).stop_after = at;
  // With a budget of one swap.
  const auto once = [&](std::string name, std::vector<node_kind> nodes) -> story& {
    const std::vector<bool> damaged(nodes.size());
    all.push_back(told("one swap, " + name, damaged, std::move(nodes)));
    all.back().budget = 1;
    return all.back();
  };
  once("the newest is good", {good});
  once("the newest is refused", {refuses, good});
  once("killed in its first start", {killed_once});
  once("two plans", {refuses}).with_blocks = {good};
  return all;
}

// Everything that a person or a restarting daemon does until it is over.
void go_on(world& w) {
  for (int i = 0; i < 3 && !w.was_cut && !w.outcomes.empty() && w.outcomes.back() == outcome::parked; ++i) {
    if (w.journal.empty()) return;
    w.live(false);
  }
}

}  // namespace

TEST_CASE("each story ends as it should when nothing is cut") {
  for (const auto& s : stories()) {
    world w(s);
    w.live(true);
    INFO(s.name);
    go_on(w);
    w.check_end();
    CHECK(w.complaints == "");
    if (s.name == "the newest is good" || s.name == "the newest is damaged" || s.name == "the newest is refused" ||
        s.name == "the newest is too large" || s.name == "killed in its first start" ||
        s.name == "killed on replaced state")
      CHECK(w.outcomes.back() == outcome::recovered);
    if (s.name.starts_with("prefetched") && s.stop_after == 0) CHECK(w.selects == 0);
    if (s.name == "prefetched, and no host" || s.name.starts_with("the prefetched is")) {
      CHECK(w.outcomes.back() == outcome::recovered);
    }
    if (s.name.starts_with("the prefetched is")) CHECK(w.selects == 1);
    if (s.name.ends_with("breaks on the prefetched, and no host")) CHECK(w.outcomes.back() == outcome::rolled_back);
    if (s.name == "beside a node, the newest is good") CHECK(w.outcomes.back() == outcome::recovered);
    if (s.name == "beside a node, all are damaged") {
      CHECK(w.outcomes.back() == outcome::refused);
      CHECK(!w.node_was_stopped);
    }
    if (s.name == "its head stands, the newest is good") CHECK(w.outcomes.back() == outcome::recovered);
    if (s.name == "its head stands, prefetched, and no host") {
      CHECK(w.outcomes.back() == outcome::recovered);
      CHECK(w.selects == 0);
    }
    if (s.name == "its head stands, no host" || s.name == "its head stands, all are damaged") {
      CHECK(w.outcomes.back() == outcome::unavailable);
      CHECK(!w.node_was_stopped);
    }
    if (s.name == "its head stands, called off at step 1") CHECK(!w.node_was_stopped);
    if (s.name == "the node breaks on all") CHECK(w.outcomes.back() == outcome::rolled_back);
    if (s.name == "all are too large") CHECK(w.outcomes.back() == outcome::unavailable);
    if (s.name == "all are damaged") CHECK(w.outcomes.back() == outcome::unavailable);
    if (s.name == "the swap is refused") CHECK(w.outcomes.back() == outcome::refused);
    if (s.name == "imported, the newest is good" || s.name == "imported, the node breaks on the newest" ||
        s.name == "imported, killed" || s.name == "imported, in place")
      CHECK(w.outcomes.back() == outcome::recovered);
    if (s.name == "imported, the node breaks on all") CHECK(w.outcomes.back() == outcome::rolled_back);
    if (s.name == "in place, the newest is good" || s.name == "in place, the newest is damaged" ||
        s.name == "in place, the newest is refused" || s.name == "in place, killed in its first start" ||
        s.name == "in place, killed on replaced state" || s.name == "in place, the deletion dies" ||
        s.name == "in place, beside a node" || s.name.starts_with("in place, rolled back at"))
      CHECK(w.outcomes.back() == outcome::recovered);
    if (s.name == "in place, the node breaks on all" || s.name == "in place, the older one is damaged" ||
        s.name == "in place, the swap is refused")
      CHECK(w.outcomes.back() == outcome::emptied);
    if (s.name == "two plans, the first is refused" || s.name == "two plans, the first is refused twice" ||
        s.name == "two plans, killed with the second") {
      CHECK(w.outcomes.back() == outcome::recovered);
      CHECK(w.new_blocks);
    }
    if (s.name == "two plans, the second is refused, and the older one is good" ||
        s.name == "two plans, the node breaks with the second") {
      CHECK(w.outcomes.back() == outcome::recovered);
      CHECK(!w.new_blocks);
    }
    if (s.name == "two plans, all is refused") CHECK(w.outcomes.back() == outcome::rolled_back);
    if (s.name == "asked, the newest is good" || s.name == "asked, the newest is damaged" ||
        s.name == "asked, the newest is refused" || s.name == "asked, two plans") {
      CHECK(w.outcomes.back() == outcome::recovered);
      CHECK(w.asked == 1);  // a yes is one to the whole recovery
    }
    if (s.name == "one swap, the newest is good" || s.name == "one swap, killed in its first start")
      CHECK(w.outcomes.back() == outcome::recovered);
    if (s.name == "one swap, the newest is refused" || s.name == "one swap, two plans") {
      CHECK(w.outcomes.back() == outcome::rolled_back);
      CHECK(w.swap_count == 1);
    }
    if (s.name == "in place, the deletion is refused") CHECK(w.outcomes.back() == outcome::refused);
    if (s.name == "in place, all are damaged") CHECK(w.outcomes.back() == outcome::unavailable);
  }
}

TEST_CASE("a recovery that is cut off anywhere goes on to a whole end") {
  std::map<cut, std::size_t> cuts;
  std::size_t taken_up = 0;
  for (const auto& s : stories())
    for (const auto kind : {cut::daemon, cut::worker, cut::both, cut::machine})
      for (std::size_t at = 1;; at += kind == cut::both ? 3 : 1) {
        world w(s);
        w.kind = kind;
        w.cut_at = at;
        w.live(true);
        if (!std::exchange(w.was_cut, false)) break;
        ++cuts[kind];
        w.cut_at = 0;
        if (kind != cut::worker) w.live(false);
        go_on(w);
        w.check_end();
        taken_up += w.taken_up;
        INFO(s.name << ", cut at " << at << ", " << name_of(kind));
        REQUIRE(w.complaints == "");
      }
  std::cout << "crash matrix: " << stories().size() << " stories";
  for (const auto& [kind, count] : cuts) std::cout << ", " << count << " deaths of " << name_of(kind);
  std::cout << ", " << taken_up << " jobs taken up\n";
  CHECK(taken_up > 50);
}

TEST_CASE(
    "after a boot without the volume, or with a node of somebody else's, nothing is moved or started before that is "
    "over") {
  std::size_t cuts = 0;
  for (auto s : stories())
    for (const bool stranger : {false, true})
      for (std::size_t at = 1;; ++at) {
        (stranger ? s.stranger : s.volume_late) = 3;
        (stranger ? s.volume_late : s.stranger) = 0;
        world w(s);
        w.kind = cut::machine;
        w.cut_at = at;
        w.live(true);
        if (!w.was_cut) break;
        ++cuts;
        w.cut_at = 0;
        w.live(false);
        go_on(w);
        w.check_end();
        INFO(s.name << ", cut at " << at << (stranger ? ", a stranger" : ", no volume"));
        REQUIRE(w.complaints == "");
      }
  std::cout << "crash matrix: " << cuts << " boots without the volume or beside a stranger\n";
}

TEST_CASE("a second cut while it goes on changes nothing") {
  std::size_t cuts = 0;
  const auto all = stories();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i >= 19 && !all[i].cut_twice) continue;
    for (const auto first : {cut::daemon, cut::machine})
      for (std::size_t at = 1;; at += 2) {
        bool first_was_cut = true;
        for (std::size_t later = 1; first_was_cut; later += 2) {
          world w(all[i]);
          w.kind = first;
          w.cut_at = at;
          w.live(true);
          first_was_cut = w.was_cut;
          if (!first_was_cut) break;
          w.kind = cut::machine;
          w.cut_at = w.steps + later;
          w.live(false);
          if (!w.was_cut) break;
          ++cuts;
          w.cut_at = 0;
          w.live(false);
          go_on(w);
          w.check_end();
          INFO(all[i].name << ", cut at " << at << " and " << later << " later");
          REQUIRE(w.complaints == "");
        }
        if (!first_was_cut) break;
      }
  }
  std::cout << "crash matrix: " << cuts << " pairs of cuts\n";
}

TEST_CASE("a journal that is lost with a half done swap leads to a whole end by way of the marker") {
  std::size_t lost = 0;
  std::size_t confirmed = 0;
  for (const auto& s : stories())
    for (std::size_t at = 1;; ++at) {
      if (s.stop_after != 0) break;  // stopped before it looked, it leaves the marker, which forbids every start
      world w(s);
      w.kind = cut::machine;
      w.cut_at = at;
      w.live(true);
      if (!w.was_cut) break;
      if (!w.marker) continue;
      ++lost;
      confirmed += w.confirmed_mark ? 1 : 0;
      w.cut_at = 0;
      w.journal.clear();
      w.journal_says_confirmed = w.journal_says_wiping = w.journal_says_approved = false;
      w.swap_count = 0;  // what it cost is in the intent file, too, which is no part of this world
      w.live(true);
      go_on(w);
      w.check_end();
      INFO(s.name << ", lost at " << at);
      REQUIRE(w.complaints == "");
    }
  CHECK(lost > 50);
  CHECK(confirmed > 10);
}
