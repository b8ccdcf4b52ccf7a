// [readiness.reference] and [liveness.reference]: whom a node is held against, and each way to write it wrong.
#include "unit/config/support.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using test::parse;
using test::unit_of;

namespace {

const std::string chain =
    "[params]\nurl = \"http://127.0.0.1:8888\"\n[[check]]\nkind = \"http\"\nurl = \"${url}/v1\"\n"
    "head = { number = \"/n\", time = \"/t\", chain = \"/c\" }\n";
const std::string follows =
    "[params]\nurl = \"http://own\"\nreference_url = \"http://other\"\nmax_behind = \"30s\"\nblocks = \"100\"\n"
    "[[check]]\nkind = \"http\"\nurl = \"${url}\"\nhead = { number = \"/n\", time = \"/t\" }\n";
const std::string other =
    "kind = \"http\"\nurl = \"${reference_url}/v1\"\nhead = { number = \"/n\", time = \"/t\" }\n";
const std::string limits = "max_behind = \"${max_behind}\"\nmax_blocks_behind = \"${blocks}\"\n";

// Settings stand before the first table.
std::string with_limits(const std::string& preset, const std::string& reference) {
  return limits + preset + reference;
}

const test::files beside{
    .units = {},
    .presets = {{"chain", chain},
                {"numbers",
                 "[params]\nurl = \"http://h\"\n[[check]]\nkind = \"http\"\nurl = \"${url}\"\n"
                 "head = { number = \"/n\" }\n"},
                {"headless", "[params]\nurl = \"http://h\"\n[[check]]\nkind = \"http\"\nurl = \"${url}\"\n"},
                {"by_exec",
                 "[[check]]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n[[check]]\nkind = \"http\"\n"
                 "url = \"http://h\"\nhead = { time = \"/t\" }\n"},
                {"follows", with_limits(follows, "[reference]\ninterval = \"30s\"\n" + other)},
                {"follows_two",
                 with_limits(follows, "[[reference.check]]\n" + other +
                                          "[[reference.check]]\nkind = \"jsonrpc\"\nurl = \"http://x\"\n"
                                          "method = \"m\"\nhead = { number = \"/n\", time = \"/t\" }\n")}},
    .recipes = {}};

const std::string run = "[run]\ncommand = [\"/bin/true\"]\n";
const std::string own = run + "[readiness]\npreset = \"chain\"\n";
const std::string inline_own =
    run + "[readiness]\nkind = \"http\"\nurl = \"http://127.0.0.1\"\nhead = { number = \"/n\", time = \"/t\" }\n";

std::string said(const std::string& text) {
  return test::messages(parse(text, beside).problems);
}

}  // namespace

TEST_CASE("a probe is held against a node that is asked by a preset, by one check or by several") {
  auto p = *unit_of(own +
                        "max_behind = \"30s\"\n[readiness.reference]\npreset = \"chain\"\n"
                        "url = \"https://api.example.com/v3/key?token=1\"\nheader_file = \"/h\"\n",
                    beside)
                .readiness;
  REQUIRE(p.reference);
  CHECK(p.max_behind == 30s);
  CHECK_FALSE(p.max_blocks_behind);
  CHECK(p.reference->interval == 10s);
  CHECK(p.reference->timeout == 5s);
  REQUIRE(p.reference->nodes.size() == 1);
  CHECK(p.reference->nodes[0].name == "https://api.example.com");
  CHECK(p.reference->nodes[0].checks.at(0).url == "https://api.example.com/v3/key?token=1/v1");
  CHECK(p.reference->nodes[0].checks.at(0).header_file == "/h");
  CHECK(p.reference->nodes[0].checks.at(0).owner == model::port_owner::any);
  CHECK(p.checks.at(0).url == "http://127.0.0.1:8888/v1");

  p = *unit_of(inline_own +
               "max_blocks_behind = 7\n[readiness.reference]\nkind = \"http\"\nurl = \"http://b/c\"\n"
               "head = { number = \"/n\" }\ninterval = \"1m\"\ntimeout = \"9s\"\n")
           .readiness;
  CHECK(p.max_blocks_behind == 7U);
  CHECK(p.reference->interval == 1min);
  CHECK(p.reference->timeout == 9s);
  CHECK(p.reference->nodes.at(0).name == "http://b");

  p = *unit_of(inline_own +
               "max_behind = \"1s\"\nmax_blocks_behind = 7\n"
               "[[readiness.reference.check]]\nkind = \"http\"\nurl = \"http://b\"\n"
               "head = { number = \"/n\", time = \"/t\" }\n"
               "[[readiness.reference.check]]\nkind = \"jsonrpc\"\nmethod = \"m\"\nurl = \"http://c\"\n"
               "head = { number = \"/n\", time = \"/t\" }\n")
           .readiness;
  REQUIRE(p.reference->nodes.size() == 2);
  CHECK(p.reference->nodes[1].name == "http://c");

  p = *unit_of(inline_own +
               "max_behind = \"1s\"\n[readiness.reference]\nkind = \"http\"\nurl = \"unix:/s.sock:/x?token=1\"\n"
               "head = { time = \"/t\" }\n")
           .readiness;
  CHECK(p.reference->nodes.at(0).name == "unix:/s.sock");

  const auto u = unit_of(run +
                             "[liveness]\npreset = \"chain\"\nmax_behind = \"5m\"\n[liveness.reference]\n"
                             "preset = \"chain\"\nurls = [\"http://vm1\", \"http://vm2\"]\n",
                         beside);
  REQUIRE(u.liveness->reference->nodes.size() == 2);
  CHECK(u.liveness->reference->nodes[1].name == "http://vm2");
  CHECK(u.liveness->reference->nodes[1].checks.at(0).url == "http://vm2/v1");
}

