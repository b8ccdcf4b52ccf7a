// Downloads through everything that a network and a backup host do to them.
#include "snapshot/fetch/fetch.hpp"

#include <fcntl.h>
#include <sys/mount.h>

#include "fetching.hpp"
#include "snapshot/create/frame_compressor.hpp"
#include "snapshot/delta/frame.hpp"
#include "snapshot/listing.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;

TEST_CASE("a download that is cut off goes on where it ended", "[fetch]") {
  const auto whole = archive_bytes();
  int cuts = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    const auto answer = good_answer(r, whole);
    return cuts++ < 3 ? answer.substr(0, 300'000) : answer;
  });
  fetching f;
  const auto out = f.from(host.url());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
  CHECK(out.sha256 == std::vector<std::string>{digest(whole)});
  CHECK_FALSE(out.verified);
  CHECK(out.bytes == whole.size());
  int ranged = 0;
  for (const auto& r : host.requests()) ranged += r.range() > 0 ? 1 : 0;
  CHECK(ranged == 3);
  CHECK_FALSE(there(f.cache("a.zst.part")));
}

TEST_CASE("a part of an earlier job is resumed, and started over when the file changed", "[fetch]") {
  const auto old_version = archive_bytes(1);
  const auto new_version = archive_bytes(2);
  bool cut = true;
  const std::string* current = &old_version;
  std::string etag = "\"v1\"";
  raw_server host([&](const raw_request& r) {
    if (r.path == "/a.zst.sha256") return answer_200(digest(*current) + "  a.zst\n");
    if (r.path != "/a.zst") return answer_status(404);
    const long from = r.range();
    auto answer = from > 0 && r.has("If-Range: " + etag)
                      ? partial(*current, static_cast<std::size_t>(from), "ETag: " + etag + "\r\n")
                      : answer_200(*current, "ETag: " + etag + "\r\n");
    return cut ? answer.substr(0, 400'000) : answer;
  });
  fetching f;
  f.soon.attempts = 1;
  REQUIRE(f.from(host.url()).failure == worker_failure::unreachable);
  CHECK(fs::file_size(f.cache("a.zst.part")) > 300'000);
  cut = false;
  SECTION("the same version") {}
  SECTION("a new version") {
    current = &new_version;
    etag = "\"v2\"";
  }
  f.soon.attempts = 3;
  const auto out = f.from(host.url());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(out.verified);
  CHECK(get(f.cache()) == *current);
}

TEST_CASE("wrong answers to a range never join two files", "[fetch]") {
  const auto whole = archive_bytes();
  int ranged = 0;
  bool first = true;
  const int kind = GENERATE(0, 1, 2, 3);
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    if (r.range() < 0) {
      const auto answer = answer_200(whole, "ETag: \"v1\"\r\n");
      return std::exchange(first, false) ? answer.substr(0, 200'000) : answer;
    }
    ++ranged;
    const auto from = static_cast<std::size_t>(r.range());
    if (kind == 0) return partial(whole, from - 1);                                             // another place
    if (kind == 1) return partial(whole, from, "ETag: \"v2\"\r\n");                             // another version
    if (kind == 2) return partial(whole + "longer", from);                                      // another length
    return std::string("HTTP/1.1 206 P\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");  // says nothing
  });
  fetching f;
  const auto out = f.from(host.url());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(ranged == 1);
  CHECK(get(f.cache()) == whole);
}

TEST_CASE("a wrong checksum deletes what came and blames the snapshot with both digests", "[fetch]") {
  const auto whole = archive_bytes();
  raw_server host([&](const raw_request& r) {
    if (r.path == "/a.zst") return good_answer(r, whole);
    if (r.path == "/SHA256SUMS") return answer_200(std::string(64, 'b') + "  a.zst\n");
    return answer_status(404);
  });
  fetching f;
  const auto out = f.from(host.url());
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.snapshot == "a.zst");
  CHECK(out.error.find(digest(whole)) != std::string::npos);
  CHECK(out.error.find(std::string(64, 'b')) != std::string::npos);
  CHECK_FALSE(there(f.cache()));
  CHECK_FALSE(there(f.cache("a.zst.part")));
}

