// Listings as real servers write them, and what must not be taken from them.
#include "snapshot/listing.hpp"

#include <catch2/catch.hpp>

#include "base/time_text.hpp"
#include "show_result.hpp"
#include "snapshot/s3_listing.hpp"
#include "snapshot/sftp_listing.hpp"

using namespace hasup;
using namespace hasup::snapshot;

namespace {

const std::string base_url = "http://h/leap/";

std::vector<std::string> names(const std::vector<listed_file>& files) {
  std::vector<std::string> out;
  for (const auto& f : files) out.push_back(f.name);
  return out;
}

}  // namespace

TEST_CASE("nginx's HTML gives names, bytes and times", "[listing]") {
  const auto files = parse_html_listing(
      "<html>\r\n<head><title>Index of /leap/</title></head>\r\n<body>\r\n<h1>Index of /leap/</h1><hr><pre>"
      "<a href=\"../\">../</a>\r\n<a href=\"old/\">old/</a>                 21-Nov-2026 01:02                   -\r\n"
      "<a href=\"snap%20a%2Bb.bin.zst\">snap a+b.bin.zst</a>    21-Nov-2026 01:02           123456789\r\n"
      "<a "
      "href=\"snapshot-0000000100000000000000000000000000000000000000000000000000000000.bin.zst\">snapshot-00000001"
      "0000000000000000000000000000000000000000..&gt;</a> 03-Jan-2025 23:59        4096\r\n"
      "<a href=\"empty.zst\">empty.zst</a>  21-Nov-2026 01:02      0\r\n"
      "<a href=\"x.zst.sha256\">x.zst.sha256</a>  21-Nov-2026 01:02      64\r\n"
      "<a href=\".pending-snapshot.bin\">p</a>  21-Nov-2026 01:02      64\r\n"
      "<a href=\"up.zst.part\">p</a>  21-Nov-2026 01:02      64\r\n</pre><hr></body>\r\n</html>\r\n",
      base_url);
  REQUIRE(files.size() == 2);
  CHECK(files[0].name == "snap a+b.bin.zst");
  CHECK(files[0].url == "http://h/leap/snap%20a%2Bb.bin.zst");
  CHECK(files[0].size == 123456789U);
  CHECK(base::format_time(*files[0].time) == "2026-11-21T01:02:00Z");
  CHECK_FALSE(files[0].time_exact);
  CHECK(files[1].size == 4096U);
  CHECK(base::format_time(*files[1].time) == "2025-01-03T23:59:00Z");
}

TEST_CASE("Apache's table gives times, and its rounded sizes are left out", "[listing]") {
  const auto files = parse_html_listing(
      R"(<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a href="/">Parent Directory</a></td></tr>
<tr><td valign="top"></td><td><a href="snap-1.tar.gz">snap-1.tar.gz</a></td><td align="right">2026-11-21 01:02  </td><td align="right"> 12K</td><td>&nbsp;</td></tr>
<tr><td valign="top"></td><td><a href="/leap/snap-2.tar.gz">snap-2.tar.gz</a></td><td align="right">2026-11-22 01:02  </td><td align="right">1.1G</td><td>&nbsp;</td></tr>
</table>)",
      base_url);
  CHECK(names(files) == std::vector<std::string>{"snap-1.tar.gz", "snap-2.tar.gz"});
  CHECK_FALSE(files[0].size);
  CHECK(base::format_time(*files[1].time) == "2026-11-22T01:02:00Z");
}

TEST_CASE("an empty file of Apache's table has its size, so that it is no snapshot", "[listing]") {
  const std::string html =
      R"(<tr><td valign="top">&nbsp;</td><td><a href="snap-4.bin">snap-4.bin</a></td><td align="right">2026-11-22 16:19  </td><td align="right">  0 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="snap-3.bin">snap-3.bin</a></td><td align="right">2026-11-22 16:19  </td><td align="right">512 </td><td>&nbsp;</td></tr>
<tr><td valign="top">&nbsp;</td><td><a href="snap-2.bin">snap-2.bin</a></td><td align="right">2026-11-22 16:19  </td><td align="right"> 98K</td><td>&nbsp;</td></tr>)";
  const auto files = parse_html_listing(html, base_url);
  REQUIRE(names(files) == std::vector<std::string>{"snap-3.bin", "snap-2.bin"});
  CHECK(files[0].size == 512U);
  CHECK_FALSE(files[1].size);
}

