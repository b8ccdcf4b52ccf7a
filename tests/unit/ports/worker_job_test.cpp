// The JSON of jobs and results: what goes in comes out, and wrong types are refused by name.
#include "ports/worker_job.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::ports;

namespace {

model::snapshot some_snapshot() {
  return {"snapshot-1.bin.zst",
          "https://h/leap/snapshot-1.bin.zst",
          "https://h/leap/",
          UINT64_MAX,
          base::wall_time(std::chrono::nanoseconds(1'793'000'000'123'456'789)),
          387'721'720,
          std::string(64, 'a')};
}

model::recovery_plan some_plan() {
  model::recovery_plan plan;
  plan.name = "state only";
  plan.wipe = {"state"};
  plan.shared = {"blocks", "state-history"};
  plan.refused_by = {"does not contain \"the\" head\\block"};
  plan.same_set = true;
  plan.use = model::plan_use::by_hand;
  plan.archives = {
      {"snapshot-*.bin*", "", model::archive_order::block, model::unpack_mode::decompress, "snapshot", "", true},
      {"", "x-(?P<block>[0-9]+)", model::archive_order::name, model::unpack_mode::none, "", ".", false}};
  return plan;
}

// Encoding is a function of the value, so equal texts after a round trip mean that nothing was lost.
template <class T, class Decode>
void check_round_trip(const T& value, Decode decode) {
  const auto text = encode(value);
  const auto back = decode(text);
  INFO(text);
  REQUIRE(back.has_value());
  CHECK(encode(*back) == text);
}

}  // namespace

TEST_CASE("a job comes back as it was written", "[ports]") {
  worker_job job;
  job.mode = worker_mode::unpack;
  job.result_path = "/r";
  job.progress_path = "/p";
  job.data_dir = "/data dir/\xc3\xa4";
  job.also = {"/a", "/b"};
  job.explain = true;
  job.file = "/x.tar";
  job.create = {
      "leap-1.tar.zst", model::source("s3://b/p/"), 19, false, true, true, "/key", "-", 387'721'720, "ac3", "v5.0.3",
      "day-20"};
  job.mounts = {"/m", "/m/state"};
  job.locks = {"state/shared_memory.bin"};
  job.must_exist = {"x"};
  job.must_bring = {"x", "y/z"};
  job.tolerated = {1, 2147483647};
  job.directories = {{"/run/leap", 02750}, {"/var/lib/leap", 0755}};
  job.uid = 4294967294;
  job.gid = 7;
  job.groups = {8, 9};
  job.user = "leap";
  job.may_make_data = true;
  job.all_writers = true;
  job.seen_free = true;
  job.sources = {"http://h/"};
  job.plans = {some_plan()};
  job.max_age = std::chrono::hours(72);
  job.checksum = model::checksum_policy::required;
  job.chosen = candidate{1, {some_snapshot()}};
  job.plan = some_plan();
  job.keep = {"keep*"};
  job.min_free = UINT64_MAX;
  job.public_key = "RWx";
  job.max_rate = 200ULL << 20;
  job.max_window = 128U << 20;
  job.unpack_ahead = true;
  job.only_archives = true;
  job.keep_proof = true;
  job.chosen->snapshots[0].source_nth = 2;
  job.chosen->snapshots[0].sha256_by = "manifest.json";
  job.chosen->snapshots[0].sha256_else = "the listing says 1";
  job.chosen->snapshots[0].beside = "http://n/b";
  job.chosen->snapshots[0].digests = {{"md5", "5"}, {"sha512", "6"}};
  job.chosen->snapshots[0].digests_by = "index.json";
  job.chosen->snapshots[0].mirrors.push_back(
      {"http://m/a", "http://m/", "", 3, "http://n/a", "SUMS", {{"blake2b", "7"}}, "other.json"});
  check_round_trip(job, decode_job);
  const auto back = decode_job(encode(job));
  CHECK(back->mode == worker_mode::unpack);
  CHECK(back->chosen == job.chosen);
  CHECK(back->plan.archives[1].unpack == model::unpack_mode::none);
  CHECK(back->plan.archives[0].order == model::archive_order::block);
  CHECK(back->checksum == model::checksum_policy::required);
  CHECK(back->min_free == UINT64_MAX);
  CHECK(back->max_rate == 200ULL << 20);
  CHECK(back->max_window == 128U << 20);
  CHECK(back->unpack_ahead);
  CHECK(back->only_archives);
  CHECK(back->keep_proof);
}

