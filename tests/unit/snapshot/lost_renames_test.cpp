// Power fails, and of what was renamed, made and deleted since the last fsync of its directory any part is lost:
// swap, roll back, rewipe and clean up come to a whole end all the same.
//
// The calls below stand in front of the C library's in this program. While a test records them nothing is deleted for
// good: what goes is kept, so that what is lost can be taken back with the very same inodes.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "base/unique_fd.hpp"
#include "sealed_archive.hpp"
#include "snapshot/inspect.hpp"
#include "swap_world.hpp"

#include <catch2/catch.hpp>

using namespace hasup;
using namespace hasup::test;
using snapshot::state_swap;

namespace {

long rename_now(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return ::syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

// A directory entry; which file it names changes.
struct spot {
  ino_t dir = 0;
  std::string name;
  friend auto operator<=>(const spot&, const spot&) = default;
};

struct change {
  enum class kind { rename, exchange, make, remove };
  kind is = kind::rename;
  std::shared_ptr<base::unique_fd> from_dir, to_dir;
  std::string from, to;
  int kept = -1;         // what it took away, by its number
  std::set<spot> spots;  // that it changed
  std::set<ino_t> dirs;  // in which they are
  ino_t whole_dir = 0;   // that it made or removed; 0 = none
  bool durable = false;

  // Could this be on the disk without the one before it?
  [[nodiscard]] bool needs(const change& before) const {
    const bool same =
        std::any_of(spots.begin(), spots.end(), [&](const auto& x) { return before.spots.contains(x); });
    return same || (before.whole_dir != 0 && dirs.contains(before.whole_dir)) ||
           (whole_dir != 0 && before.dirs.contains(whole_dir));
  }
};

class recorder {
 public:
  explicit recorder(const std::string& keep) : keep_(::open(keep.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    REQUIRE(keep_);
    current = this;
  }
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;
  ~recorder() { stop(); }
  void stop() {
    if (current == this) current = nullptr;
  }

  int rename(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
    const bool exchange = (flags & RENAME_EXCHANGE) != 0;
    auto c = at(exchange ? change::kind::exchange : change::kind::rename, from_dir, from);
    add(c, to_dir, to);
    c.to_dir = copy(to_dir);
    c.to = to;
    if (!exchange && flags == 0 && exists(to_dir, to)) {
      c.kept = keep(to_dir, to);
      if (c.kept < 0) return -1;
    }
    if (rename_now(from_dir, from, to_dir, to, flags) != 0) return -1;
    all_.push_back(std::move(c));
    return 0;
  }
  int remove(int dir, const char* name, bool is_dir) {
    struct stat st {};
    if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return -1;
    if (is_dir != S_ISDIR(st.st_mode)) {
      errno = is_dir ? ENOTDIR : EISDIR;
      return -1;
    }
    if (is_dir && !is_empty(dir, name)) {
      errno = ENOTEMPTY;
      return -1;
    }
    auto c = at(change::kind::remove, dir, name);
    if (is_dir) c.whole_dir = st.st_ino;
    c.kept = keep(dir, name);
    if (c.kept < 0) return -1;
    all_.push_back(std::move(c));
    return 0;
  }
  void made(int dir, const char* name) {
    auto c = at(change::kind::make, dir, name);
    struct stat st {};
    if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) c.whole_dir = st.st_ino;
    all_.push_back(std::move(c));
  }
  // Of a directory: all that was done in it, and what that could not be without.
  void synced(int fd) {
    struct stat st {};
    if (::fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode)) return;
    for (std::size_t i = all_.size(); i-- > 0;)
      if (all_[i].dirs.contains(st.st_ino)) all_[i].durable = true;
    for (std::size_t i = all_.size(); i-- > 0;)
      for (std::size_t k = 0; all_[i].durable && k < i; ++k)
        if (all_[i].needs(all_[k])) all_[k].durable = true;
  }
  void all_synced() {
    for (auto& c : all_) c.durable = true;
  }

  [[nodiscard]] std::vector<std::size_t> at_risk() const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (!all_[i].durable) out.push_back(i);
    return out;
  }
  // These, and what cannot be without them.
  std::size_t lose(const std::set<std::size_t>& some) {
    std::set<std::size_t> lost = some;
    for (std::size_t i = 0; i < all_.size(); ++i)
      for (const auto k : lost)
        if (k < i && all_[i].needs(all_[k])) {
          REQUIRE_FALSE(all_[i].durable);
          lost.insert(i);
          break;
        }
    for (auto i = lost.rbegin(); i != lost.rend(); ++i) take_back(all_[*i]);
    return lost.size();
  }