TEST_CASE("Caddy's HTML gives exact sizes and times", "[listing]") {
  const auto files = parse_html_listing(
      R"(<tr class="file"><td></td><td><a href="./snap-3.tar.zst"><svg></svg><span class="name">snap-3.tar.zst</span></a></td>
<td class="size" data-size="7340032"><div class="sizebar"><div class="sizebar-text">7.0 MiB</div></div></td>
<td class="timestamp hideable"><time datetime="2026-11-21T01:02:03Z">11/21/2026 01:02:03 AM</time></td></tr>
<tr class="file"><td></td><td><a href="./sub/"><span>sub</span></a></td><td data-order="-1">&mdash;</td></tr>)",
      base_url);
  REQUIRE(files.size() == 1);
  CHECK(files[0].size == 7340032U);
  CHECK(files[0].time_exact);
  CHECK(base::format_time(*files[0].time) == "2026-11-21T01:02:03Z");
}

TEST_CASE("plain links suffice, and links elsewhere are not ours", "[listing]") {
  const auto files = parse_html_listing(
      "<li><a href=\"a.tar\">a.tar</a></li><LI><A HREF='b&amp;c.tar'>b</A><a href=http://h/leap/d.tar>d</a>"
      "<a href=\"http://other/leap/e.tar\">e</a><a href=\"//other/f.tar\">f</a><a href=\"../g.tar\">g</a>"
      "<a href=\"sub/h.tar\">h</a><a href=\"..%2Fi.tar\">i</a><a href=\"a.tar\">again</a><a href=\"%00.tar\">z</a>",
      base_url);
  CHECK(names(files) == std::vector<std::string>{"a.tar", "b&c.tar", "d.tar"});
  CHECK(parse_html_listing("", base_url).empty());
  CHECK(parse_html_listing("<html>nothing here</html>", base_url).empty());
}

TEST_CASE("JSON listings of nginx and Caddy and a manifest are read", "[listing]") {
  const auto nginx = parse_json_listing(
      R"([{ "name":"old", "type":"directory", "mtime":"Sat, 21 Nov 2026 01:02:03 GMT" },
{ "name":"a.tar.zst", "type":"file", "mtime":"Sat, 21 Nov 2026 01:02:03 GMT", "size":5000000000 }])",
      base_url);
  REQUIRE(nginx->size() == 1);
  CHECK((*nginx)[0].size == 5'000'000'000U);
  CHECK((*nginx)[0].time_exact);
  CHECK(base::format_time(*(*nginx)[0].time) == "2026-11-21T01:02:03Z");
  const auto caddy = parse_json_listing(
      R"([{"name":"b.zst","size":1,"url":"./b.zst","mod_time":"2026-11-21T01:02:03.5Z","is_dir":false},{"name":"d/","size":1,"is_dir":true}])",
      base_url);
  REQUIRE(caddy->size() == 1);
  CHECK((*caddy)[0].url == base_url + "b.zst");
  const auto manifest = parse_json_listing("{\"snapshots\":[{\"name\":\"c.zst\",\"size\":2,\"sha256\":\"" +
                                               std::string(64, 'A') + "\",\"time\":1795222923},{\"name\":7},5]}",
                                           base_url);
  REQUIRE(manifest->size() == 1);
  CHECK((*manifest)[0].sha256 == std::string(64, 'a'));
  CHECK(base::format_time(*(*manifest)[0].time) == "2026-11-21T01:02:03Z");
  const auto names =
      parse_json_listing(R"(["d.zst", "sub/", "../e.zst", {"filename":"f.zst","size":3}, null])", base_url);
  REQUIRE(names->size() == 2);
  CHECK((*names)[0].url == base_url + "d.zst");
  CHECK_FALSE((*names)[0].size);
  CHECK((*names)[1].name == "f.zst");
  const std::string origin = base_url.substr(0, base_url.find('/', 8));
  const auto urls = parse_json_listing(
      R"([{"name":"g.zst","url":"old/g%20.zst"}, {"url":"/all/h%2B.zst","size":4}, {"url":"../i.zst?x=/y"},
          "https://other/j.zst", {"name":"k.zst","url":"ftp://h/k.zst"}, {"name":"l.zst","url":"a b"}, {"url":7}])",
      base_url);
  REQUIRE(urls->size() == 6);
  const auto is = [&](std::size_t i, const std::string& name, const std::string& url) {
    CHECK((*urls)[i].name == name);
    CHECK((*urls)[i].url == url);
  };
  is(0, "g.zst", base_url + "old/g%20.zst");
  is(1, "h+.zst", origin + "/all/h%2B.zst");
  is(2, "i.zst", base_url + "../i.zst?x=/y");
  is(3, "j.zst", "https://other/j.zst");
  is(4, "k.zst", base_url + "k.zst");
  is(5, "l.zst", base_url + "l.zst");
  CHECK((*parse_json_listing(R"([{"name":"a.zst","url":"../b.zst"}])", "file:///dir/"))[0].url ==
        "file:///dir/a.zst");
  CHECK_FALSE(parse_json_listing("{\"error\":1}", base_url).has_value());
  CHECK_FALSE(parse_listing("", base_url).has_value());
  CHECK_FALSE(parse_listing("[1,", base_url).has_value());
}

