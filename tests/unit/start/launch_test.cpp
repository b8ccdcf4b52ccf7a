// From unit file, account and env files to what the shim is asked; secrets are never quoted in an error.
#include "start/launch.hpp"

#include <sys/resource.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "show_result.hpp"
#include "unit/start/miner.hpp"

using namespace hasup;
using Catch::Matchers::Contains;
using launch_test::miner;

namespace {

struct file {
  explicit file(const std::string& text) {
    char name[] = "/tmp/hasup-env-XXXXXX";
    const int fd = ::mkstemp(name);
    path = name;
    ::close(fd);
    std::ofstream(path) << text;
  }
  ~file() { std::filesystem::remove(path); }
  std::string path;
};

}  // namespace

TEST_CASE("environment files are read as systemd and docker read them", "[launch]") {
  const auto env = start::parse_env_file("f",
                                         "# a comment\n"
                                         "A=1\n"
                                         "  export B = two words  \r\n"
                                         "C=\"quoted # not a comment\"\n"
                                         "D='single'\n"
                                         "E=a=b\n"
                                         "F=\n"
                                         "G=\"half\n"
                                         "A=again");
  REQUIRE(env);
  CHECK(env->at("A") == "again");
  CHECK(env->at("B") == "two words");
  CHECK(env->at("C") == "quoted # not a comment");
  CHECK(env->at("D") == "single");
  CHECK(env->at("E") == "a=b");
  CHECK(env->at("F").empty());
  CHECK(env->at("G") == "\"half");
  CHECK(env->size() == 7);
}

TEST_CASE("a bad line is named by its number, never by its text", "[launch]") {
  const auto env = start::parse_env_file("/etc/miner.env", "A=1\n\nhunter2\n");
  REQUIRE_FALSE(env);
  CHECK_THAT(env.error().message, Contains("/etc/miner.env:3"));
  CHECK_THAT(env.error().message, !Contains("hunter2"));
  CHECK_FALSE(start::parse_env_file("f", "=value"));
}

TEST_CASE("later files and the unit's own environment win", "[launch]") {
  const file first("A=1\nB=1\nMINER_KEY=5Ksecret\n");
  const file second("B=2\n");
  auto u = miner();
  u.run.env_files = {first.path, second.path, "-/nowhere/at/all"};
  u.run.env = {{"C", "key is ${secret:MINER_KEY}"}, {"A", "own"}};
  const auto from = start::prepare_launch(u);
  REQUIRE(from);
  const auto request = start::make_run_request(u, *from, {"--once"}, 7, "/var/log/hasup");
  REQUIRE(request);
  CHECK(request->argv == std::vector<std::string>{"/usr/bin/miner", "--key", "5Ksecret", "--once"});
  CHECK(request->env.at("A") == "own");
  CHECK(request->env.at("B") == "2");
  CHECK(request->env.at("C") == "key is 5Ksecret");
  CHECK(request->env.contains("PATH"));
  CHECK(request->env.at("LANG") == "C.UTF-8");
  CHECK(request->run == 7);
  CHECK(request->directory == "/");
  CHECK(request->umask == 022U);
  CHECK(request->log.path == "/var/log/hasup/" + model::log_file_name(u));
}

TEST_CASE("a run that goes on gets what changed, and nothing else", "[launch]") {
  const auto was = miner();
  CHECK(start::adjustment_to(was, was).empty());
  auto is = was;
  is.run.limit.open_files = 4096;
  is.run.limit.nice = 7;
  const auto more = start::adjustment_to(was, is);
  REQUIRE(more.limits.size() == 1);
  CHECK(more.limits[0].resource == RLIMIT_NOFILE);
  CHECK(more.limits[0].soft == 4096);
  CHECK(more.limits[0].hard == 4096);
  CHECK(more.nice == 7);
  CHECK_FALSE(more.oom_score_adjust);
  CHECK_FALSE(more.log);

  // What is not named any more is as it is for the daemon itself.
  rlimit own{};
  ::getrlimit(RLIMIT_NOFILE, &own);
  const auto back = start::adjustment_to(is, was);
  REQUIRE(back.limits.size() == 1);
  CHECK(back.limits[0].soft == own.rlim_cur);
  CHECK(back.limits[0].hard == own.rlim_max);
  CHECK(back.nice == ::getpriority(PRIO_PROCESS, 0));

  is = was;
  is.log.max_age = base::duration{1};
  REQUIRE(start::adjustment_to(was, is).log);
  CHECK(start::adjustment_to(was, is).log->daily);
  CHECK_FALSE(start::adjustment_to(is, was).log->daily);
  CHECK(start::adjustment_to(is).log->max_size == is.log.max_size);  // began with one unknown: all of it
}

TEST_CASE("the environment of the daemon is not the node's", "[launch]") {
  ::setenv("HASUP_TEST_LEAK", "leaked", 1);
  const auto from = start::prepare_launch(miner());
  REQUIRE(from);
  CHECK_FALSE(from->env.contains("HASUP_TEST_LEAK"));
  const auto asked = start::fill_command({"x", "${env:HASUP_TEST_LEAK}"}, *from);
  ::unsetenv("HASUP_TEST_LEAK");
  REQUIRE(asked);
  CHECK(asked->back() == "leaked");  // only where the unit file says so
}

TEST_CASE("what is missing stops the start and is named", "[launch]") {
  auto u = miner();
  const auto from = start::prepare_launch(u);
  REQUIRE(from);
  const auto request = start::make_run_request(u, *from, {}, 1, "/l");
  REQUIRE_FALSE(request);
  CHECK_THAT(request.error().message, Contains("MINER_KEY"));

  u.run.env_files = {"/nowhere/at/all"};
  CHECK_THAT(start::prepare_launch(u).error().message, Contains("/nowhere/at/all"));
  u.run.env_files = {"/tmp"};
  CHECK_THAT(start::prepare_launch(u).error().message, Contains("not a regular file"));
  const file big(std::string((1 << 20) + 1, 'x'));
  u.run.env_files = {big.path};
  CHECK_THAT(start::prepare_launch(u).error().message, Contains("larger than"));
  u.run.env_files.clear();
  u.run.user = "no-such-user-here";
  CHECK_THAT(start::prepare_launch(u).error().message, Contains("no-such-user-here"));
}

TEST_CASE("limits go to the shim as they are, infinity included", "[launch]") {
  auto u = miner();
  u.run.command = {"x"};
  u.run.limit.open_files = 65'536;
  u.run.limit.core = UINT64_MAX;
  const auto from = start::prepare_launch(u);
  REQUIRE(from);
  const auto request = start::make_run_request(u, *from, {}, 1, "/l");
  REQUIRE(request);
  REQUIRE(request->limits.size() == 2);
  CHECK(request->limits[0].soft == 65'536);
  CHECK(request->limits[1].soft == ~std::uint64_t{0});
}