TEST_CASE("a part that was spoilt on disk is fetched again before anything is blamed", "[fetch]") {
  const auto whole = archive_bytes();
  bool cut = true;
  raw_server host([&](const raw_request& r) {
    if (r.path == "/a.zst.sha256") return answer_200(digest(whole));
    if (r.path != "/a.zst") return answer_status(404);
    return cut ? good_answer(r, whole).substr(0, 400'000) : good_answer(r, whole);
  });
  fetching f;
  f.soon.attempts = 1;
  REQUIRE_FALSE(f.from(host.url()).ok());
  auto part = get(f.cache("a.zst.part"));
  part[1000] = static_cast<char>(~part[1000]);
  put(f.cache("a.zst.part"), part);
  cut = false;
  const auto out = f.from(host.url());
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(f.cache()) == whole);
}

TEST_CASE("without the required checksum nothing is fetched", "[fetch]") {
  raw_server host([&](const raw_request& r) { return r.path == "/a.zst" ? answer_200("x") : answer_status(404); });
  fetching f;
  f.job.checksum = model::checksum_policy::required;
  const auto out = f.from(host.url());
  CHECK(out.failure == worker_failure::refused);
  CHECK(out.error.find("recovery.checksum") != std::string::npos);
  for (const auto& r : host.requests()) CHECK(r.path != "/a.zst");
}

TEST_CASE("no answer about a checksum is not the answer that there is none", "[fetch]") {
  const int status = GENERATE(500, 401);
  raw_server host([&](const raw_request& r) { return r.path == "/a.zst" ? answer_200("x") : answer_status(status); });
  fetching f;
  CHECK(f.from(host.url()).failure == worker_failure::unreachable);
  CHECK_FALSE(there(f.cache()));
}

TEST_CASE("a store that answers 403 for what is not there has no checksum, where none is required", "[fetch]") {
  bool readable = true;
  raw_server host(
      [&](const raw_request& r) { return r.path == "/a.zst" && readable ? answer_200("x") : answer_status(403); });
  fetching f;
  f.job.checksum = model::checksum_policy::required;
  auto out = f.from(host.url());
  CHECK(out.failure == worker_failure::unreachable);
  CHECK(out.error.find("403") != std::string::npos);
  f.job.checksum = model::checksum_policy::if_present;
  readable = false;
  CHECK(f.from(host.url()).failure == worker_failure::unreachable);
  CHECK_FALSE(there(f.cache()));
  readable = true;
  out = f.from(host.url());
  INFO(out.error);
  CHECK(out.ok());
  REQUIRE(out.notes.size() == 1);
  CHECK(out.notes[0].find("a.zst is taken to have no checksum: it can be read, and ") == 0);
}

TEST_CASE("a page instead of a side file is no checksum; a side file without a digest is an error", "[fetch]") {
  std::string side;
  raw_server host([&](const raw_request& r) { return r.path == "/a.zst" ? answer_200("x") : answer_200(side); });
  fetching f;
  side = "<html>not found</html>";
  CHECK(f.from(host.url()).ok());
  side = "no digest here\n";
  CHECK(f.from(host.url(), "a.zst").failure == worker_failure::unreachable);
}

TEST_CASE("a digest in manifest.json that cannot be read is an error, as one of a side file is", "[fetch]") {
  std::string manifest;
  raw_server host([&](const raw_request& r) {
    return r.path == "/a.zst"           ? answer_200("x")
           : r.path == "/manifest.json" ? answer_200(manifest)
                                        : answer_status(404);
  });
  for (const auto& [key, value] : {std::pair{"sha256", "\"zz\""}, {"sha256", "7"}, {"md5", "\"sha256:aa\""}}) {
    manifest = std::string(R"({"snapshots":[{"name":"a.zst",")") + key + "\":" + value + "}]}";
    fetching f;
    auto out = f.from(host.url());
    CHECK(out.failure == worker_failure::unreachable);
    CHECK(out.error == host.url() + "manifest.json holds no " + key + " digest of a.zst; correct it or remove it");
    CHECK_FALSE(there(f.cache()));
  }
  // What its listing has said already.
  fetching f;
  const auto out = f.from(host.url(), "a.zst", std::string(snapshot::unreadable_digest));
  CHECK(out.failure == worker_failure::unreachable);
  CHECK(out.error == "the listing holds no sha256 digest of a.zst; correct it or remove it");
  manifest = R"({"snapshots":[{"name":"a.zst","sha256":"sha256:)" + digest("x") + R"("}]})";
  CHECK(f.from(host.url()).verified);
}

