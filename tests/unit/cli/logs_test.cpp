// The verb logs on files of every kind: what a person sees of several units, rotations, runs and binary output.
#include <fcntl.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/time_text.hpp"
#include "base/unique_fd.hpp"
#include "control/event.hpp"
#include "logs/zst_file.hpp"
#include "unit/cli/program.hpp"
#include "unit/control/server_harness.hpp"

namespace json = boost::json;
using namespace hasup;
using namespace hasup::cli::testing;
using control::testing::temporary_directory;

namespace {

struct log_home : temporary_directory {
  log_home() {
    std::filesystem::create_directories(path + "/log");
    std::filesystem::create_directories(path + "/etc/units");
  }
  void log(const std::string& name, const std::string& text) const { append(path + "/log/" + name, text); }
  void unit(const std::string& name, const std::string& text) const {
    append(path + "/etc/units/" + name + ".toml", text);
  }
  static void append(const std::string& file, const std::string& text) {
    std::ofstream(file, std::ios::app | std::ios::binary) << text;
  }
  void compress(const std::string& name) const {
    const auto file = path + "/log/" + name;
    const base::unique_fd from(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const base::unique_fd to(::open((file + ".zst").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    REQUIRE(logs::compress_file(from.get(), to.get()).has_value());
    std::filesystem::remove(file);
  }
};

std::vector<json::object> objects(const std::string& text) {
  std::vector<json::object> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line).as_object());
  return all;
}

}  // namespace

TEST_CASE("logs: several units by time, filters, the previous run, following over a rotation") {
  temporary_directory home;
  const auto dir = home.path + "/log";
  std::filesystem::create_directories(dir);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(dir + "/" + name, std::ios::app) << text;
  };
  write("leap.log.1", "2026-11-21T01:00:00Z stdout F one\n2026-11-21T01:00:02Z stdout F three\n");
  write("leap.log", "2026-11-21T01:00:04Z stderr F five\n");
  write("miner@1.log", "2026-11-21T01:00:01Z stdout F two\n2026-11-21T01:00:03Z stdout F four\n");
  const auto both = run_hasup(home.path, {"logs"});
  CHECK(both.code == 0);
  CHECK(both.out == "leap    | one\nminer@1 | two\nleap    | three\nminer@1 | four\nleap    | five\n");
  CHECK(run_hasup(home.path, {"logs", "leap", "-n", "2"}).out == "three\nfive\n");
  CHECK(run_hasup(home.path, {"logs", "leap", "--grep", "^(one|five)$", "-t"}).out ==
        "2026-11-21T01:00:00Z one\n2026-11-21T01:00:04Z five\n");
  CHECK(run_hasup(home.path, {"logs", "miner", "--since", "2026-11-21T01:00:02Z"}).out == "four\n");
  CHECK(run_hasup(home.path, {"logs", "laep"}).code == 4);
  CHECK(run_hasup(home.path, {"logs", "leap", "--grep", "("}).code == 2);
  CHECK(run_hasup(home.path, {"logs", "leap", "--since", "soon"}).code == 2);

  std::filesystem::create_directories(home.path + "/state/events");
  {
    std::ofstream file(home.path + "/state/events/events.jsonl");
    // The last run began a moment before its event: "five" is a line of it.
    for (const auto& [at, kind] : {std::pair{"2026-11-21T01:00:00Z", "started"},
                                   {"2026-11-21T01:00:01.5Z", "exited"},
                                   {"2026-11-21T01:00:02.1Z", "started"},
                                   {"2026-11-21T01:00:03.5Z", "exited"},
                                   {"2026-11-21T01:00:04.1Z", "started"}}) {
      control::event e;
      e.at = *base::parse_time(at);
      e.unit = "leap";
      e.kind = kind;
      file << control::encode(e) << "\n";
    }
  }
  CHECK(run_hasup(home.path, {"logs", "leap", "--previous"}).out == "three\n");

