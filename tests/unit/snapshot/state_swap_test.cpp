// swap, rewipe, roll_back and clean_up on real directories, stopped after every system call and taken up again.
#include "snapshot/state_swap.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/unique_fd.hpp"
#include "snapshot/cache_seal.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/warm_file.hpp"
#include "swap_world.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;
using snapshot::state_swap;

namespace {

using world = swap_world;

const auto swap_it = [](state_swap& s) { return s.swap(); };
const auto roll_back_it = [](state_swap& s) { return s.roll_back(); };
const auto clean_up_it = [](state_swap& s) { return s.clean_up(); };

}  // namespace

TEST_CASE("a swap puts what is staged in place and the old entries aside, and can be repeated", "[swap]") {
  world w;
  for (int time = 0; time < 2; ++time) {
    auto s = w.worker();
    const auto done = s.swap();
    INFO((done ? std::string() : done.error().message));
    REQUIRE(done.has_value());
    w.check_new();
    CHECK(get(w.dir() + "/.hasup/aside/state/a") == "old a");
    CHECK(get(w.dir() + "/.hasup/aside/gone/b") == "old b");
    CHECK(get(w.dir() + "/.hasup/aside/data/db/c") == "old c");
    CHECK(there(w.dir() + "/.hasup/swap.json"));
  }
}

TEST_CASE("a roll back returns the very same files, and keeps what kept files say now", "[swap]") {
  world w;
  REQUIRE(w.worker().swap().has_value());
  put(w.dir() + "/data/priv.json", "round 9");  // the new node signed meanwhile
  put(w.dir() + "/state/wal", "made by a start");
  put(w.dir() + "/gone/again", "made by a start");
  put(w.dir() + "/data/journal", "made by a start");
  {
    auto s = w.worker();
    REQUIRE(s.roll_back().has_value());
    CHECK(s.inexact() == "what the node wrote to blocks meanwhile stays (the file system has no reflinks)");
  }
  CHECK(get(w.dir() + "/data/priv.json") == "round 9");
  put(w.dir() + "/data/priv.json", "round 7");
  w.check_old();
  CHECK_FALSE(there(w.dir() + "/.hasup/staging"));
  CHECK_FALSE(there(w.dir() + "/.hasup/aside"));
  REQUIRE(w.worker().roll_back().has_value());
  w.check_old();
}

TEST_CASE("a kept entry that the node deletes is told of", "[swap]") {
  world w;
  fs::create_directory(w.dir() + "/keys/empty");
  REQUIRE(w.worker().swap().has_value());
  fs::remove_all(w.dir() + "/keys");
  fs::remove(w.dir() + "/data/priv.json");
  const std::string told = "kept entries are gone since the swap, deleted by the node or by somebody: data/priv.json";
  auto back = w.worker();
  SECTION("at a roll back") {
    REQUIRE(back.roll_back().has_value());
    INFO(back.inexact());
    CHECK(back.inexact().find("what the node wrote to blocks meanwhile stays") == 0);
    CHECK(back.inexact().find(", and " + told) != std::string::npos);
  }
  SECTION("when it is confirmed") {
    REQUIRE(back.clean_up().has_value());
    REQUIRE(back.notes().size() == 1);
    CHECK(back.notes()[0].find(told) == 0);
  }
}

