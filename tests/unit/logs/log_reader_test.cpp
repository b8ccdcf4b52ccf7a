// Reading a log over its rotated files, its end, and what is written while it is read.
#include "logs/log_reader.hpp"

#include "logs/cri_line.hpp"
#include "unit/logs/log_directory.hpp"

using namespace hasup::logs;
using namespace hasup::logs::test;

TEST_CASE("lines come oldest first over all files") {
  log_directory d;
  append_lines(d.old(2), 0, 10);
  append_lines(d.old(1), 10, 20);
  append_lines(d.log(), 20, 30);
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == numbers(0, 30));
}

TEST_CASE("the last lines come from as many files as they need") {
  log_directory d;
  append_lines(d.old(2), 0, 10);
  append_lines(d.old(1), 10, 20);
  append_lines(d.log(), 20, 25);
  for (const auto& [count, from] :
       {std::pair{0, 25}, {1, 24}, {5, 20}, {6, 19}, {15, 10}, {16, 9}, {25, 0}, {99, 0}}) {
    INFO(count);
    log_reader r(d.log());
    REQUIRE(r.open_tail(static_cast<std::size_t>(count)).has_value());
    CHECK(rest(r) == numbers(from, 25));
  }
}

TEST_CASE("the last lines are found in a file of many blocks") {
  log_directory d;
  append_lines(d.log(), 0, 20'000);
  log_reader r(d.log());
  REQUIRE(r.open_tail(12'345).has_value());
  CHECK(rest(r) == numbers(20'000 - 12'345, 20'000));
}

TEST_CASE("parts of a long line are one line, and count once at the end") {
  log_directory d;
  append(d.log(), stamp(1) + " stdout F first\n" + stamp(2) + " stdout P aaa\n" + stamp(2) + " stderr F between\n" +
                      stamp(3) + " stdout P bbb\n" + stamp(4) + " stdout F ccc\n");
  log_reader all(d.log());
  REQUIRE(all.open(0).has_value());
  CHECK(rest(all) == std::vector<std::string>{"first", "between", "aaabbbccc"});
  log_reader last(d.log());
  REQUIRE(last.open_tail(1).has_value());
  CHECK(rest(last).back().ends_with("bbbccc"));
}

TEST_CASE("a following reader gets every line over rotations, once") {
  log_directory d;
  append_lines(d.log(), 0, 3);
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == numbers(0, 3));
  append_lines(d.log(), 3, 5);  // written after the last look, before the rotation
  rotate(d);
  CHECK(rest(r) == numbers(3, 5));  // the new file is not there yet
  append_lines(d.log(), 5, 7);
  CHECK(rest(r) == numbers(5, 7));
  for (int n = 7; n < 11; ++n) {  // several rotations between two looks
    rotate(d);
    append_lines(d.log(), n, n + 1);
  }
  CHECK(rest(r) == numbers(7, 11));
}

TEST_CASE("half a line waits for its end") {
  log_directory d;
  const auto whole = line(1);
  append(d.log(), whole.substr(0, 20));
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r).empty());
  append(d.log(), whole.substr(20));
  CHECK(rest(r) == numbers(1, 2));
}

TEST_CASE("a log that comes later is read from its beginning") {
  log_directory d;
  log_reader r(d.log());
  REQUIRE(r.open_tail(10).has_value());
  CHECK(r.missing());
  CHECK(rest(r).empty());
  append_lines(d.log(), 0, 2);
  CHECK(rest(r) == numbers(0, 2));
  CHECK_FALSE(r.missing());
}

TEST_CASE("a file truncated in place begins again") {
  log_directory d;
  append_lines(d.log(), 0, 5);
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  rest(r);
  fs::resize_file(d.log(), 0);
  append_lines(d.log(), 5, 6);
  CHECK(rest(r) == numbers(5, 6));
}

TEST_CASE("old files are left out by their time, and lines of other programs are shown as they are") {
  log_directory d;
  append_lines(d.old(1), 0, 2);
  timespec times[2]{{1000, 0}, {1000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, d.old(1).c_str(), times, 0) == 0);
  append(d.log(), "not a CRI line\n\n" + line(2));
  log_reader r(d.log());
  REQUIRE(r.open(2'000'000'000'000LL).has_value());
  CHECK(rest(r) == std::vector<std::string>{"not a CRI line", "", "line 2"});
}

TEST_CASE("the end of a log as text, for the control API") {
  log_directory d;
  append_lines(d.log(), 0, 3);
  const auto text = read_tail(d.log(), 2);
  REQUIRE(text.has_value());
  CHECK(*text == line(1) + line(2));
  CHECK_FALSE(read_tail(d.path + "/none.log", 2).has_value());
}

TEST_CASE("logs are listed by name, instances by number") {
  log_directory d;
  for (const auto* name : {"miner@10.log", "miner@2.log", "leap.log", "leap.log.1", "x.txt", ".log"})
    append(d.path + "/" + name, "");
  CHECK(list_logs(d.path) == std::vector<std::string>{"leap", "miner@2", "miner@10"});
  CHECK(list_logs(d.path + "/none").empty());
}

TEST_CASE("a long line whose end was dropped is shown before the word about it, and spoils no other line") {
  log_directory d;
  append(d.log(), line(0) + stamp(1) + " stderr P begin\n" + stamp(2) + " stderr F hasup: 7 lines dropped\n" +
                      stamp(3) + " stderr F next\n");
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  CHECK(r.next()->text == "line 0");
  const auto cut = r.next();
  REQUIRE(cut.has_value());
  CHECK(cut->text == "begin");
  CHECK(cut->partial);
  CHECK(rest(r) == std::vector<std::string>{"hasup: 7 lines dropped", "next"});
}
