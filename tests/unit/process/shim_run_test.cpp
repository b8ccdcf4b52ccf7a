// Runs, exits, errors and repeated requests, with real processes.
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "process/shim_files.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

TEST_CASE("a run tells its start, its exit code and its empty tree, and the next run follows in the same shim") {
  home h;
  driver d(h);
  d.open();
  CHECK(d.client.status().phase == shim_phase::idle);
  d.client.run(d.request(1, "exit 3"));
  const auto started = d.wait<shim_started>();
  CHECK(started.run == 1);
  CHECK(started.pid > 0);
  const auto exited = d.wait<shim_main_exited>();
  CHECK(exited.exit.code == 3);
  CHECK_FALSE(exited.exit.signal);
  CHECK(std::chrono::system_clock::now() - exited.at < patience);
  CHECK(d.wait<shim_tree_empty>().run == 1);
  const auto shim_pid = d.client.status().shim_pid;

  d.client.run(d.request(2, "kill -SEGV $$"));
  d.wait<shim_started>();
  CHECK(d.wait<shim_main_exited>().exit.signal == SIGSEGV);
  d.wait<shim_tree_empty>();
  CHECK(d.client.status().shim_pid == shim_pid);
  const auto record = read_record(h.dirs, "unit@0");
  REQUIRE(record);
  CHECK(record->phase == shim_phase::tree_empty);
  CHECK(record->run == 2);
  CHECK(record->exit.signal == SIGSEGV);
  d.finish();
  CHECK_FALSE(d.client.claimed());
}

TEST_CASE("how long a run lived is on record, by a clock that nobody sets") {
  home h;
  driver d(h);
  d.open();
  const auto before = std::chrono::steady_clock::now();
  d.client.run(d.request(1, "sleep 0.3; exit 3"));
  d.wait<shim_started>();
  CHECK_FALSE(d.client.status().lived);
  d.wait<shim_main_exited>();
  const auto took = std::chrono::ceil<base::duration>(std::chrono::steady_clock::now() - before);
  constexpr base::duration tick{10};  // of a start time
  REQUIRE(d.client.status().lived);
  CHECK(*d.client.status().lived >= base::duration{300});
  CHECK(*d.client.status().lived <= took + tick);
  d.wait<shim_tree_empty>();
  CHECK(read_record(h.dirs, "unit@0")->lived == d.client.status().lived);
  d.client.run(d.request(2, "exec sleep 600"));
  d.wait<shim_started>();
  CHECK_FALSE(d.client.status().lived);  // what the run before left does not count
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("of a run of an older shim only the clock of the calendar tells how long it lived") {
  shim_record record;
  record.phase = shim_phase::tree_empty;
  record.started_at_ns = 1'700'000'000'000'000'000;
  record.exited_at_ns = record.started_at_ns + 2'500'000'000;
  record.ended = exit_kind::code;
  CHECK(to_status(record).lived == base::duration{2'500});
  record.ended = exit_kind::lost;
  CHECK_FALSE(to_status(record).lived);
  record.ended = exit_kind::signal;
  record.exited_at_ns = record.started_at_ns - 1;  // it was set back
  CHECK_FALSE(to_status(record).lived);
  record.lived_ms = 7;
  CHECK(to_status(record).lived == base::duration{7});
}

TEST_CASE("the recorded pid and start time are those of the running process, before its first instruction") {
  home h;
  driver d(h);
  d.open();
  auto request = d.request(7, "");
  // It reads the record itself: what stands there was written before its exec.
  request.argv = {"/bin/sh", "-c",
                  "cat " + h.dirs.state + "/records/unit@0 > " + h.top() + "/seen; echo $$; exec sleep 600"};
  d.client.run(request);
  const auto started = d.wait<shim_started>();
  CHECK(process_start_time(started.pid) == started.start_time);
  REQUIRE(eventually([&] { return read_file(h.log()).find("stdout F") != std::string::npos; }));
  const std::string page = read_file(h.top() + "/seen");
  shim_record seen;
  REQUIRE(page.size() >= record_page_size);
  alignas(record_slot) char aligned[record_page_size];
  memcpy(aligned, page.data(), sizeof aligned);
  REQUIRE(read_record_page(aligned, seen) != 0);
  CHECK(seen.pid == started.pid);
  CHECK(seen.run == 7);
  CHECK(seen.boot_id == boot_id());
  d.client.signal(SIGKILL, true);
  CHECK(d.wait<shim_main_exited>().exit.signal == SIGKILL);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a failed exec names the errno and the remedy, and leaves nothing alive") {
  home h;
  driver d(h);
  d.open();
  auto request = d.request(1, "");
  request.argv = {"/nonexistent/program"};
  d.client.run(request);
  auto failed = d.wait<shim_exec_failed>();
  CHECK(failed.code == ENOENT);
  CHECK(failed.message.find("No such file") != std::string::npos);
  CHECK(d.client.status().phase == shim_phase::exec_failed);

  request.run = 2;
  request.argv = {"/bin/true"};
  request.directory = "/nonexistent";
  d.client.run(request);
  failed = d.wait<shim_exec_failed>();
  CHECK(failed.message.find("directory") != std::string::npos);

  request.run = 3;
  request.directory = "/";
  request.argv = {"no-such-program-anywhere"};
  d.client.run(request);
  CHECK(d.wait<shim_exec_failed>().code == ENOENT);

  request.run = 4;
  request.argv = {"true"};  // found in the PATH of the request
  d.client.run(request);
  d.wait<shim_started>();
  CHECK(d.wait<shim_main_exited>().exit.code == 0);
  CHECK(d.count<shim_main_exited>() == 1);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a repeated run number runs nothing twice and is answered with what happened") {
  home h;
  driver d(h);
  d.open();
  const std::string count = h.top() + "/count";
  const auto request = d.request(5, "echo once >> " + count);
  d.client.run(request);
  d.wait<shim_tree_empty>();
  d.client.run(request);
  CHECK(d.wait<shim_started>().run == 5);
  CHECK(d.wait<shim_main_exited>().exit.code == 0);
  CHECK(d.wait<shim_tree_empty>().run == 5);
  CHECK(read_file(count) == "once\n");
  d.finish();
}

TEST_CASE("a second run is not begun while the first one lives; who asked for it is told of that one") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "exec sleep 600"));
  const auto started = d.wait<shim_started>();
  d.client.run(d.request(2, "true"));
  // Before the answer the client means run 2, which never was: a signal for it must not hit run 1.
  d.client.signal(SIGKILL, false);
  const auto found = d.wait<shim_connected>().status;
  CHECK(found.run == 1);
  CHECK(found.tree_alive);
  CHECK(found.pid == started.pid);
  d.client.exit_shim();  // refused as well
  CHECK(d.status().phase == shim_phase::running);
  CHECK(d.count<shim_exec_failed>() == 0);
  d.client.signal(SIGTERM, false);
  CHECK(d.wait<shim_main_exited>().exit.signal == SIGTERM);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a client is connected from the moment its owner knows it") {
  home h;
  driver d(h);
  d.client.open();
  while (d.count<shim_connected>() == 0) {
    REQUIRE_FALSE(d.client.connected());
    d.io.restart();
    d.io.run_one_for(std::chrono::milliseconds(200));
  }
  CHECK(d.client.connected());
  d.wait<shim_connected>();
  d.finish();
}

