// The config directory: many files, of which some are broken.
#include "config/unit_dir.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "unit/config/support.hpp"

using namespace hasup;

namespace {

const std::string run = "[run]\ncommand = [\"/bin/x\"]\n";

struct home {
  test::temporary_directory dir;
  config::directories dirs{dir.path("etc"), {dir.path("share")}, dir.path("state"), dir.path("run"), dir.path("log")};

  void unit(const std::string& name, const std::string& text) const {
    dir.write("etc/units/" + name + ".toml", text);
  }
  [[nodiscard]] config::loaded load() const { return config::load(dirs); }
  [[nodiscard]] std::string said() const {
    auto text = test::messages(load().problems);
    const auto prefix = dir.path("etc") + "/";
    for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) text.erase(at, prefix.size());
    return text;
  }
};

std::string requires_unit(const std::string& name) {
  return "[[requires]]\nunit = \"" + name + "\"\n";
}

}  // namespace

TEST_CASE("an empty or missing config directory is no error") {
  const home h;
  CHECK(h.load().units.empty());
  CHECK(h.load().problems.empty());
}

TEST_CASE("a broken file stops no other unit") {
  const home h;
  h.unit("good", run);
  h.unit("broken", "[run\n");
  h.unit("wrong", run + "usr = \"x\"\n");
  h.unit("needs", run + requires_unit("broken"));
  const auto all = h.load();
  CHECK(all.units.at("good").valid);
  CHECK(all.units.at("needs").valid);
  CHECK_FALSE(all.units.at("broken").valid);
  CHECK_FALSE(all.units.at("wrong").valid);
  CHECK(all.units.at("good").problems.empty());
  CHECK(all.problems.size() == 2);
  CHECK(all.problems[0].file < all.problems[1].file);
}

TEST_CASE("unknown units, loops and self-requirements are errors of the units concerned only") {
  const home h;
  h.unit("a", run + requires_unit("b"));
  h.unit("b", run + requires_unit("c"));
  h.unit("c", run + requires_unit("a"));
  h.unit("d", run + requires_unit("a"));
  h.unit("e", run + requires_unit("e"));
  h.unit("f", run + requires_unit("lep"));
  h.unit("leap", run);
  CHECK(h.said() ==
        "units/a.toml:4:8: error: requirements form a loop: a -> b -> c -> a\n"
        "units/b.toml:4:8: error: requirements form a loop: a -> b -> c -> a\n"
        "units/c.toml:4:8: error: requirements form a loop: a -> b -> c -> a\n"
        "units/e.toml:4:8: error: requirements form a loop: e -> e\n"
        "units/f.toml:4:8: error: unknown unit \"lep\"; did you mean \"leap\"?\n");
  const auto all = h.load();
  CHECK(all.units.at("d").valid);
  CHECK(all.units.at("leap").valid);
  CHECK_FALSE(all.units.at("a").valid);
}

TEST_CASE("a probe that needs, or asks through, what is not there or waits for it is an error") {
  const home h;
  const std::string tcp = "kind = \"tcp\"\naddress = \"h:1\"\n";
  const std::string http = "kind = \"http\"\nurl = \"http://h/\"\n";
  h.unit("leap", run + "[readiness]\n" + tcp);
  // The rpc waits for the node, whose health is what the rpc says: nobody would ever be healthy.
  h.unit("node", run + "[startup]\n" + tcp + "[readiness]\n" + http + "through = \"rpc\"\n");
  h.unit("rpc", run + requires_unit("node"));
  // Its liveness is nothing that anybody waits for.
  h.unit("b-node", run + "[readiness]\n" + tcp + "[liveness]\n" + http + "through = \"b-rpc\"\nneeds = [\"leap\"]\n");
  h.unit("b-rpc", run + requires_unit("b-node"));
  // That it has started does not hang on its rpc.
  h.unit("c-node", run + "[startup]\n" + tcp + "[readiness]\n" + http + "through = \"c-rpc\"\n");
  h.unit("c-rpc", run + "[[requires]]\nunit = \"c-node\"\ncondition = \"started\"\n");
  h.unit("d", run + "[readiness]\n" + tcp + "needs = [\"e\"]\n");
  h.unit("e", run + "[readiness]\n" + tcp + "needs = [\"d\"]\n");
  h.unit("f", run + "[liveness]\n" + http + "through = \"lep\"\n");
  h.unit("g", run + "[liveness]\n" + tcp + "needs = [\"g\"]\n");
  CHECK(h.said() ==
        "units/d.toml:6:9: error: it would wait for itself: d healthy -> e healthy -> d healthy\n"
        "units/e.toml:6:9: error: it would wait for itself: d healthy -> e healthy -> d healthy\n"
        "units/f.toml:6:11: error: unknown unit \"lep\"; did you mean \"leap\"?\n"
        "units/g.toml:6:9: error: a unit cannot need itself\n"
        "units/node.toml:9:11: error: it would wait for itself: node healthy -> rpc started -> node healthy\n");
}

