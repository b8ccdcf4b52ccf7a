// What stands beside an archive: the texts that our own listings and sha256sum read.
#include "snapshot/publication.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "show_result.hpp"
#include "snapshot/listing.hpp"

using namespace hasup;
using namespace hasup::snapshot;

namespace {

manifest_row row(const std::string& name, char digit = 'a') {
  return {name, 4096, std::string(64, digit), *base::parse_time("2026-11-21T01:02:03Z"), {}, "", ""};
}

}  // namespace

TEST_CASE("a checksum is found again by the listing, and a signature stands beside it") {
  ports::worker_result made;
  made.name = "leap 1.tar.zst";
  made.sha256 = {std::string(64, 'a')};
  auto files = side_files_of(made);
  REQUIRE(files.size() == 1);
  CHECK(files[0].name == "leap 1.tar.zst.sha256");
  CHECK(find_digest(files[0].text, made.name, true) == std::string(64, 'a'));
  made.signature = "untrusted comment: x\n";
  files = side_files_of(made);
  REQUIRE(files.size() == 2);
  CHECK(files[0] == side_file{"leap 1.tar.zst.minisig", "untrusted comment: x\n"});
  made.chunks = "leap 1.tar.zst.chunks";
  files = side_files_of(made, "index");
  REQUIRE(files.size() == 3);
  CHECK(files[0] == side_file{"leap 1.tar.zst.chunks", "index"});
  CHECK(files[2].name == "leap 1.tar.zst.sha256");
}

TEST_CASE("what stood beside an earlier archive of the name goes, unless it is new") {
  ports::worker_result made;
  made.name = "a";
  const auto stale = [&](const std::string& name) {
    const auto all = stale_side_files(made);
    return std::find(all.begin(), all.end(), name) != all.end();
  };
  CHECK((stale("a.md5") && stale("a.minisig") && stale("a.chunks") && !stale("a.sha256")));
  made.signature = "x";
  CHECK((!stale("a.minisig") && stale("a.chunks")));
  made.chunks = "a.chunks";
  CHECK(!stale("a.chunks"));
}

TEST_CASE("a manifest begins, grows, and has one row for a name") {
  auto text = manifest_with("", row("a.tar.zst"));
  REQUIRE(text.has_value());
  auto with_block = row("b.tar.zst", 'b');
  with_block.block = 387721720;
  with_block.chain_id = "aca376";
  with_block.unpacked = 9999;
  with_block.node_version = "v5.0.3";
  with_block.chunks = "b.tar.zst.chunks";
  with_block.set = "day-20";
  text = manifest_with(*text, with_block);
  REQUIRE(text.has_value());
  text = manifest_with(*text, row("a.tar.zst", 'c'));
  REQUIRE(text.has_value());
  const auto listed = parse_json_listing(*text, "https://h/");
  REQUIRE(listed.has_value());
  REQUIRE(listed->size() == 2);
  CHECK((*listed)[0].name == "a.tar.zst");
  CHECK((*listed)[0].sha256 == std::string(64, 'c'));
  CHECK((*listed)[0].size == 4096U);
  CHECK((*listed)[0].time == *base::parse_time("2026-11-21T01:02:03Z"));
  CHECK((*listed)[0].chunks.empty());
  CHECK((*listed)[1].chunks == "https://h/b.tar.zst.chunks");
  CHECK((*listed)[0].set.empty());
  CHECK((*listed)[1].set == "day-20");
  CHECK(text->find("\"block\":387721720,\"chain_id\":\"aca376\",\"node_version\":\"v5.0.3\",\"set\":\"day-20\","
                   "\"unpacked_size\":9999") != std::string::npos);

  const auto without = manifest_without(*text, "a.tar.zst");
  REQUIRE(without.has_value());
  REQUIRE(without->has_value());
  CHECK(parse_json_listing(**without, "https://h/")->size() == 1);
  CHECK_FALSE(manifest_without(**without, "a.tar.zst")->has_value());
}

TEST_CASE("what others put into a manifest stays") {
  const auto text =
      manifest_with(R"({"host":"vm11","files":[{"name":"x.bin","set":"s1"},{"name":7}],"n":1})", row("a"));
  REQUIRE(text.has_value());
  for (const auto* kept : {R"("host": "vm11")", R"({"name":"x.bin","set":"s1"})", R"({"name":7})", R"("n": 1)"})
    CHECK(text->find(kept) != std::string::npos);
  CHECK(manifest_with(R"([{"name":"x.bin"}])", row("a"))->starts_with("["));
}

TEST_CASE("a row is put back as it was beside what others have put there since") {
  const std::string before = R"([{"name":"a","set":"s1"},{"name":"b"}])";
  const std::string now = R"([{"name":"b","block":7},{"name":"c"}])";
  const auto back = manifest_as_before(now, before, "a");
  REQUIRE(back.has_value());
  REQUIRE(back->has_value());
  for (const auto* row : {R"({"name":"b","block":7})", R"({"name":"c"})", R"({"name":"a","set":"s1"})"})
    CHECK((*back)->find(row) != std::string::npos);
  const auto none = manifest_as_before(now, before, "c");
  REQUIRE(none.has_value());
  CHECK((*none)->find("\"c\"") == std::string::npos);
  CHECK_FALSE(manifest_as_before(now, before, "d")->has_value());
  CHECK_FALSE(manifest_as_before("{", before, "a").has_value());
  CHECK_FALSE(manifest_as_before(now, "{", "a").has_value());
}

TEST_CASE("a text that is no manifest is not overwritten") {
  for (const auto* text : {"{", "[1", "{}", "\"x\"", "{\"files\":{}}", "<html>"}) {
    CHECK_FALSE(manifest_with(text, row("a")).has_value());
    CHECK_FALSE(manifest_without(text, "a").has_value());
  }
}

TEST_CASE("no archive has a name that a listing passes over") {
  CHECK(name_problem("leap-1.tar.zst").empty());
  for (const auto* name :
       {"", "a/b", ".", "..", "a.part", "a.tmp", "a.sha256", "manifest.json", "SHA256SUMS", "a\nb"})
    CHECK_FALSE(name_problem(name).empty());
  CHECK_FALSE(name_problem(std::string(190, 'a')).empty());
}
