// What an answer means for the bytes that are here, and how much a host is borne with.
#include "snapshot/fetch/version_answer.hpp"

#include <catch2/catch.hpp>

#include "snapshot/fetch/origin.hpp"

using namespace hasup::snapshot;
using namespace std::chrono_literals;

namespace {

remote_answer answer(long status, const std::string& range = "", const std::string& etag = "\"v1\"") {
  remote_answer a;
  a.status = status;
  a.content_range = range;
  a.etag = etag;
  return a;
}

const origin::time start{};
std::chrono::milliseconds second_each(unsigned n) {
  return std::chrono::seconds(n);
}

}  // namespace

TEST_CASE("only a 206 that is what was asked for, of the same version, is joined", "[answer]") {
  const file_version known{"\"v1\"", 100};
  using m = answer_meaning;
  CHECK(meaning_of(answer(206, "bytes 50-99/100"), 50, known) == m::piece);
  CHECK(meaning_of(answer(206, "bytes 50-99/*"), 50, known) == m::piece);
  CHECK(meaning_of(answer(206, "bytes 50-99/100", ""), 50, known) == m::piece);
  CHECK(meaning_of(answer(206, "bytes 49-99/100"), 50, known) == m::wrong);
  CHECK(meaning_of(answer(206, ""), 50, known) == m::wrong);
  CHECK(meaning_of(answer(206, "bytes 0-99/100"), {}, known) == m::wrong);
  CHECK(meaning_of(answer(206, "bytes 50-99/100", "\"v2\""), 50, known) == m::changed);
  CHECK(meaning_of(answer(206, "bytes 50-100/101"), 50, known) == m::changed);
  CHECK(meaning_of(answer(206, "bytes 50-100/101", ""), 50, known) == m::changed);
  CHECK(meaning_of(answer(206, "bytes 0-49/100"), 0, {}) == m::piece);
  CHECK(meaning_of(answer(206, "bytes 0-49/*"), 0, {}) == m::wrong);
  CHECK(meaning_of(answer(206, "bytes 0-49/100"), 0, file_version{"", 100}) == m::piece);
  CHECK(meaning_of(answer(206, "bytes 0-49/99"), 0, file_version{"", 100}) == m::changed);
  CHECK(meaning_of(answer(200), 50, known) == m::whole);
  CHECK(meaning_of(answer(416, "bytes */100"), 100, file_version{"\"v1\"", {}}) == m::whole_is_here);
  CHECK(meaning_of(answer(416, "bytes */90"), 100, file_version{"\"v1\"", {}}) == m::shorter);
  CHECK(meaning_of(answer(416, ""), 100, known) == m::shorter);
  CHECK(meaning_of(answer(503), 50, known) == m::status);
}

TEST_CASE("a weak ETag tells no version; Last-Modified does", "[answer]") {
  auto a = answer(200, "", "W/\"v1\"");
  CHECK(validator_of(a).empty());
  a.last_modified = "Sat, 21 Nov 2026 01:02:03 GMT";
  CHECK(validator_of(a) == a.last_modified);
  a.etag = "\"v1\"";
  CHECK(validator_of(a) == "\"v1\"");
}

TEST_CASE("a host that refuses one connection of several is asked over fewer", "[answer]") {
  origin o(patience{}, 4);
  o.begin();
  o.failed(start, "503", false, 3, second_each);
  CHECK(o.allowed() == 3);
  CHECK(o.not_before() == start);
  o.failed(start, "503", false, 1, second_each);
  CHECK(o.allowed() == 1);
  o.failed(start, "503", false, 0, second_each);
  CHECK(o.allowed() == 1);
  CHECK(o.not_before() == start + 1s);
  CHECK_FALSE(o.given_up());
  o.brought(256U << 20);
  CHECK(o.allowed() == 2);
}

TEST_CASE("connections that break off together are one failure", "[answer]") {
  patience p;
  p.attempts = 2;
  origin o(p, 4);
  o.begin();
  o.brought(1000);
  for (unsigned others : {3U, 2U, 1U, 0U}) o.failed(start, "reset", true, others, second_each);
  CHECK_FALSE(o.given_up());
  CHECK(o.allowed() == 4);
}

TEST_CASE("a host is given up after so many attempts without a byte, or so long without one", "[answer]") {
  patience p;
  p.attempts = 3;
  p.longest = 60s;
  origin o(p, 4);
  o.begin();
  o.failed(start, "a", false, 0, second_each);
  o.failed(start, "b", false, 0, second_each);
  CHECK(o.not_before() == start + 2s);
  o.brought(1);
  o.failed(start, "c", true, 0, second_each);
  CHECK(o.not_before() == start + 1s);
  o.failed(start, "d", false, 0, second_each);
  CHECK_FALSE(o.given_up());
  SECTION("attempts") {
    o.failed(start, "e", false, 0, second_each);
    CHECK(o.given_up());
    CHECK(o.last_error() == "e");
  }
  SECTION("time") {
    o.waited(59s);
    o.check();
    CHECK_FALSE(o.given_up());
    o.waited(1s);
    o.check();
    CHECK(o.given_up());
  }
}

TEST_CASE("a host whose file changes all the time is read in one go, and then given up", "[answer]") {
  origin o(patience{}, 4);
  o.bears_ranges = origin::ranges::yes;
  o.changed("a");
  o.changed("b");
  CHECK(o.bears_ranges == origin::ranges::yes);
  o.changed("c");
  CHECK(o.bears_ranges == origin::ranges::no);
  for (int i = 0; i < 10; ++i) o.changed("d");
  CHECK(o.given_up());
}

TEST_CASE("ranges are read strictly", "[answer]") {
  CHECK(parse_content_range("bytes 5-9/10")->first == 5);
  CHECK(parse_content_range("bytes 5-9/10")->total == 10U);
  CHECK_FALSE(parse_content_range("bytes 5-9/*")->total);
  CHECK(parse_content_range("bytes */10")->first == 10);
  CHECK_FALSE(parse_content_range("bytes */*"));
  CHECK_FALSE(parse_content_range("5-9/10"));
  CHECK_FALSE(parse_content_range("bytes 5-9/99999999999999999999999").value_or(byte_range{}).total);
}
