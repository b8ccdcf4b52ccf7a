// Log files that a node writes itself: their times, their rotations, lines without an end.
#include <ctime>

#include "logs/line_time.hpp"
#include "unit/logs/log_directory.hpp"

using namespace hasup::logs;
using namespace hasup::logs::test;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t at_010203 = 1'795'222'923;  // 2026-11-21T01:02:03Z

// Local time of this place and season.
std::int64_t local(int hour) {
  std::tm t{};
  t.tm_year = 126;
  t.tm_mon = 10;
  t.tm_mday = 21;
  t.tm_hour = hour;
  t.tm_min = 2;
  t.tm_sec = 3;
  t.tm_isdst = -1;
  return std::mktime(&t) * second;
}

log_reader plain(const log_directory& d) {
  return log_reader(d.log(), log_form::plain);
}

}  // namespace

TEST_CASE("times are found in the forms that nodes, proxies and databases write") {
  CHECK(line_time("2026-11-21T01:02:03Z hello") == at_010203 * second);
  CHECK(line_time("info  2026-11-21T01:02:03.250 nodeos    main.cpp:1 main ] hello") ==
        at_010203 * second + second / 4);
  CHECK(line_time("2026-11-21T02:02:03.5+01:00 x") == at_010203 * second + second / 2);
  CHECK(line_time("{\"ts\":\"2026-11-21T01:02:03Z\"}") == at_010203 * second);
  CHECK(line_time("10.0.0.1 - joe [21/Nov/2026:02:02:03 +0100] \"GET / HTTP/1.1\" 200") == at_010203 * second);
  CHECK(line_time("2026/11/21 01:02:03 [error] 7#7: *1 connect() failed") == local(1));
  CHECK(line_time("[2026-11-21 01:02:03,004] WARN x") == local(1) + 4'000'000);
  CHECK(line_time("2026-11-21 01:02:03 +0000 x") == at_010203 * second);
  CHECK_FALSE(line_time("").has_value());
  CHECK_FALSE(line_time("no time here").has_value());
  CHECK_FALSE(line_time("2026-13-21T01:02:03Z").has_value());
  CHECK_FALSE(line_time("12026-11-21T01:02:03Z").has_value());
  CHECK_FALSE(line_time("2026-11-21T25:02:03Z").has_value());
}

TEST_CASE("a line without a time has that of the line before it, or of the file") {
  log_directory d;
  append(d.log(), "no time\nstill none\n2026-11-21T01:02:03Z one\n  at main.c:7\n");
  timespec times[2]{{1000, 0}, {1000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, d.log().c_str(), times, 0) == 0);
  auto r = plain(d);
  REQUIRE(r.open(0).has_value());
  for (const auto& [text, ns] : {std::pair{"no time", 1000 * second},
                                 {"still none", 1000 * second},
                                 {"2026-11-21T01:02:03Z one", at_010203 * second},
                                 {"  at main.c:7", at_010203 * second}}) {
    const auto l = r.next();
    REQUIRE(l.has_value());
    CHECK(l->text == text);
    CHECK(l->time_ns == ns);
    CHECK(l->stream == "file");
    CHECK(l->time.empty());
  }
}

TEST_CASE("CRI lines in a node's own file are text like any other") {
  log_directory d;
  append(d.log(), line(1, "P"));
  auto r = plain(d);
  REQUIRE(r.open(0).has_value());
  CHECK(r.next()->text + "\n" == line(1, "P"));
}

TEST_CASE("a renamed file is read on until the program writes to the new one") {
  log_directory d;
  append(d.log(), "one\n");
  auto r = plain(d);
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == std::vector<std::string>{"one"});
  // logrotate renames and creates; the program writes to the old file until it gets its signal.
  rotate(d);
  append(d.log(), "");
  append(d.old(1), "two\n");
  CHECK(rest(r) == std::vector<std::string>{"two"});
  append(d.old(1), "three\n");
  CHECK(rest(r) == std::vector<std::string>{"three"});
  append(d.old(1), "four\n");
  append(d.log(), "five\n");
  CHECK(rest(r) == std::vector<std::string>{"four", "five"});
}

TEST_CASE("a copied and truncated file is followed without repeats") {
  log_directory d;
  append(d.log(), "one\ntwo\n");
  auto r = plain(d);
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == std::vector<std::string>{"one", "two"});
  fs::copy_file(d.log(), d.old(1));
  fs::resize_file(d.log(), 0);
  CHECK(rest(r).empty());
  append(d.log(), "three\n");
  CHECK(rest(r) == std::vector<std::string>{"three"});
}

TEST_CASE("a truncated file that has grown beyond its former size between two looks is noticed") {
  log_directory d;
  append(d.log(), "one\n");
  auto r = plain(d);
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == std::vector<std::string>{"one"});
  fs::resize_file(d.log(), 0);
  append(d.log(), "a\nb\nlonger\n");
  CHECK(rest(r) == std::vector<std::string>{"a", "b", "longer"});
}

TEST_CASE("a last line without an end is shown to who does not follow, and not cut in two for who does") {
  log_directory d;
  append(d.log(), "whole\nhal");
  auto r = plain(d);
  REQUIRE(r.open_tail(5).has_value());
  CHECK(rest(r) == std::vector<std::string>{"whole"});
  append(d.log(), "f\nnext");
  CHECK(rest(r) == std::vector<std::string>{"half"});
  const auto last = r.next_unfinished();
  REQUIRE(last.has_value());
  CHECK(last->text == "next");
  CHECK(last->partial);
  CHECK_FALSE(r.next_unfinished().has_value());
}

TEST_CASE("parts whose end never came are shown as a partial line") {
  log_directory d;
  append(d.log(), line(0) + line(1, "P") + stamp(2) + " stderr P two\n" + stamp(3) + " stdout P and\n");
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == std::vector<std::string>{"line 0"});
  const auto out = r.next_unfinished();
  REQUIRE(out.has_value());
  CHECK(out->text == "line 1and");
  CHECK(out->partial);
  const auto err = r.next_unfinished();
  REQUIRE(err.has_value());
  CHECK(err->text == "two");
  CHECK(err->stream == "stderr");
  CHECK_FALSE(r.next_unfinished().has_value());
}
