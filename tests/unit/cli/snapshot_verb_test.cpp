// hasup snapshot: what is shown, what is taken and why not, which one `get` means, what progress looks like.
#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "cli/get_choice.hpp"
#include "cli/snapshot_options.hpp"
#include "cli/snapshot_rows.hpp"
#include "cli/snapshot_target.hpp"
#include "cli/worker_call.hpp"
#include "recovery/candidates.hpp"
#include "show_result.hpp"

using namespace hasup;
using namespace hasup::cli;

namespace {

const base::wall_time now = *base::parse_time("2026-11-21T01:00:00Z");

model::snapshot snap(const std::string& name, std::uint64_t block, unsigned hours, const std::string& host = "h") {
  return {name,       "https://" + host + "/" + name,  "https://" + host + "/",
          3ULL << 30, now - std::chrono::hours(hours), block,
          ""};
}

ports::worker_result deployment() {
  ports::worker_result r;
  r.candidates = {{0, {snap("snap-300.bin", 300, 2)}},
                  {0, {snap("snap-200.bin", 200, 26)}},
                  {0, {snap("snap-100.bin", 100, 50)}}};
  const auto digest = "sha256:" + std::string(64, 'a');
  r.proofs = {{"https://h/snap-300.bin", "", false, false, ""},
              {"https://h/snap-200.bin", digest, true, false, ""},
              {"https://h/snap-100.bin", "md5:" + std::string(32, 'b'), false, false, ""}};
  r.passed = {{snap("snap-400.bin.part", 400, 0), "is still being written (.part)"},
              {snap("snap-50.bin", 50, 1000), "is older than 14d"},
              {snap("readme.txt", 0, 0), "does not match snap-*.bin"}};
  return r;
}

snapshot_policy policy(model::checksum_policy checksum = model::checksum_policy::if_present) {
  snapshot_policy p;
  p.plans.resize(1);
  p.plans[0].name = "state only";
  p.checksum = checksum;
  p.reset = "hasup reset leap";
  return p;
}

std::string taken(const std::vector<snapshot_row>& rows) {
  std::string out;
  for (const auto& r : rows)
    if (r.taken) out += r.file.name;
  return out;
}

std::string refusal_of(const std::vector<snapshot_row>& rows, const std::string& name) {
  for (const auto& r : rows)
    if (r.file.name == name) return r.why_not;
  return "not there";
}

terminal wide(std::size_t width = 0) {
  return {false, false, width, 24};
}

}  // namespace

TEST_CASE("the table says what is taken, what proves each and why others are not taken") {
  const auto rows = snapshot_rows(deployment(), policy());
  CHECK(render_snapshots(rows, now, false, wide()) ==
        "  SNAPSHOT           BLOCK    SIZE     AGE  PROOF\n"
        "> snap-300.bin         300  3.0GiB      2h  none\n"
        "  snap-200.bin         200  3.0GiB    1d2h  sha256, signed\n"
        "  snap-100.bin         100  3.0GiB    2d2h  md5\n"
        "  snap-400.bin.part    400  3.0GiB      0s  -               is still being written (.part)\n"
        "  snap-50.bin           50  3.0GiB  41d16h  -               is older than 14d\n"
        "1 further file is no snapshot by name; --all shows it\n");
}

TEST_CASE("what is at hand and what is remembered as bad is marked") {
  auto found = deployment();
  found.in_cache = {{"snap-300.bin", "cc"}, {"snap-200.bin", std::string(64, 'a')}, {"snap-100.bin", "dd"}};
  auto p = policy();
  p.bad = {recovery::bad_key_of_copy(found.candidates[2].snapshots[0])};
  found.warm.emplace().candidates = {found.candidates[1]};
  auto rows = snapshot_rows(found, p);
  const auto shown = render_snapshots(rows, now, false, wide());
  CHECK(
      shown.substr(0, shown.find("  snap-400")) ==
      "  SNAPSHOT           BLOCK    SIZE     AGE  PROOF           AT HAND\n"
      "> snap-300.bin         300  3.0GiB      2h  none            fetched\n"
      "  snap-200.bin         200  3.0GiB    1d2h  sha256, signed  fetched\n"
      "  snap-100.bin         100  3.0GiB    2d2h  md5             fetched  is remembered as bad; `hasup reset leap` "
      "forgets that\n");
  const auto json = snapshots_json(rows, "leap", true, {}, now);
  CHECK(json.find(R"("at_hand":"fetched","bad":true)") != std::string::npos);
  CHECK(json.find(R"("at_hand":null,"bad":false)") != std::string::npos);

  found.warm->unpacked = true;
  found.in_cache["snap-300.bin"] = "ee";
  found.proofs[0].digest = "sha256:" + std::string(64, 'f');  // the host has another one by now
  rows = snapshot_rows(found, p);
  CHECK_FALSE(rows[0].fetched);
  CHECK(rows[1].unpacked);
  CHECK_FALSE(rows[2].unpacked);
}