TEST_CASE("a loss that the owner has not heard of when it opens again is not told afterwards") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "exec sleep 600"));
  d.wait<shim_started>();
  ::kill(d.client.status().shim_pid, SIGKILL);
  while (d.client.connected()) {
    d.io.restart();
    d.io.run_one_for(std::chrono::milliseconds(200));
  }
  REQUIRE(d.count<shim_lost>() == 0);
  d.client.open();
  CHECK(d.wait<shim_connected>().status.phase == shim_phase::orphaned);
  CHECK(d.count<shim_lost>() == 0);
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("argv, environment, directory, limits, umask and signals arrive in the child as asked") {
  home h;
  driver d(h);
  d.open();
  auto request = d.request(1,
                           "pwd; umask; ulimit -n; echo \"$A|$#|$1\"; cat /proc/self/oom_score_adj; "
                           "grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l; "
                           "ps -o sid= -o pid= -p $$ | awk '{print ($1==$2)}'");
  request.argv.insert(request.argv.end(), {"zero", "one two"});
  request.env["A"] = "b c=d";
  request.directory = "/usr";
  request.umask = 027;
  request.oom_score_adjust = 100;
  request.limits = {{RLIMIT_NOFILE, 123, 124}};
  request.nice = 5;
  d.client.run(request);
  d.wait<shim_tree_empty>();
  d.finish();
  const auto lines = parse_log(read_file(h.log()));
  REQUIRE(lines.size() >= 8);
  CHECK(lines[0].text == "/usr");
  CHECK(lines[1].text == "0027");
  CHECK(lines[2].text == "123");
  CHECK(lines[3].text == "b c=d|1|one two");
  CHECK(lines[4].text == "100");
  CHECK(lines[5].text == "SigBlk:\t0000000000000000");
  CHECK(lines[6].text == "SigIgn:\t0000000000000000");
  CHECK(lines[7].text == "4");  // 0, 1, 2 and the listing itself
  CHECK(lines[8].text == "1");
}

TEST_CASE("as root a run takes on the numeric user, group and groups, and its output can be opened again", "[root]") {
  if (::geteuid() != 0) return;
  home h;
  ::chmod(h.top().c_str(), 0755);
  driver d(h);
  d.open();
  auto request = d.request(1, "id -u; id -g; id -G; echo again > /dev/stdout; echo error > /dev/stderr");
  request.uid = 65534;
  request.gid = 65534;
  request.groups = {65534, 4321};
  d.client.run(request);
  d.wait<shim_tree_empty>();
  d.finish();
  std::string out;
  for (const auto& line : parse_log(read_file(h.log()))) out += line.stream + " " + line.text + "\n";
  CHECK(out == "stdout 65534\nstdout 65534\nstdout 65534 4321\nstdout again\nstderr error\n");
}