TEST_CASE("a group that nobody else is in is a warning, and one that is restored in place an error") {
  const home h;
  h.dir.write("etc/recipes/r.toml",
              "[[plan]]\nname = \"p\"\nwipe = [\"x\"]\n[[plan.archive]]\nmatch = \"*\"\ninto = \".\"\n");
  const auto unit = [&](const std::string& name, const std::string& more) {
    h.unit(name, run + "[data]\ndir = \"/srv/" + name + "\"\n[recovery]\nrecipe = \"r\"\nsource = \"/b\"\n" + more);
  };
  unit("a", "group = \"evm\"\n");
  unit("b", "group = \"evm\"\n");
  unit("c", "group = \"emv\"\n");
  unit("d", "group = \"evm\"\nspace = \"in_place\"\n");
  unit("e", "group = \"two words\"\n");
  const auto said = h.said();
  INFO(said);
  CHECK(said.find("units/c.toml:8:9: warning: nobody else is in [recovery] group \"emv\"") != std::string::npos);
  CHECK(said.find("units/d.toml:9:9: error: a [recovery] group is restored as one set") != std::string::npos);
  CHECK(said.find("units/e.toml:8:9: error: \"two words\" is no group name") != std::string::npos);
  CHECK(said.find("units/a.toml:8") == std::string::npos);
}

TEST_CASE("two writers on one directory are an error, however it is spelled") {
  const home h;
  h.unit("a", "[data]\ndir = \"/srv//data/./x/\"\n" + run);
  h.unit("b", "[data]\ndir = \"/other\"\nalso = [\"/srv/data/y/../x\"]\n" + run);
  h.unit("c", "[data]\ndir = \"/srv\"\n" + run);
  h.unit("d", "[data]\ndir = \"/srv2\"\n" + run);
  h.unit("e", "[data]\ndir = \"/e\"\nalso = [\"/e/sub\"]\n" + run);
  const auto all = h.load();
  CHECK_FALSE(all.units.at("a").valid);
  CHECK_FALSE(all.units.at("b").valid);
  CHECK_FALSE(all.units.at("c").valid);
  CHECK(all.units.at("d").valid);
  CHECK(all.units.at("e").valid);
  const auto said = h.said();
  CHECK_THAT(said, Catch::Contains("units/a.toml:2:7: error: \"/srv/data/x\" is the data directory of \"b\" too"));
  CHECK_THAT(said, Catch::Contains("units/a.toml:2:7: error: this lies in \"/srv\", which is data of \"c\" too"));
  CHECK_THAT(said,
             Catch::Contains("units/c.toml:2:7: error: this holds \"/srv/data/x\", which is data of \"a\" too"));
}

TEST_CASE("two names of one directory are one directory") {
  const home h;
  h.dir.write("real/file", "");
  REQUIRE(::symlink(h.dir.path("real").c_str(), h.dir.path("link").c_str()) == 0);
  h.unit("a", "[data]\ndir = \"" + h.dir.path("real") + "\"\n" + run);
  h.unit("b", "[data]\ndir = \"" + h.dir.path("link/sub") + "\"\n" + run);
  const auto all = h.load();
  CHECK_FALSE(all.units.at("a").valid);
  CHECK_FALSE(all.units.at("b").valid);
  CHECK_THAT(h.said(), Catch::Contains("(\"" + h.dir.path("real/sub") + "\"), which is data of \"b\" too"));
}

TEST_CASE("instances need directories of their own") {
  const home h;
  h.unit("a", "[data]\ndir = \"/a\"\n" + run + "instances = 2\n");
  h.unit("b", "[data]\ndir = \"/b/${instance}\"\n" + run + "instances = 2\n");
  CHECK_THAT(h.said(),
             Catch::Contains("instances 0 and 1 would write the same directory \"/a\"; put ${instance} into it"));
  CHECK(h.load().units.at("b").valid);
}