TEST_CASE("a narrow terminal loses columns, never the names") {
  const auto rows = snapshot_rows(deployment(), policy());
  for (const std::size_t width : {20U, 40U, 60U, 80U}) {
    const auto text = render_snapshots(rows, now, true, wide(width));
    std::size_t at = 0;
    while (at < text.size()) {
      const auto end = text.find('\n', at);
      const auto line = text.substr(at, end - at);
      INFO(line);
      if (!line.starts_with("1 ")) CHECK(display_width(line) <= width);
      at = end + 1;
    }
    CHECK(text.find("snap-300") != std::string::npos);
  }
}

TEST_CASE("what the policy asks for decides") {
  using model::checksum_policy;
  const auto found = deployment();
  CHECK(taken(snapshot_rows(found, policy())) == "snap-300.bin");
  auto rows = snapshot_rows(found, policy(checksum_policy::required));
  CHECK(taken(rows) == "snap-200.bin");
  CHECK(refusal_of(rows, "snap-300.bin") == "has no checksum, and one is required");
  auto signed_only = policy(checksum_policy::required);
  signed_only.needs_signature = true;
  rows = snapshot_rows(found, signed_only);
  CHECK(taken(rows) == "snap-200.bin");
  CHECK(refusal_of(rows, "snap-100.bin") == "is not signed, and a public key is set");
}

TEST_CASE("a host that did not say what proves a file does not make it refused") {
  auto found = deployment();
  found.proofs[0].unknown = true;
  const auto rows = snapshot_rows(found, policy(model::checksum_policy::required));
  CHECK(taken(rows) == "snap-300.bin");
  CHECK(proof_text(rows[0]) == "?");
}

TEST_CASE("a snapshot is bad by its name, size and time, or by its digest") {
  auto p = policy();
  p.bad = {recovery::bad_key_of_copy(snap("snap-300.bin", 300, 2))};
  auto rows = snapshot_rows(deployment(), p);
  CHECK(taken(rows) == "snap-200.bin");
  CHECK(refusal_of(rows, "snap-300.bin") == "is remembered as bad; `hasup reset leap` forgets that");
  p.bad.insert(recovery::bad_key_of_digest(std::string(64, 'a')));
  CHECK(taken(snapshot_rows(deployment(), p)) == "snap-100.bin");
}

TEST_CASE("the archives of one candidate are taken together or not at all") {
  ports::worker_result found;
  found.candidates = {{0, {snap("a-2", 2, 1), snap("b-2", 2, 1)}}, {0, {snap("a-1", 1, 2), snap("b-1", 1, 2)}}};
  auto p = policy();
  CHECK(taken(snapshot_rows(found, p)) == "a-2b-2");
  p.bad = {recovery::bad_key_of_copy(snap("b-2", 2, 1))};
  CHECK(taken(snapshot_rows(found, p)) == "a-1b-1");
  const auto chosen = choose_snapshot(snapshot_rows(found, p), "", true);
  REQUIRE(chosen);
  REQUIRE(chosen->size() == 2);
  CHECK((*chosen)[1].name == "b-1");
}

TEST_CASE("sources and plans are shown where there are several") {
  auto found = deployment();
  found.candidates.push_back({1, {snap("snap-300.bin", 300, 2, "other")}});
  auto p = policy();
  p.plans.resize(2);
  p.plans[1].name = "full set";
  const auto text = render_snapshots(snapshot_rows(found, p), now, false, wide());
  CHECK(text.find("PLAN") != std::string::npos);
  CHECK(text.find("full set    https://other/") != std::string::npos);
}

TEST_CASE("no recovery takes what is left to a person") {
  auto found = deployment();
  for (auto& c : found.candidates) c.plan = 0;
  auto p = policy();
  p.plans.resize(1);
  CHECK(taken(snapshot_rows(found, p)) != "");
  p.plans[0].use = model::plan_use::by_hand;
  CHECK(taken(snapshot_rows(found, p)) == "");
}

