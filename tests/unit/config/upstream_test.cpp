// upstreams/NAME.toml and what a unit is filled in with.
#include "model/upstream.hpp"

#include "unit/config/support.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using test::parse;
using test::unit_of;

namespace {

const std::string leap =
    "select = \"best_head\"\nswitch = { behind = \"3s\", for = \"9s\", min_dwell = \"1m\" }\non_change = \"keep\"\n"
    "join = \" \"\n[probe]\npreset = \"chain\"\nurl = \"http://${endpoint.host}:${endpoint.port}\"\n"
    "interval = \"5s\"\n[[endpoint]]\nhost = \"vm11\"\nport = 8888\n[[endpoint]]\nhost = \"vm12\"\nport = 8889\n";

test::files beside() {
  test::files out;
  out.presets = {{"chain",
                  "[params]\nurl = \"http://127.0.0.1:8888\"\n[[check]]\nkind = \"http\"\nurl = \"${url}/v1\"\n"
                  "head = { number = \"/n\" }\n"}};
  out.upstreams = {
      {"leap", leap},
      {"broken", "[probe]\nkind = \"tcp\"\naddress = \"${endpoint.port}\"\n[[endpoint]]\nhost = \"a\"\n"}};
  return out;
}

std::string said(const std::string& text) {
  return test::messages(parse(text, beside()).problems);
}

std::string own(const std::string& body) {
  return "[run]\ncommand = [\"/bin/true\", \"${upstream.x.host}\"]\n[upstream.x]\n" + body;
}

const std::string tcp = "[upstream.x.probe]\nkind = \"tcp\"\naddress = \"${endpoint.host}:1\"\n";

}  // namespace

TEST_CASE(
    "a probe may need an upstream of the unit, and an endpoint is asked neither by its log nor through a unit") {
  const std::string unit =
      own("select = \"sticky\"\n" + tcp + "[[upstream.x.endpoint]]\nhost = \"a\"\n") + "[liveness]\nkind = \"tcp\"\n";
  const auto entry = parse(unit + "address = \"h:1\"\nneeds = [\"upstream.x\"]\n", beside());
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  CHECK(entry.instances.at(0).liveness->needs == std::vector<std::string>{"upstream.x"});
  CHECK(said(own("select = \"sticky\"\n[upstream.x.probe]\nkind = \"log\"\npattern = \"a\"\n[[upstream.x.endpoint]]\n"
                 "host = \"a\"\n"))
            .find("are for units") != std::string::npos);
}

TEST_CASE("a unit is filled in with each endpoint that could be chosen") {
  const auto entry = parse(
      "[vars]\nat = \"${upstream.leap.host}\"\n[run]\ncommand = [\"/x\", \"${at}:${upstream.leap.port + 1}\", "
      "\"${upstream.leap.hosts}\", \"${upstream.leap.name}\"]\nenv = { A = \"$${at}\" }\n[readiness]\nkind = "
      "\"tcp\"\naddress = \"${upstream.leap.host}:1\"\n",
      beside());
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  const auto& u = entry.instances.at(0);
  CHECK(u.endpoints == std::map<std::string, std::string>{{"leap", "vm11"}});
  CHECK(u.run.command == std::vector<std::string>{"/x", "vm11:8889", "vm11 vm12", "vm11"});
  REQUIRE(u.choices.all);
  const auto& role = u.choices.all->roles.at("leap");
  CHECK(role.name == "leap");
  CHECK_FALSE(role.restart_on_change);
  CHECK(role.rule == model::switch_rule{3s, 9s, 1min});
  REQUIRE(role.endpoints.size() == 2);
  CHECK(role.endpoints[1].name == "vm12");
  CHECK(role.endpoints[1].asked.checks.at(0).url == "http://vm12:8889/v1");
  CHECK(role.endpoints[1].asked.checks.at(0).owner == model::port_owner::any);
  CHECK(role.endpoints[1].asked.interval == 5s);

  const auto other = model::with_endpoints(u, {{"leap", "vm12"}, {"none", "x"}});
  CHECK(other.endpoints.at("leap") == "vm12");
  CHECK(other.run.command == std::vector<std::string>{"/x", "vm12:8890", "vm11 vm12", "vm12"});
  CHECK(other.readiness->checks.at(0).address == "vm12:1");
  CHECK(other.fingerprint != u.fingerprint);
  CHECK(model::with_endpoints(other, {{"leap", "vm11"}}) == u);
  CHECK(model::with_endpoints(u, {{"leap", "gone"}}) == u);
}

TEST_CASE("the effective file holds the upstream, and what depends on the choice stays as written") {
  const auto entry = parse(
      "[vars]\nat = \"${upstream.leap.host}\"\nplain = \"p\"\n[run]\ncommand = [\"/x\", \"${at}\", "
      "\"${plain}\", \"${upstream.leap.ports}\"]\n",
      beside());
  REQUIRE(entry.valid);
  INFO(entry.effective_toml);
  CHECK(entry.effective_toml.find("\"${at}\", \"p\", \"8888 8889\"") != std::string::npos);
  test::files only_presets;
  only_presets.presets = beside().presets;
  const auto again = parse(entry.effective_toml, only_presets);
  INFO(test::rendered(again.problems));
  REQUIRE(again.valid);
  CHECK(again.instances.at(0).run == entry.instances.at(0).run);
  CHECK(again.effective_toml == entry.effective_toml);
  CHECK(again.instances.at(0).choices.all->roles.at("leap").name == "x/leap");
}