TEST_CASE("a preset may bring its reference, and its limits as parameters") {
  auto p = *unit_of(run + "[readiness]\npreset = \"follows\"\n", beside).readiness;
  REQUIRE(p.reference);
  CHECK(p.reference->nodes.at(0).checks.at(0).url == "http://other/v1");
  CHECK(p.reference->interval == 30s);
  CHECK(p.max_behind == 30s);
  CHECK(p.max_blocks_behind == 100U);

  p = *unit_of(run +
                   "[readiness]\npreset = \"follows\"\nreference_url = \"http://vm9\"\nmax_behind = \"1m\"\n"
                   "blocks = 5\n",
               beside)
           .readiness;
  CHECK(p.reference->nodes.at(0).name == "http://vm9");
  CHECK(p.max_behind == 1min);
  CHECK(p.max_blocks_behind == 5U);
  CHECK(unit_of(run + "[readiness]\npreset = \"follows_two\"\nmax_blocks_behind = 6\n", beside)
            .readiness->reference->nodes.size() == 2);

  p = *unit_of(run +
                   "[readiness]\npreset = \"follows\"\nmax_blocks_behind = 6\n[readiness.reference]\n"
                   "preset = \"chain\"\n",
               beside)
           .readiness;
  CHECK(p.max_blocks_behind == 6U);
  CHECK(p.reference->nodes.at(0).name == "http://127.0.0.1:8888");
  CHECK(p.reference->interval == 10s);
}

TEST_CASE("a reference may be the endpoint of an upstream in use") {
  auto with = beside;
  with.upstreams["leap"] =
      "[probe]\npreset = \"chain\"\nurl = \"http://${endpoint.host}\"\n[[endpoint]]\nhost = \"vm11\"\n"
      "[[endpoint]]\nhost = \"vm12\"\n";
  const auto u = unit_of(own +
                             "max_behind = \"30s\"\n[readiness.reference]\npreset = \"chain\"\n"
                             "url = \"http://${upstream.leap.host}:8888\"\n",
                         with);
  CHECK(u.readiness->reference->nodes.at(0).name == "http://vm11:8888");
  REQUIRE(u.choices.all->variants.size() == 2);
  CHECK(u.choices.all->variants[1].readiness->reference->nodes.at(0).name == "http://vm12:8888");
}

