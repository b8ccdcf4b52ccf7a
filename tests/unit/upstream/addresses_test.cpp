#include "upstream/addresses.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace hasup;
using namespace std::chrono_literals;
using upstream::address_memory;
using upstream::take_answer;

namespace {

using hosts = std::vector<std::string>;
constexpr base::duration keep = 5min;

base::mono_time at(base::duration since) {
  return base::mono_time{} + 1h + since;
}

hosts known(const address_memory& m) {
  hosts out;
  for (const auto& a : upstream::known_of(m)) out.push_back(a.host + (a.gone ? " gone" : ""));
  return out;
}

}  // namespace

TEST_CASE("addresses are known in the order of their numbers, however they are answered", "[addresses]") {
  address_memory m;
  const auto c = take_answer(m, {{"10.0.0.10", "10.0.0.9", "10.0.0.10", "[::1]"}, {}}, {}, keep, at(0s));
  CHECK(known(m) == hosts{"10.0.0.9", "10.0.0.10", "[::1]"});
  CHECK(c.joined == hosts{"10.0.0.9", "10.0.0.10", "[::1]"});
  CHECK(c.known_differs);
  const auto again = take_answer(m, {{"10.0.0.10", "[::1]", "10.0.0.9"}, {}}, {}, keep, at(30s));
  CHECK_FALSE(again.known_differs);
  CHECK(again.joined.empty());
}

TEST_CASE("answers that hold only some of the addresses change nothing", "[addresses]") {
  address_memory m;
  take_answer(m, {{"10.0.0.1", "10.0.0.2"}, {}}, {}, keep, at(0s));
  for (int i = 1; i <= 60; ++i) {
    const auto c = take_answer(m, {{i % 2 == 0 ? "10.0.0.1" : "10.0.0.2"}, {}}, {}, keep, at(i * 30s));
    REQUIRE_FALSE(c.known_differs);
  }
}

TEST_CASE("an address that is in no answer for its time is forgotten", "[addresses]") {
  address_memory m;
  take_answer(m, {{"10.0.0.1", "10.0.0.2"}, {}}, {}, keep, at(0s));
  CHECK_FALSE(take_answer(m, {{"10.0.0.1"}, {}}, {}, keep, at(30s)).known_differs);
  CHECK_FALSE(take_answer(m, {{"10.0.0.1"}, {}}, {}, keep, at(30s + keep - 1ms)).known_differs);
  const auto c = take_answer(m, {{"10.0.0.1"}, {}}, {}, keep, at(30s + keep));
  CHECK(c.left == hosts{"10.0.0.2"});
  CHECK(known(m) == hosts{"10.0.0.1"});
}

TEST_CASE("what something runs with is gone but not forgotten, and comes back when it is named", "[addresses]") {
  address_memory m;
  take_answer(m, {{"10.0.0.1", "10.0.0.2"}, {}}, {}, keep, at(0s));
  take_answer(m, {{"10.0.0.1"}, {}}, {"10.0.0.2"}, keep, at(1min));
  const auto gone = take_answer(m, {{"10.0.0.1"}, {}}, {"10.0.0.2"}, keep, at(1min + keep));
  CHECK(gone.left == hosts{"10.0.0.2"});
  CHECK(known(m) == hosts{"10.0.0.1", "10.0.0.2 gone"});
  CHECK_FALSE(take_answer(m, {{"10.0.0.1"}, {}}, {"10.0.0.2"}, keep, at(2min + keep)).known_differs);

  auto later = m;
  const auto forgotten = take_answer(later, {{"10.0.0.1"}, {}}, {}, keep, at(3min + keep));
  CHECK(forgotten.known_differs);
  CHECK(forgotten.left.empty());  // has been told
  CHECK(known(later) == hosts{"10.0.0.1"});

  const auto back = take_answer(m, {{"10.0.0.2"}, {}}, {"10.0.0.2"}, keep, at(3min + keep));
  CHECK(back.joined == hosts{"10.0.0.2"});
  CHECK(known(m) == hosts{"10.0.0.1", "10.0.0.2"});
}

TEST_CASE("without an answer nothing is forgotten, and that is told once", "[addresses]") {
  address_memory m;
  take_answer(m, {{"10.0.0.1", "10.0.0.2"}, {}}, {}, keep, at(0s));
  CHECK(take_answer(m, {{}, "Name or service not known"}, {}, keep, at(1min)).problem_differs);
  const auto hours = take_answer(m, {{}, "Name or service not known"}, {}, keep, at(10h));
  CHECK_FALSE(hours.problem_differs);
  CHECK_FALSE(hours.known_differs);
  CHECK(m.problem == "Name or service not known");
  const auto empty = take_answer(m, {{}, {}}, {}, keep, at(11h));
  CHECK(empty.problem_differs);
  CHECK(m.problem == "it has no address");
  // The time of the one that lacks begins only now.
  const auto c = take_answer(m, {{"10.0.0.1"}, {}}, {}, keep, at(20h));
  CHECK(c.problem_differs);
  CHECK(m.problem.empty());
  CHECK(known(m) == hosts{"10.0.0.1", "10.0.0.2"});
}

