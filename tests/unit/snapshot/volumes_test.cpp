// Entries of a data directory that are file systems of their own: swapped by their children, stopped after every
// system call and taken up again, unmounted and exchanged in between.
#include "snapshot/volumes.hpp"

#include "sealed_archive.hpp"
#include "snapshot/inspect.hpp"
#include "snapshot/room.hpp"
#include "snapshot/swappable.hpp"
#include "volume_world.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;
using snapshot::fate;
using snapshot::state_swap;

namespace {

using world = volume_world;

const auto swap_it = [](state_swap& s) { return s.swap(); };
const auto roll_back_it = [](state_swap& s) { return s.roll_back(); };
const auto clean_up_it = [](state_swap& s) { return s.clean_up(); };

template <class Outcome>
void expect(const Outcome& done) {
  INFO((done ? std::string() : done.error().message));
  REQUIRE(done.has_value());
}

template <class Outcome>
void expect_refusal(const Outcome& done, const std::string& word) {
  REQUIRE_FALSE(done.has_value());
  INFO(done.error().message);
  CHECK(done.error().kind == worker_failure::refused);
  CHECK(done.error().message.find(word) != std::string::npos);
}

}  // namespace

TEST_CASE("the mounts below a data directory are its volumes", "[volumes]") {
  using snapshot::volumes_below;
  const std::vector<std::string> none;
  CHECK(volumes_below("/d", {"/", "/d", "/d/", "/data/x", "/e/d/x"}) == none);
  CHECK(volumes_below("/d/", {"/d/b", "/d/a/x/", "/d/b"}) == std::vector<std::string>{"a/x", "b"});
  CHECK(volumes_below("/d", {"/d/../e"}) == none);
}

TEST_CASE("of a volume the children are replaced, but not its own .hasup and lost+found", "[volumes]") {
  const auto rules = snapshot::wipe_rules::from({"state", "deep", "log*"}, {"state/key"}, {},
                                                {"state", "deep/er/volume", "other", "logs"});
  REQUIRE(rules.has_value());
  CHECK(rules->volumes() == std::vector<std::string>{"state", "deep/er/volume", "logs"});
  CHECK(rules->decide("state") == fate::descend);
  CHECK(rules->decide("state/db") == fate::replaced);
  CHECK(rules->decide("state/key") == fate::untouched);
  CHECK(rules->decide("state/.hasup") == fate::untouched);
  CHECK(rules->decide("state/.HASUP/aside") == fate::untouched);
  CHECK(rules->decide("state/lost+found/1") == fate::untouched);
  CHECK(rules->decide("state/lost+found2") == fate::replaced);
  CHECK(rules->decide("deep") == fate::descend);
  CHECK(rules->decide("deep/er") == fate::descend);
  CHECK(rules->decide("deep/erratic") == fate::replaced);
  CHECK(rules->decide("deep/er/volume") == fate::descend);
  CHECK(rules->decide("deep/er/volume/x") == fate::replaced);
  CHECK(rules->decide("logs") == fate::descend);
  CHECK(rules->decide("other") == fate::untouched);
}

TEST_CASE("what was unpacked for a volume comes to its file system", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.unpacked();
  REQUIRE(::truncate((w.dir() + "/.hasup/staging/new/state/more/f").c_str(), 9 << 20) == 0);
  expect(w.carry());
  const auto there_now = w.dir() + "/state/.hasup/staging/new";
  CHECK(get(there_now + "/a") == "new a");
  CHECK(inode(there_now + "/a") == inode(there_now + "/same"));
  CHECK(fs::read_symlink(there_now + "/link") == "more/f");
  CHECK(fs::file_size(there_now + "/more/f") == 9 << 20);  // the volume has 8 MiB
  CHECK(fs::is_empty(w.dir() + "/.hasup/staging/new/state"));
  CHECK(get(w.dir() + "/data/.hasup/staging/new/db/d") == "new d");
  CHECK(get(w.dir() + "/data/.hasup/volume").starts_with(w.dir() + "\n"));
  CHECK(picture(w.dir()) == w.before);
}

