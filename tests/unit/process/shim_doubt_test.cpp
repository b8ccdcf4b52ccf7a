// What a shim must not believe: that nobody is there because it cannot look, and what was written in another boot.
#include <sys/resource.h>

#include "base/unique_fd.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

TEST_CASE("a shim that cannot look for want of descriptors does not take a tree for empty") {
  home h;
  driver d(h);
  d.open();
  const std::string file = h.top() + "/left";
  d.client.run(d.request(1, "(setsid sh -c 'echo $$ > " + file + "; exec sleep 600' &); exec sleep 600"));
  const auto started = d.wait<shim_started>();
  REQUIRE(eventually([&] { return !read_file(file).empty(); }));
  const pid_t left = std::stoi(read_file(file));
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  d.client.open();
  REQUIRE(d.wait<shim_connected>().status.phase == shim_phase::orphaned);
  d.client.attach(started.pid, started.start_time, 1);
  d.wait<shim_started>();
  const pid_t shim = d.client.status().shim_pid;
  // So many connections that it has more descriptors than it polls: a poll of more than may be open fails.
  std::vector<std::unique_ptr<driver>> others;
  for (int i = 0; i < 7; ++i) {
    others.push_back(std::make_unique<driver>(h));
    others.back()->open();
  }
  rlim_t first_free = 0;
  const std::string open_files = "/proc/" + std::to_string(shim) + "/fd/";
  while (std::filesystem::is_symlink(open_files + std::to_string(first_free))) ++first_free;
  REQUIRE(first_free >= 18);
  rlimit before{};
  REQUIRE(::prlimit(shim, RLIMIT_NOFILE, nullptr, &before) == 0);
  const rlimit no_more{first_free, before.rlim_max};
  REQUIRE(::prlimit(shim, RLIMIT_NOFILE, &no_more, nullptr) == 0);
  ::kill(started.pid, SIGKILL);
  CHECK(d.wait<shim_main_exited>().exit.lost());
  for (int i = 0; i < 20; ++i) CHECK(d.status().phase == shim_phase::exited);
  REQUIRE(::prlimit(shim, RLIMIT_NOFILE, &before, nullptr) == 0);
  CHECK(d.status().tree_alive);
  ::kill(left, SIGKILL);
  d.wait<shim_tree_empty>();
  d.finish();
}

TEST_CASE("a record of another boot names nobody of this one: neither its pid nor its run is believed") {
  home h;
  driver d(h);
  d.open();
  d.client.run(d.request(1, "exec sleep 600"));
  const auto started = d.wait<shim_started>();
  ::kill(d.client.status().shim_pid, SIGKILL);
  d.wait<shim_lost>();
  {
    const base::unique_fd file(::open((h.dirs.state + "/records/unit@0").c_str(), O_RDWR | O_CLOEXEC));
    alignas(record_slot) char page[record_page_size];
    REQUIRE(::pread(file.get(), page, sizeof page, 0) == sizeof page);
    shim_record record;
    std::uint64_t sequence = read_record_page(page, record);
    REQUIRE(sequence != 0);
    record.boot_id[0] = record.boot_id[0] == '0' ? '1' : '0';
    write_record_page(page, record, sequence);
    REQUIRE(::pwrite(file.get(), page, sizeof page, 0) == sizeof page);
  }
  // Whoever bears that pid and start time now is a stranger.
  CHECK(eventually(
      [&] { return find_traces(h.dirs).unfinished.empty(); }));  // a dying shim holds its claim a moment longer
  CHECK(find_traces(h.dirs).last_runs.empty());
  d.client.open();
  const auto status = d.wait<shim_connected>().status;
  CHECK(status.phase == shim_phase::tree_empty);
  CHECK(status.exit.lost());
  d.client.signal(SIGKILL, true);
  d.client.run(d.request(2, "exit 3"));
  CHECK(d.wait<shim_main_exited>().exit.code == 3);
  CHECK(find_traces(h.dirs).last_runs.at("unit@0") == 2);
  d.finish();
  CHECK(is_alive({started.pid, started.start_time}));
  ::kill(started.pid, SIGKILL);
}