  auto follow = start_hasup(home.path, {"logs", "leap", "-f", "-n", "1"});
  REQUIRE(follow.wait_for_output("five\n"));
  std::filesystem::rename(dir + "/leap.log.1", dir + "/leap.log.2");
  std::filesystem::rename(dir + "/leap.log", dir + "/leap.log.1");
  write("leap.log", "2026-11-21T01:00:05Z stdout F six\n");
  REQUIRE(follow.wait_for_output("six\n"));
  follow.signal(SIGINT);
  const auto r = follow.finish();
  CHECK(r.code == 0);
  CHECK(r.out == "five\nsix\n");
}

TEST_CASE("logs: -n counts over plain and compressed files, and so do --since and --grep") {
  log_home home;
  home.log("leap.log.2", "2026-11-21T01:00:00Z stdout F one\n2026-11-21T01:00:01Z stdout F two\n");
  home.log("leap.log.1", "2026-11-21T01:00:02Z stdout F three\n");
  home.log("leap.log", "2026-11-21T01:00:03Z stdout F four\n");
  home.compress("leap.log.2");
  home.compress("leap.log.1");
  CHECK(run_hasup(home.path, {"logs", "leap"}).out == "one\ntwo\nthree\nfour\n");
  CHECK(run_hasup(home.path, {"logs", "leap", "-n", "3"}).out == "two\nthree\nfour\n");
  CHECK(run_hasup(home.path, {"logs", "leap", "-n", "all"}).out == "one\ntwo\nthree\nfour\n");
  CHECK(run_hasup(home.path, {"logs", "leap", "--grep", "o$"}).out == "two\n");
  for (const auto* since : {"2026-11-21T01:00:02Z", "2026-11-21 01:00:02", "2026-11-21T02:00:02+01:00"})
    CHECK(run_hasup(home.path, {"logs", "leap", "--since", since}).out == "three\nfour\n");
  CHECK(run_hasup(home.path, {"logs", "leap", "--since", "2026-11-22"}).out.empty());
  CHECK(run_hasup(home.path, {"logs", "leap", "--since", "2026-11-21", "-n", "1"}).out == "four\n");
  CHECK(run_hasup(home.path, {"logs", "leap", "--since", "1s"}).code == 0);
  CHECK(run_hasup(home.path, {"logs", "leap", "--since", "today"}).code == 0);
}

TEST_CASE("logs --json: one object a line, binary output and parts included") {
  log_home home;
  home.log("miner@2.log", std::string("2026-11-21T01:00:00.000000001Z stdout F a\0\xff\"\xc3\xa9\n", 47));
  home.log("miner@2.log",
           "2026-11-21T01:00:01Z stderr P long\n2026-11-21T01:00:01Z stderr F er\n"
           "2026-11-21T01:00:02Z stderr P no end\n");
  const auto r = run_hasup(home.path, {"logs", "miner", "--json"});
  CHECK(r.code == 0);
  const auto all = objects(r.out);
  REQUIRE(all.size() == 3);
  CHECK(all[0].at("time") == "2026-11-21T01:00:00.000000001Z");
  CHECK(all[0].at("unit") == "miner");
  CHECK(all[0].at("instance") == 2);
  CHECK(all[0].at("stream") == "stdout");
  CHECK(all[0].at("partial") == false);
  CHECK(all[0].at("message") == json::string(std::string("a\0\xef\xbf\xbd\"\xc3\xa9", 8)));
  CHECK(all[1].at("message") == "longer");
  CHECK(all[1].at("partial") == false);
  CHECK(all[2].at("message") == "no end");
  CHECK(all[2].at("partial") == true);
}

TEST_CASE("logs: a line of 10 MB is one line") {
  log_home home;
  std::string text;
  const std::string part(16384, 'x');
  for (int i = 0; i < 610; ++i) text += "2026-11-21T01:00:00Z stdout P " + part + "\n";
  home.log("leap.log", text + "2026-11-21T01:00:00Z stdout F end\n");
  const auto r = run_hasup(home.path, {"logs", "leap", "-n", "1"});
  const bool same = r.out == std::string(610 * part.size(), 'x') + "end\n";
  CHECK(same);
}