TEST_CASE("a digest of an index is read with its kind before it, and one that cannot be read is not none",
          "[listing]") {
  const std::string hex(64, 'a');
  const auto sha256 = [](const std::string& value) {
    return parse_json_listing(R"([{"name":"a.zst","sha256":)" + value + "}]", base_url)->at(0).sha256;
  };
  CHECK(sha256("\"" + hex + "\"") == hex);
  CHECK(sha256("\"sha256:" + std::string(64, 'A') + "\"") == hex);
  for (const auto* none : {"null", "\"\""}) CHECK(sha256(none).empty());
  for (const auto& bad : {"\"" + hex.substr(4) + "\"", std::string("\"zz\""), std::string("12"), "[\"" + hex + "\"]",
                          "\"md5:" + hex + "\"", "\"" + hex + " \""})
    CHECK(sha256(bad) == snapshot::unreadable_digest);
  const auto others =
      parse_json_listing(R"([{"name":"a.zst","md5":"md5:)" + hex.substr(32) + R"(","sha512":"zz"}])", base_url)
          ->at(0)
          .other_digests;
  CHECK(others.at(digest_kind::md5) == hex.substr(32));
  CHECK(others.at(digest_kind::sha512) == snapshot::unreadable_digest);
}

TEST_CASE("side files of every common form give the digest of the right name", "[listing]") {
  const std::string a(64, 'a');
  const std::string b(64, 'b');
  CHECK(find_digest(a, "x", true) == a);
  CHECK(find_digest(std::string(64, 'A') + "\n", "x", true) == a);
  CHECK(find_digest(a + "  /srv/other-name\n", "x", true) == a);
  CHECK(find_digest(b + "  y\n" + a + " *x\n", "x", true) == a);
  CHECK(find_digest(b + "  y\n" + a + "  ./x\r\n", "x", false) == a);
  CHECK(find_digest("SHA256 (x) = " + a + "\n", "x", false) == a);
  CHECK_FALSE(find_digest(b + "  y\n", "x", false));
  CHECK_FALSE(find_digest(b + "  y\n" + a + "  z\n", "x", true));
  CHECK_FALSE(find_digest("not a digest\n", "x", true));
  CHECK_FALSE(find_digest("", "x", true));
  CHECK_FALSE(find_digest(a.substr(1), "x", true));
}

