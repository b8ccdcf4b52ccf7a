// [recovery.reference]: who shows that others advance, and what a recipe that counts on it asks of a unit.
#include "unit/config/support.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using test::parse;
using test::unit_of;

namespace {

const test::files beside{
    .units = {},
    .presets = {{"chain",
                 "[params]\nurl = \"http://127.0.0.1:8888\"\nport = \"1\"\n[[check]]\nkind = \"http\"\n"
                 "url = \"${url}/v1\"\nhead = { number = \"/n\", chain = \"/c\" }\n"},
                {"headless", "[params]\nurl = \"http://127.0.0.1\"\n[[check]]\nkind = \"http\"\nurl = \"${url}\"\n"},
                {"fixed", "[[check]]\nkind = \"http\"\nurl = \"http://127.0.0.1\"\nhead = { number = \"/n\" }\n"}},
    .recipes = {{"counts",
                 "[params]\nstuck = { default = \"2\" }\n[trigger]\nstuck_restarts = \"${stuck}\"\n[data]\n"
                 "wipe = [\"state\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n"}}};

const std::string head =
    "[run]\ncommand = [\"/bin/true\"]\n[data]\ndir = \"/d\"\n[liveness]\npreset = \"chain\"\nadvances_within = "
    "\"5m\"\n"
    "[recovery]\nrecipe = \"counts\"\nsource = \"/b\"\n";

std::string said(const std::string& text) {
  return test::messages(parse(text, beside).problems);
}

}  // namespace

TEST_CASE("a reference is one node or several, each asked by the preset") {
  const auto u =
      unit_of(head + "[recovery.reference]\npreset = \"chain\"\nurl = \"https://api.example.com/v3/key\"\n", beside);
  REQUIRE(u.recovery.reference);
  const auto& one = *u.recovery.reference;
  REQUIRE(one.endpoints.size() == 1);
  CHECK(one.endpoints[0].name == "https://api.example.com");
  CHECK(one.endpoints[0].asks.checks.at(0).url == "https://api.example.com/v3/key/v1");
  CHECK(one.endpoints[0].asks.checks.at(0).head.chain == "/c");
  CHECK(one.endpoints[0].asks.checks.at(0).owner == model::port_owner::any);
  CHECK(one.endpoints[0].asks.timeout == 5s);
  CHECK(one.interval == 10s);
  CHECK(one.chain_id.empty());

  const auto known = unit_of(head +
                                 "[recovery.reference]\npreset = \"chain\"\nurl = \"https://h\"\n"
                                 "header_file = \"/h\"\nca_file = \"/a\"\n",
                             beside);
  CHECK(known.recovery.reference->endpoints.at(0).asks.checks.at(0).header_file == "/h");
  CHECK(known.recovery.reference->endpoints.at(0).asks.checks.at(0).ca_file == "/a");

  const auto several =
      unit_of(head +
                  "[recovery.reference]\npreset = \"chain\"\nurls = [\"http://vm2:8888\", "
                  "\"http://vm3:8888\"]\ninterval = \"30s\"\ntimeout = \"9s\"\nchain_id = \"aca3\"\n",
              beside);
  REQUIRE(several.recovery.reference->endpoints.size() == 2);
  CHECK(several.recovery.reference->endpoints[1].name == "http://vm3:8888");
  CHECK(several.recovery.reference->endpoints[1].asks.checks.at(0).url == "http://vm3:8888/v1");
  CHECK(several.recovery.reference->endpoints[1].asks.timeout == 9s);
  CHECK(several.recovery.reference->interval == 30s);
  CHECK(several.recovery.reference->chain_id == "aca3");
}

TEST_CASE("a user name in a URL is refused, and never shown") {
  const auto told = said(head + "[recovery.reference]\npreset = \"chain\"\nurl = \"https://me:secret@h/\"\n");
  CHECK_THAT(told, Catch::Contains("the URL holds a user name") && !Catch::Contains("secret"));
}

TEST_CASE("a parameter may be the number of a trigger") {
  const auto entry = parse(head + "stuck = 3\n[recovery.reference]\npreset = \"chain\"\n", beside);
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.recipe);
  CHECK(entry.recipe->stuck_restarts == 3);
  CHECK_THAT(said(head + "stuck = \"many\"\n[recovery.reference]\npreset = \"chain\"\n"),
             Catch::Contains("\"stuck_restarts\" must be"));
}

TEST_CASE("what a reference lacks is said where it stands") {
  const std::string reference = head + "[recovery.reference]\n";
  const std::pair<std::string, std::string> cases[] = {
      {reference + "interval = \"1s\"\n", "[recovery.reference] needs \"preset\""},
      {reference + "preset = \"chian\"\n", "did you mean \"chain\"?"},
      {reference + "preset = \"headless\"\n", "preset \"headless\" does not say where the head is"},
      {reference + "preset = \"fixed\"\nurls = [\"http://a\"]\n", "preset \"fixed\" has no parameter \"url\""},
      {reference + "preset = \"fixed\"\nchain_id = \"aca3\"\n", "does not ask for the chain"},
      {reference + "preset = \"chain\"\nurls = []\n", "\"urls\" names nobody"},
      {reference + "preset = \"chain\"\nurl = \"http://a\"\nurls = [\"http://b\"]\n", "leave one of them out"},
      {reference + "preset = \"chain\"\nurl = \"a\"\n", "the URL must begin with http://"},
      {reference + "preset = \"chain\"\nhost = \"a\"\n", "unknown key \"host\""},
      {reference + "preset = \"chain\"\ninterval = \"5m\"\n", "must be shorter than liveness.advances_within"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK_THAT(said(text), Catch::Contains(expected));
    CHECK_FALSE(parse(text, beside).valid);
  }
}

TEST_CASE("a recipe that counts restarts of a stuck head needs a reference, where it may act") {
  CHECK_THAT(said(head), Catch::Contains("stuck_restarts = 2 of recipe \"counts\" needs [recovery.reference]"));
  CHECK_FALSE(parse(head, beside).valid);
  CHECK(parse(head + "stuck = 0\n", beside).valid);
  CHECK(parse(head + "mode = \"off\"\n", beside).valid);
  const auto unused = said(head + "stuck = 0\n[recovery.reference]\npreset = \"chain\"\n");
  CHECK_THAT(unused, Catch::Contains("is never asked: trigger.stuck_restarts of recipe \"counts\" is 0"));
  auto never = head;
  never.replace(never.find("advances_within = \"5m\"\n"), std::string("advances_within = \"5m\"\n").size(), "");
  never += "[recovery.reference]\npreset = \"chain\"\n";
  CHECK_THAT(said(never), Catch::Contains("never counts: a head stands still when [liveness] has advances_within"));
  CHECK(parse(never, beside).valid);
}

TEST_CASE("what is extended with another preset keeps no parameter of the first") {
  test::files with = beside;
  with.units["base"] = head + "[recovery.reference]\npreset = \"chain\"\nport = \"7\"\ninterval = \"20s\"\n";
  const auto u = unit_of("extends = \"base\"\n[recovery.reference]\npreset = \"fixed\"\n", with);
  CHECK(u.recovery.reference->interval == 20s);
  CHECK(u.recovery.reference->endpoints.at(0).name == "http://127.0.0.1");
}
