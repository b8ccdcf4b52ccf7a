// upstreams/NAME.toml and what a unit is filled in with.
#include "model/upstream.hpp"

#include <algorithm>

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
  const auto by_log =
      said(own("select = \"sticky\"\n[upstream.x.probe]\nkind = \"log\"\npattern = \"a\"\n"
               "[[upstream.x.endpoint]]\nhost = \"a\"\n"));
  CHECK_THAT(by_log, Catch::Contains("\"log\" is no value of \"kind\", which is "));
  CHECK_THAT(by_log, Catch::Contains("unknown key \"pattern\""));
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
            .find("\"exec\" is no value of \"kind\"") != std::string::npos);
  auto presets = beside();
  presets.presets["own"] = "kind = \"exec\"\ncommand = [\"/a\"]\n";
  const auto by_preset =
      parse(own("select = \"sticky\"\n[upstream.x.probe]\npreset = \"own\"\n[[upstream.x.endpoint]]\n"
                "host = \"a\"\n"),
            presets);
  CHECK_THAT(test::messages(by_preset.problems), Catch::Contains("kind \"exec\" is for the unit itself"));
}

TEST_CASE("what is wrong inside an upstream is said once, and hides no wrong name of a variable") {
  const std::string probe = "[liveness]\nkind = \"tcp\"\naddress = \"h:1\"\nneeds = [\"upstream.x\"]\n";
  const std::string broken = "selct = \"sticky\"\n" + tcp + "[[upstream.x.endpoint]]\nhost = \"a\"\nport = 1\n";
  const auto once = said(probe + own(broken));
  CHECK_THAT(once, Catch::Contains("unknown key \"selct\""));
  CHECK(std::count(once.begin(), once.end(), '\n') == 1);
  auto text = probe + own(broken);
  text.replace(text.find("x.host}"), 7, "x.hots}");
  const auto both = said(text);
  CHECK_THAT(both, Catch::Contains("unknown key \"selct\"") &&
                       Catch::Contains("undefined variable \"upstream.x.hots\"; did you mean \"upstream.x.hos"));
  CHECK(std::count(both.begin(), both.end(), '\n') == 2);
  const auto shared = said(probe +
                           "[run]\ncommand = [\"/x\", \"${upstream.broken.hots}\"]\n[[requires]]\nupstream = "
                           "\"broken\"\n");
  CHECK_THAT(shared, Catch::Contains("undefined variable \"upstream.broken.hots\""));
}

TEST_CASE("a probe that asks the same whichever endpoint it is for is refused") {
  const std::string hosts[]{"[[upstream.x.endpoint]]\nhost = \"vm11\"\n",
                            "[[upstream.x.endpoint]]\nhost = \"vm12\"\n"};
  const auto with = [&](const std::string& probe, std::size_t count, const std::string& endpoint = "") {
    return said(own("select = \"sticky\"\n[upstream.x.probe]\n" + probe + endpoint + (count > 0 ? hosts[0] : "") +
                    (count > 1 ? hosts[1] : "")));
  };
  const std::string preset = "preset = \"chain\"\n";
  CHECK_THAT(with(preset, 2), Catch::Contains("[probe] names no ${endpoint.KEY}: it asks http://127.0.0.1:8888/v1, "
                                              "whichever endpoint it is to ask; write for example url = "
                                              "\"http://${endpoint.host}:8888\""));
  CHECK_THAT(with(preset, 1), Catch::Contains("names no ${endpoint.KEY}"));
  CHECK(with(preset + "url = \"http://vm11:8888\"\n", 1).empty());
  CHECK_THAT(with(preset + "url = \"http://vm11:8888\"\n", 2), Catch::Contains("it asks http://vm11:8888/v1"));
  CHECK(with(preset + "url = \"http://${endpoint.host}\"\n", 2).empty());
  CHECK(with("kind = \"tcp\"\naddress = \"a:1\"\n", 1).empty());
  CHECK_THAT(with("kind = \"tcp\"\naddress = \"a:1\"\n", 2),
             Catch::Contains("it asks a:1, ") && Catch::Contains("address = \"${endpoint.host}:8888\""));
  CHECK(with("kind = \"http\"\nurl = \"http://gate:1\"\nheaders = { Node = \"${endpoint.host}\" }\n", 2).empty());
  CHECK_THAT(with("kind = \"tcp\"\naddress = \"a:1\"\n", 0, "[[upstream.x.endpoint]]\ndns = \"a\"\n"),
             Catch::Contains("names no ${endpoint.KEY}"));
}

