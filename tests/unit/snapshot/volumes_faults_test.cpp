// Volumes of a data directory, and mounts that nobody names, in the ways in which they can go wrong: full, copied,
// mounted twice, mounted within what is replaced, or held by a process that has an old state open.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "sealed_archive.hpp"
#include "snapshot/inspect.hpp"
#include "snapshot/mount_point.hpp"
#include "snapshot/swappable.hpp"
#include "volume_world.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;
using world = volume_world;

namespace {

template <class Outcome>
std::string said(const Outcome& done) {
  return done ? std::string() : done.error().message;
}

template <class Outcome>
void expect(const Outcome& done) {
  INFO(said(done));
  REQUIRE(done.has_value());
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string why_not(const world& w) {
  const auto rules = snapshot::rules_of(w.job.plan, w.job);
  const base::unique_fd root(::open(w.dir().c_str(), O_RDONLY | O_DIRECTORY));
  REQUIRE(rules.has_value());
  return snapshot::why_not_swappable(root.get(), w.dir(), *rules, ::geteuid());
}

void choose_archive(world& w) {
  w.job.chosen = ports::candidate{0, {{"s.tar", "", "", {}, {}, {}, ""}}};
  put(w.dir() + "/.hasup/cache/s.tar", "the archive");
  seal_archive(w.dir(), "s.tar");
}

// As the daemon looks; the directory above the data directory is no mount here.
ports::worker_result seen(world& w) {
  std::erase_if(w.job.mounts, [&](const std::string& path) { return !path.starts_with(w.dir() + "/"); });
  return snapshot::inspect(w.job);
}

struct stopped {};

}  // namespace

TEST_CASE("where a file system is mounted, in a line of mountinfo", "[volumes]") {
  CHECK(snapshot::mounted_at("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw") == "/mnt2");
  CHECK(snapshot::mounted_at("36 35 98:0 / /a\\040b\\011c\\134d rw - ext3 /dev/root rw") == "/a b\tc\\d");
  CHECK(snapshot::mounted_at("36 35 98:0 / /a\\04 rw") == "/a\\04");
  CHECK(snapshot::mounted_at("36 35 98:0 /").empty());
  CHECK(snapshot::mounted_at("").empty());
}

TEST_CASE("what has a file system mounted in it is not replaced", "[volumes]") {
  if (!can_mount()) return;
  world w;
  const std::string inside = GENERATE("/gone/in ner", "/state/sub/inner");
  const memory_mount inner(w.dir() + inside);
  put(w.dir() + inside + "/s", "of another file system");
  w.stage();
  const auto told = "has a file system of its own mounted in it, at " + w.dir() + inside;
  CHECK(has(why_not(w), told));
  CHECK(has(said(w.worker().swap()), told));
  choose_archive(w);
  CHECK(has(said(w.worker().wipe()), told));
  CHECK(get(w.dir() + "/gone/c") == "old c");
  CHECK(get(w.dir() + "/state/sub/b") == "old b");
  CHECK(get(w.dir() + inside + "/s") == "of another file system");
  CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
}

TEST_CASE("what is kept may be a mount of its own, or behind a link", "[volumes]") {
  if (!can_mount()) return;
  world w;
  const memory_mount keys(w.dir() + "/keys");
  put(w.dir() + "/keys/priv", "round 7");
  put(w.dir() + "/etc/key", "round 8");
  fs::create_directory_symlink("etc", w.dir() + "/conf");
  w.job.mounts.push_back(w.dir() + "/keys");
  w.job.keep.insert(w.job.keep.end(), {"keys/priv", "keys", "conf/key"});
  w.stage();
  CHECK(why_not(w).empty());
  expect(w.worker().swap());
  SECTION("forward") {
    auto s = w.worker();
    expect(s.clean_up());
    CHECK(s.notes().empty());
  }
  SECTION("back") {
    expect(w.worker().roll_back());
    CHECK(get(w.dir() + "/gone/c") == "old c");
  }
  CHECK(get(w.dir() + "/keys/priv") == "round 7");
  CHECK(get(w.dir() + "/etc/key") == "round 8");
}

TEST_CASE("a further unpacking does not make what is swapped unknown", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  expect(w.worker().swap());
  w.unpacked();
  static_cast<void>(w.carry());
  CHECK(seen(w).mounted);
  expect(w.worker().roll_back());
  w.check_old();
}

TEST_CASE("another volume than the one that was swapped is told as such", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  expect(w.worker().swap());
  CHECK_FALSE(seen(w).other_volume);
  w.state.reset();
  w.state = std::make_unique<memory_mount>(w.dir() + "/state");
  CHECK_FALSE(seen(w).mounted);
  CHECK(seen(w).other_volume);
  w.state->unmount();
  CHECK_FALSE(seen(w).other_volume);
}

TEST_CASE("a data directory of nothing but empty volumes is empty", "[volumes]") {
  if (!can_mount()) return;
  const temp_tree t;
  fs::create_directories(t / "node/deep");
  const memory_mount one(t / "node/state");
  const memory_mount two(t / "node/deep/blocks");
  fs::create_directories(t / "node/state/lost+found");
  fs::create_directories(t / "node/state/.hasup/aside");
  fs::create_directories(t / "node/.hasup");
  ports::worker_job job;
  job.data_dir = t / "node";
  job.mounts = {t / "node/state", t / "node/deep/blocks"};
  CHECK(snapshot::inspect(job).data_dir_empty);
  SECTION("a file in a volume") {
    put(t / "node/deep/blocks/1", "1");
  }
  SECTION("a file beside one") {
    put(t / "node/deep/1", "1");
  }
  SECTION("a directory that is none") {
    fs::create_directories(t / "node/snapshots");
  }
  CHECK_FALSE(snapshot::inspect(job).data_dir_empty);
}

TEST_CASE("a volume that came back as a copy is not deleted once more", "[volumes]") {
  if (!can_mount()) return;
  world w;
  choose_archive(w);
  // The record is written, and nothing is deleted yet: the same entries stand there that a copy would bring back.
  CHECK_THROWS_AS(w.worker([&](std::string_view) {
                     if (there(w.dir() + "/.hasup/swap.json")) throw stopped{};
                   }).wipe(),
                  stopped);
  REQUIRE(get(w.dir() + "/state/a") == "old a");
  const auto claim = get(w.dir() + "/state/.hasup/volume");
  put(w.dir() + "/state/.hasup/volume", claim.substr(0, claim.find('\n')) + "\n0123456789abcdef\n");
  const std::string told = "was put there after the old state was deleted";
  CHECK(has(said(w.worker().roll_back()), told));
  CHECK(has(said(w.worker().wipe()), told));
  CHECK(get(w.dir() + "/state/a") == "old a");
  put(w.dir() + "/state/.hasup/volume", claim);
  expect(w.worker().wipe());
  CHECK_FALSE(there(w.dir() + "/state/a"));
}

TEST_CASE("what does not come to a volume whole leaves nothing there", "[volumes]") {
  if (!can_mount()) return;
  const world w(true, "size=8m,nr_inodes=24");
  w.unpacked();
  for (int i = 0; i < 40; ++i) put(w.dir() + "/.hasup/staging/new/state/n" + std::to_string(i), "n");
  const auto done = w.carry();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().kind == worker_failure::no_space);
  CHECK_FALSE(there(w.dir() + "/state/.hasup/staging/new"));
  CHECK_FALSE(there(w.dir() + "/data/.hasup/staging/new"));
  CHECK(get(w.dir() + "/state/a") == "old a");
}

