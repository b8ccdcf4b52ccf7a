// Templates of units: what of their [vars] is found, and a text with other values that is else the same.
#include <catch2/catch.hpp>
#include <filesystem>

#include "config/unit_dir.hpp"
#include "config/unit_template.hpp"

using namespace hasup;
using config::fill_template;
using config::read_template;

namespace {

constexpr std::string_view text =
    "# A node. A site fills in\n# [vars].\ndescription = \"A node\"\n\n[vars]\n"
    "home = \"/var/lib/x\"     # where it lives\n"
    "backup = \"https://backup.example.com/x/\"\n"
    "sharp = 'a # b'\n"
    "quote = \"say \\\"hi\\\" # no comment\"  # a comment\n"
    "port = 80  # of the machine\n"
    "on = true\n\n"
    "[run]\ncommand = [\"/bin/x\", \"${home}\"]  # home = \"not this\"\n\n"
    "[[requires]]\nunit = \"leap\"\n";

std::string filled(const std::map<std::string, std::string>& values) {
  const auto t = read_template("x.toml", text);
  REQUIRE(t.has_value());
  const auto out = fill_template(*t, text, values);
  return out ? *out : "error: " + out.error().message;
}

std::string with(std::string_view was, std::string_view now) {
  std::string out(text);
  const auto at = out.find(was);
  REQUIRE(at != std::string::npos);
  return out.replace(at, was.size(), now);
}

}  // namespace

TEST_CASE("a template tells its variables, with the comments behind them, and what it needs") {
  const auto t = read_template("x.toml", text);
  REQUIRE(t.has_value());
  CHECK(t->description == "A node");
  CHECK(t->about == "A node. A site fills in [vars].");
  CHECK(t->needs == std::vector<std::string>{"leap"});
  REQUIRE(t->variables.size() == 6);
  CHECK(t->variables[0].name == "home");
  CHECK(t->variables[0].value == "/var/lib/x");
  CHECK(t->variables[0].about == "where it lives");
  CHECK_FALSE(t->variables[0].is_example);
  CHECK(t->variables[1].is_example);
  CHECK(t->variables[1].about.empty());
  CHECK(t->variables[2].value == "a # b");
  CHECK(t->variables[2].about.empty());
  CHECK(t->variables[3].value == "say \"hi\" # no comment");
  CHECK(t->variables[3].about == "a comment");
  CHECK(t->variables[4].value == "80");
  CHECK_FALSE(t->variables[4].is_text);
  CHECK(t->variables[5].value == "true");
}

TEST_CASE("the made-up addresses of endpoints are variables, and nothing else of them") {
  const std::string proxy =
      "description = \"p\"\n[upstream.node.probe]\nkind = \"tcp\"\n[[upstream.node.endpoint]]\nname = \"vm11\"\n"
      "host = \"10.0.0.11:8545\"   # a node\nws = \"10.0.0.11:8546\"\n[[upstream.node.endpoint]]\nname = \"own\"\n"
      "host = \"127.0.0.1:8545\"\nws = \"127.0.0.1:8546\"\n[[upstream.node.endpoint]]\nurl = "
      "\"http://10.0.0.12:1\"\n";
  const auto t = read_template("p.toml", proxy);
  REQUIRE(t.has_value());
  REQUIRE(t->variables.size() == 3);
  CHECK(t->variables[2].name == "node3-url");
  CHECK(t->variables[0].name == "vm11-host");
  CHECK(t->variables[0].about == "a node");
  CHECK((t->variables[0].is_example && t->variables[1].is_example));
  CHECK(t->variables[1].about == "of the endpoint vm11");
  const auto out = fill_template(*t, proxy, {{"vm11-host", "n1:80"}});
  REQUIRE(out.has_value());
  CHECK(out->find("name = \"vm11\"\nhost = \"n1:80\"            # a node\nws = \"10.0.0.11:8546\"") !=
        std::string::npos);
}

TEST_CASE("a filled template is the template but for the values") {
  CHECK(filled({}) == text);
  CHECK(filled({{"home", "/srv"}}) == with("home = \"/var/lib/x\"     # where", "home = \"/srv\"           # where"));
  CHECK(filled({{"home", "/a/rather/long/directory"}}) ==
        with("\"/var/lib/x\"     # where", "\"/a/rather/long/directory\" # where"));
  CHECK(filled({{"port", "8080"}}) == with("port = 80  #", "port = 8080 #"));
  CHECK(filled({{"on", "false"}}) == with("on = true", "on = false"));
  CHECK(filled({{"sharp", "x'y"}}) == with("'a # b'", "\"x'y\""));
  const auto back = read_template("x.toml", filled({{"quote", "a\\b\"c # d"}, {"backup", "${home}/b"}}));
  REQUIRE(back.has_value());
  CHECK(back->variables[3].value == "a\\b\"c # d");
  CHECK(back->variables[1].value == "${home}/b");
}

TEST_CASE("values that do not fit are refused") {
  CHECK(filled({{"port", "x"}}) == "error: port is a number such as 80, not \"x\"");
  CHECK(filled({{"port", ""}}) == "error: port is a number such as 80, not \"\"");
  CHECK(filled({{"on", "yes"}}) == "error: on is true or false, not \"yes\"");
  CHECK(filled({{"home", "a\nb = 1"}}) == "error: the value of home has a control character");
  CHECK(filled({{"hom", "/x"}}) == "error: there is no variable \"hom\"; did you mean \"home\"?");
}

TEST_CASE("what is no template is refused") {
  CHECK_FALSE(read_template("x.toml", "[vars\n").has_value());
  for (const auto* vars : {"a = [1]", "a = { b = 1 }", "a = \"\"\"\nx\"\"\""}) {
    CAPTURE(vars);
    const auto t = read_template("x.toml", "[vars]\n" + std::string(vars) + "\n");
    REQUIRE_FALSE(t.has_value());
    CHECK(t.error().message == "x.toml: a of [vars] is no value on one line");
  }
  CHECK(read_template("x.toml", "")->variables.empty());
}

TEST_CASE("every shipped unit is a template, and goes on being the same unit when each value is said again") {
  const config::directories dirs{"/nonexistent", {HASUP_SOURCE_DIR}, "", "", ""};
  const auto all = config::shipped_units(dirs);
  CHECK(all.size() >= 27);
  for (const auto& shipped : all) {
    CAPTURE(shipped.name);
    const auto t = read_template(shipped.path, shipped.text);
    REQUIRE(t.has_value());
    CHECK_FALSE(t->description.empty());
    CHECK_FALSE(t->about.empty());
    std::map<std::string, std::string> values;
    for (const auto& v : t->variables) values[v.name] = v.value;
    const auto again = fill_template(*t, shipped.text, values);
    REQUIRE(again.has_value());
    CHECK(*again == shipped.text);
  }
}
