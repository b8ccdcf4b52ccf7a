// Log disks that are full, gone or stalled: the node does not notice, and nothing is missing in silence.
#include <sys/mount.h>

#include <algorithm>
#include <optional>

#include "base/unique_fd.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

// Of the line that a shim writes where others are missing.
std::optional<std::uint64_t> missing_lines(const std::string& text) {
  unsigned long long n = 0;
  char end[8] = {};
  if (std::sscanf(text.c_str(), "hasup: %llu lines droppe%7s", &n, end) != 2 || std::string(end) != "d")
    return std::nullopt;
  return n;
}

}  // namespace

TEST_CASE("a full log disk blocks nobody; what is missing is counted, and told in the log when there is room again") {
  home h;
  const std::string disk = h.top() + "/log";
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=256k") != 0) {
    WARN("skipped: this process may not mount a small tmpfs");
    return;
  }
  {
    driver d(h);
    d.open();
    auto request = d.request(1, "seq 1 1000000; echo evidence; touch " + h.top() + "/written; while [ ! -e " +
                                    h.top() + "/room ]; do sleep 0.01; done; i=0; while [ ! -e " + h.top() +
                                    "/end ]; do i=$((i+1)); echo again $i; sleep 0.05; done");
    request.log.max_size = 0;
    d.client.run(request);
    // The node comes to its end of the flood although nothing can be written.
    REQUIRE(eventually([&] { return std::filesystem::exists(h.top() + "/written"); }));
    CHECK(d.wait<shim_logs_dropped>().lines > 0);
    REQUIRE(eventually([&] { return d.status().logs_dropped > 900'000; }));
    REQUIRE(eventually(
        [&] { return read_evidence(h.dirs, "unit@0", 1).value().find("evidence\n") != std::string::npos; }));
    // Told as soon as there is room, by a silent node too.
    const auto told = [&] { return read_file(h.log()).rfind(" lines dropped\n"); };
    const auto before = told();
    REQUIRE(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0);
    REQUIRE(eventually([&] { return told() != before; }));
    std::ofstream(h.top() + "/room") << "x";
    REQUIRE(eventually([&] { return read_file(h.log()).find("again 3") != std::string::npos; }));
    std::ofstream(h.top() + "/end") << "x";
    CHECK(d.wait<shim_main_exited>().exit.code == 0);
    d.wait<shim_tree_empty>();
    const auto dropped = d.status().logs_dropped;
    d.finish();
    // What is there and what the log says to be missing is, in this order, all that was written.
    std::uint64_t line_number = 0, missing_in_all = 0;
    for (const auto& line : parse_log(read_file(h.log()))) {
      if (const auto missing = missing_lines(line.text)) {
        missing_in_all += *missing;
        line_number += *missing;
        continue;
      }
      const auto n = ++line_number;
      const std::uint64_t flood = 1'000'000;
      REQUIRE(line.text == (n <= flood       ? std::to_string(n)
                            : n == flood + 1 ? std::string("evidence")
                                             : "again " + std::to_string(n - flood - 1)));
    }
    CHECK(missing_in_all == dropped);
    CHECK(line_number > 1'000'003);
  }
  ::umount2(disk.c_str(), MNT_DETACH);
}

TEST_CASE("a log that cannot be opened costs lines, never the node") {
  home h;
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 100000; exit 2");
  request.log.path = h.top() + "/missing/unit.log";
  d.client.run(request);
  CHECK(d.wait<shim_main_exited>().exit.code == 2);
  d.wait<shim_tree_empty>();
  REQUIRE(eventually([&] { return d.status().logs_dropped == 100000; }));
  CHECK(read_evidence(h.dirs, "unit@0", 1).value().find("100000\n") != std::string::npos);
  d.finish();
}

TEST_CASE("a log disk that stalls delays the node once, then drops whole lines and loses no evidence") {
  home h;
  // A FIFO that is opened but never read is a disk that does not answer.
  REQUIRE(::mkfifo(h.log().c_str(), 0600) == 0);
  const int hold = ::open(h.log().c_str(), O_RDWR | O_CLOEXEC);
  driver d(h);
  d.open();
  d.client.run(d.request(1, "seq 1 1000000; exit 8"));
  CHECK(d.wait<shim_main_exited>().exit.code == 8);
  d.wait<shim_tree_empty>();
  CHECK(d.status().logs_dropped > 500'000);
  CHECK(read_evidence(h.dirs, "unit@0", 1).value().find("\n1000000\n") != std::string::npos);
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  ::close(hold);
}

TEST_CASE("a shim that is told to end does not wait for a stalled disk for ever, and counts what it gives up") {
  home h;
  REQUIRE(::mkfifo(h.log().c_str(), 0600) == 0);
  const base::unique_fd hold(::open(h.log().c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 30000");  // more than the pipe takes, less than the queue
  request.log.max_size = 0;
  d.client.run(request);
  d.wait<shim_tree_empty>();
  CHECK(d.status().logs_dropped == 0);
  d.finish();
  const auto record = read_record(h.dirs, "unit@0");
  REQUIRE(record.has_value());
  // A pipe takes what it has room for; the last line of that may be torn.
  std::string text;
  char bytes[64 * 1024];
  for (ssize_t n = 0; (n = ::read(hold.get(), bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<std::size_t>(n));
  const auto written = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  CHECK(record->logs_dropped > 0);
  CHECK(record->logs_dropped >= 30'000 - written);
  CHECK(record->logs_dropped <= 30'000);
}

TEST_CASE("a disk that answers again is told of the last lines that are missing, although the node is silent now") {
  home h;
  REQUIRE(::mkfifo(h.log().c_str(), 0600) == 0);
  const base::unique_fd fifo(::open(h.log().c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 1000000; touch " + h.top() + "/written; exec sleep 1000");
  request.log.max_size = 0;
  d.client.run(request);
  d.wait<shim_logs_dropped>();
  REQUIRE(eventually([&] { return std::filesystem::exists(h.top() + "/written"); }));
  std::string text;
  REQUIRE(eventually([&] {
    char bytes[64 * 1024];
    const auto before = text.size();
    for (ssize_t n = 0; (n = ::read(fifo.get(), bytes, sizeof bytes)) > 0;)
      text.append(bytes, static_cast<std::size_t>(n));
    if (text.size() == before) return false;
    std::uint64_t lines = 0;
    for (const auto& line : parse_log(text.substr(0, text.rfind('\n') + 1)))
      lines += missing_lines(line.text).value_or(1);
    return lines == 1'000'000;
  }));
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a disk that answers again gets one line that says how many are missing, at their place") {
  home h;
  REQUIRE(::mkfifo(h.log().c_str(), 0600) == 0);
  const base::unique_fd fifo(::open(h.log().c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  driver d(h);
  d.open();
  auto request = d.request(1, "seq 1 1000000; touch " + h.top() + "/written; while [ ! -e " + h.top() +
                                  "/end ]; do echo after; sleep 0.02; done");
  request.log.max_size = 0;
  d.client.run(request);
  d.wait<shim_logs_dropped>();
  REQUIRE(eventually([&] { return std::filesystem::exists(h.top() + "/written"); }));
  // The disk answers again. What the node writes before that was noticed may be missing as well.
  std::string text;
  const auto take = [&] {
    char bytes[64 * 1024];
    for (ssize_t n = 0; (n = ::read(fifo.get(), bytes, sizeof bytes)) > 0;)
      text.append(bytes, static_cast<std::size_t>(n));
  };
  REQUIRE(eventually([&] {
    take();
    return text.find(" after\n") != std::string::npos;
  }));
  std::ofstream(h.top() + "/end") << "x";
  d.wait<shim_tree_empty>();
  const auto dropped = d.status().logs_dropped;
  d.finish();
  take();
  std::uint64_t line_number = 0, told = 0;
  for (const auto& line : parse_log(text)) {
    if (const auto missing = missing_lines(line.text)) {
      told += *missing;
      line_number += *missing;
      continue;
    }
    ++line_number;
    REQUIRE(line.text == (line_number <= 1'000'000 ? std::to_string(line_number) : std::string("after")));
  }
  CHECK(line_number > 1'000'000);
  CHECK(told == dropped);
}
