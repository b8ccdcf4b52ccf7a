// Which snapshot is newer, and which archives belong together.
#include "snapshot/candidate_order.hpp"

#include "base/time_text.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::snapshot;
using model::archive_order;

namespace {

model::archive_spec spec(const std::string& match, archive_order order, const std::string& pattern = "") {
  return {match, pattern, order, model::unpack_mode::archive, "", ".", true};
}

model::recovery_plan plan(std::vector<model::archive_spec> archives) {
  model::recovery_plan p;
  p.name = "p";
  p.archives = std::move(archives);
  return p;
}

listed_file file(const std::string& name, int minute = 0) {
  return {name, "http://h/" + name, 10, base::wall_time(std::chrono::minutes(minute)), true, ""};
}

std::vector<std::string> order_of(const model::recovery_plan& p, const std::vector<listed_file>& files) {
  std::vector<std::string> notes;
  std::vector<std::string> out;
  for (const auto& c : plan_candidates(p, 0, "http://h/", files, notes)) {
    std::string row;
    for (const auto& s : c.snapshots) row += (row.empty() ? "" : "+") + s.name;
    out.push_back(row);
  }
  return out;
}

using strings = std::vector<std::string>;

std::string nodeos(const std::string& block) {
  return "snapshot-" + block + std::string(56, 'e') + ".bin.zst";
}

}  // namespace

TEST_CASE("a number that may be a date is no more than a guess at the block", "[order]") {
  const auto matcher = name_matcher::from(spec("*", archive_order::block));
  for (const auto* name : {"snapshot-20261121.bin.zst", "20261121235959.tar", "state-1763700000.tar"})
    CHECK(matcher->guesses_block_of(name));
  for (const auto& name : {std::string("snapshot-0361000000.bin.zst"), std::string("s-20261321.bin"),
                           std::string("s-20991232.bin"), std::string("s-300.bin"), nodeos("171c3e78")})
    CHECK_FALSE(matcher->guesses_block_of(name));
  const auto named = name_matcher::from(spec("", archive_order::block, "s-(?P<block>[0-9]+)"));
  CHECK_FALSE(named->guesses_block_of("s-20261121"));
}

TEST_CASE("nodeos names carry the block in their first eight hex digits", "[order]") {
  const auto matcher = name_matcher::from(spec("snapshot-*.bin*", archive_order::block));
  CHECK(matcher->block_of(nodeos("171c3e78")) == 0x171c3e78U);
  CHECK(matcher->block_of("snapshot-0361000000.bin.zst") == 361'000'000U);
  CHECK_FALSE(matcher->block_of("snapshot-2026-11-21-0361000000.bin"));
  CHECK_FALSE(matcher->block_of("snapshot-latest.bin"));
  CHECK(order_of(plan({spec("snapshot-*.bin*", archive_order::block)}),
                 {file(nodeos("0000000a"), 9), file("snapshot-x.bin", 99), file(nodeos("0000001f"), 1)}) ==
        strings{nodeos("0000001f"), nodeos("0000000a"), "snapshot-x.bin"});
}

TEST_CASE("a pattern's block group counts as a number, padded or not", "[order]") {
  const auto p = plan({spec("", archive_order::block, "chain-v2-(?P<block>[0-9]+)\\.tar\\.gz")});
  CHECK(order_of(p, {file("chain-v2-99.tar.gz"), file("chain-v2-0000100.tar.gz"), file("chain-v2-x.tar.gz")}) ==
        strings{"chain-v2-0000100.tar.gz", "chain-v2-99.tar.gz"});
}