TEST_CASE("a held claim makes a second shim end with busy and is seen from outside") {
  home h;
  driver d(h);
  CHECK_FALSE(d.client.claimed());
  d.open();
  CHECK(d.client.claimed());
  CHECK(claimed_instances(h.dirs) == std::vector<std::string>{"unit@0"});
  const pid_t second = ::fork();
  if (second == 0) {
    ::close(STDERR_FILENO);
    ::execl(h.dirs.shim_program.c_str(), "hasup-shim", "--state-dir", h.dirs.state.c_str(), "--run-dir",
            h.dirs.run.c_str(), "--name", "unit@0", nullptr);
    ::_exit(1);
  }
  int status = 0;
  REQUIRE(::waitpid(second, &status, 0) == second);
  CHECK(WEXITSTATUS(status) == 75);
  CHECK(d.status().phase == shim_phase::idle);
  d.finish();
  CHECK(claimed_instances(h.dirs).empty());
}

TEST_CASE("a claim that nobody answers for is reported as busy, not overrun") {
  home h;
  std::filesystem::create_directories(h.dirs.state + "/claims");
  const int fd = ::open((h.dirs.state + "/claims/unit@0").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  REQUIRE(::fcntl(fd, F_OFD_SETLK, &lock) == 0);
  driver d(h);
  d.client.open();
  d.wait<shim_busy>();
  CHECK(d.count<shim_connected>() == 0);
  ::close(fd);
}

TEST_CASE("a shim that takes the connection but does not greet is reported as busy, and found again later") {
  home h;
  driver d(h);
  d.open();
  ::kill(d.client.status().shim_pid, SIGSTOP);
  driver other(h);
  other.client.open();
  other.wait<shim_busy>();
  ::kill(d.client.status().shim_pid, SIGCONT);
  other.open();
  CHECK(other.client.status().shim_pid == d.client.status().shim_pid);
  d.finish();
}

TEST_CASE("a missing shim program is an error with its path") {
  home h;
  h.dirs.shim_program = "/nonexistent/hasup-shim";
  driver d(h);
  d.client.open();
  CHECK(d.wait<shim_lost>().message.find("/nonexistent/hasup-shim") != std::string::npos);
}

TEST_CASE("directories longer than a socket address work") {
  std::string deep;
  for (int i = 0; i < 12; ++i) deep += "/" + std::string(100, static_cast<char>('a' + i));
  home h(deep);
  REQUIRE(h.dirs.run.size() > 1200);
  driver d(h, std::string(64, 'u') + "@12");
  d.open();
  d.client.run(d.request(1, "exit 4"));
  CHECK(d.wait<shim_main_exited>().exit.code == 4);
  driver again(h, std::string(64, 'u') + "@12");
  again.open();
  CHECK(again.client.status().exit.code == 4);
  d.finish();
}

TEST_CASE("signals meant for everybody do not end a shim, and malformed frames only end their connection") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "exec sleep 600"));
  const auto started = d.wait<shim_started>();
  for (const int number : {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE}) ::kill(d.client.status().shim_pid, number);
  CHECK(d.status().pid == started.pid);

  const int dir = ::open((h.dirs.run + "/shim").c_str(), O_PATH | O_CLOEXEC);
  const int raw = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un_like {
    sa_family_t family;
    char path[108];
  } address{AF_UNIX, {}};
  std::snprintf(address.path, sizeof address.path, "/proc/self/fd/%d/unit@0.sock", dir);
  REQUIRE(::connect(raw, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const std::string nonsense(4096, 'x');
  REQUIRE(::send(raw, nonsense.data(), nonsense.size(), MSG_NOSIGNAL) == 4096);
  char buffer[4096];
  while (::recv(raw, buffer, sizeof buffer, 0) > 0) {
  }
  ::close(raw);
  ::close(dir);
  CHECK(d.status().phase == shim_phase::running);
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("an expired lease lets the shim kill its tree by itself, and no run begins before a new one") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "(setsid sleep 600 &) ; exec sleep 600"));
  d.wait<shim_started>();
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto ms = static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec / 1'000'000);
  d.client.lease(ms + 600'000, lease_action::kill, 0);
  CHECK(d.status().phase == shim_phase::running);
  d.client.lease(ms + 50, lease_action::kill, 0);
  d.client.close();  // nobody is there to do it
  REQUIRE(eventually([&] {
    const auto record = read_record(h.dirs, "unit@0");
    return record && record->phase == shim_phase::tree_empty;
  }));
  driver again(h);
  again.open();
  CHECK(again.client.status().lease_expired);
  CHECK(again.client.status().exit.signal == SIGKILL);
  again.client.run(again.request(2, "true"));
  CHECK(again.wait<shim_exec_failed>().message.find("lease") != std::string::npos);
  again.client.lease(0, lease_action::none, 0);
  again.client.run(again.request(3, "true"));
  CHECK(again.wait<shim_main_exited>().exit.code == 0);
  again.wait<shim_tree_empty>();
  again.finish();
}
