// Who dies when: the daemon's side, the shim, members of the tree.
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

// Runs `work` in a process of its own that is killed by SIGKILL once it has written a byte: a daemon that dies.
template <class Work>
void in_killed_process(Work work) {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    work([&] {
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    });
    ::_exit(1);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

// As /proc/PID/stat has it: 'T' is stopped.
char state_of(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  return stat.at(stat.rfind(')') + 2);
}

}  // namespace

TEST_CASE("a killed daemon costs neither the node nor a log line, and the next one finds the node running") {
  home h;
  const std::string go_on = h.top() + "/go-on";
  in_killed_process([&](auto ready) {
    driver d(h);
    d.open();
    d.client.run(d.request(9,
                           "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); "
                           "[ $i -eq 1500 ] && while [ ! -e " +
                               go_on + " ]; do sleep 0.01; done; done; exit 6"));
    d.wait<shim_started>();
    ready();
  });
  driver d(h);
  d.open();
  CHECK(d.client.status().phase == shim_phase::running);
  CHECK(d.client.status().run == 9);
  const process_id node{d.client.status().pid, d.client.status().start_time};
  CHECK(is_alive(node));
  std::ofstream(go_on) << "x";
  CHECK(d.wait<shim_main_exited>().exit.code == 6);
  CHECK(d.wait<shim_tree_empty>().logs_dropped == 0);
  d.finish();
  const auto lines = parse_log(read_file(h.log()));
  REQUIRE(lines.size() == 3000);
  for (std::size_t i = 0; i < lines.size(); ++i) REQUIRE(lines[i].text == "line " + std::to_string(i));
}

TEST_CASE("a shim whose daemon goes before it was given anything to do ends, one that has run something stays") {
  home h;
  {
    driver d(h);
    d.open();
    CHECK(d.client.claimed());
    d.client.close();
    CHECK(eventually([&] { return !d.client.claimed(); }));
  }
  driver d(h);
  d.open();
  d.client.run(d.request(1, "exit 3"));
  d.wait<shim_tree_empty>();
  d.client.close();
  driver next(h);
  next.open();
  CHECK(next.client.status().exit.code == 3);
  next.finish();
}

TEST_CASE("an exit that nobody watched is found afterwards") {
  home h;
  in_killed_process([&](auto ready) {
    driver d(h);
    d.open();
    d.client.run(d.request(1, "while [ ! -e " + h.top() + "/end ]; do sleep 0.01; done; exit 42"));
    d.wait<shim_started>();
    ready();
  });
  std::ofstream(h.top() + "/end") << "x";
  REQUIRE(eventually([&] { return read_record(h.dirs, "unit@0")->phase == shim_phase::tree_empty; }));
  driver d(h);
  d.open();
  CHECK(d.client.status().exit.code == 42);
  d.finish();
}

TEST_CASE("a killed shim is noticed; its node lives on without SIGPIPE, and a new shim takes over its log") {
  home h;
  const std::string go_on = h.top() + "/go-on";
  driver d(h);
  d.open();
  d.client.run(d.request(3, "echo before; while [ ! -e " + go_on +
                                " ]; do sleep 0.01; done; "
                                "echo after; echo error >&2; (exec sleep 600 &); "
                                "while [ ! -e " +
                                go_on + "2 ]; do sleep 0.01; done; exit 5"));
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return read_file(h.log()).find("before") != std::string::npos; }));
  ::kill(d.client.status().shim_pid, SIGKILL);
  const auto lost = d.wait<shim_lost>();
  REQUIRE(lost.last);
  CHECK(lost.last->phase == shim_phase::running);
  CHECK(lost.last->pid == started.pid);
  // It writes while no shim reads: the pipe holds it.
  std::ofstream(go_on) << "x";
  REQUIRE(eventually([&] {
    return process_tree(started.pid, false).size() >= 1 || !is_alive({started.pid, started.start_time});
  }));
  CHECK(is_alive({started.pid, started.start_time}));

  d.client.open();
  const auto connected = d.wait<shim_connected>();
  CHECK(connected.status.phase == shim_phase::orphaned);
  CHECK(connected.status.tree_alive);
  d.client.run(d.request(4, "echo must not run"));
  CHECK(d.wait<shim_connected>().status.run == 3);  // two on one state: never
  d.client.attach(started.pid, started.start_time, 3);
  CHECK(d.wait<shim_started>().pid == started.pid);
  REQUIRE(eventually([&] { return read_file(h.log()).find("error") != std::string::npos; }));
  std::ofstream(go_on + "2") << "x";
  CHECK(d.wait<shim_main_exited>().exit.lost());
  CHECK(d.client.status().lived.has_value());  // how it ended nobody knows, but when is seen
  // What it left behind is still there, so the tree is not empty.
  CHECK(d.status().phase == shim_phase::exited);
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  CHECK(d.client.status().attached);
  const auto evidence = read_evidence(h.dirs, "unit@0", 3);
  REQUIRE(evidence.has_value());
  CHECK(evidence->find("before\n") != std::string::npos);
  CHECK(evidence->find("after\n") != std::string::npos);
  d.finish();
  std::string out;
  for (const auto& line : parse_log(read_file(h.log()))) out += line.text + "\n";
  CHECK(out.find("before\n") == 0);
  CHECK(out.find("after\n") != std::string::npos);
  CHECK(out.find("error\n") != std::string::npos);
  CHECK(out.find("must not run") == std::string::npos);
}

