// Whether others advance: what is evidence, and what only looks like it.
#include "unit/reference.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace std::chrono_literals;
using unit::others;
using unit::reference_memory;

namespace {

// One reference node, asked whenever time has passed; the own head stands at 100.
struct asking {
  unit::own_head own{100, "", 5min};
  std::vector<reference_memory> all{1};
  base::mono_time now{1000h};

  asking() { all[0].name = "https://api.example.com"; }
  asking& says(std::optional<std::uint64_t> number, const std::string& chain = "", std::size_t who = 0) {
    return answers({true, "", model::head{number, {}, "", chain}}, who);
  }
  asking& fails(const std::string& why) { return answers({false, why, {}}, 0); }
  asking& answers(const unit::reference_answer& a, std::size_t who) {
    unit::observe(all[who], a, own, now);
    return *this;
  }
  asking& after(base::duration d) {
    now += d;
    return *this;
  }
  [[nodiscard]] others judge() const { return unit::judge_others(all, own, now); }
};

}  // namespace

TEST_CASE("evidence is a head beyond the own one that grew") {
  asking a;
  CHECK_FALSE(a.judge().advance);
  CHECK(a.judge().text == "https://api.example.com: it has not answered yet");
  a.says(150);
  CHECK_FALSE(a.judge().advance);
  a.after(10s).says(170).after(5s);
  CHECK(a.judge().advance);
  CHECK(a.judge().text == "https://api.example.com advances: head 150 15s ago, 170 5s ago");
}

TEST_CASE("a chain that stands still is no evidence, however long one asks") {
  asking a;
  for (int i = 0; i < 360; ++i) {
    a.says(100).after(10s);
    REQUIRE_FALSE(a.judge().advance);
  }
  CHECK(a.judge().text == "https://api.example.com: its head 100 is not beyond the own head 100");
}

TEST_CASE("a dead server with a high head is no evidence") {
  asking a;
  for (int i = 0; i < 360; ++i) {
    a.says(5000).after(10s);
    REQUIRE_FALSE(a.judge().advance);
  }
  CHECK_THAT(a.judge().text, Catch::Contains("its head 5000 has not been seen to grow for"));
}

TEST_CASE("growth up to the own head, or from below it, is not yet evidence") {
  asking a;
  a.says(80).after(10s).says(100);
  CHECK_FALSE(a.judge().advance);
  a.after(10s).says(101);
  CHECK_FALSE(a.judge().advance);
  a.after(10s).says(102);
  CHECK(a.judge().advance);
}

TEST_CASE("others that have stopped since are no evidence any more") {
  asking a;
  a.says(150).after(10s).says(170).after(5min);
  CHECK(a.judge().advance);
  a.says(170).after(1s);
  CHECK_FALSE(a.judge().advance);
  CHECK_THAT(a.judge().text, Catch::Contains("its head 170 has not grown for 5m1s (limit 5m)") ||
                                 Catch::Contains("its head 170 has not grown for 5m (limit 5m)"));
}

TEST_CASE("two servers behind one name that both stand still are evidence once, and not for long") {
  asking a;
  for (int i = 0; i < 60; ++i) a.says(150).after(10s).says(160).after(10s);
  CHECK_FALSE(a.judge().advance);
}

TEST_CASE("what is unknown is never evidence") {
  asking a;
  a.says(150);
  SECTION("no answer") {
    a.after(10s).fails("connection refused");
    CHECK(a.judge().text == "https://api.example.com: connection refused");
  }
  SECTION("an answer without a number") {
    a.after(10s).says(std::nullopt);
    CHECK(a.judge().text == "https://api.example.com: it does not say a head number");
  }
  CHECK_FALSE(a.judge().advance);
}

TEST_CASE("an answer that fails to come does not undo what was seen") {
  asking a;
  a.says(150).after(10s).says(170).after(10s).fails("timed out");
  CHECK(a.judge().advance);
}

TEST_CASE("the chain must be the same where it is known") {
  asking a;
  a.own.chain = "aca3";
  SECTION("another one") {
    a.says(150, "1064").after(10s).says(170, "1064");
    CHECK_FALSE(a.judge().advance);
    CHECK(a.judge().text == "https://api.example.com: it is of another chain: 1064, not aca3");
  }
  SECTION("one that does not say it") {
    a.says(150).after(10s).says(170);
    CHECK_FALSE(a.judge().advance);
    CHECK(a.judge().text == "https://api.example.com: it does not say its chain, which must be aca3");
  }
  SECTION("the same") {
    a.says(150, "ACA3").after(10s).says(170, "aca3");
    CHECK(a.judge().advance);
  }
  SECTION("a name that leads elsewhere now is believed nothing of before") {
    a.says(150, "aca3").after(10s).says(170, "aca3").after(1s).says(171, "1064");
    CHECK_FALSE(a.judge().advance);
  }
  CHECK(unit::same_chain("0x4571", "17777"));
  CHECK(unit::same_chain("17777", "17777"));
  CHECK_FALSE(unit::same_chain("0x4571", "17778"));
  CHECK_FALSE(unit::same_chain("aca3", "aca"));
  CHECK_FALSE(unit::same_chain("", "1"));
}

TEST_CASE("one of several nodes is enough; without it all say what they lack") {
  asking a;
  a.all.resize(2);
  a.all[1].name = "http://vm2";
  a.says(100).says(150, "", 1).after(10s);
  CHECK_FALSE(a.judge().advance);
  CHECK(a.judge().text ==
        "https://api.example.com: its head 100 is not beyond the own head 100; http://vm2: its head 150 has not been "
        "seen to grow for 10s");
  a.says(170, "", 1);
  CHECK(a.judge().advance);
  CHECK_THAT(a.judge().text, Catch::StartsWith("http://vm2 advances"));
}

TEST_CASE("an own head that moved on is what others must be beyond") {
  asking a;
  a.says(150).after(10s).says(170);
  a.own.number = 160;
  CHECK_FALSE(a.judge().advance);
  a.after(10s).says(180);
  CHECK_FALSE(a.judge().advance);
  a.after(10s).says(190);
  CHECK(a.judge().advance);
}

TEST_CASE("nobody to ask is no evidence") {
  CHECK_FALSE(unit::judge_others({}, {100, "", 5min}, base::mono_time{}).advance);
}
