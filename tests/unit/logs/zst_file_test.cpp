// Compressed log files: what is written is read, and the reader takes them for what they were.
#include "logs/zst_file.hpp"

#include "unit/logs/log_directory.hpp"

using namespace hasup::logs;
using namespace hasup::logs::test;

namespace {

std::string read_all(zst_reader& r, std::size_t at_a_time) {
  std::string all, part(at_a_time, '\0');
  for (ssize_t n = 0; (n = r.read(part.data(), part.size())) > 0;)
    all.append(part.data(), static_cast<std::size_t>(n));
  return all;
}

std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("a compressed file gives back every byte, whatever the size of the reads, and remembers what it was") {
  log_directory d;
  std::string text;
  for (int n = 0; n < 30'000; ++n) text += line(n);
  text += stamp(1) + " stdout P part\n" + stamp(1) + " stdout F " + std::string("\0\xff\n", 3);
  append(d.old(1), text);
  struct stat was {};
  REQUIRE(::stat(d.old(1).c_str(), &was) == 0);
  compress(d.old(1));
  CHECK(fs::file_size(d.old(1) + ".zst") < text.size() / 5);
  for (const std::size_t size : {std::size_t{7}, std::size_t{4096}, std::size_t{1} << 20}) {
    const hasup::base::unique_fd fd(::open((d.old(1) + ".zst").c_str(), O_RDONLY | O_CLOEXEC));
    zst_reader r(fd.get());
    CHECK(read_all(r, size) == text);
    const auto origin = read_origin(fd.get());
    REQUIRE(origin.has_value());
    CHECK(*origin == origin_of(was));
    CHECK(origin->lines == 30'001);
    struct stat now {};
    REQUIRE(::fstat(fd.get(), &now) == 0);
    CHECK(origin_of(now).written_ns == origin->written_ns);
  }
}

TEST_CASE("an empty file can be compressed") {
  log_directory d;
  append(d.old(1), "");
  compress(d.old(1));
  const hasup::base::unique_fd fd(::open((d.old(1) + ".zst").c_str(), O_RDONLY | O_CLOEXEC));
  zst_reader r(fd.get());
  CHECK(read_all(r, 10).empty());
  CHECK(read_origin(fd.get())->lines == 0);
}

TEST_CASE("a compressed file that was cut or altered is an error, never a short log in silence") {
  log_directory d;
  append_lines(d.old(1), 0, 5000);
  compress(d.old(1));
  const auto whole = file_text(d.old(1) + ".zst");
  const auto broken = [&](const std::string& bytes) {
    { std::ofstream(d.path + "/broken", std::ios::trunc) << bytes; }
    const hasup::base::unique_fd fd(::open((d.path + "/broken").c_str(), O_RDONLY | O_CLOEXEC));
    zst_reader r(fd.get());
    char part[4096];
    ssize_t n = 0;
    while ((n = r.read(part, sizeof part)) > 0) {
    }
    return n < 0;
  };
  for (std::size_t cut = 49; cut < whole.size(); cut += 97) REQUIRE(broken(whole.substr(0, cut)));
  auto altered = whole;
  altered[whole.size() / 2] = static_cast<char>(altered[whole.size() / 2] ^ 0x10);
  CHECK(broken(altered));

  { std::ofstream(d.old(1) + ".zst", std::ios::trunc) << whole.substr(0, whole.size() - 5); }
  append_lines(d.log(), 5000, 5001);
  log_reader reader(d.log());
  REQUIRE(reader.open(0).has_value());
  CHECK(rest(reader).back() == "line 5000");
  CHECK_FALSE(reader.damaged().empty());
}

TEST_CASE("plain and compressed files are one log, and the last lines are counted over both") {
  log_directory d;
  append_lines(d.old(3), 0, 10);
  append_lines(d.old(2), 10, 20);
  append_lines(d.old(1), 20, 30);
  append_lines(d.log(), 30, 35);
  compress(d.old(3));
  compress(d.old(2));
  log_reader all(d.log());
  REQUIRE(all.open(0).has_value());
  CHECK(rest(all) == numbers(0, 35));
  for (int count = 0; count <= 37; ++count) {
    INFO(count);
    log_reader r(d.log());
    REQUIRE(r.open_tail(static_cast<std::size_t>(count)).has_value());
    CHECK(rest(r) == numbers(std::max(0, 35 - count), 35));
  }
}

TEST_CASE("a line cut by a rotation is one line, also when its first half was compressed") {
  log_directory d;
  append(d.old(1), line(0) + stamp(1) + " stdout P long\n");
  append(d.log(), stamp(1) + " stdout P er\n" + stamp(1) + " stdout F est\n" + line(2));
  compress(d.old(1));
  log_reader all(d.log());
  REQUIRE(all.open(0).has_value());
  CHECK(rest(all) == std::vector<std::string>{"line 0", "longerest", "line 2"});
  log_reader last(d.log());
  REQUIRE(last.open_tail(3).has_value());
  CHECK(rest(last) == std::vector<std::string>{"line 0", "longerest", "line 2"});
}

TEST_CASE("a following reader loses and repeats nothing when the file it has read is compressed") {
  log_directory d;
  append_lines(d.old(1), 0, 5);
  append_lines(d.log(), 5, 10);
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == numbers(0, 10));
  // Rotated, compressed and moved on between two looks, and lines written before all of that.
  append_lines(d.log(), 10, 12);
  rotate(d);
  compress(d.old(1));
  append_lines(d.log(), 12, 15);
  rotate(d);
  compress(d.old(1));
  append_lines(d.log(), 15, 16);
  CHECK(rest(r) == numbers(10, 16));
  rotate(d);
  compress(d.old(1));
  CHECK(rest(r).empty());
  append_lines(d.log(), 16, 17);
  CHECK(rest(r) == numbers(16, 17));
}

TEST_CASE("a file that is rotated away and compressed while it is read is read to its end") {
  log_directory d;
  append_lines(d.old(1), 0, 20'000);
  append_lines(d.log(), 20'000, 20'010);
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  for (int n = 0; n < 10; ++n) REQUIRE(r.next()->text == "line " + std::to_string(n));
  compress(d.old(1));
  rotate(d);
  append_lines(d.log(), 20'010, 20'011);
  CHECK(rest(r) == numbers(10, 20'011));
}

TEST_CASE("the moment between the renames of a rotation hides no older file") {
  log_directory d;
  append_lines(d.old(4), 0, 1);
  append_lines(d.old(3), 1, 2);
  append_lines(d.old(1), 2, 3);  // 2 was just moved to 3
  append_lines(d.log(), 3, 4);
  log_reader r(d.log());
  REQUIRE(r.open(0).has_value());
  CHECK(rest(r) == numbers(0, 4));
}

TEST_CASE("files that another program compressed are read as well") {
  log_directory d;
  append_lines(d.old(1), 0, 10);
  compress(d.old(1));
  // Without the frame that says what it was.
  const auto bytes = file_text(d.old(1) + ".zst").substr(48);
  { std::ofstream(d.old(1) + ".zst", std::ios::trunc) << bytes; }
  append_lines(d.log(), 10, 12);
  log_reader r(d.log());
  REQUIRE(r.open_tail(5).has_value());
  CHECK(rest(r) == numbers(7, 12));
}