TEST_CASE("a full volume is named", "[volumes]") {
  if (!can_mount()) return;
  world w(true, "size=64k");
  choose_archive(w);
  const auto fill = [&] {
    const base::unique_fd file(::open((w.dir() + "/state/full").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
    const std::string page(4096, 'x');
    while (::write(file.get(), page.data(), page.size()) > 0) {
    }
  };
  SECTION("one that was never claimed") {
    fs::create_directories(w.dir() + "/state/.hasup");
    fill();
    const auto done = w.worker().wipe();
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().kind == worker_failure::no_space);
    CHECK(has(done.error().message, w.dir() + "/state is full"));
    CHECK(get(w.dir() + "/state/a") == "old a");
  }
  SECTION("one that is known keeps its word, and is wiped") {
    expect(w.carry());
    fill();
    expect(w.worker().wipe());
    CHECK_FALSE(there(w.dir() + "/state/full"));
  }
}

TEST_CASE("who has an old state open that was put aside in a volume is no writer", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.stage();
  expect(w.worker().swap());
  const auto is_open = [&](const std::string& file) {
    const pid_t other = ::fork();
    if (other == 0) {
      const int fd = ::open((w.dir() + file).c_str(), O_WRONLY);
      ::raise(SIGSTOP);
      ::_exit(fd);
    }
    ::waitpid(other, nullptr, WUNTRACED);
    const auto found = seen(w).writer;
    ::kill(other, SIGKILL);
    ::waitpid(other, nullptr, 0);
    return found.has_value();
  };
  CHECK_FALSE(is_open("/state/.hasup/aside/a"));
  CHECK_FALSE(is_open("/.hasup/aside/gone/c"));
  CHECK(is_open("/state/a"));
}

TEST_CASE("one directory that is mounted twice is refused", "[volumes]") {
  if (!can_mount()) return;
  world w;
  w.data->unmount();
  REQUIRE(::mount((w.dir() + "/state").c_str(), (w.dir() + "/data").c_str(), nullptr, MS_BIND, nullptr) == 0);
  CHECK(has(said(w.worker().swap()), "are the same directory, mounted twice"));
  ::umount2((w.dir() + "/data").c_str(), MNT_DETACH);
}