TEST_CASE("a unit that only requires an upstream, or names all of it, does not differ by the choice") {
  const auto needs = unit_of("[run]\ncommand = [\"/x\"]\n[[requires]]\nupstream = \"leap\"\n", beside());
  CHECK(needs.endpoints.empty());
  REQUIRE(needs.choices.all);
  CHECK(needs.choices.all->roles.contains("leap"));
  CHECK(needs.requires_units.empty());
  const auto all = unit_of("[run]\ncommand = [\"/x\", \"${upstream.leap.hosts}\"]\n", beside());
  CHECK(all.endpoints.empty());
}

TEST_CASE("what cannot be filled in, or would do nothing, is refused") {
  CHECK(said("[run]\ncommand = [\"/x\", \"${upstream.laep.host}\"]\n")
            .find("no upstream \"laep\": there is no upstreams/laep.toml; did you mean \"leap\"?") !=
        std::string::npos);
  CHECK(said("[run]\ncommand = [\"/x\", \"${upstream.leap.hosst}\"]\n")
            .find("undefined variable \"upstream.leap.hosst\"; did you mean \"upstream.leap.hosts\"?") !=
        std::string::npos);
  CHECK(said("[data]\ndir = \"/${upstream.leap.host}\"\n[run]\ncommand = [\"/x\"]\n")
            .find("what depends on the endpoint of an upstream can stand only in") != std::string::npos);
  const auto broken = said("[run]\ncommand = [\"/x\", \"${upstream.broken.host}\"]\n");
  CHECK(broken.find("upstreams/broken.toml:3:") != std::string::npos);
  CHECK(broken.find("undefined variable \"endpoint.port\"") != std::string::npos);
  CHECK(broken.find("upstream.broken") == std::string::npos);
  CHECK(said("[run]\ncommand = [\"/x\"]\n[[requires]]\nupstream = \"leap\"\non_loss = \"stop\"\n")
            .find("\"on_loss\" is for a unit") != std::string::npos);

  const auto no = [](const std::string& body) { return said(own(body)); };
  CHECK(no("select = \"sticky\"\n" + tcp + "[[upstream.x.endpoint]]\nhost = \"a\"\n").empty());
  CHECK(no(tcp + "[[upstream.x.endpoint]]\nhost = \"a\"\n").find("nobody says which one has the best head") !=
        std::string::npos);
  CHECK(no("select = \"sticky\"\n" + tcp).find("needs [[endpoint]]") != std::string::npos);
  CHECK(no("select = \"sticky\"\n[[upstream.x.endpoint]]\nhost = \"a\"\n").find("needs [probe]") !=
        std::string::npos);
  CHECK(no("select = \"sticky\"\nswitch = { for = \"1s\" }\n" + tcp + "[[upstream.x.endpoint]]\nhost = \"a\"\n")
            .find("\"switch\" does nothing here") != std::string::npos);
  CHECK(no("select = \"priority\"\nswitch = { behind = \"1s\" }\n" + tcp + "[[upstream.x.endpoint]]\nhost = \"a\"\n")
            .find("of a priority nobody asks who is behind") != std::string::npos);
  CHECK(no("select = \"sticky\"\n" + tcp +
           "[[upstream.x.endpoint]]\nhost = \"a\"\n[[upstream.x.endpoint]]\nhost = "
           "\"b\"\nport = 1\n")
            .find("endpoint \"a\" has no \"port\", which \"b\" has") != std::string::npos);
  CHECK(no("select = \"sticky\"\n" + tcp +
           "[[upstream.x.endpoint]]\nhost = \"a\"\n[[upstream.x.endpoint]]\nhost = "
           "\"a\"\n")
            .find("there is an endpoint \"a\" already") != std::string::npos);
  CHECK(said("[run]\ncommand = [\"/x\"]\n[upstream.x]\nselect = \"sticky\"\n" + tcp +
             "[[upstream.x.endpoint]]\nhost = \"a\"\n")
            .find("warning: nothing in this unit names it") != std::string::npos);
  CHECK(no("selct = \"sticky\"\n" + tcp + "[[upstream.x.endpoint]]\nhost = \"a\"\n")
            .find("unknown key \"selct\"; did you mean \"select\"?") != std::string::npos);
  CHECK(no("select = \"sticky\"\n[upstream.x.probe]\nkind = \"exec\"\ncommand = [\"/a\"]\n[[upstream.x.endpoint]]\n"
           "host = \"a\"\n")
            .find("kind \"exec\" is for the unit itself") != std::string::npos);
}
