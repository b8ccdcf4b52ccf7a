// Deleting the old state in place on real directories: stopped after every system call and taken up again, it is
// never half in its place, and always gone in the end or untouched.
#include <sys/mount.h>
#include <sys/wait.h>

#include <csignal>

#include "sealed_archive.hpp"
#include "snapshot/inspect.hpp"
#include "snapshot/room.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/state_swap.hpp"
#include "stopped_work.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;
using snapshot::state_swap;

namespace {

// A broken state with a kept file inside, shared blocks, keys, and a sealed archive in the cache.
class world {
 public:
  explicit world(bool in_memory = false) : root_(in_memory) {
    job.data_dir = dir();
    job.plan.name = "full";
    job.plan.wipe = {"state", "data"};
    job.plan.shared = {"blocks"};
    job.plan.archives = {{"*", "", model::archive_order::time, model::unpack_mode::archive, "", ".", true}};
    job.keep = {"keys", "data/priv.json"};
    job.chosen = ports::candidate{0, {{"s.tar", "", "", {}, {}, {}, ""}}};
    put(dir() + "/state/a", "old a");
    put(dir() + "/state/deep/b", "old b");
    put(dir() + "/data/db/c", "old c");
    put(dir() + "/data/priv.json", "round 7");
    put(dir() + "/blocks/d", "shared d");
    put(dir() + "/keys/k", "secret");
    put(dir() + "/.hasup/cache/s.tar", "the archive");
    put(dir() + "/.hasup/staging/new/state/x", "of an earlier try");
    seal();
    before = picture(dir());
  }

  std::string dir() const { return root_ / "node"; }
  base::unique_fd own() const { return base::unique_fd(::open((dir() + "/.hasup").c_str(), O_RDONLY | O_DIRECTORY)); }
  void seal() const { seal_archive(dir(), "s.tar"); }
  void stage() const {
    put(dir() + "/.hasup/staging/new/state/a", "new a");
    put(dir() + "/.hasup/staging/new/data/db/c", "new c");
    const auto fd = own();
    REQUIRE(snapshot::write_staged(fd.get(), snapshot::disk{}, {job.plan.name, {}}).has_value());
  }
  state_swap worker(snapshot::disk::observer after = {}) const {
    return {job, control, snapshot::disk(std::move(after))};
  }
  ports::worker_result looked() const { return snapshot::inspect(job); }
  std::string refused(snapshot::outcome<void> done, worker_failure kind = worker_failure::refused) const {
    INFO((done ? std::string("done") : done.error().message));
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().kind == kind);
    return done.error().message;
  }

  static std::map<std::string, std::string> kept() {
    return {{"data", "dir"}, {"data/priv.json", "round 7"}, {"blocks", "dir"}, {"blocks/d", "shared d"},
            {"keys", "dir"}, {"keys/k", "secret"}};
  }
  void check_gone() const {
    CHECK(picture(dir(), false) == kept());
    CHECK(looked().half_swapped);
    CHECK(looked().wiped);
    CHECK(get(dir() + "/.hasup/cache/s.tar") == "the archive");
    CHECK_FALSE(there(dir() + "/.hasup/staging/discard"));
  }
  void check_new() const {
    auto wanted = kept();
    wanted["state"] = wanted["data/db"] = "dir";
    wanted["state/a"] = "new a";
    wanted["data/db/c"] = "new c";
    CHECK(picture(dir(), false) == wanted);
  }
  void check_untouched() const {
    CHECK(picture(dir()) == before);
    CHECK_FALSE(looked().half_swapped);
    CHECK_FALSE(looked().wiped);
  }

  ports::worker_job job;
  mutable snapshot::job_control control;
  std::map<std::string, std::string> before;

 private:
  temp_tree root_;
};

bool do_wipe(const world& w) {
  auto s = w.worker();
  const auto done = s.wipe();
  INFO((done ? std::string() : done.error().message));
  REQUIRE(done.has_value());
  return s.wiped();
}

const auto wipe_it = [](state_swap& s) { return s.wipe(); };
const auto swap_it = [](state_swap& s) { return s.swap(); };
const auto roll_back_it = [](state_swap& s) { return s.roll_back(); };

}  // namespace

