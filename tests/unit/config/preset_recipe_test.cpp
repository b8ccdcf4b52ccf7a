// Presets and recipes: parameters, checks, plans.
#include "config/unit_dir.hpp"
#include "unit/config/support.hpp"

using namespace hasup;
using test::parse;

namespace {

const std::string run = "[run]\ncommand = [\"/bin/x\"]\n";
const std::string with_recipe = "[data]\ndir = \"/d\"\n" + run + "[recovery]\nrecipe = \"r\"\nsource = \"/b\"\n";

// What is said about a unit with this preset, or recipe.
std::string of_preset(const std::string& preset, const std::string& probe = "") {
  const test::files beside{.units = {}, .presets = {{"p", preset}}, .recipes = {}};
  return test::messages(parse(run + "[readiness]\npreset = \"p\"\n" + probe, beside).problems);
}

const std::string probed = "[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\n";

std::string of_recipe(const std::string& recipe, const std::string& recovery = probed) {
  const test::files beside{.units = {}, .presets = {}, .recipes = {{"r", recipe}}};
  return test::messages(parse(with_recipe + recovery, beside).problems);
}

config::unit_entry entry_with(const std::string& recipe, const std::string& recovery = "") {
  const test::files beside{.units = {}, .presets = {}, .recipes = {{"r", recipe}}};
  auto entry = parse(with_recipe + recovery, beside);
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  REQUIRE(entry.recipe);
  return entry;
}

const std::string preset =
    "description = \"d\"\ninterval = \"9s\"\n[params]\nurl = { default = \"http://h\", help = \"where\" }\nport = "
    "80\n"
    "[[check]]\nkind = \"http\"\nurl = \"${url}:${port + 1}/x\"\nhead = { number = \"/n\" }\n"
    "[[check]]\nkind = \"tcp\"\naddress = \"h:${port}\"\n";

const std::string plan =
    "[[plan]]\nname = \"a\"\nwipe = [\"state\"]\n[[plan.archive]]\nmatch = \"*\"\nas = \"snapshot\"\n";

}  // namespace

