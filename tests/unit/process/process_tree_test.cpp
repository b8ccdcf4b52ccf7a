// What /proc says about this very process and its children; accounts.
#include "process/process_tree.hpp"

#include <sys/mman.h>

#include "process/account.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup::process;
using namespace hasup::process::test;

TEST_CASE("a process is known by pid and start time, and a zombie is not alive") {
  const auto mine = process_start_time(::getpid());
  REQUIRE(mine);
  CHECK(is_alive({::getpid(), *mine}));
  CHECK_FALSE(is_alive({::getpid(), *mine + 1}));
  CHECK_FALSE(process_start_time(0));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  REQUIRE(eventually([&] { return !process_start_time(child); }));
  ::waitpid(child, nullptr, 0);
  CHECK(boot_id().size() == 36);
}

TEST_CASE("a tree is its root and everything below, and its use is summed up") {
  const pid_t child = ::fork();
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      constexpr std::size_t size = 32 << 20;
      void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      memset(memory, 1, size);
      for (;;) ::pause();
    }
    for (;;) ::pause();
  }
  std::vector<process_id> tree;
  REQUIRE(eventually([&] {
    tree = process_tree(child);
    return tree.size() == 2 && usage_of(tree).memory >= (32u << 20);
  }));
  CHECK(tree[0].pid == child);
  CHECK(process_tree(child, false).size() == 1);
  const auto usage = usage_of(tree);
  CHECK(usage.processes == 2);
  CHECK(usage.memory < (1u << 30));
  CHECK(proportional_memory(child).value_or(0) > 0);
  for (const auto& id : tree) ::kill(id.pid, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(usage_of(tree).processes <= 1);
  CHECK(process_tree(child).empty());
}

TEST_CASE("a shim's number that went to somebody else does not make his children the unit's") {
  const auto parent_of_one = [] {
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (::fork() == 0) ::setsid();
      for (;;) ::pause();
    }
    return pid;
  };
  const pid_t somebody = parent_of_one();
  const pid_t main = parent_of_one();
  REQUIRE(eventually([&] { return process_tree(somebody).size() == 2 && process_tree(main).size() == 2; }));
  const auto start_time = process_start_time(main).value_or(0);
  const auto pids_of = [](const unit_root& root) {
    std::vector<std::int32_t> pids;
    for (const auto& id : unit_processes(root)) pids.push_back(id.pid);
    return pids;
  };
  const auto own = process_tree(main);
  CHECK(pids_of({somebody, main, start_time, false}) == std::vector<std::int32_t>{own[0].pid, own[1].pid});
  CHECK(unit_processes({::getpid(), main, start_time, false}).size() == 4);  // its shim
  for (const pid_t root : {somebody, main}) {
    for (const auto& id : process_tree(root)) ::kill(id.pid, SIGKILL);
    ::waitpid(root, nullptr, 0);
  }
}

TEST_CASE("accounts: names and numbers, and errors that say what is missing") {
  const auto own = resolve_account("", {});
  REQUIRE(own.has_value());
  CHECK(own->uid == ::geteuid());
  CHECK(own->own);
  const auto root = resolve_account("root", {"daemon", "12345"});
  REQUIRE(root.has_value());
  CHECK(root->uid == 0);
  CHECK(root->home == "/root");
  CHECK(std::find(root->groups.begin(), root->groups.end(), 12345u) != root->groups.end());
  const auto number = resolve_account("54321", {});
  REQUIRE(number.has_value());
  CHECK(number->uid == 54321);
  CHECK(number->gid == 54321);
  CHECK_FALSE(number->own);
  CHECK(resolve_account("no-such-user", {}).error().message.find("no-such-user") != std::string::npos);
  CHECK(resolve_account("root", {"no-such-group"}).error().message.find("no-such-group") != std::string::npos);
}