TEST_CASE("what a plan replaces is deleted, what is kept or shared stays, and a start is forbidden", "[wipe]") {
  world w;
  CHECK(do_wipe(w));
  w.check_gone();
  CHECK_FALSE(there(w.dir() + "/.hasup/staging/new"));
  CHECK(do_wipe(w));
  w.check_gone();
  // How large the new state will be is still known.
  ports::worker_job look;
  look.data_dir = w.dir();
  look.plans = {w.job.plan};
  const auto room = snapshot::measure(look, {}).room;
  REQUIRE(room);
  CHECK(room->state[0] >= 3 * 4096);
  CHECK(room->freed[0] < room->state[0]);
}

TEST_CASE("nothing is deleted unless the archive is whole in the cache", "[wipe]") {
  world w;
  SECTION("it is gone") {
    fs::remove(w.dir() + "/.hasup/cache/s.tar");
  }
  SECTION("it was changed since it was verified") {
    put(w.dir() + "/.hasup/cache/s.tar", "another one");
  }
  SECTION("it was never verified") {
    fs::remove(w.dir() + "/.hasup/cache/s.tar.seal");
  }
  SECTION("its name leads elsewhere") {
    w.job.chosen->snapshots[0].name = "../cache/s.tar";
  }
  SECTION("one of several is missing") {
    w.job.chosen->snapshots.push_back(w.job.chosen->snapshots[0]);
    w.job.chosen->snapshots[1].name = "t.tar";
  }
  auto s = w.worker();
  CHECK(w.refused(s.wipe()).find("the old state is not deleted for it") != std::string::npos);
  CHECK_FALSE(s.wiped());
  w.check_untouched();
}

TEST_CASE("nothing is deleted for no snapshot, beside a swap, or of links and mount points", "[wipe]") {
  world w;
  SECTION("no snapshot") {
    w.job.chosen.reset();
  }
  SECTION("a link") {
    fs::create_directories(w.dir() + "/elsewhere");
    fs::create_directory_symlink("elsewhere", w.dir() + "/data/link");
  }
  SECTION("a mount point") {
    if (::geteuid() != 0) return;
    fs::create_directories(w.dir() + "/data/volume");
    REQUIRE(::mount("none", (w.dir() + "/data/volume").c_str(), "tmpfs", 0, "size=1m") == 0);
  }
  SECTION("old entries of another recovery in aside") {
    put(w.dir() + "/.hasup/aside/state/a", "?");
  }
  const auto before = picture(w.dir());
  auto s = w.worker();
  (void)w.refused(s.wipe());
  CHECK_FALSE(s.wiped());
  CHECK(picture(w.dir()) == before);
  CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
  ::umount2((w.dir() + "/data/volume").c_str(), MNT_DETACH);
}

