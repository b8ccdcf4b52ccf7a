// A data directory some of whose entries are file systems of their own.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>

#include <memory>

#include "snapshot/data_tree.hpp"
#include "snapshot/unpack/carry.hpp"
#include "swap_world.hpp"

namespace hasup::test {

// A file system in memory, mounted at a directory for as long as this lives.
class memory_mount {
 public:
  explicit memory_mount(std::string at, const std::string& options = "size=8m") : at_(std::move(at)) {
    fs::create_directories(at_);
    mounted_ = ::mount("tmpfs", at_.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  memory_mount(const memory_mount&) = delete;
  memory_mount& operator=(const memory_mount&) = delete;
  ~memory_mount() { unmount(); }
  void unmount() {
    if (std::exchange(mounted_, false)) ::umount2(at_.c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool mounted() const { return mounted_; }

 private:
  std::string at_;
  bool mounted_ = false;
};

inline bool can_mount() {
  const temp_tree t;
  const memory_mount m(t / "mount");
  if (!m.mounted()) WARN("skipped: nothing can be mounted here (it takes root)");
  return m.mounted();
}

//   state   a volume, replaced                       gone   an ordinary directory, wiped, nothing staged
//   data    a volume that holds a kept file: data/db is replaced       blocks   shared
class volume_world {
 public:
  explicit volume_world(bool exchange = true, const std::string& options = "size=8m")
      : root_(true),
        state(std::make_unique<memory_mount>(dir() + "/state", options)),
        data(std::make_unique<memory_mount>(dir() + "/data")),
        can_exchange_(exchange) {
    job.data_dir = dir();
    job.mounts = {root_.path(), dir() + "/state", dir() + "/data/"};
    job.plan.name = "full";
    job.plan.wipe = {"state", "gone", "fresh", "data"};
    job.plan.shared = {"blocks"};
    job.plan.archives = {{"*", "", model::archive_order::time, model::unpack_mode::archive, "", ".", true}};
    job.keep = {"data/priv.json"};
    put(dir() + "/state/a", "old a");
    put(dir() + "/state/sub/b", "old b");
    put(dir() + "/state/lost+found/found", "of the file system");
    put(dir() + "/gone/c", "old c");
    put(dir() + "/data/db/d", "old d");
    put(dir() + "/data/priv.json", "round 7");
    put(dir() + "/blocks/e", "shared e");
    before = picture(dir());
  }

  std::string dir() const { return root_ / "node"; }
  void unpacked() const {
    const auto staging = dir() + "/.hasup/staging/new";
    put(staging + "/state/a", "new a");
    put(staging + "/state/more/f", "new f");
    put(staging + "/fresh/g", "new g");
    put(staging + "/data/db/d", "new d");
    fs::create_hard_link(staging + "/state/a", staging + "/state/same");
    fs::create_symlink("more/f", staging + "/state/link");
    REQUIRE(::truncate((staging + "/state/more/f").c_str(), 64 << 10) == 0);  // mostly a hole
  }
  snapshot::outcome<void> carry(snapshot::disk::observer after = {}) const {
    const snapshot::disk d(std::move(after));
    auto rules = snapshot::rules_of(job.plan, job);
    REQUIRE(rules.has_value());
    auto tree = snapshot::data_tree::open_for_work(job.data_dir, d, control);
    if (!tree) return tree.error();
    if (auto opened = tree->open_volumes(rules->volumes()); !opened) return opened;
    if (auto claimed = snapshot::claim_to_carry(*tree, d); !claimed) return claimed;
    if (auto made = tree->make_places(d, false); !made) return made;
    auto carried = snapshot::carry(*tree, *rules, job.min_free, d, control);
    if (!carried) return carried.error();
    snapshot::staged ready{job.plan.name, {}, {}, std::move(*carried)};
    for (const auto& path : rules->volumes()) ready.volumes.push_back({path, tree->mounted().of(path)->id, 0});
    return snapshot::write_staged(tree->own(), d, ready);
  }
  void stage() const {
    unpacked();
    const auto done = carry();
    INFO((done ? std::string() : done.error().message));
    REQUIRE(done.has_value());
  }
  snapshot::state_swap worker(snapshot::disk::observer after = {}) const {
    return {job, control, snapshot::disk(std::move(after), can_exchange_)};
  }

  void check_new() const {
    auto now = picture(dir(), false);
    CHECK(now["state/more/f"].substr(0, 5) == "new f");
    CHECK(now["state/more/f"].size() == 64 << 10);
    now["state/more/f"] = "new f";
    const std::map<std::string, std::string> wanted{{"state", "dir"},
                                                    {"state/a", "new a"},
                                                    {"state/same", "new a"},
                                                    {"state/link", "other"},
                                                    {"state/more", "dir"},
                                                    {"state/more/f", "new f"},
                                                    {"state/lost+found", "dir"},
                                                    {"fresh", "dir"},
                                                    {"fresh/g", "new g"},
                                                    {"data", "dir"},
                                                    {"data/db", "dir"},
                                                    {"data/db/d", "new d"},
                                                    {"data/priv.json", "round 7"},
                                                    {"blocks", "dir"},
                                                    {"blocks/e", "shared e"},
                                                    {"state/lost+found/found", "of the file system"}};
    CHECK(now == wanted);
  }
  void check_old() const {
    CHECK(picture(dir()) == before);
    CHECK_FALSE(there(dir() + "/.hasup/swap.json"));
  }
  // Nothing of a recovery is left anywhere.
  void check_tidy() const {
    for (const std::string v : {"", "/state", "/data"})
      for (const auto* what : {"/.hasup/aside", "/.hasup/staging", "/.hasup/swap.json"})
        CHECK_FALSE(there(dir() + v + what));
  }

 private:
  temp_tree root_;

 public:
  std::unique_ptr<memory_mount> state, data;
  ports::worker_job job;
  mutable snapshot::job_control control;
  std::map<std::string, std::string> before;

 private:
  bool can_exchange_;
};

}  // namespace hasup::test
