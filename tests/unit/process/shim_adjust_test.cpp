// New limits and log settings for a run that goes on.
#include <sys/resource.h>
#include <sys/time.h>

#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

rlim_t open_files_of(pid_t pid) {
  rlimit is{};
  return ::prlimit(pid, RLIMIT_NOFILE, nullptr, &is) == 0 ? is.rlim_cur : 0;
}

int nice_of(pid_t pid) {
  return ::getpriority(PRIO_PROCESS, static_cast<id_t>(pid));
}

}  // namespace

TEST_CASE("a run that goes on gets its new limits and priorities, with all of its tree") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "setsid sh -c 'echo child $$; exec sleep 600' & echo main $$; wait"));
  const auto started = d.wait<shim_started>();
  int child = 0;
  REQUIRE(eventually([&] {
    const auto log = read_file(h.log());
    const auto at = log.find("F child ");
    if (at == std::string::npos || log.find('\n', at) == std::string::npos) return false;
    child = std::stoi(log.substr(at + 8));
    return true;
  }));
  const auto own = open_files_of(::getpid());
  adjustment to;
  to.limits = {{RLIMIT_NOFILE, 321, 322}};
  to.nice = 6;
  to.oom_score_adjust = 77;
  d.client.adjust(to);
  d.status();  // answers come in the order of commands
  CHECK(d.count<shim_not_adjusted>() == 0);
  for (const pid_t pid : {started.pid, child}) {
    CHECK(nice_of(pid) == 6);
    CHECK(open_files_of(pid) == 321);
    CHECK(read_file("/proc/" + std::to_string(pid) + "/oom_score_adj") == "77\n");
  }
  CHECK(open_files_of(::getpid()) == own);
  CHECK(nice_of(d.client.status().shim_pid) == nice_of(::getpid()));
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a run that goes on rotates its log as it is told") {
  home h;
  driver d(h);
  d.open();
  const std::string go = h.top() + "/go";
  d.client.run(d.request(1, "echo before; while [ ! -e " + go + " ]; do sleep 0.01; done; seq 1 4000; exit 3"));
  d.wait<shim_started>();
  REQUIRE(eventually([&] { return read_file(h.log()).find("before") != std::string::npos; }));
  adjustment to;
  to.log = log_settings{"", 8192, 2, false};
  d.client.adjust(to);
  d.status();
  std::ofstream(go) << "x";
  CHECK(d.wait<shim_main_exited>().exit.code == 3);
  d.wait<shim_tree_empty>();
  d.finish();
  CHECK(std::filesystem::exists(h.log() + ".1"));
  CHECK(std::filesystem::exists(h.log() + ".2"));
  CHECK_FALSE(std::filesystem::exists(h.log() + ".3"));
  CHECK(std::filesystem::file_size(h.log() + ".1") <= 8192);
}

TEST_CASE("what a run cannot be given is told, and so is a run that is gone") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "while :; do sleep 0.01; done"));
  d.wait<shim_started>();
  adjustment to;
  to.limits = {{RLIMIT_NOFILE, 20, 10}};  // the soft one above the hard one
  d.client.adjust(to);
  CHECK(d.wait<shim_not_adjusted>().run == 1);
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  d.client.adjust(to);
  CHECK_FALSE(d.wait<shim_not_adjusted>().message.empty());
  d.finish();
}