TEST_CASE("which snapshot get means") {
  const auto rows = snapshot_rows(deployment(), policy());
  const auto name_of = [&](const std::string& wanted) {
    const auto chosen = choose_snapshot(rows, wanted, true);
    return chosen ? chosen->front().name : chosen.error().message;
  };
  CHECK(name_of("") == "snap-300.bin");
  CHECK(name_of("snap-100.bin") == "snap-100.bin");
  CHECK(name_of("snap-2*") == "snap-200.bin");
  CHECK(name_of("snap-400.bin.part") == "snap-400.bin.part is still being written (.part)");
  CHECK(name_of("nosuch") == "there is no snapshot \"nosuch\" here; `hasup snapshot list` shows what there is");
  auto p = policy();
  p.bad = {recovery::bad_key_of_copy(snap("snap-300.bin", 300, 2))};
  CHECK(choose_snapshot(snapshot_rows(deployment(), p), "snap-300.bin", true)
            .has_value());  // a person who names it means it
  ports::worker_result none;
  none.passed = {{snap("snap-50.bin", 50, 1000), "is older than 14d"}};
  CHECK(choose_snapshot(snapshot_rows(none, policy()), "", true).error().message ==
        "nothing here that a recovery would take: snap-50.bin is older than 14d");
}

TEST_CASE("what is newer and passed over is named") {
  using lines = std::vector<std::string>;
  CHECK(newer_passed_over(snapshot_rows(deployment(), policy())) ==
        lines{"snap-400.bin.part is newer, and is passed over: is still being written (.part)"});
  auto p = policy();
  p.bad = {recovery::bad_key_of_copy(snap("snap-300.bin", 300, 2))};
  CHECK(newer_passed_over(snapshot_rows(deployment(), p)) ==
        lines{"snap-300.bin is newer, and is passed over: is remembered as bad; `hasup reset leap` forgets that",
              "snap-400.bin.part is newer, and is passed over: is still being written (.part)"});
  auto found = deployment();
  found.proofs[0].disagree = "manifest.json says sha256 1, but a.sha256 says 2";
  const auto rows = snapshot_rows(found, policy());
  CHECK(taken(rows) == "snap-200.bin");
  CHECK(newer_passed_over(rows).front() ==
        "snap-300.bin is newer, and is passed over: is announced in two ways: manifest.json says sha256 1, but "
        "a.sha256 says 2");
}

TEST_CASE("where nothing has the name of a snapshot, what there is is named") {
  ports::worker_result found;
  for (const auto* name : {"README", "notes.txt"}) found.passed.push_back({snap(name, 1, 1), "does not match x"});
  const auto rows = snapshot_rows(found, policy());
  CHECK(choose_snapshot(rows, "", false).error().message ==
        "nothing here is a snapshot by its name; there is README, notes.txt; say which it is: hasup snapshot get "
        "SOURCE README DIR/, or --match GLOB");
  CHECK(choose_snapshot(rows, "", true).error().message ==
        "nothing here is a snapshot by its name; there is README, notes.txt; README does not match x");
}

TEST_CASE("names and directories behind the unit") {
  const auto words = [](std::vector<std::string> behind, const std::string& output = "") {
    invocation call;
    call.targets = {"leap"};
    call.targets.insert(call.targets.end(), behind.begin(), behind.end());
    call.output = output;
    const auto read = read_get_words(call, [](const std::string& path) { return path == "here"; });
    return read ? read->name + " in " + read->directory : read.error().message;
  };
  CHECK(words({}) == " in .");
  CHECK(words({"a.bin"}) == "a.bin in .");
  CHECK(words({"a.bin", "out/"}) == "a.bin in out/");
  CHECK(words({"here"}) == " in here");
  CHECK(words({"/new", "a*"}) == "a* in /new");
  CHECK(words({"a.bin"}, "/o") == "a.bin in /o");
  CHECK(words({"./x"}, "/o") == "two directories are said: /o and ./x");
  CHECK(words({"a", "b"}) == "two names are said: a and b; for a directory, say b/");
}

TEST_CASE("a unit's name, or a source") {
  for (const auto* source : {"https://h/d/", "s3://b/p/", "/d", "./d", "d/e", ".", ".."})
    CHECK(names_a_source(source));
  for (const auto* unit : {"leap", "miner@1", "eos-evm.node"}) CHECK_FALSE(names_a_source(unit));
}