TEST_CASE("a pattern's time group is a date in UTC, or seconds or milliseconds since 1970", "[order]") {
  const auto matcher = name_matcher::from(spec("", archive_order::time, "kaia-(?P<time>[0-9TZ:_-]+)\\.tar\\.gz"));
  const auto at = [&](const std::string& text) {
    const auto time = matcher->time_of("kaia-" + text + ".tar.gz");
    return time ? base::format_time(*time) : "none";
  };
  CHECK(at("20240808") == "2024-08-08T00:00:00Z");
  CHECK(at("2024-08-08") == "2024-08-08T00:00:00Z");
  CHECK(at("2024-08-08-02") == "2024-08-08T02:00:00Z");
  CHECK(at("20240808021500") == "2024-08-08T02:15:00Z");
  CHECK(at("2024-08-08T02:15:59Z") == "2024-08-08T02:15:59Z");
  CHECK(at("1763700000") == "2025-11-21T04:40:00Z");
  CHECK(at("1763700000123") == "2025-11-21T04:40:00Z");
  for (const auto* text : {"20241308", "20240230", "202408", "99999999999999", "2024080824", "00000000"})
    CHECK(at(text) == "none");
  CHECK_FALSE(matcher->time_of("other.tar.gz"));
  // It counts before what the host says, which may be the time of the upload.
  const auto p = plan({spec("", archive_order::time, "s-(?P<time>[0-9]+)\\.tar")});
  CHECK(order_of(p, {file("s-20240808.tar", 9), file("s-20240809.tar", 5)}) ==
        strings{"s-20240809.tar", "s-20240808.tar"});
}

TEST_CASE("time and name order the newest first, numbers in names as numbers", "[order]") {
  auto unknown = file("c.tar");
  unknown.time.reset();
  CHECK(order_of(plan({spec("*.tar", archive_order::time)}), {unknown, file("b.tar", 1), file("a.tar", 2)}) ==
        strings{"a.tar", "b.tar", "c.tar"});
  CHECK(order_of(plan({spec("s-*", archive_order::name)}), {file("s-9"), file("s-010"), file("s-100")}) ==
        strings{"s-100", "s-010", "s-9"});
  CHECK(compare_names("a-9", "a-10") < 0);
  CHECK(compare_names("a-009", "a-9") == 0);
  CHECK(compare_names("a", "a-1") < 0);
}

TEST_CASE("archives of a plan are paired by block, else by what their names have in common", "[order]") {
  const auto by_block = plan({spec("snap-*", archive_order::block), spec("blocks-*", archive_order::block)});
  CHECK(order_of(by_block, {file("snap-1"), file("snap-2"), file("snap-3"), file("blocks-3"), file("blocks-1")}) ==
        strings{"snap-3+blocks-3", "snap-1+blocks-1"});
  const auto by_name = plan({spec("snap-*", archive_order::time), spec("blocks-*", archive_order::time)});
  CHECK(order_of(by_name, {file("snap-a", 1), file("snap-b", 3), file("blocks-a", 4), file("blocks-b", 2)}) ==
        strings{"snap-b+blocks-b", "snap-a+blocks-a"});
  CHECK(order_of(by_name, {file("snap-a", 1)}).empty());
}

TEST_CASE("the newest of each are no pair for that alone", "[order]") {
  const auto p = plan({spec("state-*.tar", archive_order::time), spec("blocks-*.tar", archive_order::time)});
  const std::vector<listed_file> files{file("state-day2.tar", 2), file("state-day1.tar", 1),
                                       file("blocks-day1.tar", 1)};
  CHECK(order_of(p, files) == strings{"state-day1.tar+blocks-day1.tar"});
  std::vector<std::string> notes;
  plan_candidates(p, 0, "http://h/", files, notes);
  CHECK(notes ==
        strings{"state-day2.tar has no partner for plan \"p\" at http://h/: of what matches \"blocks-*.tar\" "
                "nothing has its block, or in its name the same text where \"state-*.tar\" leaves it open"});
  // A file without a block beside others with one.
  const auto blocks = plan({spec("snap-*", archive_order::block), spec("blocks-*", archive_order::block)});
  CHECK(order_of(blocks, {file("snap-2"), file("blocks-1"), file("blocks-x")}).empty());
}

