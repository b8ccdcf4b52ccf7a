// Logs and evidence: nothing lost, nothing torn, nobody blocked.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/unique_fd.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

std::string joined(const std::string& log) {
  std::string text;
  for (const auto& line : parse_log(log)) {
    text += line.text;
    if (line.mark == 'F') text += '\n';
  }
  return text;
}

}  // namespace

TEST_CASE("both streams, an unfinished last line and bytes of any value are logged as they came") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "echo out; echo err >&2; printf 'a\\000b\\377\\001\\n'; printf 'no newline'"));
  d.wait<shim_tree_empty>();
  d.finish();
  const auto lines = parse_log(read_file(h.log()));
  REQUIRE(lines.size() == 4);
  std::vector<std::string> out;
  for (const auto& line : lines) {
    CHECK(line.mark == 'F');
    if (line.stream == "stdout")
      out.push_back(line.text);
    else
      CHECK(line.text == "err");
  }
  REQUIRE(out.size() == 3);
  CHECK(out[0] == "out");
  CHECK(out[1] == std::string("a\0b\377\1", 5));
  CHECK(out[2] == "no newline");
}

TEST_CASE("a line of 10 MB becomes parts of 16 KiB that join to the same line") {
  home h;
  const memory_log log;
  driver d(h);
  d.open();
  auto request =
      d.request(1,
                "head -c 10000000 /dev/zero | tr '\\000' x; echo; echo next; "
                "head -c 16384 /dev/zero | tr '\\000' y; echo; head -c 16385 /dev/zero | tr '\\000' z; echo");
  request.log.path = log.path;
  d.client.run(request);
  CHECK(d.wait<shim_tree_empty>().logs_dropped == 0);
  d.finish();
  const std::string text = read_file(log.path);
  for (const auto& line : parse_log(text)) REQUIRE(line.text.size() <= 16384);
  const bool same = joined(text) == std::string(10'000'000, 'x') + "\nnext\n" + std::string(16384, 'y') + "\n" +
                                        std::string(16385, 'z') + "\n";
  CHECK(same);
}

TEST_CASE("a flood of lines is written completely while the disk keeps up") {
  home h;
  const memory_log log;
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 400000");
  request.log.path = log.path;
  d.client.run(request);
  CHECK(d.wait<shim_tree_empty>().logs_dropped == 0);
  d.finish();
  std::string expected;
  for (int i = 1; i <= 400000; ++i) expected += std::to_string(i) + "\n";
  const bool complete = joined(read_file(log.path)) == expected;
  CHECK(complete);
}

TEST_CASE("rotation keeps as many files as asked, each within its size, in order and without a gap") {
  home h;
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 2000");
  request.log.max_size = 8192;
  request.log.max_files = 3;
  d.client.run(request);
  d.wait<shim_tree_empty>();
  d.finish();
  std::string all;
  for (const char* suffix : {".3", ".2", ".1", ""}) {
    const std::string text = read_file(h.log() + suffix);
    CHECK_FALSE(text.empty());
    CHECK(text.size() <= 8192);
    all += text;
  }
  CHECK_FALSE(std::filesystem::exists(h.log() + ".4"));
  const auto lines = parse_log(all);
  int last = 0;
  for (const auto& line : lines) {
    const int number = std::stoi(line.text);
    if (last != 0) REQUIRE(number == last + 1);
    last = number;
  }
  CHECK(last == 2000);
}

TEST_CASE("without kept files the log begins anew at its size") {
  home h;
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 2000");
  request.log.max_size = 8192;
  d.client.run(request);
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(read_file(h.log()).size() <= 8192);
  CHECK(joined(read_file(h.log())).find("\n2000\n") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(h.log() + ".1"));
}

