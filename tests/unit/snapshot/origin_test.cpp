// When a host of a download is given up.
#include "snapshot/fetch/origin.hpp"

#include <catch2/catch.hpp>

using namespace hasup::snapshot;
using namespace std::chrono_literals;

namespace {

patience two_seconds() {
  patience p;
  p.longest = 2s;
  p.lowest_rate = 1000;
  return p;
}

// For that long, in steps of 100 ms.
bool lasts(origin& o, std::chrono::milliseconds time, std::size_t bytes_per_s) {
  for (; time.count() > 0; time -= 100ms) {
    o.waited(100ms);
    if (bytes_per_s > 0) o.brought(bytes_per_s / 10);
    o.check();
  }
  return !o.given_up();
}

}  // namespace

TEST_CASE("a host that brings nothing is given up after its patience, and not before", "[origin]") {
  origin o(two_seconds(), 4);
  o.begin();
  CHECK(lasts(o, 1900ms, 0));
  CHECK_FALSE(lasts(o, 100ms, 0));
  CHECK(o.last_error() == "nothing came");
}

TEST_CASE("a host slower than the lowest rate is given up however often it brings a little", "[origin]") {
  origin o(two_seconds(), 4);
  o.begin();
  CHECK(lasts(o, 3900ms, 500));
  CHECK_FALSE(lasts(o, 200ms, 500));
  CHECK(o.last_error() == "it brings less than 1000B a second, longer than its patience of 2s");
  origin failing(two_seconds(), 4);
  failing.begin();
  failing.failed({}, "the host stalls", true, 0, [](unsigned) { return 1ms; });
  CHECK_FALSE(lasts(failing, 5s, 500));
  CHECK(failing.last_error().find("(the host stalls)") != std::string::npos);
}

TEST_CASE("a host at the lowest rate is kept, and what it brought before gives no more than one patience",
          "[origin]") {
  origin o(two_seconds(), 4);
  o.begin();
  CHECK(lasts(o, 60s, 1000));
  o.brought(1'000'000'000);
  CHECK(lasts(o, 1900ms, 0));
  o.brought(10'000);
  CHECK(lasts(o, 1900ms, 0));
  CHECK_FALSE(lasts(o, 100ms, 0));
}

TEST_CASE("a host that is turned to has its whole patience", "[origin]") {
  origin o(two_seconds(), 4);
  o.begin();
  CHECK(lasts(o, 1500ms, 0));
  o.begin();
  CHECK(lasts(o, 1500ms, 0));
}
