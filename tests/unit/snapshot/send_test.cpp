// How an archive is cut for a store, and what is said to S3 about the pieces.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <thread>

#include "base/time_text.hpp"
#include "base/unique_fd.hpp"
#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/send/part_plan.hpp"
#include "snapshot/send/place_lock.hpp"
#include "snapshot/send/s3_texts.hpp"
#include "snapshot/send/sftp_commands.hpp"

using namespace hasup::snapshot;

TEST_CASE("pieces grow with the archive, so that 10,000 of them hold more than a terabyte") {
  CHECK(piece_size(1) == 16U << 20U);
  CHECK(piece_size(1000) == 16U << 20U);
  CHECK(piece_size(1001) == 32U << 20U);
  CHECK(piece_size(most_pieces) == 512U << 20U);
  std::uint64_t all = 0;
  for (unsigned n = 1; n <= most_pieces; ++n) {
    all += piece_size(n);
    if (n > 1) CHECK(piece_size(n) >= piece_size(n - 1));
  }
  CHECK(all > std::uint64_t{1} << 40U);
  CHECK(all < std::uint64_t{5} << 40U);
}

TEST_CASE("a host that takes less than the lowest rate is left, though it takes something all the time") {
  const hasup::base::unique_fd listens(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listens.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listens.get(), 1) == 0);
  REQUIRE(::getsockname(listens.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  std::thread host([&] {
    const hasup::base::unique_fd stream(::accept4(listens.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 4096> bytes{};
    pollfd never{-1, 0, 0};
    while (::recv(stream.get(), bytes.data(), bytes.size(), 0) > 0) ::poll(&never, 1, 5);  // 800 KB a second
  });
  patience p;
  p.longest = std::chrono::milliseconds(100);
  p.stall_s = 3600;
  p.lowest_rate = 64U << 20U;
  const job_control control;
  remote_client client(control, p);
  const std::string body(32U << 20U, 'x');
  std::string answer;
  const auto end = client.send("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/x",
                               {"PUT", body, {}}, answer, client.end_of_sending(body.size()));
  host.join();
  REQUIRE(end.has_value());
  CHECK(end->error.find("timed out") != std::string::npos);
}

TEST_CASE("the id of an upload is read, and the end names each piece") {
  CHECK(s3_upload_id("<?xml version=\"1.0\"?><InitiateMultipartUploadResult xmlns=\"x\"><Bucket>b</Bucket>"
                     "<UploadId> a+/= </UploadId></InitiateMultipartUploadResult>") == "a+/=");
  CHECK(s3_upload_id("<Error><Code>AccessDenied</Code></Error>").empty());
  CHECK(s3_upload_id("nonsense").empty());
  CHECK(s3_completion({"\"a\"", "b"}) ==
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag></Part>"
        "<Part><PartNumber>2</PartNumber><ETag>b</ETag></Part></CompleteMultipartUpload>");
}

TEST_CASE("uploads that were begun to a key are told from others, and when a piece came last") {
  const std::string list =
      "<ListMultipartUploadsResult xmlns=\"x\"><Bucket>b</Bucket>"
      "<Upload><Key>evm/x.tar.zst</Key><UploadId>one</UploadId><Initiated>2026-11-20T01:02:03.000Z</Initiated></"
      "Upload>"
      "<Upload><Key>evm/x.tar.zst.old</Key><UploadId>two</UploadId><Initiated>2026-11-20T01:02:03.000Z</Initiated>"
      "</Upload><Upload><Key>evm/x.tar.zst</Key><UploadId>three</UploadId></Upload></ListMultipartUploadsResult>";
  const auto begun = hasup::base::parse_time("2026-11-20T01:02:03Z");
  CHECK(s3_uploads_of(list, "evm/x.tar.zst") == std::vector<s3_upload>{{"one", *begun}});
  CHECK(s3_uploads_of("<Error/>", "evm/x.tar.zst").empty());
  CHECK(s3_uploads_of("nonsense", "evm/x.tar.zst").empty());
  const auto pieces = s3_newest_piece(
      "<ListPartsResult><Part><PartNumber>1</PartNumber><LastModified>2026-11-21T01:02:03.000Z</LastModified></Part>"
      "<Part><PartNumber>2</PartNumber><LastModified>2026-11-20T01:02:03.000Z</LastModified></Part>"
      "<IsTruncated>true</IsTruncated><NextPartNumberMarker>2</NextPartNumberMarker></ListPartsResult>");
  CHECK(pieces.is_list);
  CHECK(pieces.time == *hasup::base::parse_time("2026-11-21T01:02:03Z"));
  CHECK(pieces.more == "2");
  CHECK(s3_newest_piece("<ListPartsResult/>").is_list);
  CHECK_FALSE(s3_newest_piece("<ListPartsResult/>").time);
  CHECK_FALSE(s3_newest_piece("<Error><Code>NoSuchUpload</Code></Error>").is_list);
}

TEST_CASE("a store that knows no conditions says so; any other error is about this request") {
  const auto error = [](const std::string& code) { return "<Error><Code>" + code + "</Code></Error>"; };
  CHECK(s3_knows_no_conditions(501, ""));
  for (const char* code : {"NotImplemented", "InvalidArgument", "InvalidRequest"})
    CHECK(s3_knows_no_conditions(400, error(code)));
  for (const char* code : {"ExpiredToken", "RequestTimeout", "BadDigest"})
    CHECK_FALSE(s3_knows_no_conditions(400, error(code)));
  CHECK_FALSE(s3_knows_no_conditions(400, "nonsense"));
  CHECK_FALSE(s3_knows_no_conditions(403, error("InvalidRequest")));
}

TEST_CASE("of several commands the one that failed is named, and none when the host did not answer") {
  const std::vector<std::string> all{"*rmdir \"/p\"", "mkdir \"/p\"", "rmdir \"/p\""};
  CHECK(failed_command(all, "mkdir command failed: Permission denied") == all[1]);
  CHECK(failed_command(all, "rmdir command failed: Operation failed") == all[2]);
  CHECK(failed_command(all, "rm command failed: Operation failed").empty());
  CHECK(failed_command(all, "Failed to connect to host port 22").empty());
}

TEST_CASE("who is in a lock is read from the lines of a directory") {
  CHECK(
      holders_in("drwxr-xr-x    2 u  g  4096 Nov 23 01:00 .\ndrwxr-xr-x    2 u  g  4096 Nov 23 01:00 ..\n").empty());
  CHECK(holders_in("drwxr-xr-x 2 u g 4096 Nov 23 01:00 0123456789abcdef\r\n-rw-r--r-- 1 u g 0 Nov 23 01:00 .x\n") ==
        lock_holders{".x", "0123456789abcdef"});
  CHECK(holders_in("").empty());
  CHECK(is_lock_token("0123456789abcdef"));
  CHECK_FALSE(is_lock_token("0123456789abcde"));
  CHECK_FALSE(is_lock_token("../456789abcdef0"));
}

TEST_CASE("a lock is broken only when the same holder was seen for a whole patience, however short the waiter's is") {
  using verdict = lock_watch::verdict;
  using std::chrono::seconds;
  const lock_watch::time t0{};
  const lock_holders a{"a"}, b{"b"}, nobody;
  SECTION("it is a dead one's") {
    for (const auto& by : {a, nobody}) {
      lock_watch watch(t0, seconds(1));
      CHECK(watch.seen(by, t0 + seconds(1)) == verdict::wait);
      CHECK(watch.seen(by, t0 + seconds(30)) == verdict::wait);
      CHECK(watch.seen(by, t0 + seconds(31)) == verdict::break_it);
    }
  }
  SECTION("a longer patience is borne") {
    lock_watch watch(t0, seconds(120));
    CHECK(watch.seen(a, t0) == verdict::wait);
    CHECK(watch.seen(a, t0 + seconds(119)) == verdict::wait);
    CHECK(watch.seen(a, t0 + seconds(120)) == verdict::break_it);
  }
  SECTION("it changed hands, or was gone in between") {
    lock_watch watch(t0, seconds(1));
    CHECK(watch.seen(a, t0) == verdict::wait);
    CHECK(watch.seen(b, t0 + seconds(29)) == verdict::wait);
    CHECK(watch.seen(b, t0 + seconds(31)) == verdict::wait);
    CHECK(watch.gone(t0 + seconds(58)) == verdict::wait);
    CHECK(watch.seen(b, t0 + seconds(60)) == verdict::wait);
    CHECK(watch.seen(nobody, t0 + seconds(89)) == verdict::wait);
    CHECK(watch.seen(b, t0 + seconds(90)) == verdict::wait);
    CHECK(watch.seen(b, t0 + seconds(120)) == verdict::break_it);
  }
  SECTION("it cannot be removed") {
    lock_watch watch(t0, seconds(1));
    CHECK(watch.seen(a, t0) == verdict::wait);
    for (unsigned i = 0; i < lock_watch::most_breaks; ++i)
      CHECK(watch.seen(a, t0 + seconds(30)) == verdict::break_it);
    CHECK(watch.seen(a, t0 + seconds(30)) == verdict::stuck);
    CHECK(watch.seen(b, t0 + seconds(30)) == verdict::wait);
  }
  SECTION("others hold it one after another") {
    lock_watch watch(t0, seconds(1));
    for (int i = 0; i < 300; ++i) CHECK(watch.seen(i % 2 == 0 ? a : b, t0 + seconds(i)) == verdict::wait);
    CHECK(watch.seen(a, t0 + seconds(300)) == verdict::late);
    CHECK(watch.gone(t0 + seconds(300)) == verdict::late);
  }
}
