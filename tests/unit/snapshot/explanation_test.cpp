// Why a listed file is no candidate, and what stands beside one that is.
#include "snapshot/explanation.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::snapshot;

namespace {

model::recovery_plan plan_of(const std::string& match) {
  model::archive_spec spec;
  spec.match = match;
  spec.order = model::archive_order::block;
  model::recovery_plan p;
  p.name = match;
  p.archives = {spec};
  return p;
}

listed_file file(const std::string& name, std::uint64_t size = 10) {
  return {name, "http://h/" + name, size, std::nullopt, false, ""};
}

std::vector<std::string> reasons(const std::vector<model::recovery_plan>& plans,
                                 const std::vector<listed_file>& files) {
  std::vector<std::string> out;
  for (const auto& p : passed_over_files(plans, "http://h/", files)) out.push_back(p.file.name + " " + p.why);
  return out;
}

}  // namespace

TEST_CASE("what is empty, unfinished or of another name is told, side files and candidates are not", "[snapshot]") {
  const auto found =
      reasons({plan_of("snap-*.bin")}, {file("snap-1.bin"), file("snap-2.bin", 0), file("snap-3.bin.part"),
                                        file(".pending-snap-4.bin"), file("snap-5.bin.tmp"), file("other.bin"),
                                        file("other.bin.part"), file("snap-1.bin.sha256"), file("SHA256SUMS")});
  CHECK(found == std::vector<std::string>{"snap-2.bin is empty", "snap-3.bin.part is still being written (.part)",
                                          ".pending-snap-4.bin is still being written (.pending-)",
                                          "snap-5.bin.tmp is still being written (.tmp)",
                                          "other.bin does not match snap-*.bin",
                                          "other.bin.part does not match snap-*.bin"});
}

TEST_CASE("a file that any plan takes is no stranger, and one of no plan is told once", "[snapshot]") {
  CHECK(reasons({plan_of("a-*"), plan_of("b-*"), plan_of("a-*")}, {file("a-1"), file("b-1"), file("c-1")}) ==
        std::vector<std::string>{"c-1 does not match a-*, b-*"});
}

TEST_CASE("a torn upload is told with its size", "[snapshot]") {
  const std::vector<listed_file> files{file("snap-1", 5 << 20), file("snap-2", 6 << 20), file("snap-3", 7 << 20),
                                       file("snap-4", 4096), file("snap-5", 0)};
  const std::string why = "is implausibly small: 4.0KiB, less than a tenth of what the others have";
  CHECK(reasons({plan_of("snap-*")}, files) == std::vector<std::string>{"snap-4 " + why, "snap-5 is empty"});
  const auto torn = torn_files({plan_of("snap-*")}, "http://h/", files);
  REQUIRE(torn.size() == 1);
  CHECK(torn[0].file.name == "snap-4");
  CHECK(torn[0].why == why);
}

TEST_CASE("an unfinished file has the block of its name", "[snapshot]") {
  const auto found = passed_over_files({plan_of("snap-*.bin")}, "http://h/", {file("snap-77.bin.part")});
  REQUIRE(found.size() == 1);
  CHECK(found[0].file.block == 77U);
  CHECK(found[0].file.source == "http://h/");
}

TEST_CASE("what a listing shows beside an archive", "[snapshot]") {
  const std::vector<listed_file> files{file("a.bin"), file("a.bin.minisig"), file("b.bin"), file("b.bin.md5"),
                                       file("a.bin2.sha256")};
  CHECK(side_files_of("a.bin", files).signature);
  CHECK_FALSE(side_files_of("a.bin", files).digest);
  CHECK(side_files_of("b.bin", files).digest);
  CHECK_FALSE(side_files_of("b.bin", files).signature);
  CHECK(side_files_of("b.bin", {file("B2SUMS")}).digest);
}

TEST_CASE("a listing of everything keeps what is no snapshot, but no unusable name", "[snapshot]") {
  const std::string html =
      "<a href=\"a.bin\">a</a> 5\n<a href=\"a.bin.part\">a</a> 5\n<a href=\"a.bin.sha256\">a</a> 5\n"
      "<a href=\"x%01y\">a</a> 5\n<a href=\"d/\">d</a>\n";
  CHECK(parse_html_listing(html, "http://h/").size() == 1);
  CHECK(parse_html_listing(html, "http://h/", listed::everything).size() == 3);
  const std::string index = R"([{"name":"a.bin","size":0},{"name":"b.bin","size":1},{"name":"b.bin.sha256"}])";
  CHECK(parse_json_listing(index, "http://h/")->size() == 1);
  CHECK(parse_json_listing(index, "http://h/", listed::everything)->size() == 3);
}