TEST_CASE("a swap stopped after any system call goes on to the new state", "[swap][crash]") {
  const bool exchange = GENERATE(true, false);
  for (unsigned n = 1;; ++n) {
    world w(true, exchange);
    const bool ended = ends_within(n, w, swap_it);
    INFO("stopped after call " << n);
    REQUIRE(w.worker().swap().has_value());
    w.check_new();
    REQUIRE(w.worker().clean_up().has_value());
    w.check_new();
    CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
    CHECK_FALSE(there(w.dir() + "/.hasup/aside"));
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("a swap stopped after any system call can be rolled back to the old state", "[swap][crash]") {
  const bool exchange = GENERATE(true, false);
  for (unsigned n = 1;; ++n) {
    world w(true, exchange);
    const bool ended = ends_within(n, w, swap_it);
    INFO("stopped after call " << n);
    REQUIRE(w.worker().roll_back().has_value());
    w.check_old();
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("a roll back stopped after any system call goes on to the old state", "[swap][crash]") {
  const bool exchange = GENERATE(true, false);
  for (unsigned n = 1;; ++n) {
    world w(true, exchange);
    REQUIRE(w.worker().swap().has_value());
    put(w.dir() + "/gone/again", "made by a start");
    const bool ended = ends_within(n, w, roll_back_it);
    INFO("stopped after call " << n);
    REQUIRE(w.worker().roll_back().has_value());
    w.check_old();
    if (ended) break;
    // Half way back there is no way forward: a swap must not mix the two.
    world x(true, exchange);
    REQUIRE(x.worker().swap().has_value());
    ends_within(n, x, roll_back_it);
    if (there(x.dir() + "/.hasup/swap.json")) {
      const auto forward = x.worker().swap();
      if (forward)
        x.check_new();  // it was stopped before anything moved
      else
        CHECK(forward.error().kind == worker_failure::refused);
    }
    REQUIRE(n < 1000);
  }
}

TEST_CASE("a clean up stopped after any system call never lets half-deleted state return", "[swap][crash]") {
  const bool exchange = GENERATE(true, false);
  for (unsigned n = 1;; ++n) {
    world w(true, exchange);
    put(w.dir() + "/.hasup/cache/x.zst", "archive");
    REQUIRE(w.worker().swap().has_value());
    const bool ended = ends_within(n, w, clean_up_it);
    INFO("stopped after call " << n);
    const bool confirmed = get(w.dir() + "/.hasup/swap.json").find("confirmed") != std::string::npos;
    if (confirmed) {
      const auto back = w.worker().roll_back();
      REQUIRE_FALSE(back.has_value());
      CHECK(back.error().kind == worker_failure::refused);
    }
    w.check_new();
    REQUIRE(w.worker().clean_up().has_value());
    w.check_new();
    CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
    CHECK_FALSE(there(w.dir() + "/.hasup/aside"));
    CHECK(there(w.dir() + "/.hasup/cache/x.zst"));
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("rewipe removes what a failed start made and leaves what was restored", "[swap]") {
  world w;
  REQUIRE(w.worker().swap().has_value());
  put(w.dir() + "/gone/again", "made by a start");
  put(w.dir() + "/data/journal", "made by a start");
  put(w.dir() + "/data/priv.json", "round 8");
  put(w.dir() + "/state/wal", "in a restored entry");
  for (int time = 0; time < 2; ++time) {
    REQUIRE(w.worker().rewipe().has_value());
    CHECK_FALSE(there(w.dir() + "/gone"));
    CHECK_FALSE(there(w.dir() + "/data/journal"));
    CHECK(get(w.dir() + "/data/priv.json") == "round 8");
    CHECK(get(w.dir() + "/state/a") == "new a");
    CHECK(get(w.dir() + "/blocks/d") == "shared d");
    CHECK(get(w.dir() + "/other") == "other");
  }
  world unswapped;
  CHECK(unswapped.worker().rewipe().error().kind == worker_failure::refused);
  unswapped.check_old();
}

TEST_CASE("wipe = * takes everything but kept, shared and .hasup", "[swap]") {
  world w;
  w.job.plan.wipe = {"*"};
  REQUIRE(w.worker().swap().has_value());
  CHECK_FALSE(there(w.dir() + "/other"));
  CHECK_FALSE(there(w.dir() + "/gone"));
  CHECK(get(w.dir() + "/keys/k") == "secret");
  CHECK(get(w.dir() + "/blocks/d") == "shared d");
  CHECK(get(w.dir() + "/data/priv.json") == "round 7");
  CHECK(get(w.dir() + "/data/db/c") == "new c");
  REQUIRE(w.worker().roll_back().has_value());
  w.check_old();
}

TEST_CASE("nothing is swapped before something is staged", "[swap]") {
  world w;
  fs::remove(w.dir() + "/.hasup/staging/staged.json");
  auto done = w.worker().swap();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().kind == worker_failure::refused);
  w.check_old();
  w.mark_staged();
  w.job.plan.name = "another plan";
  CHECK(w.worker().swap().error().kind == worker_failure::refused);
  w.check_old();
}

TEST_CASE("links, foreign owners, mount points and paths outside are refused before anything moves", "[swap]") {
  world w;
  SECTION("a wiped entry is a link") {
    fs::rename(w.dir() + "/gone", w.dir() + "/elsewhere");
    fs::create_symlink("elsewhere", w.dir() + "/gone");
  }
  SECTION("the way to a wiped entry is a link") {
    fs::create_directories(w.dir() + "/real");
    fs::create_symlink("real", w.dir() + "/deep");
  }
  SECTION("a foreign owner") {
    if (::geteuid() != 0) return;  // only root can give files away
    REQUIRE(::chown((w.dir() + "/gone").c_str(), 12345, 12345) == 0);
  }
  SECTION("a mount point") {
    if (::geteuid() != 0 || ::mount("none", (w.dir() + "/gone").c_str(), "tmpfs", 0, "size=64k") != 0) return;
  }
  SECTION("wipe leads out") {
    w.job.plan.wipe = {"../state"};
  }
  SECTION("wipe is .hasup") {
    w.job.plan.wipe = {".hasup/aside"};
  }
  SECTION("wipe is absolute") {
    w.job.plan.wipe = {"/etc"};
  }
  const auto now = picture(w.dir());
  const auto done = w.worker().swap();
  const bool mounted = ::umount((w.dir() + "/gone").c_str()) == 0;
  REQUIRE_FALSE(done.has_value());
  INFO(done.error().message);
  CHECK(done.error().kind == worker_failure::refused);
  CHECK((mounted || picture(w.dir()) == now));
  CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
}

TEST_CASE("entries changed by hand are never guessed at", "[swap]") {
  world w;
  REQUIRE(w.worker().swap().has_value());
  fs::remove_all(w.dir() + "/.hasup/aside/state");
  const auto now = picture(w.dir());
  const auto back = w.worker().roll_back();
  REQUIRE_FALSE(back.has_value());
  CHECK(back.error().message.find("state") != std::string::npos);
  CHECK(picture(w.dir()) == now);
  CHECK(there(w.dir() + "/.hasup/swap.json"));

  put(w.dir() + "/.hasup/swap.json", "{\"version\":1,");
  CHECK_FALSE(w.worker().roll_back().has_value());
  CHECK_FALSE(w.worker().clean_up().has_value());
  CHECK_FALSE(w.worker().swap().has_value());
  CHECK(picture(w.dir()) == now);
}

TEST_CASE("old entries that stand in aside without a record are never deleted", "[swap]") {
  world w;
  put(w.dir() + "/.hasup/aside/state/a", "the only copy");
  CHECK(w.worker().swap().error().kind == worker_failure::refused);
  auto s = w.worker();
  REQUIRE(s.clean_up().has_value());
  CHECK_FALSE(s.notes().empty());
  CHECK(get(w.dir() + "/.hasup/aside/state/a") == "the only copy");
}

TEST_CASE("clean up keeps the chosen archive, or else the newest", "[swap]") {
  world w;
  const auto cache = w.dir() + "/.hasup/cache/";
  for (const auto* name : {"old.zst", "old.zst.seal", "new.zst", "new.zst.seal", "half.zst.part", "half.zst.resume"})
    put(cache + name, name);
  fs::last_write_time(cache + "old.zst", fs::file_time_type::clock::now() - std::chrono::hours(1));
  SECTION("the newest") {
    REQUIRE(w.worker().clean_up().has_value());
    CHECK(there(cache + "new.zst"));
    CHECK(there(cache + "new.zst.seal"));
    CHECK_FALSE(there(cache + "old.zst"));
  }
  SECTION("the chosen") {
    w.job.chosen = ports::candidate{0, {{"old.zst", "", "", {}, {}, {}, ""}}};
    REQUIRE(w.worker().clean_up().has_value());
    CHECK(there(cache + "old.zst"));
    CHECK(there(cache + "old.zst.seal"));
    CHECK_FALSE(there(cache + "new.zst"));
  }
  CHECK_FALSE(there(cache + "half.zst.part"));
  CHECK_FALSE(there(cache + "half.zst.resume"));
  CHECK_FALSE(there(w.dir() + "/.hasup/staging"));
  w.check_old();
}

TEST_CASE("archives of no use leave the cache, what a prefetch left for the next recovery does not", "[swap]") {
  world w;
  const auto own = w.dir() + "/.hasup/";
  const auto fill = [&] {
    for (const auto* name :
         {"bad.zst", "bad.zst.seal", "other.zst", "other.zst.seal", "half.zst.part", "half.zst.resume"})
      put(own + "cache/" + name, "x");
    put(own + "escape", "x");
  };
  fill();
  w.job.mode = ports::worker_mode::discard;
  w.job.useless = {"bad.zst", "half.zst", "../escape", "gone.zst"};
  REQUIRE(w.worker().discard_archives().has_value());
  for (const auto* name : {"bad.zst", "bad.zst.seal", "half.zst.part", "half.zst.resume"})
    CHECK_FALSE(there(own + "cache/" + name));
  for (const auto* name : {"cache/other.zst", "cache/other.zst.seal", "escape"}) CHECK(there(own + name));

  fill();
  struct stat st {};
  REQUIRE(::stat((own + "cache/bad.zst").c_str(), &st) == 0);
  const base::unique_fd fd(::open(own.c_str(), O_RDONLY | O_DIRECTORY));
  snapshot::cache_seal seal;
  seal.sha256 = "ab";
  seal.size = static_cast<std::uint64_t>(st.st_size);
  seal.modified_ns = st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec;
  seal.inode = st.st_ino;
  REQUIRE(snapshot::write_seal(fd.get(), snapshot::disk{}, "bad.zst", seal).has_value());
  ports::warm_set warm;
  warm.candidates.resize(1);
  warm.candidates[0].snapshots.resize(1);
  warm.candidates[0].snapshots[0].name = "bad.zst";
  warm.sha256 = {"ab"};
  REQUIRE(snapshot::write_warm(fd.get(), snapshot::disk{}, warm).has_value());
  w.job.useless = {"bad.zst"};
  w.job.useless_sha256 = {"cd"};
  REQUIRE(w.worker().discard_archives().has_value());
  CHECK(there(own + "cache/bad.zst"));  // by its name alone: it is another one
  w.job.useless_sha256 = {"ab"};
  REQUIRE(w.worker().discard_archives().has_value());
  CHECK_FALSE(there(own + "cache/bad.zst"));
  const base::unique_fd root(::open(w.dir().c_str(), O_RDONLY | O_DIRECTORY));
  CHECK_FALSE(snapshot::warm_below(root.get()).has_value());
}

TEST_CASE("the deletion of the old state says how far it is", "[swap]") {
  world w;
  REQUIRE(w.worker().swap().has_value());
  std::vector<ports::worker_progress> told;
  w.control = snapshot::job_control([&](const ports::worker_progress& p) { told.push_back(p); }, {});
  w.job.mode = ports::worker_mode::clean_up;
  REQUIRE(w.worker().clean_up().has_value());
  REQUIRE_FALSE(told.empty());
  CHECK(told[0].phase == "clean_up");
  CHECK(told[0].files_total.value_or(0) > 1);
}

TEST_CASE("deletion never follows a link", "[swap]") {
  world w;
  temp_tree outside;
  put(outside / "precious", "precious");
  REQUIRE(w.worker().swap().has_value());
  fs::create_directory_symlink(outside.path(), w.dir() + "/.hasup/aside/state/link");
  fs::create_directory_symlink(outside.path(), w.dir() + "/gone");
  REQUIRE(w.worker().rewipe().has_value());
  REQUIRE(w.worker().clean_up().has_value());
  CHECK(get(outside / "precious") == "precious");
}

TEST_CASE("a swap cancelled before its first rename leaves the old state", "[swap]") {
  world w;
  w.control = snapshot::job_control("", [] { return true; });
  CHECK(w.worker().swap().error().message == "cancelled");
  w.check_old();
}
