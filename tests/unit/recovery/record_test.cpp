// Journal records: what is written is read again, and what cannot be understood is said.
#include "recovery/record.hpp"

#include "recovery/candidates.hpp"
#include "unit/recovery/trace.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::tests;

namespace {

std::vector<recovery::record> one_of_each() {
  auto plan = leap();
  plan.asked.snapshot = "s3 \"quoted\" \xc3\xa9";
  plan.asked.yes = plan.asked.explained = true;
  plan.asked.newer_than = 387'721'720;
  plan.asked.leader = "nodeos";
  plan.asked.set = "2026-11-22T04:00";
  plan.group = "evm";
  plan.members = {"nodeos", "miner@1"};
  plan.space = model::space_policy::automatic;
  plan.data_dir = "/var/lib/leap/data";
  plan.also = {"/var/lib/leap/blocks"};
  plan.mounts = {"/var/lib/leap", "/var/lib/leap/state"};
  plan.sources = {"https://backup.example.com/leap/", "file:///mnt/backup/"};
  plan.mode = model::recovery_mode::ask;
  plan.min_free = 1ULL << 40;
  plan.public_key = "RWx";
  plan.max_rate = 200ULL << 20;
  plan.max_window = 128ULL << 20;
  plan.has_head = plan.tells_health = false;
  return {recovery::begun{plan},
          recovery::selected{{one_candidate(0, "s3"), one_candidate(1, "s3", std::nullopt)}},
          recovery::trying{1},
          recovery::fetched{{"aa", ""}, true},
          recovery::dropped{1, recovery::fate::refused, "why"},
          recovery::staged{{{"snapshot", "/x/y"}}},
          recovery::approved{},
          recovery::swapping{base::wall_time(std::chrono::milliseconds(1234567890123))},
          recovery::swapped{},
          recovery::first_start{3},
          recovery::loaded{},
          recovery::confirmed{},
          recovery::rolling_back{recovery::after_roll_back::again, "why"},
          recovery::rolled_back{"what the node wrote to \xff meanwhile stays"},
          recovery::undo_wanted{"the group goes back"},
          recovery::wiping{},
          recovery::wiped{},
          recovery::importing{2},
          recovery::imported{}};
}

}  // namespace

TEST_CASE("each record is read as it was written") {
  for (const auto& r : one_of_each()) {
    const auto text = recovery::encode(r);
    const auto read = recovery::decode(text);
    INFO(text);
    REQUIRE(read.has_value());
    CHECK(read->index() == r.index());
    CHECK(recovery::encode(*read) == text);
  }
  CHECK(one_of_each().size() == std::variant_size_v<recovery::record>);
}

TEST_CASE("a swap that renamed nothing is known as such to the next hasupd") {
  const auto read = recovery::decode(
      recovery::encode(recovery::rolling_back{recovery::after_roll_back::end_refused, "a link", true}));
  REQUIRE(read.has_value());
  CHECK(std::get<recovery::rolling_back>(*read).renamed_nothing);
}

TEST_CASE("while a node runs on what stands nowhere else, a full disk is more than an event") {
  using recovery::mark;
  recovery::progress p;
  p.plan.recipe.plans.resize(2);
  p.plan.recipe.plans[1].shared = {"blocks"};
  p.candidates.resize(2);
  p.candidates[1].plan = 1;
  p.current = 0;
  for (const auto at : {mark::staged, mark::first_start, mark::loaded, mark::rolling_back}) {
    p.at = at;
    CHECK_FALSE(p.runs_on_only_copy());
  }
  p.at = mark::confirmed;
  CHECK(p.runs_on_only_copy());
  p.at = mark::loaded;
  p.wiped = true;
  CHECK(p.runs_on_only_copy());
  p.wiped = false;
  p.current = 1;
  CHECK(p.runs_on_only_copy());
  p.at = mark::staged;
  CHECK_FALSE(p.runs_on_only_copy());
}

TEST_CASE("a record cut at any byte, or with a flipped one, is an error and no crash") {
  for (const auto& r : one_of_each()) {
    const auto text = recovery::encode(r);
    for (std::size_t size = 0; size < text.size(); ++size) REQUIRE(!recovery::decode(text.substr(0, size)));
    for (std::size_t at = 0; at < text.size(); ++at) {
      auto damaged = text;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x04);
      const auto read = recovery::decode(damaged);
      if (read) REQUIRE_NOTHROW(recovery::encode(*read));
    }
  }
}

TEST_CASE("records of another version and unknown ones are refused with a reason") {
  const auto newer = recovery::decode(R"({"version":2,"record":"swapped"})");
  REQUIRE(!newer);
  CHECK(newer.error().message.find("version 2, this hasup reads version 1") != std::string::npos);
  const auto unknown = recovery::decode(R"({"version":1,"record":"teleported"})");
  REQUIRE(!unknown);
  CHECK(unknown.error().message.find("teleported") != std::string::npos);
  for (const auto* text : {"", "null", "[]", "{}", R"({"version":"1","record":"swapped"})", R"({"version":1})"})
    CHECK(!recovery::decode(text));
}

