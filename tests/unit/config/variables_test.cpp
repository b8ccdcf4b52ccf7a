// ${name} in strings, and the placeholders that stay.
#include "config/variables.hpp"

#include "unit/config/support.hpp"

using namespace hasup;
using config::expand;
using config::scope;

namespace {

scope some_scope() {
  scope s;
  s.names = {{"home", {"/srv", false}},     {"port", {"50305", false}}, {"my-var", {"dash", false}},
             {"instance", {"2", true}},     {"dollar", {"$x", false}},  {"data.dir", {"/srv/data", false}},
             {"braces", {"${home}", false}}};
  return s;
}

std::string text(std::string_view in, const scope& s = some_scope()) {
  const auto out = expand(in, s);
  return out ? out->text : "error: " + out.error().message;
}

std::optional<std::string> look_up(std::string_view kind, std::string_view name) {
  if (kind == "secret" && name == "KEY") return "5${env:X}$$";
  if (kind == "env" && name == "HOME") return "/root";
  return std::nullopt;
}

std::string filled(std::string_view in) {
  const auto out = config::fill_secrets(in, look_up);
  return out ? *out : "error: " + out.error().message;
}

}  // namespace

TEST_CASE("variables, sums and dollars") {
  CHECK(text("") == "");
  CHECK(text("plain") == "plain");
  CHECK(text("${home}/x${port}") == "/srv/x50305");
  CHECK(text("${ home }") == "/srv");
  CHECK(text("${my-var}") == "dash");
  CHECK(text("${data.dir}") == "/srv/data");
  CHECK(text("${50305 + instance}") == "50307");
  CHECK(text("${port+instance-1}") == "50306");
  CHECK(text("${instance - 5}") == "-3");
  CHECK(text("${-1 + instance}") == "1");
  CHECK(text("${7}") == "7");
  CHECK(text("$$") == "$");
  CHECK(text("a $5 $ b$") == "a $5 $ b$");
  CHECK(text("$${home}") == "${home}");
  CHECK(text("$$$$") == "$$");
  CHECK(text("^x$|y$") == "^x$|y$");
}

TEST_CASE("a value that looks like a variable is not expanded again") {
  CHECK(text("${braces}") == "${home}");
}

TEST_CASE("what depends on the instance is known to") {
  CHECK(expand("${instance}", some_scope())->per_instance);
  CHECK(expand("${port + instance}", some_scope())->per_instance);
  CHECK_FALSE(expand("${home}", some_scope())->per_instance);
}

TEST_CASE("mistakes are named, with the remedy") {
  CHECK(text("${hoem}") == "error: undefined variable \"hoem\"; did you mean \"home\"?");
  CHECK(text("${SHELL}") ==
        "error: undefined variable \"SHELL\"; define it in [vars], or write ${env:SHELL} for the environment's");
  CHECK(text("${prt + 1}") == "error: undefined variable \"prt\"; did you mean \"port\"?");
  CHECK(text("${no-such}") == "error: undefined variable \"no-such\"");
  CHECK(text("${home + 1}") == "error: \"home\" is no whole number, so it cannot stand in a sum");
  CHECK(text("${1 + }") == "error: a + or - with nothing beside it in ${1 + }");
  CHECK(text("${}") == "error: an empty ${} names no variable; a literal ${ is written $${");
  CHECK(text("${home") == "error: \"${\" without \"}\"; a literal ${ is written $${");
  CHECK(text("${9223372036854775807 + 1}") == "error: the sum in ${9223372036854775807 + 1} does not fit 64 bits");
  CHECK(text("${a*b}") == "error: cannot read ${a*b}; write ${name} or a sum such as ${50305 + instance}");
  CHECK(text("${upstream.leap.host}") == "error: undefined variable \"upstream.leap.host\"");
  CHECK(text("${secret:X}") == "error: ${secret:X} can stand only in run.command, run.env and the commands of [run]");
  CHECK(text("${file:X}") == "error: cannot read ${file:X}; there are ${env:NAME} and ${secret:NAME}");
}

TEST_CASE("a text cannot grow without bound") {
  auto s = some_scope();
  s.names["big"] = {std::string(40'000, 'x'), false};
  CHECK(text("${big}${big}", s).starts_with("error: the text grows beyond 64 KiB"));
}

TEST_CASE("placeholders stay, and what is filled in is never expanded") {
  auto s = some_scope();
  s.placeholders = true;
  CHECK(text("a=${secret:KEY} ${home}", s) == "a=${secret:KEY} /srv");
  CHECK(text("${ env:HOME }", s) == "${env:HOME}");
  CHECK(text("${secret:9x}", s).starts_with("error: \"9x\" in ${secret:9x} is no name"));
  CHECK(filled("k=${secret:KEY};${env:HOME}") == "k=5${env:X}$$;/root");
  CHECK(filled("${secret:GONE}") == "error: ${secret:GONE} is not defined; set it in one of the unit's env_file");
  CHECK(filled("${env:GONE}") == "error: ${env:GONE} is not defined; set it in the environment of hasupd");
  CHECK(config::has_placeholders("x${env:A}"));
  CHECK_FALSE(config::has_placeholders("$${env:A} $x"));
}

TEST_CASE("literal dollars survive the way through a resolved text to the run") {
  auto s = some_scope();
  s.placeholders = true;
  s.names["tricky"] = {"$${secret:KEY}", false};
  const std::vector<std::pair<std::string, std::string>> cases{
      {"cost $5", "cost $5"},
      {"$$", "$"},
      {"$$$$", "$$"},
      {"$${secret:KEY}", "${secret:KEY}"},
      {"$$${env:HOME}", "$/root"},
      {"$$$$${env:HOME}", "$$/root"},
      {"${tricky}", "$${secret:KEY}"},
      {"${dollar}${env:HOME}$", "$x/root$"},
      {"$${", "${"},
  };
  for (const auto& [written, run] : cases) {
    CAPTURE(written);
    CHECK(filled(text(written, s)) == run);
  }
}

TEST_CASE("in symbolic form what depends on the instance stays as written, and reads back") {
  auto s = some_scope();
  s.symbolic = true;
  CHECK(text("${home}:${50305 + instance}", s) == "/srv:${50305 + instance}");
  CHECK(text("$$x$${home}", s) == "$x$${home}");
  s.placeholders = true;
  for (const std::string written : {"a$$${instance}", "$$$$x", "$${x}", "${secret:A}$$${instance}", "x$"}) {
    CAPTURE(written);
    auto plain = some_scope();
    plain.placeholders = true;
    CHECK(text(text(written, s), plain) == text(written, plain));
  }
}

TEST_CASE("kept names stay for those who fill them in later") {
  auto s = some_scope();
  s.kept_prefix = "archive.";
  CHECK(text("--snapshot=${archive.snapshot.path} ${home}", s) == "--snapshot=${archive.snapshot.path} /srv");
}

TEST_CASE("the variables of a text are found for loops") {
  const std::set<std::string> names{"a", "b", "c", "d", "my", "my-x", "x"};
  const auto known = [&](const std::string& name) { return names.contains(name); };
  CHECK(config::variables_in("${a} ${b + c} $${d} ${env:E} ${nobody}", known) ==
        std::set<std::string>{"a", "b", "c"});
  CHECK(config::variables_in("${my-x}", known) == std::set<std::string>{"my-x"});
  CHECK(config::variables_in("${my-a}", known) == std::set<std::string>{"a", "my"});
}