namespace {

const std::string named_probe = "select = \"sticky\"\n" + tcp;

std::vector<std::string> names_of(const model::unit& u, const std::string& role = "x") {
  std::vector<std::string> out;
  for (const auto& e : u.choices.all->roles.at(role).endpoints) out.push_back(e.name);
  return out;
}

}  // namespace

TEST_CASE("a DNS name is one endpoint without an address, and one for each address once these are known") {
  const auto entry = parse(
      "[run]\ncommand = [\"/x\", \"${upstream.x.host}:${upstream.x.port}\", \"${upstream.x.dns}\"]\n"
      "[upstream.x]\nresolve_every = \"10s\"\nkeep_address_for = \"1m\"\n" +
          named_probe + "[[upstream.x.endpoint]]\ndns = \"leaps.internal\"\nport = 8888\n",
      beside());
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  const auto& u = entry.instances.at(0);
  const auto& role = u.choices.all->roles.at("x");
  CHECK(role.dns_names == std::vector<std::string>{"leaps.internal"});
  CHECK(role.resolve_every == 10s);
  CHECK(role.keep_address_for == 1min);
  REQUIRE(role.endpoints.size() == 1);
  CHECK(role.endpoints[0].unresolved);
  CHECK(role.endpoints[0].asked.checks.at(0).address == "leaps.internal:1");
  CHECK(u.run.command == std::vector<std::string>{"/x", "leaps.internal:8888", "leaps.internal"});

  const auto two = with_addresses(u, {{"leaps.internal", {{"10.0.0.1"}, {"[2001:db8::2]", true}}}});
  CHECK(names_of(two) == std::vector<std::string>{"10.0.0.1", "[2001:db8::2]"});
  const auto& endpoints = two.choices.all->roles.at("x").endpoints;
  CHECK_FALSE(endpoints[0].unresolved);
  CHECK((!endpoints[0].gone && endpoints[1].gone));
  CHECK(endpoints[0].dns == "leaps.internal");
  CHECK(endpoints[1].asked.checks.at(0).address == "[2001:db8::2]:1");
  CHECK(two.run.command == std::vector<std::string>{"/x", "10.0.0.1:8888", "leaps.internal"});
  CHECK(with_endpoints(two, {{"x", "[2001:db8::2]"}}).run.command.at(1) == "[2001:db8::2]:8888");

  // What it runs with stays what it is when others join.
  const auto chosen = with_endpoints(two, {{"x", "[2001:db8::2]"}});
  const auto more = with_addresses(chosen, {{"leaps.internal", {{"10.0.0.0"}, {"10.0.0.1"}, {"[2001:db8::2]"}}}});
  CHECK(more.fingerprint == chosen.fingerprint);
  CHECK(more.endpoints == chosen.endpoints);
  CHECK(names_of(more).size() == 3);
}

TEST_CASE("what a unit is filled in with beside its addresses comes from what was read with it") {
  auto files = beside();
  files.upstreams["leap"] =
      "[probe]\npreset = \"chain\"\nurl = \"http://${endpoint.host}\"\n[[endpoint]]\ndns = \"leaps.internal\"\n";
  const auto entry = parse("[run]\ncommand = [\"/x\", \"${upstream.leap.host}\"]\n", files);
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  files.presets.clear();
  files.upstreams.clear();
  const auto u = with_addresses(entry.instances.at(0), {{"leaps.internal", {{"10.0.0.1"}}}});
  CHECK(u.run.command.at(1) == "10.0.0.1");
  CHECK(u.choices.all->roles.at("leap").endpoints.at(0).asked.checks.at(0).url == "http://10.0.0.1/v1");
}