TEST_CASE("a number of instances by hand counts over the file's, and hides nothing that is wrong there") {
  const home h;
  h.unit("more", run);
  h.unit("less", run + "instances = 4\n");
  h.unit("none", run + "instances = 0\n");
  h.unit("text", run + "instances = \"two\"\n");
  h.unit("odd", "run = 1\n");
  const auto all = config::load(h.dirs, {{"more", 3}, {"less", 2}, {"none", 2}, {"text", 2}, {"odd", 2}});
  CHECK(all.units.at("more").instances.size() == 3);
  CHECK(all.units.at("less").instances.size() == 2);
  for (const auto* wrong : {"none", "text", "odd"}) {
    INFO(wrong);
    CHECK_FALSE(all.units.at(wrong).valid);
  }
  CHECK_THAT(test::messages(all.units.at("none").problems), Catch::Contains("\"instances\" must be 1 to 1000"));
  CHECK_THAT(test::messages(all.units.at("text").problems), Catch::Contains("instances"));
}

TEST_CASE("shared data names a unit that has some") {
  const home h;
  h.unit("node", "[data]\ndir = \"/n\"\n" + run);
  h.unit("rpc", "[data]\nshared_with = \"node\"\ndir = \"/n\"\n" + run);
  h.unit("rpc2", "[data]\nshared_with = \"node\"\n" + run);
  h.unit("lost", "[data]\nshared_with = \"nod\"\n" + run);
  h.unit("chain", "[data]\nshared_with = \"rpc\"\n" + run);
  h.unit("me", "[data]\nshared_with = \"me\"\n" + run);
  const auto all = h.load();
  for (const std::string good : {"node", "rpc", "rpc2"}) CHECK(all.units.at(good).valid);
  const auto said = h.said();
  CHECK_THAT(said, Catch::Contains("units/lost.toml:2:15: error: unknown unit \"nod\"; did you mean \"node\"?"));
  CHECK_THAT(said, Catch::Contains("units/chain.toml:2:15: error: \"rpc\" has no [data] dir of its own to share"));
  CHECK_THAT(said, Catch::Contains("units/me.toml:2:15: error: a unit cannot share its data with itself"));
}

TEST_CASE("a file without a command that others extend is no unit") {
  const home h;
  h.unit("base", "[run]\nuser = \"u\"\nenv = { A = \"${mine}\" }\n");
  h.unit("a", "extends = \"base\"\n[vars]\nmine = \"1\"\n" + run);
  h.unit("alone", "[run]\nuser = \"u\"\n");
  const auto all = h.load();
  CHECK_FALSE(all.units.contains("base"));
  CHECK(all.units.at("a").valid);
  CHECK(h.said() ==
        "units/alone.toml:1:1: error: no command: write [run] with command = [\"/path/of/program\", \"argument\"]\n");
}

TEST_CASE("shipped files are found, and one of the same name in the config directory wins") {
  const home h;
  h.dir.write("share/recipes/probes/p.toml", "kind = \"tcp\"\naddress = \"h:1\"\n");
  h.dir.write("share/units/base.toml", run);
  h.unit("a", "extends = \"base\"\n[readiness]\npreset = \"p\"\n");
  CHECK(h.load().units.at("a").instances.at(0).readiness->checks[0].address == "h:1");
  CHECK(h.load().units.size() == 1);  // shipped units are templates, they do not run by themselves
  h.dir.write("etc/recipes/probes/p.toml", "kind = \"tcp\"\naddress = \"h:2\"\n");
  CHECK(h.load().units.at("a").instances.at(0).readiness->checks[0].address == "h:2");
}

TEST_CASE("recipes and presets that no unit uses are checked too") {
  const home h;
  h.dir.write("etc/recipes/r.toml", "x = 1\n");
  h.dir.write("etc/recipes/probes/p.toml", "y = 1\n");
  h.dir.write("etc/recipes/probes/needs.toml",
              "kind = \"tcp\"\naddress = \"${a}\"\n[params]\na = { required = true }\n");
  CHECK_THAT(h.said(), Catch::Contains("recipes/r.toml:1:1: error: unknown key \"x\""));
  CHECK_THAT(h.said(), Catch::Contains("recipes/probes/p.toml:1:1: error: unknown key \"y\""));
  CHECK_THAT(h.said(), !Catch::Contains("needs.toml"));
}