TEST_CASE("passwords never reach a message", "[listing]") {
  CHECK(without_password("https://u:p@h/x@y") == "https://h/x@y");
  CHECK(without_password("https://h/x@y") == "https://h/x@y");
  CHECK(without_password("/dir") == "/dir");
  CHECK(without_password("https://u:p@h/x?X-Amz-Signature=1&a=b@c") == "https://h/x?…");
  CHECK(without_password("http://h/latest?token=t") == "http://h/latest?…");
  CHECK(without_password("https://h?key=a@SECRET") == "https://h?…");
  CHECK(without_password("https://u:p@h?key=a@SECRET") == "https://h?…");
  CHECK(without_password("https://u:p@h#a@b") == "https://h#a@b");
  CHECK(without_password("file:///dir/what?.zst") == "file:///dir/what?.zst");
  CHECK(without_password("sftp://me@h/what?.zst") == "sftp://h/what?.zst");
}

TEST_CASE("an SFTP host's lines: files and links with exact sizes, and times as good as they are", "[listing]") {
  const auto now = *base::parse_time("2026-03-02T00:00:00Z");
  const std::string lines =
      "drwxr-xr-x    2 backup   backup       4096 Feb 28 10:12 .\n"
      "-rw-r--r--    1 backup   backup  5000000000 Feb 28 10:12 snap 100%.bin\n"
      "-rw-r--r--    1 1000     1000            7 Dec  1 23:59 old.bin\n"
      "-rw-r--r--+   1 1000     1000            7 Jan  1  2024 older.bin\n"
      "lrwxrwxrwx    1 1000     1000           12 Mar  1 01:02 latest.bin -> snap 100%.bin\n"
      "-rw-r--r--    1 1000     1000            0 Mar  1 01:02 empty.bin\n"
      "-rw-r--r--    1 1000     1000            9 Mar  1 01:02 new.bin.part\n"
      "prw-r--r--    1 1000     1000            9 Mar  1 01:02 pipe.bin\n"
      "-rw-r--r--    1 1000     1000           99 Mar  1 01:02 manifest.json\n";
  const auto found = snapshot::parse_sftp_listing(lines, "sftp://h/d/", now);
  REQUIRE(found);
  REQUIRE(found->size() == 5);
  CHECK((*found)[0].name == "snap 100%.bin");
  CHECK((*found)[0].url == "sftp://h/d/snap%20100%25.bin");
  CHECK((*found)[0].size == 5'000'000'000U);
  CHECK(base::format_time(*(*found)[0].time) == "2026-02-28T10:12:00Z");
  CHECK_FALSE((*found)[0].time_exact);
  CHECK(base::format_time(*(*found)[1].time) == "2025-12-01T23:59:00Z");
  CHECK(base::format_time(*(*found)[2].time) == "2024-01-01T00:00:00Z");
  CHECK((*found)[3].name == "latest.bin");
  CHECK_FALSE((*found)[3].size);
  CHECK((*found)[4].name == "manifest.json");
  CHECK(snapshot::parse_sftp_listing("", "sftp://h/d/", now)->empty());
  CHECK_FALSE(snapshot::parse_sftp_listing("11-21-26  01:02AM  5 a.bin\n", "sftp://h/d/", now));
}

TEST_CASE("an S3 listing, page by page", "[listing]") {
  const auto page = [](const std::string& more) {
    return "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
           "<Name>b</Name><Prefix>leap/</Prefix>" +
           more + "</ListBucketResult>";
  };
  const auto object = [](const std::string& key, const std::string& size) {
    return "<Contents><Key>" + key + "</Key><LastModified>2026-11-21T01:02:03.000Z</LastModified><Size>" + size +
           "</Size></Contents>";
  };
  const auto first = snapshot::parse_s3_page(
      page("<IsTruncated>true</IsTruncated><NextContinuationToken>a/b+c=</NextContinuationToken>" +
           object("leap/", "0") + object("leap/s&amp;1 +.bin", "7") + object("leap/old/s-2.bin", "7") +
           object("leap/s-3.bin.part", "7") + object("leap/manifest.json", "7") + object("other/s-4.bin", "7")),
      "https://b.s3.eu-1.amazonaws.com/", "leap/");
  REQUIRE(first);
  CHECK(first->continuation == "a/b+c=");
  REQUIRE(first->files.size() == 2);
  CHECK(first->files[0].name == "s&1 +.bin");
  CHECK(first->files[0].url == "https://b.s3.eu-1.amazonaws.com/leap/s%261%20%2B.bin");
  CHECK(first->files[0].size == 7U);
  CHECK(first->files[0].time_exact);
  CHECK(base::format_time(*first->files[0].time) == "2026-11-21T01:02:03Z");
  CHECK(first->files[1].name == "manifest.json");
  const auto last = snapshot::parse_s3_page(page("<IsTruncated>false</IsTruncated>"), "https://h/b/", "leap/");
  REQUIRE(last);
  CHECK(last->continuation.empty());
  CHECK_FALSE(snapshot::parse_s3_page(page("<IsTruncated>true</IsTruncated>"), "https://h/b/", ""));
  CHECK_FALSE(snapshot::parse_s3_page("<html><body>hello</body></html>", "https://h/b/", ""));
  CHECK_FALSE(snapshot::parse_s3_page("<ListBucketResult><Conte", "https://h/b/", ""));
  CHECK(snapshot::s3_error_text("<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>") ==
        "NoSuchBucket: no");
  CHECK(snapshot::s3_error_text("no XML").empty());
}

TEST_CASE("side files of every kind, as their tools write them", "[listing]") {
  const std::string md5(32, 'a');
  const std::string sha512(128, 'b');
  CHECK(find_digest(md5 + "  x.bin\n", "x.bin", false, digest_kind::md5) == md5);
  CHECK(find_digest("MD5 (x.bin) = " + md5 + "\n", "x.bin", false, digest_kind::md5) == md5);
  CHECK(find_digest("BLAKE2b (x (1).bin) = " + sha512 + "\n", "x (1).bin", false, digest_kind::blake2b) == sha512);
  CHECK(find_digest(sha512 + " *x.bin\n", "x.bin", false, digest_kind::sha512) == sha512);
  CHECK_FALSE(find_digest(md5 + "  x.bin\n", "x.bin", false, digest_kind::sha256));
  CHECK_FALSE(find_digest(sha512 + "  x.bin\n", "x.bin", true, digest_kind::md5));
  for (const auto* name :
       {"x.bin.md5", "x.bin.b2sum", "x.bin.sha512sum", "MD5SUMS", "B2SUMS", "SHA512SUMS", "x.minisig"})
    CHECK_FALSE(is_snapshot_name(name));
}

TEST_CASE("an index of chunks is no snapshot; the archive beside it knows of it") {
  CHECK(kind_of_name("a.tar.zst.chunks") == name_kind::beside);
  auto html = parse_html_listing(R"(<a href="a%20b.tar.zst.chunks">x</a><a href="a%20b.tar.zst">x</a>
                                    <a href="c.tar.zst">x</a><a href="d.tar.zst.chunks">x</a>)",
                                 base_url);
  join_chunk_indexes(html);
  REQUIRE(html.size() == 2);
  CHECK(html[0].name == "a b.tar.zst");
  CHECK(html[0].chunks == base_url + "a%20b.tar.zst.chunks");
  CHECK(html[1].chunks.empty());
  auto index = parse_json_listing(R"([{"name":"a","chunks":"a.chunks"},{"name":"b","chunks":"../b.chunks"},
                                      {"name":"c","chunks":"c.sha256"},{"name":"d","chunks":7},{"name":"e"},
                                      {"name":"e.chunks","size":0}])",
                                  base_url);
  REQUIRE(index.has_value());
  join_chunk_indexes(*index);
  REQUIRE(index->size() == 5);
  CHECK(index->at(0).chunks == base_url + "a.chunks");
  for (std::size_t i = 1; i < 5; ++i) CHECK(index->at(i).chunks.empty());
  auto all = parse_html_listing(R"(<a href="a.chunks">x</a><a href="a">x</a>)", base_url, listed::everything);
  join_chunk_indexes(all, listed::everything);
  REQUIRE(all.size() == 2);
  CHECK(all[1].chunks == base_url + "a.chunks");
}