TEST_CASE("hosts that fail are unreachable and blame nobody", "[fetch]") {
  const int kind = GENERATE(0, 1, 2, 3);
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    if (kind == 0) return answer_status(404);
    if (kind == 1) return answer_status(503);
    if (kind == 2) return std::string("garbage\r\n\r\n");
    return answer_200(archive_bytes()).substr(0, 100'000);  // always cut, never resumable
  });
  fetching f;
  const auto out = f.from(host.url(), "a.zst", "", 1'000'000);
  INFO(out.error);
  CHECK(out.failure == worker_failure::unreachable);
  CHECK(out.snapshot == "a.zst");
  CHECK_FALSE(there(f.cache()));
}

TEST_CASE("a host that passes its bad moment is tried again", "[fetch]") {
  int asked = 0;
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    return ++asked < 3 ? answer_status(503) : answer_200("whole");
  });
  fetching f;
  CHECK(f.from(host.url()).ok());
  CHECK(get(f.cache()) == "whole");
}

TEST_CASE("the announced size is held to", "[fetch]") {
  raw_server host(
      [&](const raw_request& r) { return r.path == "/a.zst" ? answer_200("12345") : answer_status(404); });
  fetching f;
  CHECK(f.from(host.url(), "a.zst", "", 6).failure == worker_failure::unreachable);  // it changed since it was listed
  CHECK(f.from(host.url(), "a.zst", digest("12345"), 6).failure == worker_failure::bad_snapshot);
  CHECK(f.from(host.url(), "a.zst", "", 5).ok());
}

TEST_CASE("what is whole in the cache is not fetched again, unless it is another file now", "[fetch]") {
  std::string body = "first version";
  std::string etag = "\"v1\"";
  bool with_digest = GENERATE(true, false);
  raw_server host([&](const raw_request& r) {
    if (r.path == "/a.zst.sha256" && with_digest) return answer_200(digest(body));
    if (r.path == "/a.zst") return answer_200(body, "ETag: " + etag + "\r\n", r.method != "HEAD");
    return answer_status(404);
  });
  const auto loads = [&] {
    int n = 0;
    for (const auto& r : host.requests()) n += r.path == "/a.zst" && r.method == "GET" ? 1 : 0;
    return n;
  };
  fetching f;
  REQUIRE(f.from(host.url()).ok());
  auto again = f.from(host.url());
  REQUIRE(again.ok());
  CHECK(again.verified == with_digest);
  CHECK(again.sha256 == std::vector<std::string>{digest(body)});
  CHECK(loads() == 1);
  body = "other version";
  etag = "\"v2\"";
  REQUIRE(f.from(host.url()).ok());
  CHECK(loads() == 2);
  CHECK(get(f.cache()) == body);
  // Changed behind our back: the seal does not fit any more.
  put(f.cache(), "other versioN");
  REQUIRE(f.from(host.url()).ok());
  CHECK(loads() == 3);
  CHECK(get(f.cache()) == body);
}

TEST_CASE("without HEAD and without a checksum what is in the cache is not fetched again either", "[fetch]") {
  const int refused = GENERATE(405, 501);
  std::atomic<bool> changed{false};
  std::atomic<int> sent{0};
  const auto whole = archive_bytes();
  raw_server host([&](const raw_request& r) {
    if (r.method == "HEAD") return answer_status(refused);
    if (r.path != "/a.zst") return answer_status(404);
    ++sent;
    return answer_200(whole, changed ? "ETag: \"v2\"\r\n" : "ETag: \"v1\"\r\n");
  });
  fetching f;
  const auto first = f.from(host.url());
  CHECK(first.ok());
  CHECK(first.work_bytes == whole.size());
  sent = 0;
  const auto second = f.from(host.url());
  CHECK(second.ok());
  CHECK(second.work_bytes == 0);
  CHECK(sent == 1);  // which was looked at
  changed = true;
  CHECK(f.from(host.url()).work_bytes == whole.size());
}