TEST_CASE("a preset's parameters are filled in, its timing can be overridden") {
  const test::files beside{.units = {}, .presets = {{"p", preset}}, .recipes = {}};
  const auto plain = test::unit_of(run + "[readiness]\npreset = \"p\"\n", beside);
  REQUIRE(plain.readiness->checks.size() == 2);
  CHECK(plain.readiness->preset == "p");
  CHECK(plain.readiness->checks[0].url == "http://h:81/x");
  CHECK(plain.readiness->interval == base::duration{9000});
  const auto other =
      test::unit_of("[vars]\nhost = \"http://other\"\n" + run +
                        "[readiness]\npreset = \"p\"\nurl = \"${host}\"\nport = 90\ninterval = \"1s\"\n"
                        "failures = 7\nadvances_within = \"1m\"\nport_owner = \"any\"\n",
                    beside);
  CHECK(other.readiness->checks[0].url == "http://other:91/x");
  CHECK(other.readiness->checks[1].address == "h:90");
  CHECK(other.readiness->interval == base::duration{1000});
  CHECK(other.readiness->failures == 7);
  CHECK(other.readiness->advances_within == base::duration{60'000});
  CHECK(other.readiness->checks[1].owner == model::port_owner::any);
}

TEST_CASE("what a site alone knows of requests may stand beside any preset") {
  const test::files beside{
      .units = {},
      .presets = {{"one", "[params]\nurl = \"https://h\"\n[[check]]\nkind = \"http\"\nurl = \"${url}\"\n"},
                  {"two",
                   "[[check]]\nkind = \"jsonrpc\"\nurl = \"https://h\"\nmethod = \"m\"\n[[check]]\nkind = "
                   "\"websocket\"\nurl = \"wss://h\"\n[[check]]\nkind = \"tcp\"\naddress = \"h:1\"\n"},
                  {"port", "kind = \"tcp\"\naddress = \"h:1\"\n"},
                  {"own",
                   "[params]\nheader_file = \"/p\"\n[[check]]\nkind = \"http\"\nurl = \"http://h\"\n"
                   "header_file = \"${header_file}\"\n"}},
      .recipes = {}};
  const std::string all =
      "header_file = \"/h\"\nca_file = \"/a\"\nclient_certificate = \"/c\"\nclient_key = \"/k\"\n";
  const auto one = test::unit_of(run + "[readiness]\npreset = \"one\"\n" + all, beside);
  CHECK(one.readiness->checks[0].header_file == "/h");
  CHECK(one.readiness->checks[0].ca_file == "/a");
  CHECK(one.readiness->checks[0].client_certificate == "/c");
  CHECK(one.readiness->checks[0].client_key == "/k");
  const auto two = test::unit_of(run + "[readiness]\npreset = \"two\"\n" + all, beside);
  CHECK(two.readiness->checks[0].client_key == "/k");
  CHECK(two.readiness->checks[1].header_file == "/h");
  CHECK(two.readiness->checks[2].header_file.empty());
  const auto own = test::unit_of(run + "[readiness]\npreset = \"own\"\nheader_file = \"/mine\"\n", beside);
  CHECK(own.readiness->checks[0].header_file == "/mine");
  const auto said = [&](const std::string& text) {
    return test::messages(test::parse(run + "[readiness]\n" + text, beside).problems);
  };
  CHECK_THAT(said("preset = \"one\"\nurl = \"http://h\"\nca_file = \"/a\"\n"),
             Catch::Contains("\"ca_file\" is for https:// and wss://; the URL is \"http://h\""));
  CHECK_THAT(said("preset = \"port\"\nheader_file = \"/h\"\n"), Catch::Contains("it makes no requests over HTTP"));
  CHECK_THAT(said("preset = \"one\"\nclient_key = \"/k\"\n"),
             Catch::Contains("\"client_key\" needs \"client_certificate\""));
}

TEST_CASE("faults of presets show their place in the preset") {
  CHECK(
      of_preset("[params]\nurl = { required = true, help = \"where\" }\nkind = \"http\"\n").find("a parameter has") ==
      std::string::npos);
  CHECK_THAT(of_preset("kind = \"http\"\nurl = \"${url}\"\n[params]\nurl = { required = true, help = \"where\" }\n"),
             Catch::Contains("units/x.toml:3:1: error: preset \"p\" needs \"url\": where"));
  CHECK_THAT(of_preset("kind = \"http\"\nurl = \"${ulr}\"\n[params]\nurl = \"x\"\n"),
             Catch::Contains("recipes/probes/p.toml:2:8: error: undefined variable \"ulr\"; did you mean \"url\"?"));
  CHECK_THAT(of_preset("knd = \"http\"\n"), Catch::Contains("recipes/probes/p.toml:1:1: error: unknown key \"knd\""));
  CHECK_THAT(of_preset("[params]\na = { defalt = 1 }\n"), Catch::Contains("a parameter has default, required"));
  CHECK_THAT(of_preset("x = [\n"), Catch::Contains("recipes/probes/p.toml:"));
  CHECK_THAT(of_preset(preset, "max_head_age = \"1s\"\n"), Catch::Contains("needs a check with head.time"));
  CHECK_THAT(of_preset(preset, "port = [1]\n"),
             Catch::Contains("parameter \"port\" must be a string, a number or a boolean"));
  CHECK(of_preset(preset).empty());
}

TEST_CASE("the short form of a recipe is a plan with one archive") {
  const auto r =
      *entry_with("description = \"d\"\n[data]\nwipe = [\"dump.rdb\"]\n[snapshot]\nmatch = \"*.tar\"\ninto = \".\"\n")
           .recipe;
  REQUIRE(r.plans.size() == 1);
  CHECK(r.plans[0].wipe == std::vector<std::string>{"dump.rdb"});
  CHECK(r.plans[0].archives[0].match == "*.tar");
  CHECK(r.plans[0].archives[0].into == ".");
  CHECK(r.name == "r");
}

TEST_CASE("a recipe with everything in it arrives as it is written") {
  const auto entry = entry_with(R"(
[params]
file = "state.db"
n = 1
[[classify]]
name = "dirty"
exit_code = [2, 255]
signal = ["BUS", 9]
log = '^dirty ${file}$'
match = "any"
action = "recover"
advice = "wait"
[trigger]
failed_starts = 4
[data]
must_exist = ["state/${file}", "./b//c"]
bootstrap = "empty"
locks = ["lock"]
keep = ["state/key"]
[[plan]]
name = "one"
wipe = ["state"]
shared = ["blocks"]
refused_by = ['no \d+']
same_set = true
[[plan.archive]]
pattern = 's-(?P<block>\d+)'
order = "block"
unpack = "decompress"
as = "snap"
[[plan.archive]]
match = "*.tar"
into = "state"
strip = false
at_hand = ["blocks/blocks.log", "history/*.log"]
[first_start]
append = ["--snapshot=${archive.snap.path}", "${n + 1}"]
[confirm]
when = "advancing"
within = "1h"
advancing_for = "1s"
healthy_for = "3s"
)",
                                "file = \"main.db\"\n");
  const auto& r = *entry.recipe;
  CHECK(r.classes[0] == model::exit_class{"dirty",
                                          {2, 255},
                                          {7, 9},
                                          "^dirty main.db$",
                                          model::match_mode::any,
                                          model::class_action::recover,
                                          "wait"});
  CHECK(r.failed_starts == 4);
  CHECK(r.must_exist == std::vector<std::string>{"state/main.db", "b/c"});
  CHECK(r.bootstrap == model::bootstrap_mode::empty);
  CHECK(r.keep == std::vector<std::string>{"state/key"});
  REQUIRE(r.plans.size() == 1);
  CHECK(r.plans[0].same_set);
  CHECK(r.plans[0].refused_by == std::vector<std::string>{"no \\d+"});
  CHECK(r.plans[0].archives[0].order == model::archive_order::block);
  CHECK_FALSE(r.plans[0].archives[1].strip);
  CHECK(r.plans[0].archives[0].at_hand.empty());
  CHECK(r.plans[0].archives[1].at_hand == std::vector<std::string>{"blocks/blocks.log", "history/*.log"});
  CHECK(r.first_start_append == std::vector<std::string>{"--snapshot=${archive.snap.path}", "2"});
  CHECK(r.confirm == model::confirm_when::advancing);
  CHECK(r.confirm_advancing_for == base::duration{1000});
  CHECK(r.confirm_healthy_for == base::duration{3000});
  CHECK(entry.instances[0].recovery.params == std::map<std::string, std::string>{{"file", "main.db"}});
  CHECK(entry.instances[0].recovery.sources == std::vector<model::source>{"file:///b"});
}

TEST_CASE("parameters stand inline or in a table of their own") {
  const std::string recipe =
      "[params]\nx = \"a\"\n[data]\nwipe = [\"${x}\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n";
  CHECK(entry_with(recipe).recipe->plans[0].wipe[0] == "a");
  CHECK(entry_with(recipe, "x = \"b\"\n").recipe->plans[0].wipe[0] == "b");
  CHECK(entry_with(recipe, "[recovery.params]\nx = \"c\"\n").recipe->plans[0].wipe[0] == "c");
}

TEST_CASE("what is at hand for an archive is in the data directory and not kept") {
  const auto problems = [](const std::string& at_hand) {
    return of_recipe(
        "[data]\nwipe = [\"state\"]\nkeep = [\"keys\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\nat_hand = [\"" +
        at_hand + "\"]\n");
  };
  for (const char* good : {"a", "a/*.log", "*", "key*"}) CHECK(problems(good).empty());
  for (const char* bad : {"/etc/passwd", "../x", "a/../*", ".", "", ".hasup/cache/*", "keys", "keys/*"}) {
    CAPTURE(bad);
    CHECK_FALSE(problems(bad).empty());
  }
}

TEST_CASE("nothing outside of the data directory can be named in a recipe") {
  for (const std::string bad :
       {"/etc", "../x", "a/../../b", "..", ".", "", ".hasup", ".hasup/cache", "./.hasup", "a*"}) {
    CAPTURE(bad);
    CHECK_FALSE(of_recipe("[data]\nwipe = [\"" + bad + "\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n").empty());
    CHECK_FALSE(of_recipe(plan + "[data]\nkeep = [\"" + bad + "\"]\n").empty());
    CHECK_FALSE(of_recipe(plan + "[data]\nlocks = [\"" + bad + "\"]\n").empty());
    CHECK_FALSE(of_recipe(plan + "[data]\nmust_exist = [\"" + bad + "\"]\n").empty());
  }
  CHECK_FALSE(
      of_recipe("[params]\nx = \"../y\"\n[data]\nwipe = [\"${x}\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n")
          .empty());
  CHECK_FALSE(of_recipe("[params]\nx = \"y\"\n[data]\nwipe = [\"${x}\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n",
                        "x = \"..\"\n" + probed)
                  .empty());
  CHECK(of_recipe("[data]\nwipe = [\"*\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n").empty());
}

TEST_CASE("the archives of a plan are named so that it can be known which belong together") {
  const auto of = [](const std::string& one, const std::string& other, const std::string& more = "") {
    return of_recipe("[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n" + more + "[[plan.archive]]\n" + one +
                     "\nas = \"s\"\n[[plan.archive]]\n" + other + "\ninto = \"x\"\n");
  };
  const std::string_view error = "nothing says which archives of plan \"a\" belong together";
  CHECK(of("match = \"s-*\"", "match = \"b-*\"").empty());
  CHECK(of("match = \"s-*\"", "pattern = 'b-(?P<time>[0-9]+)'").empty());
  CHECK(of("match = \"s.bin\"", "match = \"b.tar\"").empty());
  CHECK_THAT(of("match = \"s-*\"", "match = \"b.tar\""), Catch::Contains(std::string(error)));
  CHECK_THAT(of("match = \"s-*\"", "pattern = 'b-([0-9]+)'"), Catch::Contains(std::string(error)));
  CHECK_THAT(of("match = \"s.bin\"", "pattern = 'b-[0-9]+'"), Catch::Contains(std::string(error)));
  CHECK(of("match = \"s-*\"", "pattern = 'b-[0-9]+'", "same_set = true\n").empty());
}

TEST_CASE("faults of recipes that need a sentence") {
  const std::string cls = "[[classify]]\nname = \"n\"\n";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"description = \"x\"\n", "a recipe needs at least one [[plan]]"},
      {plan + "[data]\nwipe = [\"x\"]\n", "cannot stand beside [[plan]]"},
      {plan + "[snapshot]\nmatch = \"*\"\n", "cannot stand beside [[plan]]"},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n", "has no archive: it would wipe and restore nothing"},
      {"[[plan]]\nname = \"a\"\n[[plan.archive]]\nmatch = \"*\"\nas = \"s\"\n", "a plan needs \"wipe\""},
      {"[[plan]]\nwipe = [\"x\"]\n[[plan.archive]]\nmatch = \"*\"\nas = \"s\"\n", "a plan needs \"name\""},
      {plan + cls + "action = \"recover\"\n", "would match every exit"},
      {plan + cls + "log = \"x\"\n", "a class needs \"action\""},
      {plan + cls + "log = \"x\"\nwithin = \"3s\"\nafter = \"3s\"\naction = \"hold\"\n", "must be longer than"},
      {plan + cls + "log = \"x\"\nwithin = \"0s\"\naction = \"hold\"\n", "must be longer than"},
      {plan + cls + "within = \"3\"\naction = \"hold\"\n", "bad duration \"3\""},
      {plan + cls + "startup = \"failed\"\naction = \"hold\"\n", "not_passed"},
      {plan + cls + "readiness = \"not_passed\"\naction = \"hold\"\n", "which is \"passed\" or \"failed\""},
      {plan + cls + "within = \"3s\"\naction = \"recover\"\n", "say nothing of the state"},
      {plan + cls + "startup = \"not_passed\"\naction = \"recover\"\n", "say nothing of the state"},
      {plan + cls + "log = \"x\"\nwithin = \"3s\"\nmatch = \"any\"\naction = \"recover\"\n",
       "alone would ask for a recovery"},
      {plan + cls + "within = \"3s\"\nafter = \"1s\"\nmatch = \"any\"\naction = \"hold\"\n", "leave one of them out"},
      {plan + cls + "log = \"(\"\naction = \"hold\"\n", "\"log\" is no regular expression"},
      {plan + cls + "log = \"x\"\naction = \"wipe\"\n", "did you mean \"recover\"?"},
      {plan + cls + "log = \"x\"\naction = \"restart\"\nupstream = \"leap\"\n",
       "stands beside action = \"next_endpoint\""},
      {plan + cls + "log = \"x\"\naction = \"next_endpoint\"\nupstream = \"LEAP\"\n", "\"upstream\""},
      {plan + cls + "exit_code = 1000\naction = \"hold\"\n", "must be 0 to 999"},
      {plan + "[import]\ntimeout = \"1h\"\n", "[import] needs a command"},
      {plan + "[import]\ncommand = [\"x\"]\n[first_start]\nappend = [\"y\"]\n",
       "cannot stand beside [first_start] append"},
      {plan + "[import]\ncommand = [\"x\", \"${archive.other.path}\"]\n", "needs an archive with as = \"other\""},
      {plan + "[plan.require]\nnode_version = \"five\"\n", "\"five\" is no condition on a version"},
      {plan + "[require]\nblock_within = \"/blocks.log\"\n", "must be relative to the data directory"},
      {plan + "[plan.require]\nblock_within = \"state/blocks.log\"\n", "so that no snapshot has to fit it"},
      {plan + "[require]\nblock_within = \"keys/log\"\n[data]\nkeep = [\"keys\"]\n", "nothing else may read it"},
      {plan + "[require]\nchain = \"x\"\n", "unknown key \"chain\""},
      {plan + "[trigger]\nstuck_restarts = \"two\"\n", "\"stuck_restarts\" must be"},
      {plan + "[trigger]\nstuck_restarts = 2\n", "stuck_restarts = 2 of recipe \"r\" needs [recovery.reference]"},
      {plan + "[data]\nkeep = [\"state\"]\n", "which [data] keep protects"},
      {plan + "[first_start]\nappend = [\"${archive.other.path}\"]\n", "needs an archive with as = \"other\""},
      {plan + "[first_start]\nappend = [\"${archive.snapshot.pth}\"]\n", "needs an archive"},
      {plan + "[first_start]\nappend = [\"${snapshot}\"]\n", "undefined variable \"snapshot\""},
      {plan + "[confirm]\nwhen = \"advancng\"\n", "did you mean \"advancing\"?"},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\nshared = [\"x/y\"]\n[[plan.archive]]\nmatch = \"*\"\nas = \"s\"\n",
       "both wipes"},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n[[plan.archive]]\nmatch = \"*\"\n", "either \"as\""},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n[[plan.archive]]\nas = \"s\"\n", "either \"match\" or \"pattern\""},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n[[plan.archive]]\nmatch = \"*\"\ninto = \"y\"\n",
       "is not in the plan's wipe"},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n[[plan.archive]]\nmatch = \"*\"\ninto = \"../y\"\n",
       "the name of an entry"},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n[[plan.archive]]\npattern = 'x'\norder = \"block\"\nas = \"s\"\n",
       "(?P<block>[0-9]+)"},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\n[[plan.archive]]\nmatch = \"*\"\nas = \"S/x\"\n", "small letters"},
      {"[[plan]]\nname = \"a\"\nwipe = [\"x\"]\nrefused_by = ['(']\n[[plan.archive]]\nmatch = \"*\"\nas = \"s\"\n",
       "\"refused_by\" is no regular"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK_THAT(of_recipe(text), Catch::Contains(expected));
  }
  CHECK(of_recipe(plan).empty());
}

