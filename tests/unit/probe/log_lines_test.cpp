// Log checks: which line counts, what it says, and how old it may be.
#include "probe/log_lines.hpp"

#include "unit/probe/asking.hpp"

using namespace hasup;
using namespace hasup::probe_test;
using probe::outcome;

namespace {

const base::mono_time start{1000s};
const base::wall_time day = base::wall_time(1'700'000'000s);

model::check log_check(std::string pattern, std::optional<base::duration> max_age = std::nullopt) {
  model::check c;
  c.kind = model::check_kind::log;
  c.pattern = std::move(pattern);
  c.max_age = max_age;
  return c;
}

struct watch {
  model::check check;
  probe::log_memory memory{};

  probe::check_result look(std::string_view lines, base::duration at = 0s, base::duration wall = 0s) {
    probe::take_lines(check, memory, lines, start + at);
    return probe::judge_lines(check, memory, start + at, day + wall);
  }
};

}  // namespace

TEST_CASE("no line yet is unknown, and the newest that matches is the one that counts") {
  watch w{log_check("EVM Block (?P<head>\\d+)")};
  auto r = w.look("");
  CHECK(r.out == outcome::unknown);
  CHECK_FALSE(r.answered);
  CHECK(r.reason.find("no line of this run has matched") != std::string::npos);
  CHECK(w.look("DEBUG Reset upper bound for EVM Block #9\n", 1s).out == outcome::unknown);
  r = w.look("DEBUG EVM Block 7\nDEBUG EVM Block 8\r\nINFO other\n", 2s);
  CHECK(r.out == outcome::passed);
  CHECK(r.answered);
  REQUIRE(r.head);
  CHECK(r.head->number == 8U);
  CHECK(r.conditions.at(0).text == "the newest match is DEBUG EVM Block 8");
  r = w.look("INFO other\n", 1h);
  CHECK(r.out == outcome::passed);
  CHECK(r.head->number == 8U);
  CHECK(w.look("EVM Block 5\n", 2h).head->number == 5U);
  CHECK(w.look("EVM Block 0x1f\n", 2h).head->number == 0U);
}

TEST_CASE("max_age is about when a line was read, which is not known of one that stood there before") {
  watch w{log_check("block", 60s)};
  CHECK(w.look("block\n").out == outcome::unknown);
  CHECK(w.look("", 59s).out == outcome::unknown);
  auto r = w.look("", 61s);
  CHECK(r.out == outcome::failed);
  CHECK_THAT(r.reason, Catch::StartsWith("no line has matched for "));
  CHECK(r.answered);
  CHECK(w.look("a\nblock\nb\n", 62s).out == outcome::passed);
  CHECK(w.look("", 122s).out == outcome::passed);
  CHECK(w.look("", 123s).out == outcome::failed);
}

TEST_CASE("with max_age no line at all fails once it has been looked for that long") {
  watch w{log_check("block", 60s)};
  CHECK(w.look("").out == outcome::unknown);
  CHECK(w.look("x\n", 60s).out == outcome::unknown);
  const auto r = w.look("x\n", 61s);
  CHECK(r.out == outcome::failed);
  CHECK_FALSE(r.answered);
}

TEST_CASE("max_age is about the time that the line says, where it does") {
  watch w{log_check("^(?P<time>\\S+) block (?P<head>\\d+)", 60s)};
  w.check.head.format = model::time_format::unix;
  auto r = w.look("1699999970 block 3\n");
  CHECK(r.out == outcome::passed);
  CHECK(r.head->time == day - 30s);
  CHECK(w.look("", 31s, 31s).out == outcome::failed);
  CHECK(w.look("1700000400 block 4\n", 32s, 32s).out == outcome::unknown);  // a clock is wrong
  r = w.look("yesterday block 5\n", 33s, 33s);
  CHECK(r.out == outcome::failed);
  CHECK(r.reason == "time is yesterday, not a time (unix)");
  CHECK_FALSE(r.answered);
  CHECK(w.look("1700000030 block x\n1700000031 block 6\n", 33s, 33s).head->number == 6U);
}

TEST_CASE("a pattern that cannot be read decides nothing") {
  watch w{log_check("(")};
  CHECK(w.look("(\n").out == outcome::unknown);
}

TEST_CASE("a log check reads on where it stopped, and is unknown without a run") {
  boost::asio::io_context io;
  probe::prober prober(io);
  const auto p = probe_of(log_check("block (?P<head>\\d+)"));
  std::vector<std::string> pieces{"block 1\n", "block 2\n"};
  std::vector<std::uint64_t> asked;
  probe::target whom;
  const auto ask = [&](probe::session& memory) {
    std::optional<probe::probe_result> got;
    const auto handle = prober.start(p, whom, memory, [&](probe::probe_result r) { got = std::move(r); });
    REQUIRE(run_until(io, [&] { return got.has_value(); }));
    return *got;
  };
  probe::session memory;
  CHECK(ask(memory).out == outcome::unknown);
  whom.output = [&](std::uint64_t from) -> base::result<probe::output_piece> {
    asked.push_back(from);
    if (from >= 20) return base::error{"it is gone"};
    return {boost::system::in_place_value, probe::output_piece{pieces.at(from / 10), from + 10}};
  };
  CHECK(ask(memory).head->number == 1U);
  CHECK(ask(memory).head->number == 2U);
  CHECK(ask(memory).out == outcome::unknown);
  CHECK(asked == std::vector<std::uint64_t>{0, 10, 20});
}

TEST_CASE("asked through another unit, only what is said of the head is about the one that is judged") {
  boost::asio::io_context io;
  probe::prober prober(io, [](const auto&, auto) { return [] {}; });
  auto check = http("http://127.0.0.1:1/");  // nobody listens on port 1
  check.through = "rpc";
  probe::target whom;
  const auto ask = [&] {
    std::optional<probe::probe_result> got;
    const auto handle = prober.start(probe_of(check), whom, [&](probe::probe_result r) { got = std::move(r); });
    REQUIRE(run_until(io, [&] { return got.has_value(); }));
    return *got;
  };
  CHECK(ask().reason == "asked through rpc, which is not known here");
  whom.through = [](const std::string&) { return probe::stand_in{"backoff"}; };
  auto r = ask();
  CHECK(r.out == outcome::unknown);
  CHECK(r.reason == "asked through rpc, which is backoff");
  whom.through = [](const std::string&) { return probe::stand_in{"", 0}; };
  r = ask();
  CHECK(r.out == outcome::unknown);
  CHECK(r.reason.starts_with("asked through rpc: "));
}
