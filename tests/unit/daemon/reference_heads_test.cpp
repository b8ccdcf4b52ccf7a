// Who asks other nodes where their heads are: one for all, and no sooner than the reference says.
#include "daemon/reference_heads.hpp"

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

using namespace hasup;
using namespace std::chrono_literals;

namespace {

// Nobody listens there.
model::probe_reference silent(base::duration interval) {
  model::probe_reference r;
  r.interval = interval;
  model::check c;
  c.kind = model::check_kind::http;
  c.method = "GET";
  c.url = "http://127.0.0.1:1/";
  c.head.number = "/n";
  r.nodes.push_back({"http://127.0.0.1:1", {c}});
  return r;
}

struct world {
  boost::asio::io_context io;
  probe::prober prober{io};
  daemon::reference_pool pool;

  auto watch(const model::probe_reference& whom) { return pool.watch(io, prober, whom); }
  void run_until_heard(const daemon::reference_heads& others) {
    io.restart();
    while (!others.all_heard() && io.run_one() > 0) {
    }
    REQUIRE(others.all_heard());
  }
  // Whether anything is to be done now.
  bool busy() {
    io.restart();
    return io.poll() > 0;
  }
};

}  // namespace

TEST_CASE("one asks for all probes with the same reference") {
  world w;
  const auto a = w.watch(silent(1h)), b = w.watch(silent(1h)), other = w.watch(silent(2h));
  CHECK(a == b);
  CHECK(a != other);
  CHECK(a->known().at(0) == unit::other_head{"http://127.0.0.1:1"});
  CHECK_FALSE(a->all_heard());
  w.run_until_heard(*a);
  CHECK_FALSE(a->known().at(0).head);
  CHECK_THAT(a->known().at(0).problem, Catch::Contains("refused"));
}

TEST_CASE("who comes after it was asked knows what was heard, and asks no sooner") {
  world w;
  auto a = w.watch(silent(1h));
  CHECK(w.busy());
  w.run_until_heard(*a);
  while (w.busy()) {
  }
  const auto heard = a->known();
  a.reset();
  while (w.busy()) {
  }  // the cancelled wait
  const auto again = w.watch(silent(1h));
  CHECK(again->known() == heard);
  CHECK(again->all_heard());
  CHECK_FALSE(w.busy());
  const auto other = w.watch(silent(2h));
  CHECK(w.busy());
}

TEST_CASE("what nobody wants to know any more is not asked for") {
  world w;
  auto a = w.watch(silent(10ms));
  w.run_until_heard(*a);
  a.reset();
  w.io.restart();
  w.io.run();  // comes to an end
  CHECK_FALSE(w.busy());
}