TEST_CASE("what is wrong with a reference is said where it stands") {
  const std::string limit = "max_behind = \"30s\"\n", blocks = "max_blocks_behind = 9\n";
  const std::string by_chain = "[readiness.reference]\npreset = \"chain\"\n";
  const std::pair<std::string, std::string> cases[] = {
      {own + by_chain, "a reference needs a limit beside it"},
      {own + limit, "\"max_behind\" needs a node to be held against; write [readiness.reference]"},
      {own + blocks, "\"max_blocks_behind\" needs a node to be held against"},
      {own + "max_behind = \"0s\"\n" + by_chain, "\"max_behind\" must be more than 0"},
      {own + "max_behind = \"soon\"\n" + by_chain, "\"max_behind\": "},
      {own + "max_blocks_behind = 0\n" + by_chain, "must be a whole number from 1 on"},
      {own + "max_blocks_behind = -1\n" + by_chain, "must be a whole number from 1 on"},
      {run + "[readiness]\npreset = \"follows\"\nblocks = \"x\"\n", "must be a whole number from 1 on"},
      {run + "[readiness]\npreset = \"numbers\"\n" + limit + by_chain, "\"max_behind\" needs a check with head.time"},
      {run + "[readiness]\npreset = \"headless\"\n" + blocks + by_chain,
       "\"max_blocks_behind\" needs a check with head.number"},
      {own + limit + "[readiness.reference]\npreset = \"numbers\"\n",
       "\"max_behind\" needs head.time of the reference too, which is not asked of http://h"},
      {own + blocks + "[readiness.reference]\nkind = \"http\"\nurl = \"http://b/c\"\nhead = { time = \"/t\" }\n",
       "\"max_blocks_behind\" needs head.number of the reference too, which is not asked of http://b;"},
      {own + limit + "[readiness.reference]\ninterval = \"1s\"\n", "a reference needs \"preset\", \"kind\" or"},
      {own + limit + by_chain + "kind = \"http\"\n", "\"kind\" stands beside \"preset\""},
      {own + limit + by_chain + "[[readiness.reference.check]]\nkind = \"http\"\nurl = \"http://b\"\n",
       "\"check\" stands beside \"preset\""},
      {own + limit + "[readiness.reference]\npreset = \"chian\"\n", "did you mean \"chain\"?"},
      {own + limit + "[readiness.reference]\npreset = \"follows\"\n", "has a reference of its own"},
      {own + limit + "[readiness.reference]\npreset = \"by_exec\"\n",
       "a reference is asked itself, over the network"},
      {own + limit + "[readiness.reference]\nkind = \"exec\"\nurl = \"http://b\"\n", "is no value of \"kind\""},
      {own + limit + "[readiness.reference]\nkind = \"http\"\nurl = \"b\"\n", "the URL must begin with http://"},
      {own + limit + "[readiness.reference]\nkind = \"http\"\nurl = \"http://b\"\nurls = []\n",
       "\"urls\" is for a preset"},
      {own + limit + by_chain + "url = \"http://u:p@b/c\"\n", "the URL holds a user name"},
      {own + limit + by_chain + "through = \"y\"\n", "unknown key \"through\""},
      {own + limit + by_chain + "interval = \"1ms\"\n", "\"interval\" must be at least 10ms"},
      {run + "[startup]\npreset = \"chain\"\nmax_behind = \"30s\"\n",
       "\"max_behind\" does not belong here: a startup probe never asks for a fresh head"},
      {run + "[startup]\npreset = \"chain\"\n[startup.reference]\npreset = \"chain\"\n",
       "\"reference\" does not belong here: a startup probe"},
      {run + "[startup]\npreset = \"follows\"\n", "preset \"follows\" does not belong here: a startup probe"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK_THAT(said(text), Catch::Contains(expected));
    CHECK_FALSE(parse(text, beside).valid);
  }
}

TEST_CASE("the endpoints of an upstream are held against nobody else") {
  const std::string uses = "[run]\ncommand = [\"/bin/true\", \"${upstream.leap.host}\"]\n";
  auto with = beside;
  const std::string endpoint = "[[endpoint]]\nhost = \"vm11\"\n";
  with.upstreams["leap"] =
      "[probe]\npreset = \"chain\"\nmax_behind = \"1s\"\n[probe.reference]\npreset = \"chain\"\n" + endpoint;
  CHECK_THAT(
      test::messages(parse(uses, with).problems),
      Catch::Contains("\"reference\" does not belong here: the endpoints of an upstream are held against each"));
  with.upstreams["leap"] = "[probe]\npreset = \"follows\"\n" + endpoint;
  CHECK_THAT(test::messages(parse(uses, with).problems), Catch::Contains("preset \"follows\" does not belong here"));
}

TEST_CASE("who extends a unit takes its reference over, but not together with another question") {
  auto with = beside;
  with.units["base"] =
      own + "max_behind = \"30s\"\n[readiness.reference]\npreset = \"chain\"\nurl = \"http://vm1\"\n";
  auto p = *unit_of("extends = \"base\"\n[readiness]\nmax_behind = \"1m\"\n", with).readiness;
  CHECK(p.max_behind == 1min);
  CHECK(p.reference->nodes.at(0).name == "http://vm1");
  p = *unit_of("extends = \"base\"\n[readiness.reference]\nurl = \"http://vm2\"\n", with).readiness;
  CHECK(p.reference->nodes.at(0).name == "http://vm2");
  CHECK_FALSE(unit_of("extends = \"base\"\n[readiness]\npreset = \"numbers\"\n", with).readiness->reference);
}
