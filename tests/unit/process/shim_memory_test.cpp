// Who killed a run: the kernel for want of memory, on a machine where it really does, or whoever asked the shim to.
#include "process/shim_files.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

// A cgroup of either version in which processes may have 32 MiB and which is none of hasup's; "" and a word on
// standard output where none can be made.
class little_memory {
 public:
  little_memory() {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string device, mount, kind, options, rest;
         root.empty() && mounts >> device >> mount >> kind >> options && std::getline(mounts, rest);) {
      const bool first = kind == "cgroup" && ("," + options + ",").find(",memory,") != std::string::npos;
      const bool second =
          kind == "cgroup2" && read_file(mount + "/cgroup.controllers").find("memory") != std::string::npos;
      if (!first && !second) continue;
      if (second) std::ofstream(mount + "/cgroup.subtree_control") << "+memory";
      std::string pattern = mount + "/hasup-unit-XXXXXX";
      if (::mkdtemp(pattern.data()) == nullptr) continue;
      root = pattern;
      if (!(std::ofstream(root + (first ? "/memory.limit_in_bytes" : "/memory.max")) << (32 << 20) << std::flush))
        remove();
    }
    if (root.empty()) WARN("skipped: no cgroup with a limit of memory can be made here");
  }
  ~little_memory() { remove(); }
  little_memory(const little_memory&) = delete;
  little_memory& operator=(const little_memory&) = delete;

  std::string root;

 private:
  void remove() {
    if (!root.empty()) eventually([&] { return ::rmdir(root.c_str()) == 0 || errno == ENOENT; });
    root.clear();
  }
};

}  // namespace

TEST_CASE("what the kernel kills for want of memory is on record, however the run is kept") {
  const little_memory cgroup;
  if (cgroup.root.empty()) return;
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "echo $$ > " + cgroup.root + "/cgroup.procs; exec tail /dev/zero"));
  d.wait<shim_started>();
  CHECK_FALSE(d.client.status().machine_oom_kills);
  CHECK(d.wait<shim_main_exited>().exit.signal == SIGKILL);
  const auto ended = d.client.status();
  REQUIRE(ended.machine_oom_kills);
  CHECK(*ended.machine_oom_kills >= 1);
  CHECK_FALSE(ended.kill_sent);
  CHECK(ended.oom_kills == 0);  // not from the run's own cgroup, which there is none of
  d.wait<shim_tree_empty>();
  // What was killed during another run is none of the next one's.
  d.client.run(d.request(2, "exit 0"));
  d.wait<shim_main_exited>();
  CHECK(d.client.status().machine_oom_kills == 0U);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a SIGKILL that went by way of the shim is known as such, any other is not") {
  home h;
  driver d(h);
  d.open();
  std::uint64_t run = 0;
  for (const bool whole_tree : {false, true}) {
    d.client.run(d.request(++run, "exec sleep 600"));
    d.wait<shim_started>();
    CHECK_FALSE(d.client.status().kill_sent);
    d.client.signal(SIGKILL, whole_tree);
    CHECK(d.wait<shim_main_exited>().exit.signal == SIGKILL);
    CHECK(d.client.status().kill_sent);
    d.wait<shim_tree_empty>();
  }
  d.client.run(d.request(++run, "exec sleep 600"));
  const auto started = d.wait<shim_started>();
  ::kill(started.pid, SIGKILL);
  CHECK(d.wait<shim_main_exited>().exit.signal == SIGKILL);
  CHECK_FALSE(d.client.status().kill_sent);
  d.wait<shim_tree_empty>();
  // To what it left behind it is no word about how it ended.
  d.client.run(d.request(++run, "(exec sleep 600 &); exit 3"));
  d.wait<shim_main_exited>();
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  CHECK_FALSE(d.client.status().kill_sent);
  d.finish();
}

TEST_CASE("a record of an older shim says nothing of what the kernel killed") {
  shim_record record;
  record.phase = shim_phase::tree_empty;
  record.ended = exit_kind::signal;
  record.exit_value = SIGKILL;
  CHECK_FALSE(to_status(record).machine_oom_kills);
  record.machine_oom_kills_before = 5;
  CHECK(to_status(record).machine_oom_kills == 0U);
}