TEST_CASE("nothing is deleted while a process has it open", "[wipe]") {
  world w;
  const base::unique_fd open(::open((w.dir() + "/state/a").c_str(), O_RDWR));
  w.job.tolerated = {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  auto s = w.worker();
  const auto done = s.wipe();
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(w.refused(done, worker_failure::writer).find("open for writing") != std::string::npos);
  w.check_untouched();
}

TEST_CASE("a swapped directory is not wiped", "[wipe]") {
  world w;
  w.stage();
  REQUIRE(w.worker().swap().has_value());
  CHECK(w.refused(w.worker().wipe()).find("roll back or clean up") != std::string::npos);
  REQUIRE(w.worker().roll_back().has_value());
  w.check_untouched();
}

TEST_CASE("a deletion stopped after any system call leaves the old state whole or goes on to its end",
          "[wipe][crash]") {
  for (unsigned n = 1;; ++n) {
    world w(true);
    const bool ended = ends_within(n, w, wipe_it);
    INFO("stopped after call " << n);
    const auto seen = w.looked();
    if (!seen.half_swapped) {
      w.check_untouched();
    } else {
      CHECK(seen.wiped);
      // Each entry is there as a whole or not at all.
      const auto now = picture(w.dir());
      for (const auto* top : {"state", "data/db"})
        for (const auto& [path, is] : w.before)
          if (path.starts_with(std::string(top) + "/") && now.contains(top)) CHECK(now.contains(path));
    }
    CHECK(do_wipe(w));
    w.check_gone();
    if (ended) break;
  }
}

TEST_CASE("a deletion that was cut off is ended by a roll back or a swap as well", "[wipe][crash]") {
  for (unsigned n = 1;; ++n) {
    world w(true);
    const bool ended = ends_within(n, w, wipe_it);
    INFO("stopped after call " << n);
    if (!w.looked().wiped) continue;
    REQUIRE(w.worker().roll_back().has_value());
    w.check_gone();
    w.stage();
    REQUIRE(w.worker().swap().has_value());
    w.check_new();
    if (ended) break;
  }
}

TEST_CASE("what is unpacked then is swapped in, and taken away again without a way back", "[wipe]") {
  world w;
  do_wipe(w);
  w.stage();
  REQUIRE(w.worker().swap().has_value());
  w.check_new();
  CHECK(w.looked().wiped);
  put(w.dir() + "/state/wal", "made by a start");
  put(w.dir() + "/data/priv.json", "round 9");
  {
    auto s = w.worker();
    REQUIRE(s.roll_back().has_value());
    CHECK(s.wiped());
    CHECK(s.notes().empty());
  }
  CHECK(get(w.dir() + "/data/priv.json") == "round 9");
  put(w.dir() + "/data/priv.json", "round 7");
  w.check_gone();
  w.stage();
  REQUIRE(w.worker().swap().has_value());
  REQUIRE(w.worker().clean_up().has_value());
  w.check_new();
  CHECK_FALSE(w.looked().half_swapped);
  CHECK(get(w.dir() + "/.hasup/cache/s.tar") == "the archive");
}

TEST_CASE("a swap after a deletion, and its roll back, stopped after any system call go on", "[wipe][crash]") {
  for (unsigned n = 1;; ++n) {
    world w(true);
    do_wipe(w);
    w.stage();
    const bool ended = ends_within(n, w, swap_it);
    INFO("stopped after call " << n);
    CHECK(w.looked().wiped);
    REQUIRE(w.worker().swap().has_value());
    w.check_new();
    const bool back = ends_within(n, w, roll_back_it);
    CHECK(w.looked().wiped);
    REQUIRE(w.worker().roll_back().has_value());
    w.check_gone();
    if (ended && back) break;
  }
}

TEST_CASE("only the wiped phase lets a snapshot be staged, and cleaning up needs a swap", "[wipe]") {
  world w;
  do_wipe(w);
  CHECK(w.refused(w.worker().clean_up()).find("half done") != std::string::npos);
  CHECK(w.refused(w.worker().swap()).find("nothing is staged") != std::string::npos);
  w.check_gone();
}

TEST_CASE("a state that a person puts there by hand is not deleted", "[wipe]") {
  world w;
  do_wipe(w);
  put(w.dir() + "/state/a", "by hand");
  const auto says_so = [&](const snapshot::outcome<void>& done) {
    CHECK(w.refused(done).find("was put there after the old state was deleted") != std::string::npos);
  };
  says_so(w.worker().wipe());
  says_so(w.worker().roll_back());
  says_so(w.worker().swap());
  CHECK(get(w.dir() + "/state/a") == "by hand");
}

TEST_CASE("a plan that replaces more deletes the rest, and a swap of it can give that back", "[wipe]") {
  world w;
  w.job.plan.name = "small";
  w.job.plan.wipe = {"state"};
  do_wipe(w);
  CHECK(get(w.dir() + "/data/db/c") == "old c");
  w.job.plan.name = "full";
  w.job.plan.wipe = {"state", "data"};
  SECTION("by a swap") {
    w.stage();
    REQUIRE(w.worker().swap().has_value());
    w.check_new();
    REQUIRE(w.worker().roll_back().has_value());
    CHECK(get(w.dir() + "/data/db/c") == "old c");
    CHECK_FALSE(there(w.dir() + "/state"));
    CHECK(w.looked().wiped);
  }
  CHECK(do_wipe(w));
  w.check_gone();
}
