// What is compressed and what goes: by number, by age, by sum.
#include "logs/retention.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::logs;

namespace {

constexpr std::int64_t hour = 3'600'000'000'000;

rotated_file file(unsigned number, std::int64_t written_ns = 0, std::uint64_t bytes = 10, bool compressed = false) {
  return {number, compressed, bytes, written_ns, number};
}
std::vector<unsigned> numbers(const std::vector<rotated_file>& files) {
  std::vector<unsigned> all;
  for (const auto& f : files) all.push_back(f.number);
  return all;
}
using list = std::vector<unsigned>;

}  // namespace

TEST_CASE("without a rule nothing is asked of the keeper, and only what is beyond max_files goes") {
  CHECK_FALSE(retention{}.needs_keeper());
  const auto plan = plan_retention({file(1), file(2), file(3)}, {.max_files = 2}, 0);
  CHECK(numbers(plan.remove) == list{3});
  CHECK(plan.compress.empty());
}

TEST_CASE("files are compressed once, oldest first") {
  const auto plan = plan_retention({file(1), file(3), file(2, 0, 10, true)}, {.compress = true}, 0);
  CHECK(plan.remove.empty());
  CHECK(numbers(plan.compress) == list{3, 1});
}

TEST_CASE("files go when their last line is too old, and are not compressed before that") {
  retention rule{.compress = true};
  rule.max_age = std::chrono::hours(5);
  CHECK(rule.needs_keeper());
  const auto plan =
      plan_retention({file(1, 9 * hour), file(2, 5 * hour), file(3, 4 * hour), file(4, 3 * hour)}, rule, 10 * hour);
  CHECK(numbers(plan.remove) == list{4, 3});
  CHECK(numbers(plan.compress) == list{2, 1});
}

TEST_CASE("a sum is kept from the newest on, without holes") {
  const auto plan =
      plan_retention({file(1, 0, 40), file(2, 0, 40), file(3, 0, 30), file(4, 0, 1)}, {.max_total = 100}, 0);
  CHECK(numbers(plan.remove) == list{4, 3});
}

TEST_CASE("a clock that went back deletes nothing by age") {
  retention rule;
  rule.max_age = std::chrono::hours(1);
  CHECK(plan_retention({file(1, 9 * hour)}, rule, hour).remove.empty());
}