TEST_CASE("a result, progress and a recipe come back as they were written", "[ports]") {
  worker_result result;
  result.failure = worker_failure::bad_snapshot;
  result.error = "line\nbreak \"quoted\"";
  result.snapshot = "s";
  result.writer = writer_info{7, "nodeos --data-dir \xff\xfe", "/x"};  // a command line is bytes, not always UTF-8
  result.passed = {{some_snapshot(), "is empty"}};
  result.proofs = {{"https://h/a", "sha256:00", true, true, "two say"}};
  result.announced = "md5:00";
  result.is_archive = true;
  result.entries = 7;
  result.writers = {*result.writer, *result.writer};
  result.writers[1].start_time = UINT64_MAX;
  result.writers[1].uid = 1000;
  result.writers[1].ancestors = {6, 1};
  result.writers[1].tree = "leap@0:8:1:77";
  result.missing = {"a"};
  result.mounted = false;
  result.data_dir_exists = true;
  result.data_dir_empty = false;
  result.half_swapped = true;
  result.free_bytes = 5;
  result.least_free = "/blocks";
  result.candidates = {candidate{0, {some_snapshot(), some_snapshot()}}};
  result.notes = {"n"};
  result.sha256 = {"d"};
  result.verified = true;
  result.archive_paths = {{"snapshot", "/p"}};
  result.bytes = 9;
  result.room.emplace();
  result.room->device = 7;
  result.room->free_bytes = UINT64_MAX;
  result.room->staging = 8;
  result.room->cached = {{"a.tar", true, 9}, {"b.tar", false, 10}};
  result.room->state = {11, 12};
  result.room->not_swappable = {"/data/state is a symbolic link", ""};
  result.room->not_cloned = {"", "the file system has no reflinks"};
  result.inexact = "what the node wrote to blocks meanwhile stays";
  check_round_trip(result, decode_result);
  CHECK(decode_result(encode(result))->proofs == result.proofs);
  CHECK(decode_result(encode(result))->announced == "md5:00");
  CHECK(decode_result(encode(result))->room == result.room);
  CHECK(decode_result(encode(result))->inexact == result.inexact);
  CHECK(decode_result(encode(result))->least_free_under("/d") == "/blocks");
  CHECK(worker_result{}.least_free_under("/d") == "/d");
  CHECK(decode_result(encode(result))->writer->command == result.writer->command);
  CHECK(decode_result(encode(result))->writers[1].start_time == UINT64_MAX);
  CHECK(decode_result(encode(result))->writers[1].ancestors == std::vector<std::int32_t>{6, 1});

  worker_progress progress{"fetch", "s", "h", 1, std::nullopt, 3, 4, std::nullopt};
  check_round_trip(progress, decode_progress);
  progress.files_total = 5;
  progress.bytes_total = 7;
  check_round_trip(progress, decode_progress);

  model::recipe recipe;
  recipe.name = "nodeos";
  recipe.description = "d";
  recipe.classes = {{"dirty", {2, 255}, {9}, "dirty", model::match_mode::any, model::class_action::recover, "why"}};
  recipe.classes.push_back(recipe.classes[0]);  // without a condition it would mean more than was written
  recipe.classes[1].within = std::chrono::milliseconds(3);
  recipe.classes[1].after = std::chrono::milliseconds(2);
  recipe.classes[1].startup = model::startup_seen::not_passed;
  recipe.classes[1].readiness = model::readiness_seen::failed;
  recipe.failed_starts = 0;
  recipe.stuck_restarts = 3;
  recipe.must_exist = {"state"};
  recipe.bootstrap = model::bootstrap_mode::recover;
  recipe.locks = {"l"};
  recipe.keep = {"k"};
  recipe.plans = {some_plan()};
  recipe.first_start_append = {"--snapshot", "${archive.snapshot.path}"};
  recipe.confirm = model::confirm_when::advancing;
  recipe.confirm_within = std::chrono::milliseconds(1);
  recipe.confirm_advancing_for = std::chrono::milliseconds(2);
  check_round_trip(recipe, decode_recipe);
  CHECK(decode_recipe(encode(recipe))->classes == recipe.classes);
  candidate chosen{3, {some_snapshot()}};
  chosen.snapshots[0].unpacked = 77;
  CHECK(*decode_candidate(encode(chosen)) == chosen);
}

TEST_CASE("wrong types, numbers out of range and unknown words are refused by name", "[ports]") {
  const auto why = [](std::string_view text) {
    const auto job = decode_job(text);
    return job ? std::string() : job.error().message;
  };
  CHECK(why("").find("not JSON") != std::string::npos);
  CHECK(why("[]").find("not a JSON object") != std::string::npos);
  CHECK(why(R"({"result_path":"/r"})").find("\"mode\" is missing") != std::string::npos);
  CHECK(why(R"({"mode":"fetch"})").find("\"result_path\" is missing") != std::string::npos);
  CHECK(why(R"({"mode":"format","result_path":"/r"})").find("\"mode\"") != std::string::npos);
  CHECK(why(R"({"mode":1,"result_path":"/r"})").find("\"mode\"") != std::string::npos);
  CHECK(why(R"({"mode":"fetch","result_path":7})").find("\"result_path\" is not a string") != std::string::npos);
  CHECK(why(R"({"mode":"fetch","result_path":"/r","min_free":-1})").find("\"min_free\"") != std::string::npos);
  CHECK(why(R"({"mode":"fetch","result_path":"/r","min_free":1.5})").find("\"min_free\"") != std::string::npos);
  CHECK(why(R"({"mode":"fetch","result_path":"/r","tolerated":[1,"2"]})").find("tolerated[1]") != std::string::npos);
  CHECK(why(R"({"mode":"fetch","result_path":"/r","tolerated":[4294967296]})").find("tolerated[0]") !=
        std::string::npos);
  CHECK(why(R"({"mode":"fetch","result_path":"/r","chosen":{"snapshots":[{"size":"big"}]}})")
            .find("chosen.snapshots[0].size") != std::string::npos);
  CHECK(why(R"({"mode":"fetch","result_path":"/r","from_the_future":{"a":1}})").empty());
  CHECK_FALSE(decode_result("{}").has_value());
}

TEST_CASE("each enumerator of a job has a text of its own that reads back", "[ports]") {
  for (const auto& [mode, text] : worker_mode_names.rows) CHECK(worker_mode_names.parse(text) == mode);
  for (const auto& [kind, text] : worker_failure_names.rows) CHECK(worker_failure_names.parse(text) == kind);
  CHECK(worker_mode_names.text(worker_mode::clean_up) == "clean_up");
}