TEST_CASE("without room on the volume nothing comes to it", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.unpacked();
  put(w.dir() + "/.hasup/staging/new/state/large", std::string(9 << 20, 'x'));
  const auto done = w.carry();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().kind == worker_failure::no_space);
  CHECK(done.error().message.find("/node/state has 8") != std::string::npos);
  CHECK_FALSE(there(w.dir() + "/.hasup/staging/staged.json"));
  CHECK_FALSE(there(w.dir() + "/data/.hasup/staging/new"));
  CHECK(picture(w.dir()) == w.before);
}

TEST_CASE("a swap of volumes stopped after any system call goes on to the new state", "[volumes][crash]") {
  if (!can_mount()) return;
  const bool exchange = GENERATE(true, false);
  for (unsigned n = 1;; ++n) {
    world w(exchange);
    w.stage();
    const bool ended = ends_within(n, w, swap_it);
    INFO("stopped after call " << n);
    expect(w.worker().swap());
    w.check_new();
    expect(w.worker().clean_up());
    w.check_new();
    w.check_tidy();
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("a swap of volumes stopped after any system call can be rolled back", "[volumes][crash]") {
  if (!can_mount()) return;
  const bool exchange = GENERATE(true, false);
  for (unsigned n = 1;; ++n) {
    world w(exchange);
    w.stage();
    const bool ended = ends_within(n, w, swap_it);
    INFO("stopped after call " << n);
    put(w.dir() + "/state/made", "by an attempt to start");
    expect(w.worker().roll_back());
    if (there(w.dir() + "/state/made")) fs::remove(w.dir() + "/state/made");  // there was nothing to undo yet
    w.check_old();
    w.check_tidy();
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("ways back and forward over volumes go on where they were stopped", "[volumes][crash]") {
  if (!can_mount()) return;
  for (unsigned n = 1;; ++n) {
    world back;
    back.stage();
    expect(back.worker().swap());
    put(back.dir() + "/state/made", "by an attempt to start");
    bool ended = ends_within(n, back, roll_back_it);
    INFO("stopped after call " << n);
    expect(back.worker().roll_back());
    back.check_old();
    back.check_tidy();

    world forth;
    forth.stage();
    expect(forth.worker().swap());
    ended = ends_within(n, forth, clean_up_it) && ended;
    expect(forth.worker().clean_up());
    forth.check_new();
    forth.check_tidy();
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("what comes to a volume is whole, or is unpacked again", "[volumes][crash]") {
  if (!can_mount()) return;
  struct crash {};
  for (unsigned n = 1;; ++n) {
    world w;
    w.unpacked();
    bool ended = true;
    unsigned calls = 0;
    try {
      expect(w.carry([&](std::string_view) {
        if (++calls == n) throw crash{};
      }));
    } catch (const crash&) {
      ended = false;
    }
    INFO("stopped after call " << n);
    CHECK(picture(w.dir()) == w.before);
    if (!there(w.dir() + "/.hasup/staging/staged.json")) {
      expect_refusal(w.worker().swap(), "nothing is staged");
      w.check_old();
    } else {
      expect(w.worker().swap());
      w.check_new();
    }
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("a rewipe takes from a volume what an attempt to start made there", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  expect(w.worker().swap());
  put(w.dir() + "/state/made", "by an attempt to start");
  expect(w.worker().rewipe());
  w.check_new();
}

TEST_CASE("wiped, a volume is empty but for what stays, and the new state comes to it", "[volumes][crash]") {
  if (!can_mount()) return;
  for (unsigned n = 1;; ++n) {
    world w;
    w.job.chosen = ports::candidate{0, {{"s.tar", "", "", {}, {}, {}, ""}}};
    put(w.dir() + "/.hasup/cache/s.tar", "the archive");
    seal_archive(w.dir(), "s.tar");
    const bool ended = ends_within(n, w, [](state_swap& s) { return s.wipe(); });
    INFO("stopped after call " << n);
    expect(w.worker().wipe());
    CHECK_FALSE(there(w.dir() + "/state/a"));
    CHECK_FALSE(there(w.dir() + "/data/db"));
    CHECK(there(w.dir() + "/state/lost+found/found"));
    CHECK(get(w.dir() + "/data/priv.json") == "round 7");
    CHECK_FALSE(there(w.dir() + "/state/.hasup/staging/discard"));
    w.stage();
    expect(w.worker().swap());
    w.check_new();
    expect(w.worker().roll_back());
    CHECK_FALSE(there(w.dir() + "/state/a"));
    CHECK(there(w.dir() + "/.hasup/swap.json"));
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("a volume that is not mounted is never an empty directory", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  const auto below = w.dir() + "/state";
  SECTION("before the swap") {
    w.state->unmount();
    expect_refusal(w.worker().swap(), below + " is not mounted");
    expect_refusal(w.carry(), below + " is not mounted");
    expect(w.worker().roll_back());  // there is nothing to undo
    CHECK(get(w.dir() + "/gone/c") == "old c");
    CHECK(get(w.dir() + "/data/db/d") == "old d");
  }
  SECTION("after it") {
    expect(w.worker().swap());
    w.state->unmount();
    expect_refusal(w.worker().swap(), below + " is not mounted");
    expect_refusal(w.worker().roll_back(), below + " is not mounted");
    expect_refusal(w.worker().clean_up(), below + " is not mounted");
    expect_refusal(w.worker().rewipe(), below + " is not mounted");
    w.job.mounts.clear();  // nor when nobody names it any more
    expect_refusal(w.worker().roll_back(), below + " is not mounted");
    CHECK(get(w.dir() + "/data/db/d") == "new d");
    CHECK(get(w.dir() + "/data/.hasup/aside/db/d") == "old d");
  }
  CHECK(fs::is_empty(below));
  const auto rules = snapshot::rules_of(w.job.plan, w.job);
  const base::unique_fd root(::open(w.dir().c_str(), O_RDONLY | O_DIRECTORY));
  if (!w.job.mounts.empty())
    CHECK(snapshot::why_not_swappable(root.get(), w.dir(), *rules, ::geteuid()).find("is not mounted") !=
          std::string::npos);
}

TEST_CASE("another file system in the place of a volume is not touched", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  SECTION("what was prepared is not there") {
    w.state.reset();
    w.state = std::make_unique<memory_mount>(w.dir() + "/state");
    put(w.dir() + "/state/a", "of another one");
    expect_refusal(w.worker().swap(), "unpack the snapshot again");
    CHECK(get(w.dir() + "/gone/c") == "old c");
  }
  SECTION("what was prepared has gone") {
    fs::remove_all(w.dir() + "/state/.hasup/staging/new/more");
    expect_refusal(w.worker().swap(), "unpack the snapshot again");
    w.job.plan.archives.clear();
    expect_refusal(w.worker().swap(), "unpack the snapshot again");
  }
  CHECK(get(w.dir() + "/data/db/d") == "old d");
}

TEST_CASE("a copy of a volume, or an empty one, is not what was swapped", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  expect(w.worker().swap());
  const auto path = w.dir() + "/state";
  SECTION("one that was copied before") {
    const auto claim = get(path + "/.hasup/volume");
    w.state.reset();
    w.state = std::make_unique<memory_mount>(path);
    put(path + "/.hasup/volume", claim.substr(0, claim.find('\n')) + "\n0123456789abcdef\n");
  }
  SECTION("one that was never claimed") {
    w.state.reset();
    w.state = std::make_unique<memory_mount>(path);
  }
  put(path + "/a", "of another one");
  expect_refusal(w.worker().rewipe(), "is another file system than the one");
  expect_refusal(w.worker().clean_up(), "is another file system than the one");
  expect_refusal(w.worker().roll_back(), "is another file system than the one");
  CHECK(get(path + "/a") == "of another one");
  w.job.mode = ports::worker_mode::inspect;
  w.job.mounts.erase(w.job.mounts.begin());  // which is none in this test
  const auto seen = snapshot::inspect(w.job);
  CHECK_FALSE(seen.mounted);
  CHECK(seen.unmounted == path + ", as its recovery knows it,");
}

TEST_CASE("what came to a volume for another snapshot is not swapped in", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  put(w.dir() + "/state/.hasup/staging/new/stray", "of another one");
  expect_refusal(w.worker().swap(), "stray is not as it was prepared");
  w.stage();  // the next one clears it
  expect(w.worker().swap());
  w.check_new();
}

TEST_CASE("a volume in a volume is refused", "[volumes]") {
  if (!can_mount()) return;
  world w;
  const memory_mount inner(w.dir() + "/state/inner");
  w.job.mounts.push_back(w.dir() + "/state/inner");
  w.unpacked();
  expect_refusal(w.carry(), "which is a volume itself");
}

TEST_CASE("after a wipe the room that a volume's state took is known", "[volumes]") {
  if (!can_mount()) return;
  world w;
  put(w.dir() + "/state/large", std::string(1 << 20, 'x'));
  w.job.chosen = ports::candidate{0, {{"s.tar", "", "", {}, {}, {}, ""}}};
  put(w.dir() + "/.hasup/cache/s.tar", "the archive");
  seal_archive(w.dir(), "s.tar");
  expect(w.worker().wipe());
  expect(w.worker().wipe());
  w.job.plans = {w.job.plan};
  const auto out = snapshot::measure(w.job, w.control);
  REQUIRE(out.room);
  REQUIRE(out.room->volumes.size() == 2);
  CHECK(out.room->volumes[1].state[0] >= 1 << 20);
  CHECK(out.room->volumes[1].freed[0] == 0);
  CHECK(out.room->state[0] < 1 << 20);
}

TEST_CASE("a volume belongs to one data directory", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  put(w.dir() + "/state/.hasup/volume", "/another/node\n00ff\n");
  const std::string other = "is a volume of the data directory /another/node";
  expect_refusal(w.worker().swap(), other);
  expect_refusal(w.carry(), other);
  const auto rules = snapshot::rules_of(w.job.plan, w.job);
  const base::unique_fd root(::open(w.dir().c_str(), O_RDONLY | O_DIRECTORY));
  CHECK(snapshot::why_not_swappable(root.get(), w.dir(), *rules, ::geteuid()).find(other) != std::string::npos);
  CHECK(picture(w.dir()) == w.before);
}

TEST_CASE("a mount point that nobody names is refused with what to do", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.job.mounts.pop_back();
  put(w.dir() + "/.hasup/staging/new/data/db/d", "new d");
  w.job.plan.archives.clear();
  w.job.plan.wipe = {"data"};
  w.job.keep.clear();
  expect_refusal(w.worker().swap(), "name it in data.mount");
}

TEST_CASE("measuring tells what volumes have and take", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.job.mode = ports::worker_mode::measure;
  w.job.plans = {w.job.plan};
  put(w.dir() + "/state/large", std::string(1 << 20, 'x'));
  put(w.dir() + "/state/.hasup/staging/left", std::string(2 << 20, 'x'));
  const auto out = snapshot::measure(w.job, w.control);
  INFO(out.error);
  REQUIRE(out.room);
  CHECK(out.room->not_swappable == std::vector<std::string>{""});
  REQUIRE(out.room->volumes.size() == 2);
  const auto& state = out.room->volumes[1];
  CHECK(state.path == "state");
  CHECK(state.free_bytes > 4 << 20);
  CHECK(state.free_bytes < 6 << 20);
  CHECK(state.state[0] >= 1 << 20);
  CHECK(state.state[0] < 2 << 20);
  CHECK(state.freed == state.state);
  CHECK(state.staging >= 2 << 20);
  CHECK(out.room->state[0] < 1 << 20);
}