TEST_CASE("a log file that somebody moved away is opened anew") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "echo one; while [ ! -e " + h.top() +
                                "/moved ]; do sleep 0.01; done; "
                                "while :; do echo two; sleep 0.05; done"));
  d.wait<shim_started>();
  REQUIRE(eventually([&] { return read_file(h.log()).find("one") != std::string::npos; }));
  std::filesystem::rename(h.log(), h.log() + ".moved");
  std::ofstream(h.top() + "/moved") << "x";
  REQUIRE(eventually([&] { return std::filesystem::exists(h.log()); }));
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("the evidence ring holds the end of the run, from its first whole line on") {
  home h;
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 100000; echo last >&2; printf unfinished");
  request.log.path.clear();
  d.client.run(request);
  d.wait<shim_main_exited>();
  const auto text = read_evidence(h.dirs, "unit@0", 1);
  REQUIRE(text.has_value());
  CHECK(text->size() <= 64 << 10);
  CHECK(text->size() > (64 << 10) - 32);
  const int first = std::stoi(*text);
  std::istringstream lines(*text);
  std::string line;
  int expected = first;
  int numbers = 0;
  while (std::getline(lines, line)) {
    if (line == "last" || line == "unfinished") continue;
    REQUIRE(line == std::to_string(expected++));
    ++numbers;
  }
  CHECK(expected == 100001);
  CHECK(numbers > 1000);
  CHECK(text->find("last\n") != std::string::npos);
  CHECK(text->find("unfinished\n") != std::string::npos);
  d.wait<shim_tree_empty>();

  d.client.run(d.request(2, "echo short"));
  d.wait<shim_main_exited>();
  CHECK(read_evidence(h.dirs, "unit@0", 2).value() == "short\n");
  const auto former = read_evidence(h.dirs, "unit@0", 1);
  REQUIRE(former.has_error());
  CHECK(former.error().message.find("run 2") != std::string::npos);
  CHECK(read_output(h.dirs, "unit@0", 1, 0).has_error());
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("what a run wrote since the last look is read in whole lines, and of too much the last ones") {
  home h;
  driver d(h);
  d.open();
  const std::string fifo = h.top() + "/go";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const base::unique_fd go(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  d.client.run(d.request(1, "exec <" + fifo + "; printf 'one\\ntw'; read x; echo o; read x; seq 1 100000"));
  const auto goes_on = [&] { REQUIRE(::write(go.get(), "x\n", 2) == 2); };
  const auto text_of = [&](std::uint64_t from) {
    const auto piece = read_output(h.dirs, "unit@0", 1, from);
    return piece ? piece->text : std::string();
  };
  const auto becomes = [&](std::uint64_t from, const std::string& text) {
    return eventually([&] {
      d.status();  // the loop goes on
      return text_of(from) == text;
    });
  };
  REQUIRE(becomes(0, "one\n"));
  const auto next = read_output(h.dirs, "unit@0", 1, 0).value().next;
  CHECK(next == 4);
  CHECK(text_of(next).empty());
  goes_on();
  REQUIRE(becomes(next, "two\n"));
  CHECK(read_output(h.dirs, "unit@0", 1, next).value().next == 8);
  goes_on();
  d.wait<shim_tree_empty>();
  const auto rest = read_output(h.dirs, "unit@0", 1, 8).value();
  CHECK(rest.text.size() <= 64 << 10);
  CHECK(rest.text.starts_with(std::to_string(std::stoi(rest.text)) + "\n"));
  CHECK(rest.text.ends_with("\n100000\n"));
  CHECK(text_of(rest.next).empty());
  CHECK(read_output(h.dirs, "unit@0", 0, rest.next).value().next == rest.next);
  d.finish();
}

TEST_CASE("with log_daily a file of another day is rotated, also across runs and compressed neighbours") {
  home h;
  std::ofstream(h.log()) << "2001-01-01T00:00:00.000000000Z stdout F old\n";
  std::ofstream(h.log() + ".1") << "older";
  std::ofstream(h.log() + ".2.zst") << "oldest";
  driver d(h);
  d.open();
  auto request = d.request(1, "echo new");
  request.log.max_files = 5;
  request.log.daily = true;
  d.client.run(request);
  d.wait<shim_tree_empty>();
  request = d.request(2, "echo newer");
  request.log.max_files = 5;
  request.log.daily = true;
  d.client.run(request);
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(joined(read_file(h.log())) == "new\nnewer\n");
  CHECK(joined(read_file(h.log() + ".1")) == "old\n");
  CHECK(read_file(h.log() + ".2") == "older");
  CHECK(read_file(h.log() + ".3.zst") == "oldest");
  CHECK_FALSE(std::filesystem::exists(h.log() + ".2.zst"));
}

TEST_CASE("compressed files count as rotated ones: the oldest goes") {
  home h;
  std::ofstream(h.log() + ".1.zst") << "one";
  std::ofstream(h.log() + ".2.zst") << "two";
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 200");
  request.log.max_size = 8192;
  request.log.max_files = 2;
  d.client.run(request);
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(std::filesystem::exists(h.log() + ".1"));
  CHECK(read_file(h.log() + ".2.zst") == "one");
  CHECK_FALSE(std::filesystem::exists(h.log() + ".3.zst"));
}

TEST_CASE("while another process renames the files of the directory, nothing is rotated and nothing is lost") {
  home h;
  const hasup::base::unique_fd directory(::open((h.top() + "/log").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::flock(directory.get(), LOCK_EX) == 0);
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 1000; touch " + h.top() + "/written; while [ ! -e " + h.top() +
                                  "/end ]; do sleep 0.01; done; echo last");
  request.log.max_size = 8192;
  request.log.max_files = 3;
  d.client.run(request);
  REQUIRE(eventually([&] { return read_file(h.log()).find(" 1000\n") != std::string::npos; }));
  CHECK_FALSE(std::filesystem::exists(h.log() + ".1"));
  REQUIRE(::flock(directory.get(), LOCK_UN) == 0);
  std::ofstream(h.top() + "/end") << "x";
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(joined(read_file(h.log())) == "last\n");
  CHECK(joined(read_file(h.log() + ".1")).ends_with("\n1000\n"));
  CHECK(d.client.status().logs_dropped == 0);
}

TEST_CASE("a calm shim stays small") {
  home h;
  const memory_log log;
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 200000; exec sleep 600");
  request.log.path = log.path;
  d.client.run(request);
  d.wait<shim_started>();
  REQUIRE(eventually([&] { return read_file(log.path).find("F 200000\n") != std::string::npos; }));
  // What it touched in the flood it gives back: private memory is what it costs each time, its text is shared.
  const auto private_bytes = [&] {
    std::ifstream rollup("/proc/" + std::to_string(d.client.status().shim_pid) + "/smaps_rollup");
    std::size_t sum = 0;
    for (std::string word; rollup >> word;)
      if (word == "Private_Dirty:" || word == "Anonymous:") {
        std::size_t kb = 0;
        rollup >> kb;
        if (word == "Anonymous:") sum = kb * 1024;
      }
    return sum;
  };
  CHECK(eventually([&] { return private_bytes() < 150'000; }));
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}
