// A power cut takes back renames that nobody has synced, each by itself: whichever are lost, a swap goes on to the
// new state or back to the old one.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <random>
#include <vector>

#include "snapshot/state_swap.hpp"
#include "stopped_work.hpp"
#include "swap_world.hpp"

using namespace hasup;
using namespace hasup::test;

namespace {

class unsynced;
unsynced* watching = nullptr;  // who hears of each fsync

// The renames and new directories below `dir` that no fsync of their directories has made durable yet.
class unsynced {
 public:
  explicit unsynced(std::string dir) : dir_(std::move(dir)) {
    look();
    watching = this;
  }
  unsynced(const unsynced&) = delete;
  unsynced& operator=(const unsynced&) = delete;
  ~unsynced() { watching = nullptr; }

  // After a changing call of the worker.
  void after(std::string_view call) {
    const auto before = std::move(at_);
    const auto record = std::move(record_);
    look();
    if (call == "mkdir") {
      for (const auto& [path, id] : at_)
        if (!before.contains(path)) changes_.push_back({change::made, path, path, {}});
      return;
    }
    if (call != "rename" && call != "exchange") return;
    std::map<std::uint64_t, std::string> was_at;
    for (const auto& [path, id] : before) was_at[id] = path;
    std::string to;  // what moved, and not just because of a directory above it
    for (const auto& [path, id] : at_) {
      const auto was = was_at.find(id);
      if (was != was_at.end() && was->second != path && (to.empty() || path.size() < to.size())) to = path;
    }
    REQUIRE(!to.empty());
    const auto kind = to == record_name ? change::replaced : call == "exchange" ? change::exchanged : change::renamed;
    changes_.push_back({kind, was_at[at_[to]], to, record});
  }

  void synced(const std::string& path) {
    if (!path.starts_with(dir_)) return;
    const auto below = path == dir_ ? std::string() : path.substr(dir_.size() + 1);
    for (auto& c : changes_) {
      c.from_is_durable = c.from_is_durable || parent_of(c.from) == below;
      c.to_is_durable = c.to_is_durable || parent_of(c.to) == below;
    }
    std::erase_if(changes_, [](const change& c) { return c.from_is_durable && c.to_is_durable; });
  }

  // So many of them, drawn; what a later one that is kept stands on is kept as well. How many were lost.
  template <class Dice>
  std::size_t lose(Dice dice) {
    std::size_t lost = 0;
    for (auto c = changes_.rbegin(); c != changes_.rend(); ++c)
      if (dice() && undo(*c)) ++lost;
    return lost;
  }

 private:
  static constexpr std::string_view record_name = ".hasup/swap.json";
  struct change {
    enum kind_of { made, renamed, exchanged, replaced } kind;
    std::string from;
    std::string to;
    std::optional<std::string> record;  // that was replaced
    bool from_is_durable = false;
    bool to_is_durable = false;
  };

  static std::string parent_of(const std::string& path) { return fs::path(path).parent_path().string(); }

  void look() {
    at_.clear();
    for (const auto& e : fs::recursive_directory_iterator(dir_))
      at_[e.path().string().substr(dir_.size() + 1)] = inode(e.path().string());
    const auto record = dir_ + "/" + std::string(record_name);
    record_ = there(record) ? std::optional(get(record)) : std::nullopt;
  }

  bool undo(const change& c) const {
    const auto from = dir_ + "/" + c.from;
    const auto to = dir_ + "/" + c.to;
    switch (c.kind) {
      case change::made:
        return ::rmdir(to.c_str()) == 0;
      case change::renamed:
        return ::renameat2(AT_FDCWD, to.c_str(), AT_FDCWD, from.c_str(), RENAME_NOREPLACE) == 0;
      case change::exchanged:
        return ::renameat2(AT_FDCWD, to.c_str(), AT_FDCWD, from.c_str(), RENAME_EXCHANGE) == 0;
      case change::replaced:
        if (!c.record) return fs::remove(to);
        put(to, *c.record);
        return true;
    }
    return false;
  }