TEST_CASE("what is remembered as bad is read from the daemon's file") {
  const auto bad = remembered_as_bad(
      R"({"version":1,"instances":{"leap@0":{"bad_snapshots":["sha256:aa","name:x"]},"b@0":{}}})", "leap@0");
  REQUIRE(bad);
  CHECK(*bad == std::set<std::string>{"name:x", "sha256:aa"});
  CHECK(remembered_as_bad(R"({"instances":{}})", "leap@0")->empty());
  CHECK(remembered_as_bad("{}", "leap@0")->empty());
  CHECK_FALSE(remembered_as_bad("[1", "leap@0").has_value());
}

TEST_CASE("progress on a terminal, and in a log") {
  ports::worker_progress p{"fetch", "snap-1.bin", "https://h/", 1ULL << 30, 4ULL << 30, 100 << 20, 0, {}};
  CHECK(progress_line(p, wide()) ==
        "fetch  [######------------------]  25%  1.0GiB of 4.0GiB, 100MiB/s, 30s left  snap-1.bin");
  CHECK(phase_line(p) == "fetching snap-1.bin (4.0GiB) from https://h/");
  p.bytes_total.reset();
  p.bytes_per_s = 0;
  CHECK(progress_line(p, wide()) == "fetch  1.0GiB  snap-1.bin");
  CHECK(phase_line({"verify", "snap-1.bin", "", 0, std::nullopt, 0, 0, {}}) == "verifying snap-1.bin");
  CHECK(phase_line({"create", "x.tar.zst", "/b", 0, 1 << 20, 0, 0, {}}) == "packing x.tar.zst (1.0MiB) to /b");
  CHECK(phase_line({"select", "", "https://h/", 0, std::nullopt, 0, 0, {}}) == "");
}

TEST_CASE("the command line of snapshot") {
  const auto parse = [](const std::vector<std::string>& words) {
    auto parsed = parse_command_line(words);
    const auto* a = std::get_if<answer>(&parsed);
    return a == nullptr ? "ok" : a->code == exit_code::usage ? "usage" : "text";
  };
  CHECK(parse({"snapshot", "list", "leap"}) == std::string("ok"));
  CHECK(parse({"snapshot", "get", "leap", "a.bin", "-o", "/x", "--max-rate", "1MiB"}) == std::string("ok"));
  CHECK(parse({"snapshot", "get", "leap", "--seed", "a.zst", "--seed", "b.log", "a.bin"}) == std::string("ok"));
  CHECK(parse({"snapshot", "list", "leap", "--seed", "a.zst"}) == std::string("usage"));
  CHECK(parse({"snapshot", "create", "a/", "--to", "/b", "--seed", "a.zst"}) == std::string("usage"));
  CHECK(parse({"snapshot", "get", "s3://b/p/", "--endpoint", "http://h", "--match", "*.bin"}) == std::string("ok"));
  CHECK(parse({"snapshot", "verify", "a", "b", "--public-key", "k.pub"}) == std::string("ok"));
  CHECK(parse({"snapshot", "create", "leap", "--to", "/b", "--sign", "k", "--level", "9"}) == std::string("ok"));
  CHECK(parse({"snapshot", "create", "./d", "--to", "sftp://h/d/", "--identity-file", "k"}) == std::string("ok"));
  CHECK(parse({"snapshot", "create", "leap"}) == std::string("usage"));
  CHECK(parse({"snapshot", "create", "a/", "b/", "--to", "/b", "--name", "x"}) == std::string("usage"));
  CHECK(parse({"snapshot", "create", "a/", "--to", "/b", "--level", "0"}) == std::string("usage"));
  CHECK(parse({"snapshot", "create", "a/", "--to", "/b", "--match", "x"}) == std::string("usage"));
  CHECK(parse({"snapshot", "get", "leap", "--to", "/b"}) == std::string("usage"));
  CHECK(parse({"snapshot"}) == std::string("usage"));
  CHECK(parse({"snapshot", "list"}) == std::string("usage"));
  CHECK(parse({"snapshot", "list", "a", "b"}) == std::string("usage"));
  CHECK(parse({"snapshot", "verify", "a", "--match", "x"}) == std::string("usage"));
  CHECK(parse({"snapshot", "delete", "a"}) == std::string("usage"));
  CHECK(parse({"snapshot", "list", "a/", "--order", "size"}) == std::string("usage"));
}
