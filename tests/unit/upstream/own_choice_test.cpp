// Which endpoint an instance takes that has left some, and when its run is to move.
#include "upstream/own_choice.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace std::chrono_literals;
using model::upstream_select;
using upstream::standing;

namespace {

// A role with endpoints a, b and c, all good, at heads 100, 90 and 95; a is chosen.
struct role {
  model::upstream file;
  upstream::role_view seen{{}, "a", true};
  upstream::own_memory own;
  base::wall_time now = base::wall_time{} + 1000h;

  explicit role(upstream_select select = upstream_select::best_head) {
    file.select = select;
    const std::uint64_t heads[]{100, 90, 95};
    for (int i = 0; i < 3; ++i) {
      file.endpoints.push_back({std::string(1, static_cast<char>('a' + i)), {}, {}});
      upstream::endpoint_view e;
      e.name = file.endpoints.back().name;
      e.is = standing::good;
      e.at = upstream::position{"", heads[i]};
      seen.all.push_back(e);
    }
  }
  upstream::endpoint_view& at(const std::string& name) {
    return *std::find_if(seen.all.begin(), seen.all.end(), [&](const auto& e) { return e.name == name; });
  }
  void leave(const std::string& name) { CHECK(upstream::leave(own, file, name, "exited", now += 1s)); }
  [[nodiscard]] std::string start() const { return endpoint_for_start(file, seen, own, now); }
  [[nodiscard]] std::string run(const std::string& used) const {
    return endpoint_for_run(file, seen, own, used, now);
  }
};

}  // namespace

TEST_CASE("a unit that has left nothing follows the role") {
  role r;
  CHECK(r.start() == "a");
  CHECK(r.run("b") == "a");
  r.at("a").is = standing::bad;
  CHECK(r.start() == "a");  // and waits with everybody
  r.seen.chosen.clear();
  CHECK(r.start().empty());
  CHECK(r.run("b") == "b");
}

TEST_CASE("the next one is taken by the rule of the role, and only a left choice counts") {
  const auto [select, next] = GENERATE(table<upstream_select, std::string>(
      {{upstream_select::best_head, "c"}, {upstream_select::sticky, "c"}, {upstream_select::priority, "b"}}));
  role r(select);
  r.leave("a");
  CHECK(r.start() == next);
  r.at(next).is = standing::bad;
  CHECK(r.start() == (next == "b" ? "c" : "b"));
  r.seen.chosen = "b";
  CHECK(r.start() == "b");
}

TEST_CASE("when all have been left, that of longest ago is taken, so that they take turns") {
  role r;
  std::string order;
  for (int i = 0; i < 6; ++i) {
    order += r.start();
    r.leave(r.start());
  }
  CHECK(order == "acbacb");
}

TEST_CASE("one that nothing speaks against is waited for while it may answer yet") {
  role r;
  r.leave("a");
  r.at("b").is = standing::bad;
  r.at("c").is = standing::undecided;
  r.seen.all_told = false;
  CHECK(r.start().empty());
  r.seen.all_told = true;
  CHECK(r.start() == "a");
  r.at("a").is = standing::bad;
  CHECK(r.start().empty());
}

TEST_CASE("what a person avoids is taken only when nothing else is good, left or not") {
  role r;
  r.leave("a");
  r.at("c").avoided = true;
  CHECK(r.start() == "b");
  r.leave("b");
  CHECK(r.start() == "a");
  r.at("a").is = r.at("b").is = standing::bad;
  CHECK(r.start() == "c");
}

TEST_CASE("it is over after leave_for, and with the endpoint; one alone is never left") {
  role r;
  r.leave("a");
  r.leave("b");
  r.now += r.file.leave_for - 1s;
  CHECK_FALSE(is_left(r.own, "a", r.now));
  CHECK(is_left(r.own, "b", r.now));
  forget_old(r.own, r.file, r.now);
  CHECK(r.own.left.size() == 1);
  r.own.left.begin()->second.until = r.now + 1000h;  // the clock was set back
  forget_old(r.own, r.file, r.now);
  CHECK(r.own.left.begin()->second.until == r.now + r.file.leave_for);
  r.file.endpoints.erase(r.file.endpoints.begin() + 1);
  forget_old(r.own, r.file, r.now);
  CHECK(r.own.empty());
  r.file.endpoints.resize(1);
  CHECK_FALSE(leave(r.own, r.file, "a", "exited", r.now));
  CHECK(r.own.empty());
}

TEST_CASE("a run apart is kept while its endpoint is good, whatever the role chooses") {
  role r;
  r.leave("a");
  r.own.apart = true;
  CHECK(r.run("c") == "c");
  r.seen.chosen = "b";
  CHECK(r.run("c") == "c");
  r.at("c").is = standing::undecided;
  CHECK(r.run("c") == "c");
  r.at("c").is = standing::bad;
  CHECK(r.run("c") == "b");
  r.seen.chosen = "a";
  CHECK(r.run("c") == "b");
  r.at("b").is = standing::bad;
  CHECK(r.run("c") == "a");  // left, and the only good one
  r.at("a").is = standing::bad;
  CHECK(r.run("c") == "c");  // nobody gains
}

TEST_CASE("a follower does not go with the role to one that it has left, and leaves what a person avoids") {
  role r;
  r.leave("a");
  CHECK(r.run("c") == "c");
  r.at("c").avoided = true;
  CHECK(r.run("c") == "b");
  r.at("a").is = r.at("b").is = standing::bad;
  CHECK(r.run("c") == "c");
  r.now += r.file.leave_for;
  CHECK(r.run("c") == "c");
  r.at("a").is = standing::good;
  CHECK(r.run("c") == "a");  // chosen, and left no longer: as the role says
}

TEST_CASE("a run does not end for a choice that is not known to be good, or is no endpoint any more") {
  role r;
  for (const auto is : {standing::bad, standing::undecided}) {
    r.at("a").is = is;
    CHECK(r.run("b") == "b");
  }
  r.at("a").is = standing::good;
  CHECK(r.run("b") == "a");
  CHECK(r.run("gone") == "a");
  r.seen.chosen = "gone";
  CHECK(r.run("b") == "b");
  CHECK(r.run("away") == "away");
}

TEST_CASE("an address that was left is not forgotten while its name does not have it") {
  role r;
  r.leave("a");
  auto& all = r.file.endpoints;
  std::erase_if(all, [](const auto& e) { return e.name == "a"; });
  auto written = r.own;
  forget_old(written, r.file, r.now);
  CHECK(written.empty());
  r.file.dns_names = {"leaps.internal"};
  forget_old(r.own, r.file, r.now);
  CHECK(r.own.left.contains("a"));
  forget_old(r.own, r.file, r.now + r.file.leave_for);
  CHECK(r.own.empty());
}
