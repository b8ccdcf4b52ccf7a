// What a new shim does with the outputs of a node that another shim, or nobody of ours, started.
#include <csignal>
#include <cstddef>
#include <cstring>

#include "process/shim_record.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

// The numbers of the lines "N WHO", in the order of the log; a line that is being written does not count yet.
std::vector<int> numbers_of(const std::string& log, const std::string& who) {
  std::vector<int> out;
  for (const auto& line : parse_log(log.substr(0, log.rfind('\n') + 1)))
    if (line.text.ends_with(" " + who)) out.push_back(std::stoi(line.text));
  return out;
}

bool is_whole(const std::vector<int>& numbers, int count) {
  if (static_cast<int>(numbers.size()) != count) return false;
  for (int i = 0; i < count; ++i)
    if (numbers[static_cast<std::size_t>(i)] != i) return false;
  return true;
}

// Lines far above what a pipe holds.
constexpr int flood = 30'000;
std::string flood_of(const std::string& who) {
  return "seq -f '%.0f " + who + "' 0 " + std::to_string(flood - 1);
}

std::string wait_for_file(const std::string& path) {
  return "while [ ! -e " + path + " ]; do sleep 0.01; done";
}

void touch(const std::string& path) {
  std::ofstream(path) << "x";
}

void kill_shim(driver& d) {
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
}

}  // namespace

TEST_CASE("what a node writes after the death of its shim is in the log, once and in order, however much it is") {
  home h;
  const memory_log log;
  driver d(h);
  d.open();
  const std::string go = h.top() + "/go";
  auto request = d.request(1, wait_for_file(go) + "; " + flood_of("out") + "; " + flood_of("err") + " >&2; " +
                                  wait_for_file(go + "2") + "; exit 3");
  request.log.path = log.path;
  d.client.run(request);
  const auto started = d.wait<shim_started>();
  kill_shim(d);
  touch(go);
  d.client.open();
  // Before anybody tells it to attach: the pipe would be full.
  REQUIRE(d.wait<shim_connected>().status.phase == shim_phase::orphaned);
  REQUIRE(eventually([&] { return is_whole(numbers_of(read_file(log.path), "err"), flood); }));
  CHECK(is_whole(numbers_of(read_file(log.path), "out"), flood));
  d.client.attach(started.pid, started.start_time, 1);
  d.wait<shim_started>();
  CHECK_FALSE(d.client.status().from_outside);
  touch(go + "2");
  CHECK(d.wait<shim_main_exited>().exit.lost());
  CHECK(d.wait<shim_tree_empty>().logs_dropped == 0);
  d.finish();
}

TEST_CASE("a child that outlives shim and main process is read to its end") {
  home h;
  const memory_log log;
  driver d(h);
  d.open();
  const std::string go = h.top() + "/go";
  auto request =
      d.request(1, "(setsid sh -c 'touch " + go + "0; " + wait_for_file(go) + "; " +
                       "i=0; while [ $i -lt 20000 ]; do echo $i child; i=$((i+1)); done' &); exec sleep 600");
  request.log.path = log.path;
  d.client.run(request);
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return std::filesystem::exists(go + "0"); }));
  kill_shim(d);
  ::kill(started.pid, SIGKILL);
  REQUIRE(eventually([&] { return !is_alive({started.pid, started.start_time}); }));
  d.client.open();
  CHECK(d.wait<shim_connected>().status.phase == shim_phase::exited);
  touch(go);
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(is_whole(numbers_of(read_file(log.path), "child"), 20'000));
}

TEST_CASE("a main process with other outputs does not hide the child that still writes into the pipe") {
  home h;
  const memory_log log;
  driver d(h);
  d.open();
  const std::string go = h.top() + "/go";
  const std::string other = h.top() + "/other";
  auto request =
      d.request(1, "(" + wait_for_file(go) + "; " + flood_of("child") + "; touch " + go + "3) & exec > " + other +
                       " 2>&1; " + wait_for_file(go) + "; echo not for the log; " + wait_for_file(go + "2"));
  request.log.path = log.path;
  d.client.run(request);
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return std::filesystem::exists(other); }));
  kill_shim(d);
  touch(go);
  d.client.open();
  d.wait<shim_connected>();
  d.client.attach(started.pid, started.start_time, 1);
  d.wait<shim_started>();
  REQUIRE(eventually([&] { return std::filesystem::exists(go + "3"); }));
  touch(go + "2");
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(is_whole(numbers_of(read_file(log.path), "child"), flood));
  CHECK(read_file(log.path).find("not for the log") == std::string::npos);
}

namespace {

// The record as a shim of version 0.1.0 would have left it: shorter, and without the pipes.
void age_record(const home& h) {
  const std::string path = h.dirs.state + "/records/unit@0";
  std::string page = read_file(path);
  shim_record record;
  REQUIRE(page.size() >= record_page_size);
  std::uint64_t sequence = read_record_page(page.data(), record);
  REQUIRE(sequence > 0);
  REQUIRE(record.out_pipe != 0);
  for (int i = 0; i < 2; ++i) {
    auto* slot = reinterpret_cast<record_slot*>(page.data()) + i;
    slot->length = offsetof(shim_record, in_cgroup);
    slot->sequence = ++sequence;
    memcpy(slot->record, static_cast<const void*>(&record), slot->length);
    slot->checksum = checksum_of(*slot);
  }
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).write(page.data(), record_page_size);
}

}  // namespace