TEST_CASE("logs: groups, several units named once each, and what is unknown") {
  log_home home;
  home.unit("a", "groups = [\"evm\"]\n[run]\ncommand = [\"/bin/true\"]\n");
  home.unit("b", "groups = [\"evm\"]\n[run]\ncommand = [\"/bin/true\"]\n");
  home.unit("c", "[run]\ncommand = [\"/bin/true\"]\n");
  home.log("a.log", "2026-11-21T01:00:00Z stdout F one\n");
  home.log("b.log", "2026-11-21T01:00:01Z stdout F two\n");
  home.log("c.log", "2026-11-21T01:00:02Z stdout F three\n");
  CHECK(run_hasup(home.path, {"logs", "@evm"}).out == "a | one\nb | two\n");
  CHECK(run_hasup(home.path, {"logs", "@evm", "a", "c", "a"}).out == "a | one\nb | two\nc | three\n");
  CHECK(run_hasup(home.path, {"logs", "a@0"}).out == "one\n");
  const auto unknown = run_hasup(home.path, {"logs", "@none"});
  CHECK(unknown.code == 4);
  CHECK(unknown.err.find("@none") != std::string::npos);
  CHECK(run_hasup(home.path, {"logs", "a@7"}).code == 4);
  // Of a unit that was removed the log is still there.
  std::filesystem::remove(home.path + "/etc/units/c.toml");
  CHECK(run_hasup(home.path, {"logs", "c"}).out == "three\n");
}

TEST_CASE("logs: the files that a node writes itself are put between its output") {
  log_home home;
  const auto own = home.path + "/error.log";
  home.unit("nginx", "[run]\ncommand = [\"/bin/true\"]\n[log]\nfollow = [\"" + own + "\", \"" + home.path +
                         "/not-there.log\"]\n");
  home.log("nginx.log", "2026-11-21T01:00:00Z stdout F one\n2026-11-21T01:00:02Z stdout F three\n");
  log_home::append(own, "2026-11-21T01:00:01Z two\n  and more\n2026-11-21T01:00:03Z four\nunfini");
  const auto r = run_hasup(home.path, {"logs", "nginx"});
  CHECK(r.code == 0);
  CHECK(r.out ==
        "nginx               | one\n"
        "nginx:error.log     | 2026-11-21T01:00:01Z two\n"
        "nginx:error.log     |   and more\n"
        "nginx               | three\n"
        "nginx:error.log     | 2026-11-21T01:00:03Z four\n"
        "nginx:error.log     | unfini\n");
  const auto all = objects(run_hasup(home.path, {"logs", "--json", "--grep", "two|unfini"}).out);
  REQUIRE(all.size() == 2);
  CHECK(all[0].at("stream") == "file");
  CHECK(all[0].at("time") == "2026-11-21T01:00:01.000Z");
  CHECK(all[0].at("unit") == "nginx");
  CHECK(all[0].at("file").as_string() == own);
  CHECK(all[1].at("partial") == true);

  // Followed over both kinds of rotation.
  auto follow = start_hasup(home.path, {"logs", "nginx", "-f", "-n", "1", "--grep", "four|five|six|seven"});
  REQUIRE(follow.wait_for_output("four"));
  log_home::append(own, "shed five\n");
  REQUIRE(follow.wait_for_output("unfinished five\n"));
  std::filesystem::rename(own, own + ".1");
  log_home::append(own, "six\n");
  REQUIRE(follow.wait_for_output("six\n"));
  std::filesystem::resize_file(own, 0);
  log_home::append(own, "7\n");
  log_home::append(own, "seven\n");
  REQUIRE(follow.wait_for_output("seven\n"));
  follow.signal(SIGINT);
  const auto f = follow.finish();
  CHECK(f.code == 0);
  CHECK(f.out ==
        "nginx:error.log     | 2026-11-21T01:00:03Z four\nnginx:error.log     | unfinished five\n"
        "nginx:error.log     | six\nnginx:error.log     | seven\n");
}