TEST_CASE("records in an impossible order are refused and change nothing") {
  recovery::progress p;
  for (const auto& r : one_of_each())
    if (!std::holds_alternative<recovery::begun>(r)) CHECK(!recovery::apply(p, r));
  CHECK(p.at == recovery::mark::none);
  REQUIRE(recovery::apply(p, recovery::begun{leap()}).has_value());
  CHECK(!recovery::apply(p, recovery::begun{leap()}));
  CHECK(!recovery::apply(p, recovery::selected{{one_candidate(7, "s3")}}));
  REQUIRE(recovery::apply(p, recovery::selected{{one_candidate(0, "s3")}}).has_value());
  CHECK(!recovery::apply(p, recovery::trying{1}));
  CHECK(!recovery::apply(p, recovery::swapping{}));
  CHECK(!recovery::replay({recovery::encode(recovery::swapped{})}));
  CHECK(recovery::replay({})->at == recovery::mark::none);
}

TEST_CASE("arguments are filled in, left out for plans that replace the state, and checked") {
  auto plan = leap();
  const auto& keeps = plan.recipe.plans[0];
  const auto filled = recovery::first_start_arguments(plan.recipe, keeps, {{"snapshot", "/s.bin"}});
  REQUIRE(filled.has_value());
  CHECK(*filled == std::vector<std::string>{"--snapshot", "/s.bin"});
  plan.recipe.first_start_append = {"--x=${archive.a.path}:${archive.b.path}"};
  const auto twice = recovery::first_start_arguments(plan.recipe, keeps, {{"a", "/1"}, {"b", "/2"}});
  REQUIRE(twice.has_value());
  CHECK(*twice == std::vector<std::string>{"--x=/1:/2"});
  CHECK(!recovery::first_start_arguments(plan.recipe, keeps, {{"a", "/1"}}));
  auto replaces = keeps;
  replaces.archives[0].as.clear();
  replaces.archives[0].into = ".";
  const auto none = recovery::first_start_arguments(plan.recipe, replaces, {});
  REQUIRE(none.has_value());
  CHECK(none->empty());
  plan.recipe.first_start_append = {"${archive.a"};
  CHECK(!recovery::first_start_arguments(plan.recipe, keeps, {{"a", "/1"}}));
}

TEST_CASE("a bad snapshot is not tried in another plan, a replaced file is another snapshot") {
  recovery::progress p;
  p.plan = leap();
  p.candidates = {one_candidate(0, "s3"), one_candidate(1, "s3"), one_candidate(1, "s2")};
  p.fates.assign(3, recovery::fate::untried);
  p.current = 0;
  p.fates[0] = recovery::fate::bad;
  CHECK(recovery::next_candidate(p) == 2);
  p.fates[0] = recovery::fate::refused;
  CHECK(recovery::next_candidate(p) == 1);
  p.fates[1] = recovery::fate::unreachable;
  CHECK(recovery::next_candidate(p) == 2);
  p.fates[2] = recovery::fate::environment;
  CHECK(!recovery::next_candidate(p));

  auto file = one_snapshot("s3", 1);
  const auto key = recovery::bad_key_of_copy(file);
  file.size = 1001;
  CHECK(recovery::bad_key_of_copy(file) != key);
  file.sha256 = "ff";
  CHECK(recovery::same_key(file) == "sha256:ff");
  CHECK(recovery::is_bad(file, {"sha256:ff"}));
  CHECK(recovery::is_bad(file, {recovery::bad_key_of_copy(file)}));
  CHECK_FALSE(recovery::is_bad(file, {key, "sha256:fe"}));
}

TEST_CASE("a damaged copy says nothing against what is announced: the mended one is another") {
  auto c = one_candidate(0, "s3");
  c.snapshots[0].sha256 = "ff";
  c.snapshots[0].time = base::wall_time(std::chrono::hours(1));
  recovery::memory m;
  recovery::remember_as_bad(m, c, {});
  const std::set<std::string> bad(m.bad.begin(), m.bad.end());
  CHECK(recovery::allowed({c}, leap(), bad, nullptr).empty());
  auto mended = c;
  mended.snapshots[0].time = base::wall_time(std::chrono::hours(2));
  auto mirrored = c;
  mirrored.snapshots[0].source = "http://mirror/";
  CHECK(recovery::allowed({mended, mirrored}, leap(), bad, nullptr).size() == 2);
  // Fetched whole and bad all the same, it is so wherever it comes from.
  recovery::remember_as_bad(m, c, {"ff"});
  const std::set<std::string> worse(m.bad.begin(), m.bad.end());
  CHECK(recovery::allowed({mended, mirrored}, leap(), worse, nullptr).empty());
}