TEST_CASE("what a recipe leaves open in a name is each *, or each named group, without how it is packed", "[order]") {
  const auto open = [](const std::string& match, const std::string& name, const std::string& pattern = "") {
    const auto text = name_matcher::from(spec(match, archive_order::name, pattern))->free_text(name);
    return text ? *text : strings{"(nothing)"};
  };
  CHECK(open("snapshot-*.bin*", "snapshot-17.bin.zst") == strings{"17"});
  CHECK(open("blocks-*", "blocks-17.tar.gz") == strings{"17"});
  CHECK(open("*-chain-*.tar*", "wax-chain-2024-01-02.tar") == strings{"wax", "2024-01-02"});
  CHECK(open("s.????.[01]?.tgz", "s.2024.12.tgz") == strings{"2024", "12"});
  CHECK(open("s-[!a]\\*[]x].tar", "s-b*].tar") == strings{"b", "]"});
  CHECK(open("s-[[:digit:]x]*.tar", "s-17.tar") == strings{"17"});
  CHECK(open("s+(1).tar", "s+(1).tar").empty());
  CHECK(open("", "s-main-17.tar", "s-(?P<net>[a-z]+)-([0-9]+)\\.tar") == strings{"main"});
  CHECK(open("", "s-17.tar", "s-[0-9]+\\.tar") == strings{"(nothing)"});
}

TEST_CASE("names that tell a time are paired by that, however it is written", "[order]") {
  const auto p = plan({spec("", archive_order::time, "state-(?P<time>[0-9]+)\\.tar"),
                       spec("", archive_order::time, "blocks-(?P<time>[0-9-]+)\\.tar")});
  CHECK(order_of(p, {file("state-20240809.tar"), file("state-20240808.tar"), file("blocks-2024-08-08.tar")}) ==
        strings{"state-20240808.tar+blocks-2024-08-08.tar"});
}

TEST_CASE("archives of one backup are paired by its word, whatever their order and blocks", "[order]") {
  auto p = plan({spec("snap-*", archive_order::block), spec("blocks-*", archive_order::block)});
  p.same_set = true;
  const auto of = [](const std::string& name, const std::string& set) {
    auto f = file(name);
    f.set = set;
    return f;
  };
  CHECK(order_of(p, {of("snap-3", "c"), of("snap-2", "b"), of("snap-1", "a"), of("blocks-9", "a"),
                     of("blocks-8", "c"), of("blocks-3", "")}) == strings{"snap-3+blocks-8", "snap-1+blocks-9"});
  std::vector<std::string> notes;
  CHECK(plan_candidates(p, 0, "http://h/", {file("snap-3"), file("blocks-3")}, notes).empty());
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("snap-3 does not say of which backup it is") == 0);
}

TEST_CASE("unfinished uploads and side files never match", "[order]") {
  CHECK(order_of(plan({spec("*", archive_order::name)}),
                 {file("a.zst"), file("a.zst.sha256"), file("a.zst.part"), file("SHA256SUMS"), file(".pending-a"),
                  file("manifest.json")}) == strings{"a.zst"});
  std::vector<std::string> notes;
  CHECK(
      plan_candidates(plan({spec("x*", archive_order::name)}), 0, "http://u:secret@h/", {file("a")}, notes).empty());
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("x*") != std::string::npos);
  CHECK(notes[0].find("secret") == std::string::npos);
  CHECK_FALSE(name_matcher::from(spec("", archive_order::name, "(")).has_value());
  CHECK_FALSE(name_matcher::from(spec("a", archive_order::name, "b")).has_value());
}

TEST_CASE("files of one name and size on several sources are each other's mirrors, unless their sums differ",
          "[order]") {
  const auto file = [](const std::string& source, std::optional<std::uint64_t> size, const std::string& sum) {
    return ports::candidate{0, {{"a", source + "a", source, size, {}, {}, sum}}};
  };
  std::vector<ports::candidate> all{file("http://x/", 5, "s"), file("http://y/", 5, ""), file("http://z/", 5, "t"),
                                    file("http://u/", 6, ""), file("http://v/", {}, "")};
  find_mirrors(all);
  using mirrors = std::vector<model::snapshot_mirror>;
  CHECK(all[0].snapshots[0].mirrors == mirrors{{"http://y/a", "http://y/", ""}});
  CHECK(all[1].snapshots[0].mirrors == mirrors{{"http://x/a", "http://x/", "s"}, {"http://z/a", "http://z/", "t"}});
  CHECK(all[2].snapshots[0].mirrors == mirrors{{"http://y/a", "http://y/", ""}});
  CHECK(all[3].snapshots[0].mirrors.empty());
  CHECK(all[4].snapshots[0].mirrors.empty());

  // Other kinds of digests count as much, and go with the place that said them.
  all = {file("http://x/", 5, ""), file("http://y/", 5, ""), file("http://z/", 5, "t")};
  all[0].snapshots[0].digests = {{"md5", "1"}, {"sha512", "2"}};
  all[0].snapshots[0].digests_by = "index.json";
  all[1].snapshots[0].digests = {{"sha512", "3"}};
  find_mirrors(all);
  CHECK(all[0].snapshots[0].mirrors == mirrors{{"http://z/a", "http://z/", "t"}});
  CHECK(all[1].snapshots[0].mirrors == mirrors{{"http://z/a", "http://z/", "t"}});
  REQUIRE(all[2].snapshots[0].mirrors.size() == 2);
  CHECK(all[2].snapshots[0].mirrors[0].digests == all[0].snapshots[0].digests);
  CHECK(all[2].snapshots[0].mirrors[0].digests_by == "index.json");
}