TEST_CASE("of many addresses those that are known stay, and the rest is told of once", "[addresses]") {
  address_memory m;
  hosts many;
  for (int i = 11; i <= 30; ++i) many.push_back("10.0.0." + std::to_string(i));
  const auto c = take_answer(m, {many, {}}, {}, keep, at(0s));
  CHECK(m.all.size() == model::most_addresses);
  CHECK(m.all.front().host == "10.0.0.11");
  CHECK(m.left_out.size() == many.size() - model::most_addresses);
  CHECK(c.too_many);
  many.insert(many.begin(), "10.0.0.1");
  many.pop_back();
  const auto again = take_answer(m, {many, {}}, {}, keep, at(30s));
  CHECK_FALSE(again.too_many);
  CHECK_FALSE(again.known_differs);
}

TEST_CASE("a name that moves to as many other addresses as are used moves when those have had their time",
          "[addresses]") {
  address_memory m;
  hosts before, after;
  for (std::size_t i = 1; i <= model::most_addresses; ++i) {
    before.push_back("10.0.0." + std::to_string(i));
    after.push_back("10.0.1." + std::to_string(i));
  }
  take_answer(m, {before, {}}, {}, keep, at(0s));
  CHECK_FALSE(take_answer(m, {after, {}}, {"10.0.0.2"}, keep, at(30s)).known_differs);
  CHECK(known(m) == before);
  const auto c = take_answer(m, {after, {}}, {"10.0.0.2"}, keep, at(30s + keep));
  CHECK(c.left == before);
  auto wanted = after;
  wanted.pop_back();
  CHECK(c.joined == wanted);
  wanted.insert(wanted.begin(), "10.0.0.2 gone");  // something runs with it
  CHECK(known(m) == wanted);
  CHECK(m.left_out.size() == 1);
}

TEST_CASE("a name with many addresses that answers by turns keeps those that are known", "[addresses]") {
  std::minstd_rand random{7};
  hosts all;
  for (int i = 11; i <= 22; ++i) all.push_back("10.0.0." + std::to_string(i));
  const auto some = [&] {
    auto out = all;
    std::shuffle(out.begin(), out.end(), random);
    out.resize(8);
    return out;
  };
  address_memory m;
  take_answer(m, {some(), {}}, {}, keep, at(0s));
  const auto first = known(m);
  int told = 0;
  for (int i = 1; i <= 100; ++i) {
    const auto c = take_answer(m, {some(), {}}, {}, keep, at(i * 30s));
    REQUIRE_FALSE(c.known_differs);
    REQUIRE(c.joined.empty());
    REQUIRE(c.left.empty());
    told += c.too_many ? 1 : 0;
  }
  CHECK(known(m) == first);
  CHECK(m.left_out.size() == 4);
  CHECK(told == 1);

  // One of them is no more: after its time another one has its place.
  std::erase(all, first.front());
  hosts joined, left;
  for (int i = 101; i <= 120; ++i) {
    const auto c = take_answer(m, {some(), {}}, {}, keep, at(i * 30s));
    joined.insert(joined.end(), c.joined.begin(), c.joined.end());
    left.insert(left.end(), c.left.begin(), c.left.end());
  }
  CHECK(left == hosts{first.front()});
  CHECK(joined.size() == 1);
  CHECK(m.left_out.size() == 3);
}

TEST_CASE("what runs with a name that was not answered yet counts until it is", "[addresses]") {
  address_memory m;
  upstream::assume(m, {"10.0.0.10", "10.0.0.9"});
  CHECK(known(m) == hosts{"10.0.0.9", "10.0.0.10"});
  CHECK_FALSE(take_answer(m, {{}, "Try again"}, {"10.0.0.9"}, keep, at(0s)).known_differs);
  const auto c = take_answer(m, {{"10.0.0.10", "10.0.0.11"}, {}}, {"10.0.0.9"}, keep, at(1s));
  CHECK(c.joined == hosts{"10.0.0.10", "10.0.0.11"});
  CHECK(c.left.empty());  // it never was one
  CHECK(known(m) == hosts{"10.0.0.9 gone", "10.0.0.10", "10.0.0.11"});
  CHECK(known(m).size() == 3);
  take_answer(m, {{"10.0.0.10", "10.0.0.11"}, {}}, {}, keep, at(2s));
  CHECK(known(m) == hosts{"10.0.0.10", "10.0.0.11"});
}

TEST_CASE("what was saved is known again, and its time begins anew", "[addresses]") {
  address_memory m;
  take_answer(m, {{"10.0.0.1", "10.0.0.2"}, {}}, {}, keep, at(0s));
  take_answer(m, {{"10.0.0.1"}, {}}, {}, keep, at(1min));
  auto back = upstream::memory_of(upstream::known_of(m));
  CHECK_FALSE(take_answer(back, {{"10.0.0.1"}, {}}, {}, keep, at(1min + keep)).known_differs);
  CHECK(known(back) == hosts{"10.0.0.1", "10.0.0.2"});
}
