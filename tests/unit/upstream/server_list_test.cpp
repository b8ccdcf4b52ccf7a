// Which servers stand in a proxy's list: who leaves at once, who comes back when, and what is no change.
#include "upstream/server_list.hpp"

#include <catch2/catch.hpp>

#include "show_result.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using upstream::server_view;
using upstream::standing;

namespace {

using servers = std::vector<std::string>;

// Servers a, b and c, all fit and a the chosen one, with a look whenever a test says so.
struct proxy {
  model::proxy_policy policy;
  std::vector<server_view> all{3};
  std::string chosen = "a";
  upstream::list_memory memory;
  base::mono_time now{1000h};

  proxy() {
    policy.max_behind = 10s;
    policy.max_blocks_behind = 3;
    policy.back_after = 20s;
    policy.min_interval = 5s;
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].name = std::string(1, static_cast<char>('a' + i));
      all[i].is = standing::good;
    }
  }
  server_view& at(char name) { return all[static_cast<std::size_t>(name - 'a')]; }
  upstream::server_list look(base::duration after = 1s) {
    now += after;
    return upstream::list_servers(policy, all, chosen, memory, 2s, now);
  }
  proxy& begun() {
    CHECK(look().servers == servers{"a", "b", "c"});
    look(1h);
    return *this;
  }
};

std::string filled(const std::string& text) {
  static const model::upstream_endpoint one{"one", {{"name", "one"}, {"host", "10.0.0.1:80"}}, {}},
      two{"two", {{"name", "two"}, {"host", "10.0.0.2:80"}}, {}}, three{"three", {{"name", "x"}, {"host", "h"}}, {}};
  const auto out = upstream::fill_template(text, {&one, &two, &three});
  return out ? *out : "! " + out.error().message;
}

}  // namespace

TEST_CASE("the first list waits for those of whom nothing is known yet, but not for ever") {
  proxy p;
  p.at('b').is = standing::undecided;
  p.at('c').ever_level = false;
  CHECK(p.look().servers.empty());
  p.at('b').is = standing::good;
  CHECK(p.look().servers.empty());
  const auto list = p.look();
  CHECK(list.changed);
  CHECK(list.servers == servers{"a", "b"});
  CHECK(list.left_out == "c: not known well enough yet");
  CHECK_FALSE(p.look().changed);
}

TEST_CASE("there is no list while nobody is fit, and it is there with the first one") {
  proxy p;
  for (auto& s : p.all) s.is = standing::bad;
  p.at('a').reason = "connection refused";
  const auto none = p.look();
  CHECK(none.servers.empty());
  CHECK_FALSE(none.changed);
  CHECK(none.left_out == "a: connection refused; b: unhealthy; c: unhealthy");
  p.at('b').is = standing::good;
  CHECK(p.look().servers == servers{"b"});
}

TEST_CASE("one that is no good leaves at once, and comes back when it was fit for a while") {
  proxy p;
  p.begun();
  SECTION("unhealthy") {
    p.at('b').is = standing::bad;
  }
  SECTION("avoided") {
    p.at('b').avoided = true;
  }
  SECTION("behind by too much time") {
    p.at('b').behind = 10001ms;
  }
  SECTION("behind by too many blocks") {
    p.at('b').blocks_behind = 4;
  }
  const auto gone = p.look();
  CHECK(gone.changed);
  CHECK(gone.servers == servers{"a", "c"});
  CHECK(gone.left_out.starts_with("b: "));
  p.at('b') = p.at('a');
  p.at('b').name = "b";
  CHECK(p.look(19s).left_out == "b: fit again only since a moment ago");
  CHECK_FALSE(p.look(19s).changed);
  p.at('b').is = standing::bad;  // and once more: it begins anew
  CHECK_FALSE(p.look().changed);
  p.at('b').is = standing::good;
  CHECK_FALSE(p.look().changed);
  CHECK_FALSE(p.look(19s).changed);
  CHECK(p.look().servers == servers{"a", "b", "c"});
}