TEST_CASE("a fault in a preset that two units use is said once, and both units are invalid") {
  const home h;
  h.dir.write("etc/recipes/probes/p.toml", "kind = \"tcp\"\naddres = \"h:1\"\n");
  h.unit("a", run + "[readiness]\npreset = \"p\"\n");
  h.unit("b", run + "[readiness]\npreset = \"p\"\n");
  const auto all = h.load();
  CHECK_FALSE(all.units.at("a").valid);
  CHECK_FALSE(all.units.at("b").valid);
  unsigned times = 0;
  for (const auto& d : all.problems) times += d.message.find("unknown key") != std::string::npos ? 1U : 0U;
  CHECK(times == 1);
}

TEST_CASE("hasup.toml is read") {
  const home h;
  CHECK(h.load().settings.log_level == "info");
  h.dir.write("etc/hasup.toml", "[log]\nlevel = \"debug\"\n[boot]\nstart = \"enabled\"\n[cgroup]\nroot = \"off\"\n");
  CHECK(h.load().settings.log_level == "debug");
  CHECK(h.load().settings.cgroup_root == "off");
  CHECK(h.load().settings.start_at_boot == config::boot_start::enabled);
  CHECK(h.said().empty());
  h.dir.write("etc/hasup.toml", "[boot]\nstart = \"as_before\"\n");
  CHECK(h.load().settings.start_at_boot == config::boot_start::as_before);
  CHECK(h.said().empty());
  h.dir.write("etc/hasup.toml", "[log]\nlevel = \"debg\"\n[boot]\nstart = \"before\"\n[http]\nlisten = \"x\"\n");
  h.dir.write("etc/upstreams/leap.toml", "");
  CHECK(h.said() ==
        "hasup.toml:2:9: error: \"debg\" is no value of \"level\", which is \"trace\", \"debug\", \"info\", "
        "\"warning\" or "
        "\"error\"; did you mean \"debug\"?\n"
        "hasup.toml:4:9: error: \"before\" is no value of \"start\", which is \"enabled\" or \"as_before\"\n"
        "hasup.toml:6:10: error: \"x\" is no address to listen on; write a numeric one with its port: "
        "\"127.0.0.1:9770\", \"0.0.0.0:9770\" or \"[::]:9770\"\n"
        "upstreams/leap.toml: error: an upstream needs [probe]: how each endpoint is asked how it is\n"
        "upstreams/leap.toml: error: an upstream needs [[endpoint]] with host = \"…\"\n");
}

TEST_CASE("what load balancers are told is read from hasup.toml") {
  const home h;
  h.unit("rpc", "[run]\ncommand = [\"/bin/true\"]\n");
  h.unit("miner", "[run]\ncommand = [\"/bin/true\", \"${instance}\"]\ninstances = 4\n");
  h.dir.write("etc/hasup.toml", R"([http]
listen = "localhost:9770"
[[health]]
name = "evm"
units = [{ unit = "rpc" }, { unit = "miner", min = 2 }]
agent_check = "[::]:9771"
[[health]]
name = "first"
[[health.units]]
unit = "miner@0"
)");
  CHECK(h.said().empty());
  const auto s = h.load().settings;
  REQUIRE(s.http);
  CHECK(to_text(*s.http) == "127.0.0.1:9770");
  REQUIRE(s.health.size() == 2);
  CHECK(s.health[0] ==
        model::health_group{"evm", {{{"rpc", {}}, 1}, {{"miner", {}}, 2}}, model::tcp_endpoint{"::", 9771}});
  CHECK(s.health[1] == model::health_group{"first", {{{"miner", 0U}, 1}}, {}});
}

