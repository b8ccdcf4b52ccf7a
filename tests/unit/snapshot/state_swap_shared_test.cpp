// Shared entries through a swap and back: cloned aside on a file system with reflinks, said to stay on others, with
// the work stopped after every system call and taken up again.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include "snapshot/staged.hpp"
#include "snapshot/state_swap.hpp"
#include "stopped_work.hpp"
#include "temp_tree.hpp"
#include "xfs_volume.hpp"

using namespace hasup;
using namespace hasup::test;
using snapshot::state_swap;

namespace {

void write_at(const std::string& path, off_t at, const std::string& text, int flags = O_CREAT) {
  const base::unique_fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0640));
  REQUIRE(fd);
  REQUIRE(::pwrite(fd.get(), text.data(), text.size(), at) == static_cast<ssize_t>(text.size()));
}

void set_time(const std::string& path, time_t seconds) {
  const timespec times[2] = {{seconds, 5}, {seconds, 123456789}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

// Everything of an entry that a roll back must bring back, but its inode.
std::string looks_of(const std::string& path) {
  struct stat st {};
  REQUIRE(::lstat(path.c_str(), &st) == 0);
  std::string out = std::to_string(st.st_mode) + " " + std::to_string(st.st_uid) + ":" + std::to_string(st.st_gid) +
                    " " + std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec) + " ";
  if (S_ISLNK(st.st_mode)) return out + fs::read_symlink(path).string();
  std::string value(64, '\0');
  const auto n = ::getxattr(path.c_str(), "user.hasup", value.data(), value.size());
  if (n > 0) out += value.substr(0, static_cast<std::size_t>(n)) + " ";
  if (S_ISDIR(st.st_mode)) return out;
  return out + std::to_string(st.st_nlink) + " " + std::to_string(st.st_blocks) + " " + get(path);
}

std::map<std::string, std::string> looks(const std::string& dir) {
  std::map<std::string, std::string> out;
  for (auto it = fs::recursive_directory_iterator(dir); it != fs::recursive_directory_iterator(); ++it)
    out[it->path().string().substr(dir.size() + 1)] = looks_of(it->path().string());
  return out;
}

//   state   replaced      blocks   shared          logs    shared, with a kept file inside
//   once    shared, a file, which the node may delete      later   shared, not there before the node made it
class world {
 public:
  explicit world(std::string dir, bool exchange = true) : dir_(std::move(dir)), can_exchange_(exchange) {
    job.data_dir = dir_;
    job.plan.name = "state only";
    job.plan.wipe = {"state"};
    job.plan.shared = {"blocks", "logs", "once", "later"};
    job.keep = {"logs/tower.bin"};
    put(dir_ + "/state/a", "old a");
    write_at((put(dir_ + "/blocks/blocks.log", ""), dir_ + "/blocks/blocks.log"), 1 << 20, std::string(9000, 'b'));
    put(dir_ + "/blocks/blocks.index", "index");
    fs::create_hard_link(dir_ + "/blocks/blocks.index", dir_ + "/blocks/same.index");
    fs::create_symlink("blocks.log", dir_ + "/blocks/current");
    put(dir_ + "/blocks/retained/1.log", "old block");
    put(dir_ + "/logs/ship.log", "ship");
    put(dir_ + "/logs/tower.bin", "vote 7");
    put(dir_ + "/once", "once");
    ::setxattr((dir_ + "/blocks/retained").c_str(), "user.hasup", "kept", 4, 0);
    REQUIRE(::chmod((dir_ + "/blocks/blocks.index").c_str(), 0400) == 0);
    REQUIRE(::chmod((dir_ + "/blocks/retained").c_str(), 0550) == 0);
    for (const auto* name : {"blocks/current", "blocks/blocks.log", "blocks/retained", "blocks", "once"})
      set_time(dir_ + "/" + name, 1'600'000'000);
    put(dir_ + "/.hasup/staging/new/state/a", "new a");
    const base::unique_fd own(::open((dir_ + "/.hasup").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(snapshot::write_staged(own.get(), snapshot::disk{}, {job.plan.name, {}}).has_value());
    blocks = looks(dir_ + "/blocks");
    inodes = picture(dir_);
  }
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world() {
    std::error_code ignored;
    fs::permissions(dir_ + "/blocks/retained", fs::perms::owner_all, ignored);
    fs::remove_all(dir_, ignored);
  }

  std::string operator/(const std::string& name) const { return dir_ + "/" + name; }
  state_swap worker(snapshot::disk::observer after = {}) const {
    return {job, control, snapshot::disk(std::move(after), can_exchange_)};
  }
  bool clones_exist() const { return there(*this / ".hasup/clones"); }

  void check_swapped() const {
    CHECK(get(*this / "state/a") == "new a");
    for (const auto* name : {"blocks", "blocks/blocks.log", "logs/ship.log", "once"})
      CHECK(std::to_string(inode(*this / name)) == inodes.at(name).substr(0, inodes.at(name).find(' ')));
    CHECK(looks(*this / "blocks") == blocks);
  }
  // As a node does: appends, cuts, deletes, makes.
  void run_node() const {
    write_at(*this / "blocks/blocks.log", 0, "overwritten", 0);
    write_at(*this / "blocks/blocks.log", 3 << 20, "appended", 0);
    REQUIRE(::truncate((*this / "blocks/same.index").c_str(), 2) == 0);
    fs::remove(*this / "blocks/current");
    put(*this / "blocks/fork_db.dat", "made by the node");
    put(*this / "logs/ship.log", "ship and more");
    put(*this / "logs/ship.index", "made by the node");
    put(*this / "logs/tower.bin", "vote 9");
    fs::remove(*this / "once");
    put(*this / "later/x", "made by the node");
  }
  void check_back() const {
    CHECK(get(*this / "state/a") == "old a");
    CHECK(looks(*this / "blocks") == blocks);
    CHECK(get(*this / "logs/ship.log") == "ship");
    CHECK_FALSE(there(*this / "logs/ship.index"));
    CHECK(get(*this / "logs/tower.bin") == "vote 9");
    CHECK(get(*this / "once") == "once");
    CHECK_FALSE(there(*this / "later"));
    CHECK_FALSE(clones_exist());
    CHECK_FALSE(there(*this / ".hasup/swap.json"));
    CHECK_FALSE(there(*this / ".hasup/staging"));
  }
  void check_untouched() const {
    CHECK(picture(dir_) == inodes);
    CHECK(looks(*this / "blocks") == blocks);
    CHECK_FALSE(clones_exist());
    CHECK_FALSE(there(*this / ".hasup/swap.json"));
  }

  ports::worker_job job;
  mutable snapshot::job_control control;
  std::map<std::string, std::string> blocks, inodes;

 private:
  std::string dir_;
  bool can_exchange_;
};

const auto swap_it = [](state_swap& s) { return s.swap(); };
const auto roll_back_it = [](state_swap& s) { return s.roll_back(); };
const auto clean_up_it = [](state_swap& s) { return s.clean_up(); };

void check_done(const snapshot::outcome<void>& done) {
  INFO((done ? std::string() : done.error().message));
  REQUIRE(done.has_value());
}

}  // namespace

TEST_CASE("shared entries stay the very same files, and a roll back brings back what they were", "[shared]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  world w(volume->path() + "/node", GENERATE(true, false));
  for (int time = 0; time < 2; ++time) {
    auto s = w.worker();
    check_done(s.swap());
    CHECK(s.notes().empty());
    w.check_swapped();
    CHECK(w.clones_exist());
  }
  w.run_node();
  for (int time = 0; time < 2; ++time) {
    auto s = w.worker();
    check_done(s.roll_back());
    CHECK(s.inexact().empty());
    w.check_back();
  }
}

TEST_CASE("a clone takes no room, and one of a long log none either", "[shared]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  world w(volume->path() + "/node");
  write_at(w / "blocks/blocks.log", 4 << 20, std::string(32U << 20U, 'x'));
  run("sync -f " + volume->path());
  struct statvfs before {};
  REQUIRE(::statvfs(volume->path().c_str(), &before) == 0);
  check_done(w.worker().swap());
  struct statvfs after {};
  REQUIRE(::statvfs(volume->path().c_str(), &after) == 0);
  CHECK((before.f_bfree - after.f_bfree) * before.f_frsize < (2U << 20U));
  CHECK(get(w / ".hasup/clones/blocks/blocks.log") == get(w / "blocks/blocks.log"));
}

TEST_CASE("what the node put in the place of a shared entry, or took away, is no obstacle", "[shared]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  world w(volume->path() + "/node", GENERATE(true, false));
  check_done(w.worker().swap());
  w.run_node();
  SECTION("another directory") {
    fs::remove_all(w / "blocks");
    put(w / "blocks/blocks.log", "a chain from its beginning");
  }
  SECTION("a link") {
    fs::remove_all(w / "blocks");
    fs::create_symlink("/nowhere", w / "blocks");
  }
  SECTION("nothing") {
    fs::remove_all(w / "blocks");
  }
  check_done(w.worker().roll_back());
  w.check_back();
}

TEST_CASE("a swap that clones, stopped after any system call, goes on or back", "[shared][crash]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  const bool onwards = GENERATE(true, false);
  unsigned points = 0;
  for (unsigned n = 1;; ++n) {
    world w(volume->path() + "/node");
    const bool ended = ends_within(n, w, swap_it);
    INFO("stopped after call " << n);
    const bool is_swapped = get(w / ".hasup/swap.json").find("\"swapped\"") != std::string::npos;
    if (onwards) {
      check_done(w.worker().swap());
      w.check_swapped();
      w.run_node();
      auto s = w.worker();
      check_done(s.roll_back());
      CHECK(s.inexact().empty());
      w.check_back();
    } else {
      auto s = w.worker();
      check_done(s.roll_back());
      CHECK(s.inexact().empty());
      // No node ran: where the swap had not come to its end, they are the very same files.
      if (!is_swapped) w.check_untouched();
      CHECK(looks(w / "blocks") == w.blocks);
      CHECK_FALSE(w.clones_exist());
    }
    points = n;
    if (ended) break;
    REQUIRE(n < 1000);
  }
  CHECK(points > 40);  // else the clones were not among them
}

TEST_CASE("a roll back of clones stopped after any system call comes to its end", "[shared][crash]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  const bool exchange = GENERATE(true, false);
  for (unsigned n = 1;; ++n) {
    world w(volume->path() + "/node", exchange);
    check_done(w.worker().swap());
    w.run_node();
    const bool ended = ends_within(n, w, roll_back_it);
    INFO("stopped after call " << n);
    auto s = w.worker();
    check_done(s.roll_back());
    CHECK(s.inexact().empty());
    w.check_back();
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("a clean up deletes the clones, wherever it was stopped, and leaves what the node has", "[shared][crash]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  for (unsigned n = 1;; ++n) {
    world w(volume->path() + "/node");
    check_done(w.worker().swap());
    w.run_node();
    const auto now = picture(w / "blocks");
    const bool ended = ends_within(n, w, clean_up_it);
    INFO("stopped after call " << n);
    check_done(w.worker().clean_up());
    CHECK(picture(w / "blocks") == now);
    CHECK(get(w / "later/x") == "made by the node");
    CHECK_FALSE(w.clones_exist());
    CHECK_FALSE(there(w / ".hasup/swap.json"));
    if (ended) break;
    REQUIRE(n < 1000);
  }
}

TEST_CASE("what cannot be cloned as a whole is not cloned at all, and that is said", "[shared]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  world w(volume->path() + "/node");
  std::string why;
  SECTION("a pipe among the last") {
    REQUIRE(::mkfifo((w / "logs/z").c_str(), 0600) == 0);
    why = "logs/z is neither a file nor a directory nor a link";
  }
  SECTION("a link in the place of one") {
    fs::rename(w / "once", w / "elsewhere");
    fs::create_symlink("elsewhere", w / "once");
    why = "once is a symbolic link";
  }
  SECTION("a mount inside of one") {
    fs::create_directory(w / "logs/more");
    REQUIRE(::mount("none", (w / "logs/more").c_str(), "tmpfs", 0, "size=64k") == 0);
    why = "logs/more is a mount point of its own";
  }
  SECTION("a mount deep inside of one") {
    REQUIRE(::mount("none", (w / "blocks/retained").c_str(), "tmpfs", 0, "size=64k") == 0);
    why = "blocks/retained is on another file system than .hasup";
  }
  SECTION("somebody else's") {
    REQUIRE(::chown((w / "once").c_str(), 12345, 12345) == 0);
    why = "once belongs to user 12345";
  }
  {
    auto s = w.worker();
    check_done(s.swap());
    CHECK(s.notes() == std::vector<std::string>{
                           "a roll back will keep what the node writes to blocks, logs, once, later: " + why});
  }
  CHECK_FALSE(w.clones_exist());
  write_at(w / "blocks/blocks.log", 0, "overwritten", 0);
  auto back = w.worker();
  check_done(back.roll_back());
  ::umount((w / "logs/more").c_str());
  ::umount((w / "blocks/retained").c_str());
  CHECK(back.inexact() == "what the node wrote to blocks, logs, once, later meanwhile stays (" + why + ")");
  CHECK(get(w / "state/a") == "old a");
  CHECK(get(w / "blocks/blocks.log").starts_with("overwritten"));
}

TEST_CASE("a file system without reflinks: shared entries keep what the node wrote, and that is said", "[shared]") {
  temp_tree memory(true);
  world w(memory / "node");
  {
    auto s = w.worker();
    check_done(s.swap());
    REQUIRE(s.notes().size() == 1);
    CHECK(s.notes()[0] ==
          "a roll back will keep what the node writes to blocks, logs, once, later: the file system has no reflinks");
  }
  CHECK_FALSE(w.clones_exist());
  w.run_node();
  std::string said;
  {
    auto back = w.worker();
    check_done(back.roll_back());
    said = back.inexact();
  }
  CHECK(said == "what the node wrote to blocks, logs, once, later meanwhile stays (the file system has no reflinks)");
  CHECK(get(w / "state/a") == "old a");
  CHECK(get(w / "logs/ship.log") == "ship and more");
  CHECK(there(w / "later/x"));
  // Who died before it was told asks once more.
  auto again = w.worker();
  check_done(again.roll_back());
  CHECK(again.inexact() == said);
}

TEST_CASE("what a roll back cannot bring back is still known when it was cut off anywhere", "[shared]") {
  temp_tree memory(true);
  for (unsigned n = 1;; ++n) {
    world w(memory / ("node" + std::to_string(n)));
    {
      auto s = w.worker();
      check_done(s.swap());
    }
    w.run_node();
    const bool ended = ends_within(n, w, [](state_swap& s) { return s.roll_back(); });
    auto rest = w.worker();
    check_done(rest.roll_back());
    INFO("cut at " << n);
    CHECK(rest.inexact().find("what the node wrote to blocks, logs, once, later meanwhile stays") == 0);
    if (ended) break;
  }
}

TEST_CASE("where a full disk has no room for the clones the swap is refused with numbers, and nothing was moved",
          "[shared]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  world w(volume->path() + "/node");
  put(w / ".hasup/lock", "");  // as every job before it has left it
  const auto fill = volume->path() + "/fill";
  fs::create_directory(fill);
  {
    const base::unique_fd fd(::open((fill + "/big").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(fd);
    off_t size = 0;
    for (off_t piece = 64 << 20; piece >= 4096;)
      if (::fallocate(fd.get(), 0, size, piece) == 0)
        size += piece;
      else
        piece /= 2;
    REQUIRE(::fsync(fd.get()) == 0);
  }
  // What is left is of use for the names of files alone.
  for (int i = 0;; ++i) {
    const base::unique_fd fd(::open((fill + "/" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) break;
  }
  REQUIRE(errno == ENOSPC);
  const auto done = w.worker().swap();
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().kind == ports::worker_failure::no_space);
  INFO(done.error().message);
  CHECK(done.error().message.find("there is no room to clone ") == 0);
  CHECK(done.error().message.find(" aside, for a way back that is exact: ") != std::string::npos);
  CHECK(done.error().message.ends_with(" are free"));
  w.check_untouched();
  fs::remove_all(fill);
  auto s = w.worker();
  check_done(s.swap());
  CHECK(s.notes().empty());
  w.check_swapped();
}

TEST_CASE("a swap cancelled while it clones leaves nothing", "[shared]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  for (unsigned n = 1;; ++n) {
    world w(volume->path() + "/node");
    unsigned asked = 0;
    w.control = snapshot::job_control("", [&] { return ++asked > n; });
    const auto done = w.worker().swap();
    INFO("asked " << n);
    if (done) {
      CHECK(n > 9);  // once before all, and for each file
      break;
    }
    CHECK(done.error().message == "cancelled");
    w.check_untouched();
  }
}

TEST_CASE("a clone that is gone is never made up for: nothing moves", "[shared]") {
  const auto volume = xfs_volume::make();
  if (!volume) return;
  world w(volume->path() + "/node");
  check_done(w.worker().swap());
  fs::rename(w / ".hasup/clones/once", w / "elsewhere");
  const auto now = picture(w / "");
  const auto back = w.worker().roll_back();
  REQUIRE_FALSE(back.has_value());
  CHECK(back.error().message.find("the clone of once") != std::string::npos);
  CHECK(picture(w / "") == now);
  CHECK(there(w / ".hasup/aside/state/a"));
  fs::rename(w / "elsewhere", w / ".hasup/clones/once");
  w.run_node();
  check_done(w.worker().roll_back());
  w.check_back();
}

TEST_CASE("a record of before clones is read as it was, one with clones is not for an older hasup", "[shared]") {
  const std::string old =
      R"({"version":1,"phase":"swapped","plan":"p","wipe":["state"],"keep":[],"shared":["blocks"],)"
      R"("made_dirs":[],"entries":[{"path":"state","old":{"inode":7,"born_s":1,"born_ns":2},"new":null}]})";
  auto record = snapshot::decode_swap_record(old);
  REQUIRE(record.has_value());
  CHECK(record->shared_as == snapshot::shared_fate::stays);
  CHECK(snapshot::encode(*record) == old);
  record->not_cloned = "the file system has no reflinks";
  CHECK(snapshot::decode_swap_record(snapshot::encode(*record)).value() == *record);
  record->not_cloned.clear();
  record->shared_as = snapshot::shared_fate::cloned;
  record->clones = {{"blocks", snapshot::identity{8, 1, 2}, snapshot::identity{9, 1, 2}}};
  const auto text = snapshot::encode(*record);
  CHECK(text.starts_with(R"({"version":3,)"));
  CHECK(snapshot::decode_swap_record(text).value() == *record);
  record->clones[0].new_entry.reset();
  CHECK_FALSE(snapshot::decode_swap_record(snapshot::encode(*record)).has_value());
}
