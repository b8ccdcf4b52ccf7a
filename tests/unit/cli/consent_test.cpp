#include "cli/consent.hpp"

#include <catch2/catch.hpp>

using namespace hasup::cli;

TEST_CASE("without a terminal nothing is replaced unless somebody said yes, or is asked later") {
  replacement r;
  r.is_fine = GENERATE(false, true);
  r.deletes = GENERATE(false, true);
  CHECK(consent_to(r) == consent::missing);
  r.asks_later = true;
  CHECK(consent_to(r) == consent::given);
  r.asks_later = false;
  r.said_yes = true;
  CHECK(consent_to(r) == consent::given);
}

TEST_CASE("on a terminal it is asked before a healthy node is stopped or a state deleted") {
  replacement r;
  r.on_terminal = true;
  CHECK(consent_to(r) == consent::given);
  SECTION("healthy") {
    r.is_fine = true;
  }
  SECTION("deleted") {
    r.deletes = true;
  }
  SECTION("healthy, where hasupd asks once more") {
    r.is_fine = r.asks_later = true;
  }
  if (r.is_fine || r.deletes) {
    CHECK(consent_to(r) == consent::to_be_asked);
    r.said_yes = true;
    CHECK(consent_to(r) == consent::given);
  }
}