  std::string dir_;
  std::map<std::string, std::uint64_t> at_;
  std::optional<std::string> record_;
  std::vector<change> changes_;
};

// The work on `w`, stopped after call n, and then what was not synced is lost: all, or what is drawn.
struct power_cut {
  bool ended = false;
  std::size_t lost = 0;
};
template <class Work>
power_cut cut_power(swap_world& w, unsigned n, unsigned round, Work work) {
  struct watched {
    const swap_world& w;
    unsynced& log;
    snapshot::state_swap worker(snapshot::disk::observer stop) const {
      return w.worker([this, stop = std::move(stop)](std::string_view call) {
        log.after(call);
        stop(call);
      });
    }
  };
  unsynced log(w.dir());
  power_cut out;
  const watched both{w, log};
  out.ended = ends_within(n, both, work);
  std::mt19937 dice(n * 16 + round);
  out.lost = log.lose([&] { return round == 0 || dice() % 2 == 0; });
  return out;
}

constexpr unsigned rounds = 3;

}  // namespace

// Instead of libc's, for the whole program: what a worker syncs is told to the test that watches.
extern "C" int fsync(int fd) {
  const auto done = static_cast<int>(::syscall(SYS_fsync, fd));
  if (done == 0 && watching != nullptr)
    watching->synced(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string());
  return done;
}

TEST_CASE("a swap of which un-synced renames are lost goes on to the new state, or back to the old one",
          "[swap][crash]") {
  const bool exchange = GENERATE(true, false);
  std::size_t cuts = 0, lost = 0;
  for (unsigned n = 1;; ++n) {
    bool ended = false;
    for (unsigned round = 0; round < rounds; ++round)
      for (const bool forward : {true, false}) {
        INFO("stopped after call " << n << ", round " << round << ", " << (forward ? "forward" : "back"));
        swap_world w(true, exchange);
        const auto cut = cut_power(w, n, round, swap_it);
        ended = cut.ended;
        lost += cut.lost;
        ++cuts;
        if (forward) {
          REQUIRE(w.worker().swap().has_value());
          w.check_new();
          REQUIRE(w.worker().clean_up().has_value());
          w.check_new();
        } else {
          REQUIRE(w.worker().roll_back().has_value());
          w.check_old();
        }
        if (ended) CHECK(cut.lost == 0);  // what is said to be done is durable
      }
    if (ended) break;
    REQUIRE(n < 1000);
  }
  CHECK(lost > cuts / 2);
  std::cout << "power cuts of a swap: " << cuts << ", " << lost << " renames and directories lost\n";
}

TEST_CASE("a roll back of which un-synced renames are lost goes on to the old state", "[swap][crash]") {
  const bool exchange = GENERATE(true, false);
  std::size_t cuts = 0, lost = 0;
  for (unsigned n = 1;; ++n) {
    bool ended = false;
    for (unsigned round = 0; round < rounds; ++round) {
      INFO("stopped after call " << n << ", round " << round);
      swap_world w(true, exchange);
      REQUIRE(w.worker().swap().has_value());
      put(w.dir() + "/gone/again", "made by a start");
      const auto cut = cut_power(w, n, round, roll_back_it);
      ended = cut.ended;
      lost += cut.lost;
      ++cuts;
      REQUIRE(w.worker().roll_back().has_value());
      w.check_old();
    }
    if (ended) break;
    REQUIRE(n < 1000);
  }
  CHECK(lost > cuts / 2);
  std::cout << "power cuts of a roll back: " << cuts << ", " << lost << " renames and directories lost\n";
}

TEST_CASE("a clean up deletes nothing before its word is durable", "[swap][crash]") {
  std::size_t back = 0;
  for (unsigned n = 1;; ++n) {
    bool ended = false;
    for (unsigned round = 0; round < rounds; ++round) {
      INFO("stopped after call " << n << ", round " << round);
      swap_world w(true);
      REQUIRE(w.worker().swap().has_value());
      ended = cut_power(w, n, round, clean_up_it).ended;
      const auto record = w.dir() + "/.hasup/swap.json";
      if (there(record) && get(record).find("confirmed") == std::string::npos) {
        ++back;
        REQUIRE(w.worker().roll_back().has_value());
        w.check_old();
      } else {
        REQUIRE(w.worker().clean_up().has_value());
        w.check_new();
      }
    }
    if (ended) break;
    REQUIRE(n < 1000);
  }
  CHECK(back > 0);
}