TEST_CASE("a good archive in the cache survives a failed fetch of its successor", "[fetch]") {
  bool up = true;
  raw_server host([&](const raw_request& r) {
    if (r.path == "/a.zst" && up) return answer_200("good", "ETag: \"v1\"\r\n", r.method != "HEAD");
    if (r.path == "/a.zst")
      return answer_200(archive_bytes(), "ETag: \"v2\"\r\n", r.method != "HEAD").substr(0, 5000);
    return answer_status(404);
  });
  fetching f;
  REQUIRE(f.from(host.url()).ok());
  up = false;
  CHECK(f.from(host.url()).failure == worker_failure::unreachable);
  CHECK(get(f.cache()) == "good");
}

TEST_CASE("too little space is refused before the first byte, with numbers", "[fetch]") {
  raw_server host(
      [&](const raw_request& r) { return r.path == "/a.zst" ? answer_200("12345") : answer_status(404); });
  fetching f;
  f.job.min_free = 1ULL << 62U;
  const auto out = f.from(host.url());
  CHECK(out.failure == worker_failure::no_space);
  CHECK(out.error.find("must stay free") != std::string::npos);

  temp_tree small;
  if (::geteuid() != 0 || ::mount("none", small.path().c_str(), "tmpfs", 0, "size=512k") != 0) return;
  const auto whole = archive_bytes();
  raw_server big([&](const raw_request& r) {
    // Without a length, so that only the disk itself tells.
    return r.path == "/a.zst" ? "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + whole : answer_status(404);
  });
  f.job.min_free = 0;
  f.job.data_dir = small / "node";
  CHECK(f.from(big.url()).failure == worker_failure::no_space);
  CHECK_FALSE(there(f.cache()));
  CHECK(::umount(small.path().c_str()) == 0);
}

TEST_CASE("archives from a directory are copied and verified the same way", "[fetch]") {
  fetching f;
  const auto whole = archive_bytes();
  put(f / "backup/a b.zst", whole);
  put(f / "backup/a b.zst.sha256sum", digest(whole) + "  a b.zst\n");
  const auto from = [&](const std::string& name) {
    f.job.chosen = ports::candidate{
        0, {{name, "file://" + (f / "backup/a%20b.zst"), "file://" + (f / "backup/"), {}, {}, {}, ""}}};
    return snapshot::fetch(f.job, f.control, f.soon);
  };
  auto out = from("a b.zst");
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(out.verified);
  CHECK(get(f.cache("a b.zst")) == whole);
  put(f / "backup/a b.zst.sha256sum", std::string(64, '0') + "  a b.zst\n");
  CHECK(from("a b.zst").failure == worker_failure::bad_snapshot);
  fs::remove(f / "backup/a b.zst");
  fs::remove(f / "backup/a b.zst.sha256sum");
  CHECK(from("a b.zst").failure == worker_failure::unreachable);
  CHECK(from("../a").failure == worker_failure::refused);
}

TEST_CASE("an archive of larger chunks is put together from a file at hand, which is cut likewise", "[fetch]") {
  fetching f;
  std::string content;
  while (content.size() < 12'000'000) content += archive_bytes(static_cast<unsigned>(content.size() + 1));
  const auto doublings = GENERATE(1U, snapshot::content_chunker::most_doublings);
  std::string whole;
  snapshot::chunk_index index;
  snapshot::frame_options options;
  options.chunks = true;
  options.doublings = index.doublings = doublings;
  auto frames = snapshot::frame_compressor::start(
      options, [&](std::string_view bytes, const std::vector<snapshot::chunk>& of) -> snapshot::outcome<void> {
        whole += bytes;
        index.chunks.insert(index.chunks.end(), of.begin(), of.end());
        return {};
      });
  REQUIRE(frames.has_value());
  REQUIRE((*frames)->add(content.data(), content.size()).has_value());
  REQUIRE((*frames)->finish().has_value());
  index.archive = snapshot::sha256_of(whole);
  const auto text = write_chunk_index(index);
  const bool with_head = GENERATE(true, false);
  raw_server host([&](const raw_request& r) {
    const auto* is = r.path == "/a.zst" ? &whole : r.path == "/a.zst.chunks" ? &text : nullptr;
    if (r.method == "HEAD" && !with_head) return answer_status(405);
    if (is == nullptr) return answer_status(404);
    return answer_200(*is, "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\n", r.method != "HEAD");
  });
  put(f / "log", content);
  model::snapshot wanted{"a.zst", host.url() + "a.zst",          host.url(), whole.size(), {},
                         {},      with_head ? digest(whole) : ""};
  wanted.chunks = wanted.url + ".chunks";
  f.job.chosen = ports::candidate{0, {wanted}};
  f.job.seeds = {f / "log"};
  const auto out = snapshot::fetch(f.job, f.control, f.soon);
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(out.at_hand == whole.size());
  CHECK(get(f.cache()) == whole);
}

