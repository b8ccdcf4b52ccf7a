// [proxy]: what it is read as, and what is said about one that cannot work.
#include "unit/config/support.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using test::parse;

namespace {

const std::string own =
    "[upstream.node]\n[upstream.node.probe]\nkind = \"http\"\nurl = \"http://${endpoint.host}\"\n"
    "head = { number = \"/n\" }\ninterval = \"5s\"\n[[upstream.node.endpoint]]\nhost = \"vm11\"\n";
const std::string run = "[run]\ncommand = [\"/nginx\"]\nreload_signal = \"HUP\"\n";
const std::string proxy =
    "[proxy]\nupstream = \"node\"\ntemplate = \"${dir}/a\"\noutput = \"${dir}/b\"\n"
    "check_command = [\"nginx\", \"-t\", \"-c\", \"${candidate}\", \"${dir}/$${env:X}\"]\n";
const std::string vars = "[vars]\ndir = \"/etc//p\"\n";

std::string said(const std::string& text) {
  return test::messages(parse(text).problems);
}
bool has(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a proxy lists the endpoints of an upstream, and does not differ by the chosen one") {
  const auto entry = parse(vars + run + proxy + "max_blocks_behind = 3\nmin_interval = \"1m\"\n" + own);
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  CHECK(entry.problems.empty());
  const auto& u = entry.instances.at(0);
  REQUIRE(u.proxy);
  CHECK(u.proxy->upstream == "node");
  CHECK(u.proxy->template_file == "/etc/p/a");
  CHECK(u.proxy->output == "/etc/p/b");
  CHECK(u.proxy->check_command == model::command_line{"nginx", "-t", "-c", "${candidate}", "/etc//p/$${env:X}"});
  CHECK(u.proxy->max_behind == 10s);
  CHECK(u.proxy->max_blocks_behind == 3U);
  CHECK(u.proxy->back_after == 10s);
  CHECK(u.proxy->min_interval == 1min);
  CHECK(u.endpoints.empty());
  REQUIRE(u.choices.all);
  CHECK(u.choices.all->roles.at("node").endpoints.at(0).values.at("host") == "vm11");

  const auto again = parse(entry.effective_toml);
  INFO(entry.effective_toml);
  REQUIRE(again.valid);
  CHECK(again.instances.at(0).proxy == u.proxy);
}

TEST_CASE("a proxy that cannot work is told of") {
  CHECK(said(vars + run + proxy + own).empty());
  const auto nothing = said(run + "[proxy]\n");
  for (const auto* key : {"upstream", "template", "output", "check_command"})
    CHECK(has(nothing, "[proxy] needs \"" + std::string(key) + "\""));
  CHECK(has(said(vars + run + proxy), "no upstream \"node\""));
  CHECK(has(said(vars + "[run]\ncommand = [\"/x\"]\n" + proxy + own), "needs run.reload_signal or"));
  CHECK(said(vars + "[run]\ncommand = [\"/x\"]\n" + proxy + "reload_command = [\"/x\", \"reload\"]\n" + own).empty());
  CHECK(has(said(vars + run + proxy + "max_behind = \"4s\"\n" + own),
            "shorter than the time between two answers: upstream \"x/node\" is asked every 5s"));
  CHECK(has(said(vars + run +
                 "[proxy]\nupstream = \"node\"\ntemplate = \"a\"\noutput = \"/b\"\n"
                 "check_command = [\"x\", \"${candidate}\"]\n" +
                 own),
            "\"template\" must be an absolute path"));
  CHECK(has(said(vars + run +
                 "[proxy]\nupstream = \"node\"\ntemplate = \"/b\"\noutput = \"/./b\"\n"
                 "check_command = [\"x\", \"/b\"]\n" +
                 own),
            "cannot be the same file"));
  CHECK(has(said(vars + run +
                 "[proxy]\nupstream = \"node\"\ntemplate = \"/a\"\noutput = \"/b\"\n"
                 "check_command = [\"x\", \"/b\"]\n" +
                 own),
            "names no ${candidate}"));
  CHECK(has(said(vars + run + proxy + "reload_command = [\"x\", \"${candidate}\"]\n" + own),
            "undefined variable \"candidate\""));
  CHECK(
      has(said(vars + run + proxy + "[[requires]]\nupstream = \"node\"\n" + own), "[proxy] names \"node\" already"));
  CHECK(has(said(vars + run + proxy + "[recovery]\nrecipe = \"x\"\n" + own), "cannot have [recovery]"));
  auto headless = own;
  headless.replace(headless.find("head = "), std::string("head = { number = \"/n\" }\n").size(), "")
      .insert(headless.find('\n') + 1, "select = \"sticky\"\n");
  CHECK(said(vars + run + proxy + headless).empty());
  CHECK(has(said(vars + run + proxy + "max_blocks_behind = 3\n" + headless), "nobody says who is behind"));
}