TEST_CASE("a class may ask when a run ended and what its probes had said") {
  const auto r = *entry_with(plan + R"(
[[classify]]
name = "early"
exit_code = 1
within = "3s"
after = "500ms"
startup = "not_passed"
action = "recover"
[[classify]]
name = "fell behind"
readiness = "failed"
after = "1h"
match = "any"
action = "restart"
)")
                      .recipe;
  REQUIRE(r.classes.size() == 2);
  CHECK(r.classes[0].within == base::duration{3'000});
  CHECK(r.classes[0].after == base::duration{500});
  CHECK(r.classes[0].startup == model::startup_seen::not_passed);
  CHECK_FALSE(r.classes[0].readiness);
  CHECK(r.classes[1].readiness == model::readiness_seen::failed);
  CHECK(r.classes[1].after == base::duration{3'600'000});
  CHECK_FALSE(r.classes[1].within);
}

TEST_CASE("a recipe that confirms by the head warns of a unit of which no probe tells it") {
  const std::string advancing = plan + "[confirm]\nwhen = \"advancing\"\n";
  const std::string port = "[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\n";
  const std::string head = "kind = \"http\"\nurl = \"http://h:1/\"\nhead = { number = \"/n\" }\n";
  CHECK_THAT(
      of_recipe(advancing, port),
      Catch::Contains("warning: recipe \"r\" confirms a restored node when its head moves (confirm.when), but no "
                      "probe of this unit tells the head: it is confirmed when it has been healthy for 2m"));
  for (const std::string role : {"startup", "readiness", "liveness"})
    CHECK(of_recipe(advancing, "[" + role + "]\n" + head).empty());
  CHECK(of_recipe(plan + "[confirm]\nwhen = \"healthy\"\nhealthy_for = \"1m\"\n", port).empty());
}

TEST_CASE("a recipe that confirms by health warns of a unit of which no probe says how it is") {
  const std::string healthy = plan + "[confirm]\nadvancing_for = \"3m\"\n";
  const std::string check = "kind = \"http\"\nurl = \"http://h:1/\"\n";
  const auto warning = Catch::Contains(
      "warning: no probe of this unit says whether a restored node works: the old state is deleted when the node has "
      "run for 3m");
  CHECK_THAT(of_recipe(healthy, ""), warning);
  CHECK_THAT(of_recipe(healthy, "[liveness]\n" + check), warning);
  for (const std::string role : {"startup", "readiness"})
    CHECK(of_recipe(healthy, "[" + role + "]\n" + check).empty());
  CHECK(of_recipe(healthy, "mode = \"off\"\n").empty());
}

TEST_CASE("a word of the command that the recipe cautions against is warned of") {
  const std::string careful = plan + "[[caution]]\nword = \"--wipe\"\nwhy = \"it loses all\"\n";
  const auto with = [&](const std::string& word) {
    const test::files beside{.units = {}, .presets = {}, .recipes = {{"r", careful}}};
    return test::messages(
        test::parse(
            "[data]\ndir = \"/d\"\n[run]\ncommand = [\"/bin/x\", \"" + word +
                "\"]\n[recovery]\nrecipe = \"r\"\nsource = \"/b\"\n[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\n",
            beside)
            .problems);
  };
  for (const auto* word : {"--wipe", "--wipe=yes"})
    CHECK_THAT(with(word), Catch::Contains("warning: recipe \"r\" warns of --wipe: it loses all"));
  for (const auto* word : {"--wipers", "wipe"}) CHECK(with(word).empty());
  CHECK_THAT(of_recipe(plan + "[[caution]]\nword = \"x\"\n"),
             Catch::Contains("a caution needs \"word\" and \"why\""));
}

TEST_CASE("a class that asks a probe which the unit does not have is warned of") {
  const std::string of_startup =
      plan + "[[classify]]\nname = \"n\"\nexit_code = 1\naction = \"hold\"\nstartup = \"not_passed\"\n";
  const std::string of_readiness =
      plan + "[[classify]]\nname = \"n\"\nexit_code = 1\naction = \"hold\"\nreadiness = \"passed\"\n";
  const std::string startup = "[startup]\nkind = \"tcp\"\naddress = \"h:1\"\n";
  const std::string readiness = "[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\n";
  CHECK_THAT(of_recipe(of_startup, ""),
             Catch::Contains("warning: its class \"n\" asks for what a startup probe has not"));
  CHECK_THAT(of_recipe(of_readiness, ""), Catch::Contains("this unit has no [readiness]"));
  CHECK_THAT(of_recipe(of_readiness, startup), Catch::Contains("this unit has no [readiness]"));
  CHECK(of_recipe(of_startup, startup).empty());
  CHECK(of_recipe(of_startup, readiness).empty());  // its first answer says that it has started
  CHECK(of_recipe(of_readiness, readiness).empty());
}

TEST_CASE("presets and recipes are resolved by name, the config directory's first") {
  const test::temporary_directory dir;
  dir.write("etc/recipes/probes/p.toml", "kind = \"tcp\"\naddress = \"h:1\"\n");
  dir.write("share/recipes/probes/p.toml", "kind = \"tcp\"\naddress = \"h:2\"\n");
  dir.write("share/recipes/probes/q.toml",
            "kind = \"tcp\"\naddress = \"h:${port}\"\n[params]\nport = { required = true }\n");
  dir.write("share/recipes/r.toml", plan);
  const config::directories dirs{dir.path("etc"), {dir.path("share")}, "", "", ""};
  CHECK(config::resolve_preset("p", {}, dirs)->checks[0].address == "h:1");
  CHECK(config::resolve_preset("q", {{"port", "3"}}, dirs)->checks[0].address == "h:3");
  CHECK_THAT(config::resolve_preset("q", {}, dirs).error().message, Catch::Contains("preset \"q\" needs \"port\""));
  CHECK_THAT(config::resolve_preset("q", {{"prt", "3"}}, dirs).error().message, Catch::Contains("it has: port"));
  CHECK_THAT(config::resolve_preset("nobody", {}, dirs).error().message, Catch::Contains("no preset \"nobody\""));
  CHECK(config::resolve_preset("nobody", {}, dirs).error().message ==
        "no preset \"nobody\": there is no nobody.toml in " + dir.path("etc/recipes/probes") + " or " +
            dir.path("share/recipes/probes") + "; there are p, q");
  CHECK(config::resolve_recipe("rr", {}, dirs).error().message ==
        "no recipe \"rr\": there is no rr.toml in " + dir.path("etc/recipes") + " or " + dir.path("share/recipes") +
            "; did you mean \"r\"?");
  CHECK(config::resolve_preset("../p", {}, dirs).has_error());
  CHECK(config::resolve_recipe("r", {}, dirs)->plans[0].name == "a");
  CHECK(config::resolve_recipe("../r", {}, dirs).has_error());
}

TEST_CASE("what a recipe requires of snapshots holds for each plan, unless the plan says otherwise") {
  const auto r = *entry_with(R"(
[params]
chain = ""
[require]
chain_id = "${chain}"
node_version = ">=5.0 <6"
block_within = "blocks/blocks.log"
[[plan]]
name = "a"
wipe = ["state"]
[[plan.archive]]
match = "*"
as = "snapshot"
[plan.require]
node_version = "^5.1"
strict = true
[[plan]]
name = "b"
wipe = ["*"]
shared = ["blocks"]
[[plan.archive]]
match = "*"
as = "snapshot"
[[plan]]
name = "c"
wipe = ["*"]
[[plan.archive]]
match = "*"
as = "snapshot"
)",
                             "chain = \"17777\"\n")
                      .recipe;
  REQUIRE(r.plans.size() == 3);
  CHECK(r.plans[0].require == model::snapshot_rule{"17777", "^5.1", "blocks/blocks.log", true});
  CHECK(r.plans[1].require == model::snapshot_rule{"17777", ">=5.0 <6", "blocks/blocks.log", false});
  CHECK(r.plans[2].require == model::snapshot_rule{"17777", ">=5.0 <6", "", false});  // it wipes what would be fitted
}
