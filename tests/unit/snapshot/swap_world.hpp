// What the tests of a swap work on.
#pragma once

#include <fcntl.h>

#include "base/unique_fd.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/state_swap.hpp"
#include "stopped_work.hpp"
#include "temp_tree.hpp"

namespace hasup::test {

// A data directory with one entry of every kind, and what is staged for it.
//   state       replaced by a staged directory        gone     wiped, nothing staged
//   fresh       staged, was not there                 data/    holds a kept file: swapped by its children
//   blocks      shared                                keys     kept        other  not named at all
class swap_world {
 public:
  explicit swap_world(bool in_memory = false, bool exchange = true) : root_(in_memory), can_exchange_(exchange) {
    job.data_dir = dir();
    job.plan.name = "full";
    job.plan.wipe = {"state", "gone", "fresh", "data", "deep/er"};
    job.plan.shared = {"blocks"};
    job.plan.archives = {{"*", "", model::archive_order::time, model::unpack_mode::archive, "", ".", true}};
    job.keep = {"keys", "data/priv.json"};
    put(dir() + "/state/a", "old a");
    put(dir() + "/gone/b", "old b");
    put(dir() + "/data/db/c", "old c");
    put(dir() + "/data/log", "old log");
    put(dir() + "/data/priv.json", "round 7");
    put(dir() + "/blocks/d", "shared d");
    put(dir() + "/keys/k", "secret");
    put(dir() + "/other", "other");
    const auto staging = dir() + "/.hasup/staging/new";
    put(staging + "/state/a", "new a");
    put(staging + "/fresh/e", "new e");
    put(staging + "/data/db/c", "new c");
    put(staging + "/data/extra", "new extra");
    put(staging + "/deep/er/f", "new f");
    mark_staged();
    before = picture(dir());
  }

  std::string dir() const { return root_ / "node"; }
  void mark_staged() {
    const base::unique_fd own(::open((dir() + "/.hasup").c_str(), O_RDONLY | O_DIRECTORY));
    REQUIRE(snapshot::write_staged(own.get(), snapshot::disk{}, {job.plan.name, {}}).has_value());
  }
  snapshot::state_swap worker(snapshot::disk::observer after = {}) const {
    return {job, control, snapshot::disk(std::move(after), can_exchange_)};
  }

  void check_new() const {
    const auto now = picture(dir(), false);
    const std::map<std::string, std::string> wanted{
        {"state", "dir"},  {"state/a", "new a"},     {"fresh", "dir"},       {"fresh/e", "new e"},
        {"data", "dir"},   {"data/db", "dir"},       {"data/db/c", "new c"}, {"data/extra", "new extra"},
        {"deep", "dir"},   {"deep/er", "dir"},       {"deep/er/f", "new f"}, {"data/priv.json", "round 7"},
        {"blocks", "dir"}, {"blocks/d", "shared d"}, {"keys", "dir"},        {"keys/k", "secret"},
        {"other", "other"}};
    CHECK(now == wanted);
  }
  void check_old() const {
    CHECK(picture(dir()) == before);
    CHECK_FALSE(there(dir() + "/.hasup/swap.json"));
  }

  ports::worker_job job;
  mutable snapshot::job_control control;
  std::map<std::string, std::string> before;

 private:
  temp_tree root_;
  bool can_exchange_;
};

}  // namespace hasup::test
