// Power fails, and of what was renamed, made and deleted since the last fsync of its directory any part is lost:
// swap, roll back, rewipe and clean up come to a whole end all the same. Also where entries of the data directory are
// file systems of their own, of which each loses what it will.
//
// The calls below stand in front of the C library's in this program.
#include <cstdarg>
#include <iostream>
#include <random>

#include "change_recorder.hpp"
#include "sealed_archive.hpp"
#include "snapshot/inspect.hpp"
#include "swap_world.hpp"
#include "volume_world.hpp"

using namespace hasup;
using namespace hasup::test;
using snapshot::state_swap;

extern "C" {

int renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) noexcept {
  if (recorder::current != nullptr) return recorder::current->rename(from_dir, from, to_dir, to, flags);
  return static_cast<int>(rename_now(from_dir, from, to_dir, to, flags));
}

int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
  return ::renameat2(from_dir, from, to_dir, to, 0);
}

int unlinkat(int dir, const char* name, int flags) noexcept {
  if (recorder::current != nullptr) return recorder::current->remove(dir, name, (flags & AT_REMOVEDIR) != 0);
  return static_cast<int>(::syscall(SYS_unlinkat, dir, name, flags));
}

int mkdirat(int dir, const char* name, mode_t mode) noexcept {
  const auto done = static_cast<int>(::syscall(SYS_mkdirat, dir, name, mode));
  if (done == 0 && recorder::current != nullptr) recorder::current->made(dir, name);
  return done;
}

int openat(int dir, const char* name, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  struct stat st {};
  const bool makes =
      recorder::current != nullptr && (flags & O_CREAT) != 0 && ::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
  const auto fd = static_cast<int>(::syscall(SYS_openat, dir, name, flags, mode));
  if (fd >= 0 && makes) recorder::current->made(dir, name);
  return fd;
}

int fsync(int fd) {
  const auto done = static_cast<int>(::syscall(SYS_fsync, fd));
  if (done == 0 && recorder::current != nullptr) recorder::current->synced(fd);
  return done;
}

int syncfs(int fd) noexcept {
  const auto done = static_cast<int>(::syscall(SYS_syncfs, fd));
  if (done == 0 && recorder::current != nullptr) recorder::current->all_synced(fd);
  return done;
}
}

namespace {

constexpr unsigned most_losses = 8;  // of one moment; each of its sets of lost changes where there are no more

// The set of changes that is lost by choice `v`.
std::set<std::size_t> choose(const std::vector<std::size_t>& at_risk, unsigned n, unsigned v) {
  std::set<std::size_t> out;
  const bool all = at_risk.size() < 4;
  std::mt19937 chance(n * 1000 + v);
  for (std::size_t i = 0; i < at_risk.size(); ++i) {
    const bool lost = all ? ((v >> i) & 1U) != 0 : v == 0 || (v > 1 && chance() % 2 == 0);
    if (lost) out.insert(at_risk[i]);
  }
  return out;
}

struct told {
  std::size_t moments = 0;
  std::size_t losses = 0;
  std::size_t changes = 0;
};

template <class World>
std::unique_ptr<World> make_world(bool exchange) {
  if constexpr (std::is_same_v<World, swap_world>)
    return std::make_unique<World>(true, exchange);
  else
    return std::make_unique<World>(exchange);
}

// Beside what is looked at, on each file system.
std::vector<std::string> places_to_keep(const std::string& dir, bool volumes) {
  std::vector<std::string> out{dir + ".kept"};
  if (volumes) out.insert(out.end(), {dir + "/state/.hasup/kept", dir + "/data/.hasup/kept"});
  for (const auto& path : out) fs::create_directories(path);
  return out;
}

// `before` makes what the work begins on, which is durable; `after` goes on as after a power loss and checks the end.
template <class World = swap_world, class Before, class Work, class After>
void cut_everywhere(const char* name, Before before, Work work, After after) {
  told so_far;
  for (const bool exchange : {true, false}) {
    bool ended = false;
    for (unsigned n = 1; !ended; ++n) {
      REQUIRE(n < 1000);
      ++so_far.moments;
      unsigned choices = 1;
      for (unsigned v = 0; v < choices; ++v) {
        const auto made = make_world<World>(exchange);
        World& w = *made;
        w.job.seen_free = true;  // who else has it open is not the question: a look at all processes is slow
        before(w);
        recorder r(places_to_keep(w.dir(), std::is_same_v<World, volume_world>));
        ended = ends_within(n, w, work);
        r.stop();
        const auto at_risk = r.at_risk();
        choices = at_risk.size() < 4 ? 1U << at_risk.size() : most_losses;
        so_far.changes += r.lose(choose(at_risk, n, v));
        ++so_far.losses;
        INFO(name << ", cut after call " << n << (ended ? ", its last" : "") << ", loss " << v
                  << (exchange ? "" : ", without exchange"));
        after(w, ended, v);
      }
    }
  }
  std::cout << "lost renames, " << name << ": " << so_far.losses << " losses of " << so_far.changes << " changes at "
            << so_far.moments << " moments\n";
  CHECK(so_far.changes > so_far.moments);
}

void must(const snapshot::outcome<void>& done) {
  INFO((done ? std::string() : done.error().message));
  REQUIRE(done.has_value());
}

void swapped(const swap_world& w) {
  must(w.worker().swap());
}

// An attempt to start made something in the place of what nothing replaced.
void started(const swap_world& w) {
  swapped(w);
  put(w.dir() + "/gone/again", "made by a start");
}

// An archive that the old state may be deleted for.
void sealed(swap_world& w) {
  const std::string name = "s.tar";
  w.job.chosen = ports::candidate{0, {{name, "", "", {}, {}, {}, ""}}};
  put(w.dir() + "/.hasup/cache/" + name, "the archive");
  seal_archive(w.dir(), name);
}

void check_wiped(const swap_world& w) {
  const std::map<std::string, std::string> wanted{
      {"data", "dir"}, {"data/priv.json", "round 7"}, {"blocks", "dir"}, {"blocks/d", "shared d"},
      {"keys", "dir"}, {"keys/k", "secret"},          {"other", "other"}};
  CHECK(picture(w.dir(), false) == wanted);
  CHECK(snapshot::inspect(w.job).wiped);
}

void check_cleaned(const swap_world& w) {
  w.check_new();
  CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
  CHECK_FALSE(there(w.dir() + "/.hasup/aside"));
}

}  // namespace