TEST_CASE("of a run that an older shim started the outputs of its main process are read") {
  home h;
  const memory_log log;
  driver d(h);
  d.open();
  const std::string go = h.top() + "/go";
  const std::string both = GENERATE(as<std::string>(), "", "exec 2>&1; ");
  auto request = d.request(1, both + "touch " + go + "0; " + wait_for_file(go) + "; " + flood_of("out") +
                                  "; echo 0 err >&2; " + wait_for_file(go + "2"));
  request.log.path = log.path;
  d.client.run(request);
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return std::filesystem::exists(go + "0"); }));
  kill_shim(d);
  age_record(h);
  touch(go);
  d.client.open();
  REQUIRE(d.wait<shim_connected>().status.phase == shim_phase::orphaned);
  d.client.attach(started.pid, started.start_time, 1);
  d.wait<shim_started>();
  CHECK_FALSE(d.client.status().from_outside);
  REQUIRE(eventually([&] { return is_whole(numbers_of(read_file(log.path), "err"), 1); }));
  CHECK(is_whole(numbers_of(read_file(log.path), "out"), flood));
  touch(go + "2");
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a signal that the shim did not live to pass on is sent by the next one") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "trap 'echo asked to end; exit 0' TERM; echo ready; while :; do sleep 0.05; done"));
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return read_file(h.log()).find("ready") != std::string::npos; }));
  ::kill(d.client.status().shim_pid, SIGSTOP);
  d.client.signal(SIGTERM, false);
  d.io.restart();
  d.io.poll();
  kill_shim(d);
  d.client.open();
  d.wait<shim_connected>();
  d.client.attach(started.pid, started.start_time, 1);
  d.wait<shim_started>();
  CHECK(d.wait<shim_main_exited>().exit.lost());
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(read_file(h.log()).find("asked to end") != std::string::npos);
}

TEST_CASE("the piece of a line that a killed shim left is cut off and said") {
  home h;
  {
    driver d(h);
    d.open();
    d.client.run(d.request(1, "echo whole"));
    d.wait<shim_tree_empty>();
    d.finish();
  }
  std::ofstream(h.log(), std::ios::app) << "2026-11-21T01:02:03.123456789Z stdout F torn li";
  driver d(h);
  d.open();
  d.client.run(d.request(2, "echo next"));
  d.wait<shim_tree_empty>();
  d.finish();
  std::vector<std::string> texts;
  for (const auto& line : parse_log(read_file(h.log()))) texts.push_back(line.text);
  CHECK(texts == std::vector<std::string>{"whole", "hasup: 1 lines dropped", "next"});
}

namespace {

// A process that never was under a shim, with this descriptor as both of its outputs.
class outsider {
 public:
  outsider(int output, const std::string& script) {
    pid = ::fork();
    if (pid == 0) {
      ::setsid();
      ::dup2(output, STDOUT_FILENO);
      ::dup2(output, STDERR_FILENO);
      for (int fd = 3; fd < 64; ++fd) ::close(fd);
      ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
      ::_exit(127);
    }
    start_time = process_start_time(pid).value_or(0);
    REQUIRE(eventually([&] { return read_file("/proc/" + std::to_string(pid) + "/comm") != "test_process\n"; }));
  }
  ~outsider() {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  outsider(const outsider&) = delete;
  outsider& operator=(const outsider&) = delete;

  pid_t pid = -1;
  std::uint64_t start_time = 0;
};

}  // namespace

TEST_CASE("of a process from outside only what nobody else reads is attached, and it is known as such") {
  home h;
  driver d(h);
  d.open();
  // Its log is known from a run before.
  d.client.run(d.request(1, "echo first"));
  d.wait<shim_tree_empty>();
  const bool has_reader = GENERATE(false, true);
  const std::string go = h.top() + "/go";
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  // A reader of its own: a process that is neither the shim nor in the tree.
  const pid_t reader = has_reader ? ::fork() : 0;
  if (has_reader && reader == 0) {
    ::close(ends[1]);
    for (;;) ::pause();
  }
  outsider stranger(ends[1], wait_for_file(go) + "; echo 0 outside; " + wait_for_file(go + "2"));
  ::close(ends[1]);
  ::close(ends[0]);
  d.client.attach(stranger.pid, stranger.start_time, 2);
  d.wait<shim_started>();
  CHECK(d.status().from_outside);
  CHECK(d.client.status().attached);
  REQUIRE(d.client.status().started_at);
  CHECK(*d.client.status().started_at <= std::chrono::system_clock::now());
  CHECK(*d.client.status().started_at > std::chrono::system_clock::now() - std::chrono::minutes(5));
  const auto record = read_raw_record(h.dirs, "unit@0");
  REQUIRE(record);
  CHECK((record->out_pipe != 0) == !has_reader);
  touch(go);
  if (!has_reader) {
    CHECK(eventually([&] { return is_whole(numbers_of(read_file(h.log()), "outside"), 1); }));
  }
  touch(go + "2");
  d.wait<shim_main_exited>();
  d.wait<shim_tree_empty>();
  d.finish();
  if (has_reader) {
    CHECK(numbers_of(read_file(h.log()), "outside").empty());
    ::kill(reader, SIGKILL);
    ::waitpid(reader, nullptr, 0);
  }
}

TEST_CASE("a process from outside whose output is a file or the null device is taken over without its output") {
  home h;
  driver d(h);
  d.open();
  const std::string file = h.top() + "/own.log";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  REQUIRE(fd >= 0);
  outsider stranger(fd, "echo to the file; exec sleep 600");
  ::close(fd);
  d.client.attach(stranger.pid, stranger.start_time, 5);
  CHECK(d.wait<shim_started>().pid == stranger.pid);
  const auto record = read_raw_record(h.dirs, "unit@0");
  REQUIRE(record);
  CHECK(record->out_pipe == 0);
  CHECK(record->err_pipe == 0);
  d.client.signal(SIGTERM, false);
  CHECK(d.wait<shim_main_exited>().exit.lost());
  d.wait<shim_tree_empty>();
  d.finish();
}
