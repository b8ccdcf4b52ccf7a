// Leaves of a real cgroup v2, where this machine offers one that can be written.
#include "process/cgroup.hpp"

#include <sys/wait.h>

#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

// A directory of its own below the first cgroup v2 that is mounted; "" and a word on standard output without one.
class cgroup_home {
 public:
  cgroup_home() {
    std::ifstream mounts("/proc/self/mounts");
    for (std::string device, mount, kind, rest; mounts >> device >> mount >> kind && std::getline(mounts, rest);) {
      if (kind != "cgroup2") continue;
      std::string pattern = mount + "/hasup-unit-XXXXXX";
      if (::mkdtemp(pattern.data()) != nullptr) root = pattern;
    }
    if (root.empty()) WARN("skipped: no cgroup v2 that can be written is mounted here");
  }
  ~cgroup_home() {
    if (root.empty()) return;
    for (const auto& leaf : {"/shims", "/unit@0", ""})
      eventually([&] { return ::rmdir((root + leaf).c_str()) == 0 || errno == ENOENT; });
  }
  std::string root;
};

}  // namespace

TEST_CASE("a directory that is no cgroup, or that another daemon holds, is refused with the reason") {
  CHECK(cgroup_tree::open("/tmp").error().message == "/tmp is not a directory of cgroup v2");
  CHECK(cgroup_tree::open("/nonexistent").has_error());
  cgroup_home c;
  if (c.root.empty()) return;
  const auto first = cgroup_tree::open(c.root);
  REQUIRE(first.has_value());
  CHECK(cgroup_tree::open(c.root).error().message.find("another hasupd") != std::string::npos);
}

TEST_CASE("a leaf is made with its limits; what the machine does not offer is named; an empty leaf can go") {
  cgroup_home c;
  if (c.root.empty()) return;
  const auto tree = cgroup_tree::open(c.root);
  REQUIRE(tree.has_value());
  std::vector<std::string> missing;
  const auto leaf = (*tree)->prepare_leaf("unit@0", {{}, {}, 77}, missing);
  REQUIRE(leaf.has_value());
  const bool offered = read_file(c.root + "/cgroup.controllers").find("pids") != std::string::npos;
  if (offered) {
    CHECK(missing.empty());
    CHECK(read_file(*leaf + "/pids.max") == "77\n");
    REQUIRE((*tree)->prepare_leaf("unit@0", {}, missing).has_value());
    CHECK(read_file(*leaf + "/pids.max") == "max\n");
  } else {
    WARN("no pids controller here: only its absence is tested");
    REQUIRE(missing.size() == 1);
    CHECK(missing.front().find("pids") != std::string::npos);
  }
  (*tree)->remove_leaf("unit@0");
  CHECK_FALSE(std::filesystem::exists(*leaf));
}

TEST_CASE("a node is born in its leaf, its shim elsewhere; the tree is empty when the leaf is") {
  cgroup_home c;
  if (c.root.empty()) return;
  const auto tree = cgroup_tree::open(c.root);
  REQUIRE(tree.has_value());
  std::vector<std::string> missing;
  const auto leaf = (*tree)->prepare_leaf("unit@0", {}, missing);
  REQUIRE(leaf.has_value());
  home h;
  h.dirs.shim_cgroup = (*tree)->shims();
  driver d(h);
  d.open();
  auto request = d.request(1, "cat /proc/self/cgroup; (setsid sleep 600 &); (setsid sleep 600 &); sleep 600");
  request.cgroup = *leaf;
  d.client.run(request);
  d.wait<shim_started>();
  CHECK(d.client.status().in_cgroup);
  const auto members = [&] { return read_file(*leaf + "/cgroup.procs"); };
  REQUIRE(eventually([&] {
    const auto all = members();
    return std::count(all.begin(), all.end(), '\n') == 4;  // the shell and three that sleep
  }));
  CHECK(read_file((*tree)->shims() + "/cgroup.procs") == std::to_string(d.client.status().shim_pid) + "\n");

  // Killed with its shim, the main process leaves two that the next shim finds by the leaf.
  const auto main = d.client.status().pid;
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  ::kill(main, SIGKILL);
  d.client.open();
  auto status = d.wait<shim_connected>().status;
  if (status.phase == shim_phase::orphaned) {
    d.client.attach(status.pid, status.start_time, 1);
    d.wait<shim_main_exited>();
  }
  CHECK(d.status().phase == shim_phase::exited);
  CHECK(d.client.status().in_cgroup);
  d.client.signal(SIGKILL, true);
  d.wait<shim_tree_empty>();
  CHECK(members().empty());
  (*tree)->remove_leaf("unit@0");
  CHECK_FALSE(std::filesystem::exists(*leaf));
  // The shim must not mind that it is gone, and a cgroup that cannot be entered is no reason not to run.
  request = d.request(2, "exit 3");
  request.cgroup = *leaf;
  d.client.run(request);
  CHECK(d.wait<shim_main_exited>().exit.code == 3);
  d.wait<shim_tree_empty>();
  CHECK_FALSE(d.client.status().in_cgroup);
  d.finish();
}