TEST_CASE("what several sources of one URL list is one candidate, with a way for each in their order", "[order]") {
  const auto file = [](const std::string& source, const std::string& name, unsigned nth) {
    model::snapshot s{name, source + name, source, 5, {}, {}, ""};
    s.source_nth = nth;
    return ports::candidate{0, {s}};
  };
  std::vector<ports::candidate> all{file("http://x/", "a", 2), file("http://x/", "a", 0), file("http://y/", "a", 0),
                                    file("http://x/", "a", 1), file("http://y/", "a", 1), file("http://x/", "b", 1)};
  join_ways(all);
  REQUIRE(all.size() == 3);
  CHECK(all[0].snapshots[0].source_nth == 0);
  using mirrors = std::vector<model::snapshot_mirror>;
  CHECK(all[0].snapshots[0].mirrors ==
        mirrors{{"http://x/a", "http://x/", "", 1}, {"http://x/a", "http://x/", "", 2}});
  CHECK(all[2].snapshots[0].name == "b");
  CHECK(all[2].snapshots[0].mirrors.empty());
  find_mirrors(all);
  CHECK(all[0].snapshots[0].mirrors == mirrors{{"http://x/a", "http://x/", "", 1},
                                               {"http://x/a", "http://x/", "", 2},
                                               {"http://y/a", "http://y/", "", 0},
                                               {"http://y/a", "http://y/", "", 1}});
}

TEST_CASE("which of the sources of one URL", "[order]") {
  model::source first("http://x/");
  model::source second("http://x/");
  second.proxy = "http://p:1";
  const std::vector<model::source> all{first, model::source("http://y/"), second};
  CHECK(nth_of_its_url(all, 0) == 0);
  CHECK(nth_of_its_url(all, 1) == 0);
  CHECK(nth_of_its_url(all, 2) == 1);
  CHECK(source_of(all, "http://x/", 0) == first);
  CHECK(source_of(all, "http://x/", 1) == second);
  CHECK(source_of(all, "http://x/", 7) == second);
  CHECK(source_of(all, "http://z/", 0) == model::source("http://z/"));
}

TEST_CASE("a file far smaller than its like is a torn upload and no candidate", "[order]") {
  const auto sized = [](const std::string& name, std::optional<std::uint64_t> size) {
    auto f = file(name);
    f.size = size;
    return f;
  };
  const auto p = plan({spec("s-*", archive_order::name)});
  const std::vector<listed_file> four{sized("s-1", 1000), sized("s-2", 1100), sized("s-3", 1200), sized("s-4", 109)};
  CHECK(order_of(p, four) == strings{"s-3", "s-2", "s-1"});
  CHECK(order_of(p, {four.begin() + 1, four.end()}) == strings{"s-4", "s-3", "s-2"});  // too few to tell
  auto grown = four;
  grown.back().size = 110;  // a tenth
  CHECK(order_of(p, grown).front() == "s-4");
  auto unknown = four;
  unknown.back().size.reset();
  CHECK(order_of(p, unknown).front() == "s-4");
  // Others' files say nothing about these.
  auto beside = four;
  for (const auto* name : {"big-1", "big-2", "big-3", "big-4"}) beside.push_back(sized(name, 1 << 20));
  CHECK(order_of(p, beside) == strings{"s-3", "s-2", "s-1"});
}
