// Unit files that extend others.
#include "unit/config/support.hpp"

using namespace hasup;
using test::parse;
using test::unit_of;

namespace {

const test::files beside{
    .units = {{"base",
               "groups = [\"g\", \"h\"]\n[vars]\nhome = \"/srv\"\n[run]\ncommand = [\"/bin/x\", \"${home}\"]\n"
               "append = [\"--base\"]\nuser = \"u\"\nenv = { A = \"1\", B = \"2\" }\n[[requires]]\nunit = \"leap\"\n"
               "[readiness]\nkind = \"http\"\nurl = \"http://h/\"\ninterval = \"7s\"\nstatus = [204]\n"},
              {"middle", "extends = \"base\"\n[run]\nuser = \"m\"\nappend = [\"--middle\"]\n"},
              {"a", "extends = \"b\"\n"},
              {"b", "extends = \"a\"\n"},
              {"self", "extends = \"self\"\n"},
              {"broken", "[run\n"},
              {"typo", "[run]\ncommand = [\"/bin/x\"]\nusr = \"u\"\n"}},
    .presets = {{"antelope",
                 "[params]\nurl = \"http://127.0.0.1\"\n[[check]]\nkind = \"http\"\nurl = \"${url}/x\"\n"}},
    .recipes = {}};

}  // namespace

TEST_CASE("tables merge deeply, arrays are replaced, append comes after the command") {
  const auto u = unit_of(
      "extends = \"base\"\ngroups = [\"only\"]\n[vars]\nhome = \"/other\"\n"
      "[run]\nappend = [\"--mine\"]\nenv = { B = \"3\", C = \"4\" }\n",
      beside);
  CHECK(u.run.command == std::vector<std::string>{"/bin/x", "/other", "--base", "--mine"});
  CHECK(u.run.user == "u");
  CHECK(u.run.env == std::map<std::string, std::string>{{"A", "1"}, {"B", "3"}, {"C", "4"}});
  CHECK(u.groups == std::vector<std::string>{"only"});
  CHECK(u.requires_units.size() == 1);
  CHECK(u.readiness->interval == base::duration{7000});
}

TEST_CASE("chains of files work, the nearest wins") {
  const auto u = unit_of("extends = \"middle\"\n", beside);
  CHECK(u.run.user == "m");
  CHECK(u.run.command == std::vector<std::string>{"/bin/x", "/srv", "--base", "--middle"});
}

TEST_CASE("a probe that asks something else keeps the timing of the one it extends, and none of its checks") {
  const auto tcp = unit_of("extends = \"base\"\n[readiness]\nkind = \"tcp\"\naddress = \"h:1\"\n", beside);
  CHECK(tcp.readiness->interval == base::duration{7000});
  CHECK(tcp.readiness->checks[0].kind == model::check_kind::tcp);
  const auto preset = unit_of("extends = \"base\"\n[readiness]\npreset = \"antelope\"\n", beside);
  CHECK(preset.readiness->checks[0].url == "http://127.0.0.1/x");
  CHECK(preset.readiness->interval == base::duration{7000});
  const auto same = unit_of("extends = \"base\"\n[readiness]\nurl = \"http://other/\"\n", beside);
  CHECK(same.readiness->checks[0].status == std::vector<int>{204});
  CHECK(same.readiness->checks[0].url == "http://other/");
}

TEST_CASE("the effective file stands alone") {
  const auto entry = parse("extends = \"middle\"\n[run]\nappend = [\"--mine\"]\n", beside);
  REQUIRE(entry.valid);
  CHECK(entry.effective_toml.find("extends") == std::string::npos);
  CHECK(entry.effective_toml.find("append") == std::string::npos);
  const auto again = parse(entry.effective_toml);
  INFO(entry.effective_toml << test::rendered(again.problems));
  REQUIRE(again.valid);
  CHECK(again.instances == entry.instances);
}

TEST_CASE("loops, missing and broken files are named") {
  const auto said = [](const std::string& name) {
    return test::messages(parse("extends = \"" + name + "\"\n[run]\ncommand = [\"/bin/x\"]\n", beside).problems);
  };
  CHECK_THAT(
      said("a"),
      Catch::Contains(
          "units/b.toml:1:11: error: extends leads back to itself: units/a.toml -> units/b.toml -> units/a.toml\n"));
  CHECK_THAT(said("self"),
             Catch::Contains(
                 "units/self.toml:1:11: error: extends leads back to itself: units/self.toml -> units/self.toml\n"));
  CHECK(said("nobody") == "units/x.toml:1:11: error: extends \"nobody\": there is no unit file nobody.toml\n");
  CHECK(said("broken").find("units/broken.toml:1:5: error: ") != std::string::npos);
  CHECK(said("broken").find("units/x.toml:1:11: error: extends \"broken\", which cannot be read") !=
        std::string::npos);
}

TEST_CASE("a mistake in an extended file is shown at its own place") {
  const auto entry = parse("extends = \"typo\"\n", beside);
  CHECK(test::messages(entry.problems) ==
        "units/typo.toml:3:1: error: unknown key \"usr\"; did you mean \"user\"?\n");
}

TEST_CASE("a file may extend another one of its own name") {
  test::files two = beside;
  auto context = two.context();
  context.units = [](std::string_view) {
    return std::vector<config::source_file>{{"units/leap.toml", "extends = \"leap\"\n"},
                                            {"share/units/leap.toml", "[run]\ncommand = [\"/bin/shipped\"]\n"}};
  };
  const auto entry =
      config::parse_unit_text("leap", "units/leap.toml", "extends = \"leap\"\n[run]\nuser = \"u\"\n", context);
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  CHECK(entry.instances[0].run.command[0] == "/bin/shipped");
  CHECK(entry.instances[0].run.user == "u");
}