TEST_CASE("a node that ended together with its shim is reported as lost, not as a success") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "exec sleep 600"));
  const auto started = d.wait<shim_started>();
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  ::kill(started.pid, SIGKILL);
  REQUIRE(eventually([&] { return !is_alive({started.pid, started.start_time}); }));
  d.client.open();
  const auto status = d.wait<shim_connected>().status;
  CHECK(status.phase == shim_phase::tree_empty);
  CHECK(status.exit.lost());
  CHECK_FALSE(status.lived);
  d.client.attach(started.pid, started.start_time, 1);
  CHECK(d.wait<shim_main_exited>().exit.lost());
  CHECK_FALSE(d.client.status().lived);
  d.wait<shim_tree_empty>();
  d.client.run(d.request(2, "exit 0"));
  CHECK(d.wait<shim_main_exited>().exit.code == 0);
  d.wait<shim_tree_empty>();
  d.finish();
}

namespace {

// A run whose main process goes on until it is killed; what `leave` starts in the background writes its pid into
// HOME/left. All of shim and main are killed, and a new shim is opened: its first status.
shim_status kill_shim_and_main(home& h, driver& d, const std::string& leave, process_id& left) {
  d.open();
  const std::string file = h.top() + "/left";
  d.client.run(d.request(1, "F=" + file + "; export F; " + leave + "\nexec sleep 600"));
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return read_file(file).find('\n') != std::string::npos; }));
  const auto pid = std::stoi(read_file(file));
  const auto since = process_start_time(pid);
  REQUIRE(since);
  left = {pid, *since};
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  ::kill(started.pid, SIGKILL);
  REQUIRE(eventually([&] { return !is_alive({started.pid, started.start_time}); }));
  CHECK(is_alive(left));
  d.client.open();
  return d.wait<shim_connected>().status;
}

}  // namespace

TEST_CASE("what a killed main process left behind keeps the tree alive for the next shim, which ends it") {
  home h;
  driver d(h);
  process_id left;
  const std::string leave =
      GENERATE(as<std::string>(),
               // of its session
               R"(sh -c 'echo $$ > $F; exec sleep 600' &)",
               // in a session of its own, its parent gone
               R"((setsid sh -c 'echo $$ > $F; exec sleep 600' &) )",
               // the same, and deaf to everything but SIGKILL
               R"((setsid sh -c 'trap "" TERM HUP INT; echo $$ > $F; while :; do sleep 1; done' &) )");
  const auto status = kill_shim_and_main(h, d, leave, left);
  CHECK(status.phase == shim_phase::exited);
  CHECK(status.tree_alive);
  CHECK(status.exit.lost());
  driver other(h);
  other.open();
  other.client.run(d.request(2, "echo must not run"));
  CHECK(other.wait<shim_connected>().status.run == 1);
  d.client.signal(SIGTERM, true);
  d.status();
  d.client.signal(SIGKILL, true);
  CHECK(d.wait<shim_tree_empty>().run == 1);
  CHECK_FALSE(is_alive(left));
  d.client.run(d.request(3, "exit 4"));
  CHECK(d.wait<shim_main_exited>().exit.code == 4);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a tree whose last member ends by itself is empty for the shim that took it up") {
  home h;
  driver d(h);
  process_id left;
  const auto status = kill_shim_and_main(h, d, R"((setsid sh -c 'echo $$ > $F; exec sleep 600' &))", left);
  CHECK(status.phase == shim_phase::exited);
  ::kill(left.pid, SIGTERM);
  CHECK(d.wait<shim_tree_empty>().run == 1);
  d.finish();
}