TEST_CASE("what load balancers cannot be told is found when hasup.toml is read") {
  const home h;
  h.unit("rpc", "[run]\ncommand = [\"/bin/true\"]\n");
  h.unit("broken", "[run]\ncommand = 7\n");
  h.dir.write("etc/hasup.toml", R"([http]
listen = "0.0.0.0:70000"
[[health]]
name = "rpc"
units = [{ unit = "rcp" }, { unit = "broken", min = 9 }]
[[health]]
name = "a"
units = [{ unit = "rpc@1" }, { unit = "rpc", min = 2 }, { min = 0, unit = "rpc" }, {}]
agent_check = "example.com:80"
[[health]]
name = "a"
units = []
[[health]]
units = [{ unit = "Rpc" }]
agent_check = "127.0.0.1:1"
[[health]]
name = "b"
unit = "rpc"
agent_check = "127.0.0.1:1"
)");
  auto said = h.said();
  if (const auto unit = said.find("units/broken"); unit != std::string::npos) said.resize(unit);
  CHECK(
      said ==
      R"(hasup.toml:2:10: error: "0.0.0.0:70000" is no address to listen on; write a numeric one with its port: "127.0.0.1:9770", "0.0.0.0:9770" or "[::]:9770"
hasup.toml:4:8: error: "rpc" is the name of a unit already
hasup.toml:5:19: error: there is no unit "rcp"; did you mean "rpc"?
hasup.toml:8:19: warning: unit "rpc" has no instance 1, so the group is never healthy
hasup.toml:8:52: warning: it has 1 instance, so the group is never healthy
hasup.toml:8:65: error: "min" must be 1 to 1000
hasup.toml:8:84: error: which unit? write { unit = "leap" }
hasup.toml:9:15: error: "example.com:80" is no address to listen on; write a numeric one with its port: "127.0.0.1:9770", "0.0.0.0:9770" or "[::]:9770"
hasup.toml:11:8: error: there are two [[health]] groups "a"
hasup.toml:12:9: error: a [[health]] group needs "units", such as [{ unit = "leap" }]
hasup.toml:13:1: error: a [[health]] group needs a "name"
hasup.toml:14:19: error: "Rpc" is no name of a unit
hasup.toml:16:1: error: a [[health]] group needs "units", such as [{ unit = "leap" }]
hasup.toml:18:1: error: unknown key "unit"; did you mean "units"?
hasup.toml:19:15: error: "127.0.0.1:1" is used twice in this file
)");
}

TEST_CASE("files that cannot be read are findings") {
  const home h;
  h.unit("big", std::string(2 << 20, '#'));
  h.dir.write("etc/units/keep", "");
  REQUIRE(::mkfifo(h.dir.path("etc/units/pipe.toml").c_str(), 0600) == 0);  // opening it would block for ever
  std::filesystem::create_directory(h.dir.path("etc/units/folder.toml"));
  std::filesystem::create_symlink("nowhere", h.dir.path("etc/units/link.toml"));
  h.unit("Bad-Name", run);
  const auto all = h.load();
  CHECK(all.units.size() == 4);
  for (const auto& [name, u] : all.units) CHECK_FALSE(u.valid);
  CHECK(all.problems.size() == 5);
}

TEST_CASE("check takes files and directories, and finds what they refer to beside them") {
  const test::temporary_directory dir;
  const config::directories nowhere{dir.path("etc"), {}, "", "", ""};
  dir.write("mine/units/a.toml", run + requires_unit("b") + "[readiness]\npreset = \"p\"\n");
  dir.write("mine/units/b.toml", "[rn]\n");
  dir.write("mine/recipes/probes/p.toml", "kind = \"tcp\"\naddress = \"h:1\"\n");
  dir.write("mine/recipes/r.toml", "x = 1\n");
  const auto check = [&](const std::vector<std::string>& names) {
    std::vector<std::string> paths;
    for (const auto& n : names) paths.push_back(dir.path(n));
    return config::load_files(paths, nowhere);
  };
  CHECK(check({"mine/units/a.toml"}).problems.empty());
  CHECK(check({"mine/units/a.toml"}).units.at("a").valid);
  CHECK(check({"mine/units"}).problems.size() == 2);  // b: an unknown key and no command
  CHECK(check({"mine"}).problems.size() == 4);        // and r: an unknown key and no plan
  CHECK(check({"mine/recipes/probes/p.toml"}).problems.empty());
  CHECK(check({"mine/recipes"}).problems.size() == 2);
  CHECK_THAT(test::messages(check({"gone.toml"}).problems), Catch::Contains("no such file or directory"));
}

TEST_CASE("one unit in two places is an error that names both") {
  const test::temporary_directory dir;
  dir.write("one/a.toml", run);
  dir.write("two/a.toml", run);
  const auto all = config::load_files({dir.path("one"), dir.path("two")}, {dir.path("etc"), {}, "", "", ""});
  CHECK(all.units.size() == 1);
  CHECK_THAT(test::messages(all.problems),
             Catch::Contains("two/a.toml: error: unit \"a\" stands in " + dir.path("one") + "/a.toml already"));
}
