// Downloads in pieces over several connections, and the hosts that do not bear them.
#include <algorithm>
#include <atomic>
#include <map>

#include "fetching.hpp"

using namespace hasup;
using namespace hasup::test;

namespace {

constexpr std::size_t piece = 64U << 10;

std::string range_answer(const raw_request& r, const std::string& whole, const std::string& etag) {
  const auto from = static_cast<std::size_t>(r.range());
  const auto last =
      r.last() < 0 ? whole.size() - 1 : std::min<std::size_t>(static_cast<std::size_t>(r.last()), whole.size() - 1);
  const auto tag = etag.empty() ? "" : "ETag: " + etag + "\r\n";
  return "HTTP/1.1 206 Partial Content\r\nContent-Length: " + std::to_string(last - from + 1) +
         "\r\nContent-Range: bytes " + std::to_string(from) + "-" + std::to_string(last) + "/" +
         std::to_string(whole.size()) + "\r\n" + tag + "Connection: close\r\n\r\n" +
         whole.substr(from, last - from + 1);
}

// A host that does as RFC 9110 says.
std::string proper_answer(const raw_request& r, const std::string& whole, const std::string& etag = "\"v1\"") {
  const bool same = !r.has("If-Range: ") || r.has("If-Range: " + etag);
  if (r.range() >= 0 && same) return range_answer(r, whole, etag);
  return answer_200(whole, "Accept-Ranges: bytes\r\n" + (etag.empty() ? "" : "ETag: " + etag + "\r\n"),
                    r.method != "HEAD");
}

struct in_pieces : fetching {
  in_pieces() { options.piece = piece; }
};

std::size_t loads(const raw_server& host) {
  const auto all = host.requests();
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const raw_request& r) { return r.path == "/a.zst"; }));
}

}  // namespace

TEST_CASE("a large file comes in pieces, each asked for once", "[pieces]") {
  const auto whole = archive_bytes();
  raw_server host(
      [&](const raw_request& r) { return r.path == "/a.zst" ? proper_answer(r, whole) : answer_status(404); });
  in_pieces f;
  const bool announced = GENERATE(true, false);
  const auto out =
      f.from(host.url(), "a.zst", "", announced ? std::optional<std::uint64_t>(whole.size()) : std::nullopt);
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
  CHECK(out.sha256 == std::vector<std::string>{digest(whole)});
  CHECK(loads(host) == (whole.size() + piece - 1) / piece);
  std::map<long, int> starts;
  for (const auto& r : host.requests())
    if (r.path == "/a.zst") ++starts[r.range()];
  for (const auto& [from, count] : starts) CHECK(count == 1);
}

TEST_CASE("pieces that break off at any byte are gone on with there", "[pieces]") {
  const auto whole = archive_bytes();
  unsigned asked = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    const auto answer = proper_answer(r, whole);
    return ++asked % 3 == 0 ? answer : answer.substr(0, answer.size() - 1 - asked * 997 % 60'000);
  });
  in_pieces f;
  const auto out = f.from(host.url(), "a.zst", "", whole.size());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
}

TEST_CASE("a file that changes in the middle is never mixed", "[pieces]") {
  const std::string versions[] = {archive_bytes(1), archive_bytes(2)};
  const unsigned change = GENERATE(2U, 3U, 7U, 15U);
  const bool minds_if_range = GENERATE(true, false);
  unsigned asked = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    const bool second = ++asked > change;
    const auto etag = second ? "\"v2\"" : "\"v1\"";
    if (!minds_if_range && r.range() >= 0) return range_answer(r, versions[second ? 1 : 0], etag);
    return proper_answer(r, versions[second ? 1 : 0], etag);
  });
  in_pieces f;
  const auto out = f.from(host.url(), "a.zst", "", versions[0].size());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == versions[1]);
}