TEST_CASE("an address that has two names, or is written as a host too, is one endpoint") {
  const auto entry =
      parse(own(named_probe + "[[upstream.x.endpoint]]\ndns = \"a.internal\"\n[[upstream.x.endpoint]]\ndns = "
                              "\"b.internal\"\n[[upstream.x.endpoint]]\nhost = \"10.0.0.2\"\n"),
            beside());
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  const auto u = with_addresses(entry.instances.at(0), {{"a.internal", {{"10.0.0.1"}, {"10.0.0.2"}}},
                                                        {"b.internal", {{"10.0.0.1"}, {"10.0.0.3"}}}});
  CHECK(names_of(u) == std::vector<std::string>{"10.0.0.1", "10.0.0.3", "10.0.0.2"});
  CHECK(u.choices.all->roles.at("x").endpoints.at(2).dns.empty());
}

TEST_CASE("all addresses of a name are listed, but for those that are gone, and the unit has the upstream then") {
  const auto entry = parse("[run]\ncommand = [\"/x\", \"${upstream.x.hosts}\"]\n[upstream.x]\n" + named_probe +
                               "[[upstream.x.endpoint]]\ndns = \"a.internal\"\n",
                           beside());
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  CHECK(entry.effective_toml.find("\"${upstream.x.hosts}\"") != std::string::npos);
  const auto& u = entry.instances.at(0);
  const auto two = with_addresses(u, {{"a.internal", {{"10.0.0.1"}, {"10.0.0.2"}, {"10.0.0.3", true}}}});
  CHECK(two.run.command.at(1) == "10.0.0.1,10.0.0.2");
  CHECK(two.endpoints.empty());
  CHECK(two.fingerprint != with_addresses(u, {{"a.internal", {{"10.0.0.1"}}}}).fingerprint);
}

TEST_CASE("what is wrong with a DNS name is told") {
  const auto with = [](const std::string& endpoint) {
    return said(own(named_probe + "[[upstream.x.endpoint]]\n" + endpoint));
  };
  CHECK(with("dns = \"a\"\nhost = \"b\"\n").find("leave one of them out") != std::string::npos);
  CHECK(with("dns = \"a:80\"\n").find("without a port or a scheme") != std::string::npos);
  CHECK(with("dns = \"a\"\n[[upstream.x.endpoint]]\ndns = \"a\"\n").find("stands in this upstream already") !=
        std::string::npos);
  CHECK(with("dns = \"a\"\nport = 1\n[[upstream.x.endpoint]]\nhost = \"b\"\n").find("has no \"port\"") !=
        std::string::npos);
  CHECK(with("dns = \"a\"\n").empty());
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += "[[upstream.x.endpoint]]\ndns = \"n" + std::to_string(i) + "\"\n";
  CHECK(said(own(named_probe + nine)).find("counts for 8") != std::string::npos);
}

TEST_CASE("for other addresses a unit is made again with the endpoints that it takes alone, each instance its own") {
  const auto entry = parse(
      "[run]\ninstances = 3\ncommand = [\"/x\", \"${instance}\", \"${upstream.x.host}\", \"${upstream.y.host}\"]\n"
      "[upstream.x]\n" +
          named_probe + "[[upstream.x.endpoint]]\ndns = \"a.internal\"\n[upstream.y]\nselect = \"sticky\"\n" +
          std::string(tcp).replace(tcp.find(".x."), 3, ".y.") + "[[upstream.y.endpoint]]\ndns = \"b.internal\"\n",
      beside());
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  const model::address_book known{{"a.internal", {{"10.0.0.1"}, {"10.0.0.2"}}},
                                  {"b.internal", {{"10.0.1.1"}, {"10.0.1.2"}}}};
  const auto first = with_addresses(entry.instances.at(2), known);
  CHECK(first.choices.all->variants.size() == 1);
  CHECK(first.run.command == std::vector<std::string>{"/x", "2", "10.0.0.1", "10.0.1.1"});
  const auto other = with_endpoints(first, {{"y", "10.0.1.2"}, {"x", "10.0.0.9"}});
  CHECK(other.run.command == std::vector<std::string>{"/x", "2", "10.0.0.1", "10.0.1.2"});
  CHECK(other.by_names == entry.instances.at(2).fingerprint);
  CHECK(with_endpoints(other, first.endpoints) == first);
  CHECK(with_addresses(entry.instances.at(0), known).run.command.at(1) == "0");
}
