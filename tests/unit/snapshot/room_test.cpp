// What is measured before a recovery fetches anything: free space, the cache, the staging directory, the old state.
#include "snapshot/room.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "unit/snapshot/temp_tree.hpp"
#include "unit/snapshot/xfs_volume.hpp"

using namespace hasup;
using namespace hasup::test;

namespace {

constexpr std::uint64_t KiB = 1024;

ports::worker_result measured(const std::string& dir, std::vector<std::vector<std::string>> wipes = {},
                              std::vector<std::string> keep = {}) {
  ports::worker_job job;
  job.mode = ports::worker_mode::measure;
  job.data_dir = dir;
  job.keep = std::move(keep);
  for (auto& wipe : wipes) {
    model::recovery_plan p;
    p.wipe = std::move(wipe);
    job.plans.push_back(std::move(p));
  }
  return snapshot::measure(job, {});
}

std::string some(std::uint64_t size) {
  return std::string(size, 'x');
}

// A directory has blocks of its own on some file systems.
bool about(std::uint64_t is, std::uint64_t wanted) {
  INFO(is << " for " << wanted);
  return is >= wanted && is <= wanted + 64 * KiB;
}

}  // namespace

TEST_CASE("what could not be renamed is seen before anything is fetched") {
  temp_tree t;
  put(t / "data/state/a", some(1));
  put(t / "data/real/b", some(1));
  fs::create_symlink("real", t / "data/link");
  const auto r = measured(t / "data", {{"state"}, {"state", "link"}, {"link/b"}, {"not there"}});
  REQUIRE(r.room);
  const auto& why = r.room->not_swappable;
  REQUIRE(why.size() == 4);
  CHECK(why[0].empty());
  CHECK(why[1].find(t / "data/link is a symbolic link; replace it by the directory it means") == 0);
  CHECK(why[2].find("link is a symbolic link and what is to be replaced lies behind it") != std::string::npos);
  CHECK(why[3].empty());
  if (::geteuid() != 0) return;  // only root can give files away, and mount
  REQUIRE(::chown((t / "data/state").c_str(), 12345, 12345) == 0);
  CHECK(measured(t / "data", {{"state"}}).room->not_swappable.at(0).find("belongs to user 12345") !=
        std::string::npos);
  REQUIRE(::chown((t / "data/state").c_str(), 0, 0) == 0);
  if (::mount("none", (t / "data/state").c_str(), "tmpfs", 0, "size=64k") != 0) return;
  const auto mounted = measured(t / "data", {{"state"}});
  REQUIRE(::umount((t / "data/state").c_str()) == 0);
  CHECK(mounted.room->not_swappable.at(0).find("is a mount point of its own") != std::string::npos);
}