TEST_CASE("a swap of which renames are lost goes on, or back, to a whole state", "[swap][crash]") {
  cut_everywhere(
      "swap", [](const swap_world&) {}, [](state_swap& s) { return s.swap(); },
      [](const swap_world& w, bool ended, unsigned v) {
        if (ended) w.check_new();  // the journal says so, and the node is started
        if (v % 2 == 0) {
          must(w.worker().swap());
          w.check_new();
          must(w.worker().clean_up());
          check_cleaned(w);
        } else {
          must(w.worker().roll_back());
          w.check_old();
        }
      });
}

TEST_CASE("a roll back of which renames are lost goes on to the old state", "[swap][crash]") {
  cut_everywhere(
      "roll back", started, [](state_swap& s) { return s.roll_back(); },
      [](const swap_world& w, bool ended, unsigned) {
        if (ended) w.check_old();
        must(w.worker().roll_back());
        w.check_old();
      });
}

TEST_CASE("a clean up of which deletions are lost goes on to the new state", "[swap][crash]") {
  cut_everywhere(
      "clean up", swapped, [](state_swap& s) { return s.clean_up(); },
      [](const swap_world& w, bool ended, unsigned) {
        w.check_new();
        if (ended) CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
        must(w.worker().clean_up());
        check_cleaned(w);
      });
}

TEST_CASE("a rewipe of which renames are lost is done again", "[swap][crash]") {
  cut_everywhere(
      "rewipe", started, [](state_swap& s) { return s.rewipe(); },
      [](const swap_world& w, bool ended, unsigned v) {
        if (ended) w.check_new();
        if (v % 2 == 0) {
          must(w.worker().rewipe());
          w.check_new();
        } else {
          must(w.worker().roll_back());
          w.check_old();
        }
      });
}

// Nothing but the old state as it was, or the word that it is being deleted: never a part of it without that word.
TEST_CASE("a deletion in place of which renames and deletions are lost goes on to its end", "[swap][crash]") {
  cut_everywhere(
      "wipe", sealed, [](state_swap& s) { return s.wipe(); },
      [](const swap_world& w, bool ended, unsigned) {
        if (ended) check_wiped(w);
        if (!snapshot::inspect(w.job).wiped) CHECK(picture(w.dir()) == w.before);
        must(w.worker().wipe());
        check_wiped(w);
      });
}

TEST_CASE("a swap of volumes of which each loses renames goes on, or back, to a whole state", "[volumes][crash]") {
  if (!can_mount()) return;
  cut_everywhere<volume_world>(
      "swap of volumes", [](const volume_world& w) { w.stage(); }, [](state_swap& s) { return s.swap(); },
      [](const volume_world& w, bool ended, unsigned v) {
        if (ended) w.check_new();
        if (v % 2 == 0) {
          must(w.worker().swap());
          w.check_new();
          must(w.worker().clean_up());
          w.check_new();
        } else {
          must(w.worker().roll_back());
          w.check_old();
        }
      });
}

TEST_CASE("a roll back of volumes of which each loses renames goes on to the old state", "[volumes][crash]") {
  if (!can_mount()) return;
  cut_everywhere<volume_world>(
      "roll back of volumes",
      [](const volume_world& w) {
        w.stage();
        must(w.worker().swap());
      },
      [](state_swap& s) { return s.roll_back(); },
      [](const volume_world& w, bool ended, unsigned) {
        if (ended) w.check_old();
        must(w.worker().roll_back());
        w.check_old();
      });
}

TEST_CASE("a clean up of volumes of which each loses deletions goes on to the new state", "[volumes][crash]") {
  if (!can_mount()) return;
  cut_everywhere<volume_world>(
      "clean up of volumes",
      [](const volume_world& w) {
        w.stage();
        must(w.worker().swap());
      },
      [](state_swap& s) { return s.clean_up(); },
      [](const volume_world& w, bool ended, unsigned) {
        w.check_new();
        if (ended) CHECK_FALSE(there(w.dir() + "/.hasup/swap.json"));
        must(w.worker().clean_up());
        w.check_new();
      });
}