TEST_CASE("what is within the limits, or an answer that did not come, changes nothing") {
  proxy p;
  p.begun();
  for (unsigned turn = 0; turn < 100; ++turn) {
    p.at('a').blocks_behind = turn % 2;
    p.at('b').blocks_behind = (turn + 1) % 2;
    p.at('b').behind = turn % 2 == 0 ? std::optional<base::duration>(500ms) : std::nullopt;
    p.at('c').is = turn % 3 == 0 ? standing::undecided : standing::good;
    CHECK_FALSE(p.look(100ms).changed);
  }
}

TEST_CASE("who joins waits for the interval, who leaves does not, and takes along what waits") {
  proxy p;
  p.policy.back_after = 0s;
  p.policy.min_interval = 1h;
  p.at('c').is = standing::bad;
  CHECK(p.look().servers == servers{"a", "b"});
  p.at('c').is = standing::good;
  CHECK_FALSE(p.look(30min).changed);
  p.chosen = "b";
  CHECK_FALSE(p.look().changed);
  p.at('a').is = standing::bad;
  CHECK(p.look().servers == servers{"b", "c"});
  p.at('a').is = standing::good;
  CHECK_FALSE(p.look(59min).changed);
  CHECK(p.look(1min).servers == servers{"b", "a", "c"});
}

TEST_CASE("when nobody is fit the list stays, and the first one that is fit is all of it") {
  proxy p;
  p.begun();
  for (auto& s : p.all) s.is = standing::bad;
  const auto lost = p.look();
  CHECK_FALSE(lost.changed);
  CHECK(lost.servers == servers{"a", "b", "c"});
  CHECK(p.memory.none_fit);
  p.at('c').is = standing::good;
  const auto back = p.look();
  CHECK(back.servers == servers{"c"});
  CHECK_FALSE(p.memory.none_fit);
  p.at('c').is = standing::bad;
  p.at('a').is = standing::good;
  CHECK(p.look().servers == servers{"a"});  // although it was bad a moment ago
}

TEST_CASE("one that is no longer in the file leaves, also when it was the only one") {
  proxy p;
  p.begun();
  p.all.erase(p.all.begin());
  p.chosen = "c";
  CHECK(p.look().servers == servers{"c", "b"});
  p.all = {{"d", standing::bad, "", false, {}}};
  CHECK(p.look().servers.empty());
}

TEST_CASE("lines of the template stand for each server, and all else as it is") {
  CHECK(filled("upstream x {\n  server ${endpoint.host};\n}\n$host ${var} $$\n") ==
        "upstream x {\n  server 10.0.0.1:80;\n  server 10.0.0.2:80;\n  server h;\n}\n$host ${var} $$\n");
  CHECK(filled("server ${first.host}; # ${first.name}\nserver ${other.host} backup;\n") ==
        "server 10.0.0.1:80; # one\nserver 10.0.0.2:80 backup;\nserver h backup;\n");
  CHECK(filled("server ${endpoint.name} ${endpoint.host} # not ${first.host}") ==
        "server one 10.0.0.1:80 # not 10.0.0.1:80\nserver two 10.0.0.2:80 # not 10.0.0.1:80\n"
        "server x h # not 10.0.0.1:80\n");
  CHECK(filled("\n\n${first.host}") == "\n\n10.0.0.1:80");
}

TEST_CASE("what a template lacks is told with its line") {
  CHECK(filled("a\n${endpoint.hots};\n") == "! line 2: the endpoints have no \"hots\", only host, name");
  CHECK(filled("${endpoint.host} ${other.host}\n").starts_with("! line 1: a line is for each"));
  CHECK(filled("${endpoint.host\n").starts_with("! line 1: \"${endpoint.host"));
  CHECK(filled("server 10.0.0.1;\n").starts_with("! it names no ${endpoint.KEY}"));
  CHECK(filled("").starts_with("! it names no ${endpoint.KEY}"));
  CHECK_FALSE(upstream::fill_template("${endpoint.host}", {}));
}