TEST_CASE("the old state is what a plan replaces, in blocks on the disk") {
  temp_tree t;
  put(t / "data/state/a", some(400 * KiB));
  put(t / "data/state/keep/me", some(800 * KiB));
  put(t / "data/blocks/log", some(1600 * KiB));
  put(t / "data/.hasup/aside/state/a", some(100 * KiB));
  fs::create_hard_link(t / "data/state/a", t / "data/state/b");
  {
    const base::unique_fd hole(::open((t / "data/state/holes").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::ftruncate(hole.get(), 1 << 30) == 0);
  }
  const auto r = measured(t / "data", {{"state"}, {"state", "blocks"}, {"*"}, {"not there"}}, {"state/keep"});
  REQUIRE(r.error.empty());
  REQUIRE(r.room);
  REQUIRE(r.room->state.size() == 4);
  CHECK(about(r.room->state[0], 400 * KiB));
  CHECK(about(r.room->state[1], 2000 * KiB));
  CHECK(about(r.room->state[2], 2000 * KiB));
  CHECK(r.room->state[3] == 0);
  // What has a second name would not be freed.
  CHECK(about(r.room->freed[0], 0));
  CHECK(about(r.room->freed[1], 1600 * KiB));
}

TEST_CASE("whether shared entries can be cloned aside is tried without a trace") {
  const auto not_cloned = [](const std::string& dir) {
    put(dir + "/state/a", "a");
    put(dir + "/blocks/log", "b");
    fs::create_directory_symlink("blocks", dir + "/linked");
    const auto before = picture(dir);
    const auto times = fs::last_write_time(dir);
    ports::worker_job job;
    job.mode = ports::worker_mode::measure;
    job.data_dir = dir;
    for (auto shared : {std::vector<std::string>{}, {"blocks"}, {"linked"}}) {
      model::recovery_plan p;
      p.wipe = {"state"};
      p.shared = std::move(shared);
      job.plans.push_back(std::move(p));
    }
    const auto r = snapshot::measure(job, {});
    REQUIRE(r.room);
    CHECK(picture(dir) == before);
    CHECK(fs::last_write_time(dir) == times);
    return r.room->not_cloned;
  };
  temp_tree memory(true);
  CHECK(not_cloned(memory / "data") ==
        std::vector<std::string>{"", "the file system has no reflinks", "linked is a symbolic link"});
  if (const auto volume = xfs_volume::make())
    CHECK(not_cloned(volume->path() + "/data") == std::vector<std::string>{"", "", "linked is a symbolic link"});
}

TEST_CASE("whole archives and parts of them in the cache are told, their notes are not") {
  temp_tree t;
  put(t / "data/.hasup/cache/a.tar", some(64 * KiB));
  put(t / "data/.hasup/cache/a.tar.seal", "{}");
  put(t / "data/.hasup/cache/b.tar.part", some(128 * KiB));
  put(t / "data/.hasup/cache/b.tar.resume", "{}");
  const auto r = measured(t / "data");
  REQUIRE(r.room);
  CHECK(r.room->cached == std::vector<ports::cached_file>{{"a.tar", true, 64 * KiB}, {"b.tar", false, 128 * KiB}});
}

TEST_CASE("what lies in the staging directory goes first, but not what is the cache's by another name") {
  temp_tree t;
  put(t / "data/.hasup/cache/a.bin", some(512 * KiB));
  put(t / "data/.hasup/staging/new/state/x", some(256 * KiB));
  fs::create_directories(t / "data/.hasup/staging/archives/s");
  fs::create_hard_link(t / "data/.hasup/cache/a.bin", t / "data/.hasup/staging/archives/s/a.bin");
  const auto r = measured(t / "data");
  REQUIRE(r.room);
  CHECK(about(r.room->staging, 256 * KiB));
}

TEST_CASE("free space is that of the file system which the data directory is or will be on") {
  temp_tree t(true);
  const auto r = measured(t / "a/b/c", {{"state"}});
  REQUIRE(r.room);
  struct stat st {};
  REQUIRE(::stat(t.path().c_str(), &st) == 0);
  CHECK(r.room->device == st.st_dev);
  CHECK(r.room->free_bytes > 0);
  CHECK(r.room->state == std::vector<std::uint64_t>{0});
  CHECK_FALSE(there(t / "a"));
  CHECK(measured("relative").failure == ports::worker_failure::refused);
}

TEST_CASE("another file system in the old state is not counted, and nothing is followed") {
  if (::geteuid() != 0) {
    WARN("needs root, to mount");
    return;
  }
  temp_tree t;
  put(t / "data/state/a", some(64 * KiB));
  put(t / "elsewhere/large", some(4096 * KiB));
  fs::create_directory_symlink(t / "elsewhere", t / "data/state/link");
  fs::create_directories(t / "data/state/volume");
  REQUIRE(::mount("none", (t / "data/state/volume").c_str(), "tmpfs", 0, "size=8m") == 0);
  put(t / "data/state/volume/large", some(2048 * KiB));
  const auto r = measured(t / "data", {{"state"}});
  ::umount2((t / "data/state/volume").c_str(), MNT_DETACH);
  REQUIRE(r.room);
  CHECK(about(r.room->state[0], 64 * KiB));
  CHECK(about(r.room->freed[0], 64 * KiB));
}