TEST_CASE("a shim that dies while strays are left is followed by one that knows the exit and still sees them") {
  home h;
  driver d(h);
  d.open();
  const std::string file = h.top() + "/left";
  d.client.run(d.request(1, "(setsid sh -c 'echo $$ > " + file + "; exec sleep 600' &); while [ ! -s " + file +
                                " ]; do sleep 0.01; done; exit 7"));
  CHECK(d.wait<shim_main_exited>().exit.code == 7);
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  d.client.open();
  const auto status = d.wait<shim_connected>().status;
  CHECK(status.phase == shim_phase::exited);
  CHECK(status.exit.code == 7);
  d.client.signal(SIGTERM, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a node that ends before the new shim attaches to it does not stand in the way of the next run") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "exec sleep 600"));
  const auto started = d.wait<shim_started>();
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  d.client.open();
  REQUIRE(d.wait<shim_connected>().status.phase == shim_phase::orphaned);
  ::kill(started.pid, SIGKILL);
  REQUIRE(eventually([&] { return !is_alive({started.pid, started.start_time}); }));
  d.client.run(d.request(2, "exit 3"));
  const auto lost = d.wait<shim_main_exited>();
  CHECK(lost.run == 1);
  CHECK(lost.exit.lost());
  CHECK(d.wait<shim_tree_empty>().run == 1);
  CHECK(d.wait<shim_started>().run == 2);
  CHECK(d.wait<shim_main_exited>().exit.code == 3);
  d.wait<shim_tree_empty>();
  CHECK_FALSE(d.client.status().attached);
  d.finish();
}

TEST_CASE("a shim that dies before it put the pid on record leaves no child behind") {
  home h;
  driver d(h);
  d.open();
  // The run is sent and the shim killed at once: whatever it came to, nothing may live on unrecorded.
  for (std::uint64_t run = 1; run <= 20; ++run) {
    const std::string mark = h.top() + "/ran" + std::to_string(run);
    d.client.run(d.request(run, "echo $$ > " + mark + "; exec sleep 600"));
    d.io.restart();
    d.io.poll();
    ::kill(d.client.status().shim_pid, SIGKILL);
    d.wait<shim_lost>();
    d.client.open();
    const auto status = d.wait<shim_connected>().status;
    if (status.phase == shim_phase::orphaned) {
      d.client.signal(SIGKILL, true);
      d.wait<shim_tree_empty>();
    }
    CHECK_FALSE(is_alive({status.pid, status.start_time}));
    if (std::filesystem::exists(mark)) {
      const std::string pid = read_file(mark);
      if (!pid.empty()) CHECK(status.pid == std::stoi(pid));
    }
  }
  d.finish();
}

TEST_CASE("the tree is empty only when the strays are gone too, and SIGKILL finds them all") {
  home h;
  driver d(h);
  d.open();
  // Double-forked into sessions of their own, one of them stopped, one deaf to SIGTERM.
  const std::string strays = h.top() + "/strays";
  d.client.run(d.request(1, "for i in 1 2 3; do (setsid sh -c 'echo $$ >> " + strays +
                                "; exec sleep 600' &) ; done; "
                                "(setsid sh -c 'trap \"\" TERM; echo $$ >> " +
                                strays +
                                "; while :; do sleep 1; done' &); "
                                "while [ $(wc -l < " +
                                strays + ") -lt 4 ]; do sleep 0.01; done; exit 0"));
  CHECK(d.wait<shim_main_exited>().exit.code == 0);
  CHECK(d.status().phase == shim_phase::exited);
  CHECK(d.count<shim_tree_empty>() == 0);
  auto alive = [&] { return unit_processes({d.client.status().shim_pid}); };
  REQUIRE(eventually([&] { return alive().size() == 5; }));  // four strays, of which one has a child
  const auto stopped = alive().front().pid;
  ::kill(stopped, SIGSTOP);
  REQUIRE(eventually([&] { return state_of(stopped) == 'T'; }));
  d.client.signal(SIGTERM, true);
  REQUIRE(eventually([&] { return alive().size() <= 2; }));  // the stopped one got SIGCONT with it
  CHECK(d.status().phase == shim_phase::exited);
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  CHECK(alive().empty());
  d.finish();
}

TEST_CASE("a tree that forks faster than it is killed is killed all the same") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "f() { while :; do (sleep 0.01; :) & sleep 0.001; done; }; f & f & f & wait"));
  d.wait<shim_started>();
  REQUIRE(eventually([&] { return process_tree(d.client.status().shim_pid, false).size() > 5; }));
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  CHECK(process_tree(d.client.status().shim_pid, false).empty());
  d.finish();
}

TEST_CASE("a signal to the main process reaches it even when it is stopped") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"));
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return read_file(h.log()).find("ready") != std::string::npos; }));
  ::kill(started.pid, SIGSTOP);
  REQUIRE(eventually([&] { return state_of(started.pid) == 'T'; }));
  d.client.signal(SIGTERM, false);
  CHECK(d.wait<shim_main_exited>().exit.code == 9);
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

// It takes back a SIGSTOP: a program under a leak checker, which stops itself while it exits, would hang for ever.
TEST_CASE("a process that is not stopped gets no SIGCONT with a signal") {
  const bool whole_tree = GENERATE(false, true);
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1,
                         "trap 'echo continued' CONT; trap 'echo asked' TERM; trap 'all=1' USR1; echo ready; "
                         "while [ -z \"$all\" ]; do sleep 0.01; done; sleep 0.01; exit 9"));
  d.wait<shim_started>();
  const auto said = [&](const char* word) { return read_file(h.log()).find(word) != std::string::npos; };
  REQUIRE(eventually([&] { return said("ready"); }));
  d.client.signal(SIGTERM, whole_tree);
  REQUIRE(eventually([&] { return said("asked"); }));
  d.client.signal(SIGUSR1, false);
  CHECK(d.wait<shim_main_exited>().exit.code == 9);
  CHECK_FALSE(said("continued"));
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}