TEST_CASE("a copy from a directory goes on where an earlier job ended, of the same file only", "[fetch]") {
  auto whole = archive_bytes();
  while (whole.size() < 9'000'000) whole += archive_bytes(static_cast<unsigned>(whole.size()));
  fetching f;
  const auto original = f / "backup/a.zst";
  put(original, whole);
  const bool announced = GENERATE(false, true);
  if (announced) put(original + ".sha256", digest(whole) + "\n");
  const auto copy = [&](std::uint64_t until) {
    f.control = snapshot::job_control("", [&, until] {
      return until > 0 && there(f.cache("a.zst.part")) && fs::file_size(f.cache("a.zst.part")) >= until;
    });
    f.job.max_rate = until > 0 ? 10'000'000 : 0;  // or all is here before anybody asks whether it was cancelled
    f.job.chosen =
        ports::candidate{0, {{"a.zst", "file://" + original, "file://" + (f / "backup/"), {}, {}, {}, ""}}};
    return snapshot::fetch(f.job, f.control, f.soon);
  };
  REQUIRE(copy(3'000'000).error == "cancelled");
  REQUIRE(there(f.cache("a.zst.resume")));
  const auto kept = fs::file_size(f.cache("a.zst.part"));
  REQUIRE(kept < whole.size());

  SECTION("the same file") {
    // What is kept is not read again: it could be anything now, and only the checksum would tell.
    const auto old = fs::last_write_time(original);
    auto other = whole;
    other.front() = static_cast<char>(other.front() ^ 1);
    put(original, other);
    fs::last_write_time(original, old);
    const auto out = copy(0);
    INFO(out.error);
    REQUIRE(out.ok());
    CHECK(get(f.cache()) == whole);
  }
  SECTION("another file of that size") {
    const auto other = std::string(whole.rbegin(), whole.rend());
    put(original, other);
    fs::last_write_time(original, fs::last_write_time(original) + std::chrono::seconds(5));
    if (announced) put(original + ".sha256", digest(other) + "\n");
    const auto out = copy(0);
    INFO(out.error);
    REQUIRE(out.ok());
    CHECK(get(f.cache()) == other);
  }
  SECTION("a kept part that was spoilt is copied again when a checksum tells") {
    if (!announced) return;
    std::fstream part(f.cache("a.zst.part"), std::ios::in | std::ios::out | std::ios::binary);
    part.put(static_cast<char>(whole.front() ^ 1));
    part.close();
    const auto out = copy(0);
    INFO(out.error);
    REQUIRE(out.ok());
    CHECK(get(f.cache()) == whole);
  }
}

TEST_CASE("a fetch that is cancelled keeps its part", "[fetch]") {
  const auto whole = archive_bytes();
  std::atomic<bool> stop{false};
  raw_server host([&](const raw_request& r) {
    if (r.path != "/a.zst") return answer_status(404);
    stop = true;
    return good_answer(r, whole).substr(0, 500'000);
  });
  fetching f;
  f.control = snapshot::job_control("", [&] { return stop.load(); });
  const auto out = f.from(host.url());
  CHECK(out.failure == worker_failure::internal);
  CHECK(out.error == "cancelled");
  CHECK(there(f.cache("a.zst.part")));
}