TEST_CASE("a host that changes its file all the time ends as unreachable, or whole", "[pieces]") {
  std::atomic<unsigned> asked = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    const unsigned version = ++asked;
    return proper_answer(r, archive_bytes(version), "\"v" + std::to_string(version) + "\"");
  });
  in_pieces f;
  const auto out = f.from(host.url(), "a.zst", "", archive_bytes().size());
  INFO(out.error);
  REQUIRE(out.ok());
  const auto got = get(f.cache());
  bool one_of_them = false;
  for (unsigned i = 1; i <= asked; ++i) one_of_them = one_of_them || got == archive_bytes(i);
  CHECK(one_of_them);
}

TEST_CASE("a 200 to a request for a range is the whole file", "[pieces]") {
  const auto whole = archive_bytes();
  const int kind = GENERATE(0, 1, 2);
  unsigned asked = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    ++asked;
    // Never ranges; only the first; or not from the fifth on, as when a proxy comes in between.
    if (kind == 0 || (kind == 1 && asked > 1) || (kind == 2 && asked > 4))
      return answer_200(whole, "ETag: \"v1\"\r\n");
    return proper_answer(r, whole);
  });
  in_pieces f;
  const auto out = f.from(host.url(), "a.zst", "", whole.size());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
  CHECK(out.sha256 == std::vector<std::string>{digest(whole)});
}

TEST_CASE("without ETag and Last-Modified pieces are joined only where a checksum tells", "[pieces]") {
  const auto whole = archive_bytes();
  const bool sum = GENERATE(true, false);
  raw_server host([&](const raw_request& r) {
    if (r.path == "/a.zst.sha256" && sum) return answer_200(digest(whole));
    return r.path == "/a.zst" ? proper_answer(r, whole, "") : answer_status(404);
  });
  in_pieces f;
  const auto out = f.from(host.url(), "a.zst", "", whole.size());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
  CHECK(loads(host) == (sum ? (whole.size() + piece - 1) / piece : 2));
}

TEST_CASE("a host that allows one connection is read over one", "[pieces]") {
  const auto whole = archive_bytes();
  unsigned asked = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    return ++asked > 1 && asked < 5 ? answer_status(503) : proper_answer(r, whole);
  });
  in_pieces f;
  f.soon.attempts = 6;
  const auto out = f.from(host.url(), "a.zst", "", whole.size());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
}

TEST_CASE("the next job asks only for what is not here", "[pieces]") {
  const auto whole = archive_bytes();
  const unsigned end = GENERATE(1U, 2U, 5U, 9U, 15U);
  unsigned asked = 0;
  std::atomic<bool> down = true;
  std::atomic<std::uint64_t> sent = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    if (down && ++asked > end) return answer_status(403);
    const auto answer = proper_answer(r, whole);
    sent += answer.size() - answer.find("\r\n\r\n") - 4;
    return answer;
  });
  in_pieces f;
  REQUIRE(f.from(host.url(), "a.zst", "", whole.size()).failure == worker_failure::unreachable);
  CHECK_FALSE(there(f.cache()));
  CHECK(sent == std::min<std::size_t>(end * piece, whole.size()));
  down = false;
  const auto out = f.from(host.url(), "a.zst", "", whole.size());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
  CHECK(sent == whole.size());
}

TEST_CASE("a note about a part that is shorter than it says is not believed", "[pieces]") {
  const auto whole = archive_bytes();
  unsigned asked = 0;
  std::atomic<bool> down = true;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    return down && ++asked > 6 ? answer_status(403) : proper_answer(r, whole);
  });
  in_pieces f;
  REQUIRE_FALSE(f.from(host.url(), "a.zst", "", whole.size()).ok());
  REQUIRE(there(f.cache("a.zst.resume")));
  SECTION("cut") {
    fs::resize_file(f.cache("a.zst.part"), 1000);
  }
  SECTION("gone") {
    fs::remove(f.cache("a.zst.part"));
  }
  SECTION("the note is torn") {
    fs::resize_file(f.cache("a.zst.resume"), 20);
  }
  SECTION("the note is of another file") {
    put(f.cache("a.zst.resume"), R"({"url":"x","validator":"y","total":1,"digest":"","here":[[0,1]]})");
  }
  down = false;
  const auto out = f.from(host.url(), "a.zst", "", whole.size());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
}
