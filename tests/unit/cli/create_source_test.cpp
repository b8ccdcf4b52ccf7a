// hasup snapshot create: which plan, which name, which words.
#include "cli/create_source.hpp"

#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "show_result.hpp"

using namespace hasup;
using namespace hasup::cli;

namespace {

const auto now = *base::parse_time("2026-11-21T01:02:03Z");

model::recovery_plan plan(const std::string& name, model::unpack_mode unpack, const std::string& as = "") {
  model::recovery_plan p;
  p.name = name;
  p.wipe = {"state"};
  p.archives = {{"x-*", "", model::archive_order::name, unpack, as, as.empty() ? "." : "", true}};
  return p;
}

create_source unit(const std::string& match) {
  create_source s;
  s.unit = "leap";
  s.job.data_dir = "/data/leap";
  s.archive.match = match;
  return s;
}

}  // namespace

TEST_CASE("the plan that restores from an archive of data is the one to create for", "[create]") {
  model::recipe r;
  r.name = "nodeos";
  r.plans = {plan("state only", model::unpack_mode::decompress, "snapshot"),
             plan("full set", model::unpack_mode::archive), plan("other", model::unpack_mode::archive)};
  CHECK(plan_to_create(r, "", "leap")->name == "full set");
  CHECK(plan_to_create(r, "state only", "leap")->name == "state only");
  CHECK(plan_to_create(r, "nosuch", "leap").error().message.starts_with("recipe nodeos has no plan \"nosuch\"; say"));
}

TEST_CASE("where no plan restores from an archive of the data, the one that replaces all of it is packed",
          "[create]") {
  model::recipe r;
  r.name = "nodeos";
  r.plans = {plan("state only", model::unpack_mode::decompress, "snapshot"),
             plan("full set", model::unpack_mode::decompress, "snapshot")};
  r.plans[0].wipe = {"state"};
  r.plans[1].wipe = {"blocks", "state"};
  CHECK(plan_to_create(r, "", "leap")->name == "full set");
  CHECK_FALSE(unpacks_data(r.plans[1]));
  r.plans[1].wipe = {"*"};
  CHECK(plan_to_create(r, "", "leap")->name == "full set");
  r.plans[1].wipe = {"blocks"};
  CHECK(
      plan_to_create(r, "", "leap").error().message ==
      "the plans of recipe nodeos replace different parts of the data; say which to pack: hasup snapshot create leap "
      "--plan \"state only\" (state), or hasup snapshot create leap --plan \"full set\" (blocks)");
}

TEST_CASE("an archive of a unit is called as its recovery looks for it", "[create]") {
  CHECK(archive_name(unit("chain-*.tar.zst"), "", now) == "chain-20261121T010203Z.tar.zst");
  CHECK(archive_name(unit("chain-*.tar*"), "", now) == "chain-20261121T010203Z.tar.zst");
  CHECK(archive_name(unit("dump-*"), "", now) == "dump-20261121T010203Z.tar.zst");
  CHECK(archive_name(unit("*"), "", now) == "leap-20261121T010203Z.tar.zst");
  CHECK(archive_name(unit("[ab]-*.zst"), "", now) == "leap-20261121T010203Z.tar.zst");
  CHECK(archive_name(unit(""), "", now) == "leap-20261121T010203Z.tar.zst");
  CHECK(archive_name(unit("dump-*"), "mine", now) == "mine.tar.zst");
  CHECK(archive_name(unit("dump-*"), "mine.tzst", now) == "mine.tzst");
}

TEST_CASE("a directory and a file keep their names", "[create]") {
  create_source s;
  s.job.data_dir = "/srv/data dir";
  CHECK(archive_name(s, "", now) == "data dir-20261121T010203Z.tar.zst");
  s.job.data_dir = "";
  s.job.file = "/srv/snapshot-1.bin";
  CHECK(archive_name(s, "", now) == "snapshot-1.bin.zst");
  CHECK(archive_name(s, "a.bin", now) == "a.bin.zst");
  s.job.file = "/srv/snapshot-1.bin.gz";
  CHECK(archive_name(s, "", now) == "snapshot-1.bin.gz");
}