  static recorder* current;

 private:
  static std::shared_ptr<base::unique_fd> copy(int dir) {
    return std::make_shared<base::unique_fd>(::fcntl(dir, F_DUPFD_CLOEXEC, 0));
  }
  static bool exists(int dir, const char* name) {
    struct stat st {};
    return ::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  }
  static bool is_empty(int dir, const char* name) {
    const int fd = ::openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = ::fdopendir(fd);
    std::size_t names = 0;
    while (::readdir(stream) != nullptr) ++names;
    ::closedir(stream);
    return names == 2;
  }
  static void add(change& c, int dir, const char* name) {
    struct stat st {};
    ::fstat(dir, &st);
    c.dirs.insert(st.st_ino);
    c.spots.insert({st.st_ino, name});
  }
  static change at(change::kind is, int dir, const char* name) {
    change c;
    c.is = is;
    c.from_dir = copy(dir);
    c.from = name;
    add(c, dir, name);
    return c;
  }
  int keep(int dir, const char* name) {
    return rename_now(dir, name, keep_.get(), std::to_string(++kept_).c_str(), 0) == 0 ? kept_ : -1;
  }
  void take_back(const change& c) {
    const auto again = [&](const base::unique_fd& dir, const std::string& name) {
      REQUIRE(rename_now(keep_.get(), std::to_string(c.kept).c_str(), dir.get(), name.c_str(), RENAME_NOREPLACE) ==
              0);
    };
    switch (c.is) {
      case change::kind::rename:
        REQUIRE(rename_now(c.to_dir->get(), c.to.c_str(), c.from_dir->get(), c.from.c_str(), RENAME_NOREPLACE) == 0);
        if (c.kept >= 0) again(*c.to_dir, c.to);
        return;
      case change::kind::exchange:
        REQUIRE(rename_now(c.to_dir->get(), c.to.c_str(), c.from_dir->get(), c.from.c_str(), RENAME_EXCHANGE) == 0);
        return;
      case change::kind::make:
        REQUIRE(keep(c.from_dir->get(), c.from.c_str()) >= 0);
        return;
      case change::kind::remove:
        again(*c.from_dir, c.from);
        return;
    }
  }

  base::unique_fd keep_;
  int kept_ = 0;
  std::vector<change> all_;
};

recorder* recorder::current = nullptr;

}  // namespace

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
  if (done == 0 && recorder::current != nullptr) recorder::current->all_synced();
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

// `before` makes what the work begins on, which is durable; `after` goes on as after a power loss and checks the end.
template <class Before, class Work, class After>
void cut_everywhere(const char* name, Before before, Work work, After after) {
  told so_far;
  for (const bool exchange : {true, false}) {
    bool ended = false;
    for (unsigned n = 1; !ended; ++n) {
      REQUIRE(n < 1000);
      ++so_far.moments;
      unsigned choices = 1;
      for (unsigned v = 0; v < choices; ++v) {
        swap_world w(true, exchange);
        w.job.seen_free = true;  // who else has it open is not the question: a look at all processes is slow
        before(w);
        const auto kept = w.dir() + ".kept";
        fs::create_directory(kept);
        recorder r(kept);
        ended = ends_within(n, w, work);
        r.stop();
        const auto at_risk = r.at_risk();
        choices = at_risk.size() < 4 ? 1U << at_risk.size() : most_losses;
        so_far.changes += r.lose(choose(at_risk, n, v));
        ++so_far.losses;
        INFO(name << ", cut after call " << n << (ended ? ", its last" : "") << ", loss " << v
                  << (exchange ? "" : ", without exchange"));
        after(w, ended, v);
        if (ended) REQUIRE(::access(kept.c_str(), F_OK) == 0);
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
