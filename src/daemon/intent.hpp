// What must survive the daemon's death: STATE/intent.json, written as a whole by the disk thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/setting.hpp"
#include "daemon/upstream_watch.hpp"
#include "model/state.hpp"
#include "model/unit_name.hpp"
#include "recovery/pace.hpp"
#include "unit/state.hpp"
#include "upstream/own_choice.hpp"

namespace hasup::daemon {

class disk_thread;

struct instance_intent {
  model::desired desired = model::desired::down;
  std::string reason;
  std::deque<base::wall_time> starts;
  unsigned backoff_step = 0;
  unsigned failed_starts = 0;
  unsigned stuck_restarts = 0;
  std::optional<std::uint64_t> stuck_at;
  unsigned restarts = 0;
  unsigned recoveries = 0;
  std::optional<base::wall_time> counted;  // the last swap of the last one of them: its journal may still be there
  bool killed = false;
  bool failed = false;                 // it had given up: the state is failed again
  std::string recover_why;             // failed only for want of a snapshot: the recovery is tried again
  bool back_after_boot = false;        // stopped only because the machine goes down
  std::optional<unit::stopping> stop;  // under way: it is gone on with
  struct pause {
    base::wall_time until;
    unit::backoff was;
  };
  std::optional<pause> backoff;  // waits for its next start
  bool starting = false;         // the last of `starts` has no run yet
  bool startup_passed = false;   // of the run
  bool completed = false;        // a one-shot that is done
  bool ever_started = false;
  std::uint64_t run = 0;
  std::uint64_t fingerprint = 0;                              // of the spec that runs
  std::uint64_t settings = 0;                                 // that the run has
  std::uint64_t by_names = 0;                                 // of the spec that runs, see model::unit
  std::map<std::string, std::string> hosts;                   // that it lists, by word of the upstream
  std::map<std::string, std::string> endpoints;               // of the spec, see model::unit
  std::map<std::string, upstream::own_memory> own_endpoints;  // likewise by word; none of them empty
  std::vector<std::string> once;                              // arguments for the run that is to begin
  bool from_nothing = false;                                  // and whether that may begin without its state
  std::string taken_down_by;
  std::optional<unit::last_exit> exit;
  std::vector<base::wall_time> swaps;      // recovery budget
  std::vector<std::string> bad_snapshots;  // keys, see recovery
  bool forgiven = false;                   // see recovery::memory
  recovery::paces measured;                // of fetching and unpacking
  bool emptied = false;                    // the last recovery deleted the old state and found no other
  std::uint64_t data_device = 0;           // st_dev of data.dir at its last start; 0 = not known
  bool has_data = true;                    // it has [data]; an older file does not say
};

// Of an instance that is not configured any more: its data knows that it has run, and so must whoever configures it
// again; so does what counts for its recoveries.
bool worth_keeping(const instance_intent& i);

// The instances of a unit that are restarted one after the other.
struct rolling_restart {
  std::deque<model::instance_id> left;  // the front one is being restarted
  std::uint64_t run_before = 0;         // of the front one
  bool begun = false;
  std::string why;
  // The front one is up again, and the next one's turn comes then. Not saved.
  std::optional<base::mono_time> next_at{};
};

// A stop that waits for those that require it to be down, or has been passed on to its unit.
struct pending_stop {
  bool no_kill = false;
  bool force = false;
  std::string why;
  bool asked = false;
  bool hurry = false;  // asked for once more while it drains; not saved
};

struct intent {
  std::string boot_id;
  std::map<model::instance_id, pending_stop> stops;
  std::map<std::string, rolling_restart> restarts;   // by unit
  unit_settings units;                               // "leap"
  std::map<std::string, upstream_intent> upstreams;  // by name
  model::address_book addresses;                     // known ones of DNS names
  std::map<std::string, instance_intent> instances;  // "leap@0"
};

std::string encode(const intent& i);
base::result<intent> decode_intent(std::string_view json);

// Keeps one write under way at the most; what comes meanwhile is one more write, of the newest content.
class intent_file {
 public:
  intent_file(disk_thread& disk, std::string path);
  // Blocking, before the loop runs. No file: an empty intent. A damaged file is an error: it is put aside by the
  // caller's choice, never overwritten silently.
  base::result<intent> read() const;
  // `content` is asked for when its write begins, on the loop: from inside this call, or when the one before is done.
  // `then` runs on the loop once content at least as new is durable, or with the error that kept it from being so;
  // errors go to `on_error` too.
  using write_answer = std::function<void(const base::result<void>&)>;
  void write(std::function<std::string()> content, write_answer then = {});
  // For the end of the daemon: posted to the disk thread behind everything else, without an answer.
  void write_last(std::string content);
  std::function<void(const base::error&)> on_error;
  // Called on the disk thread before each write, which it may delay.
  std::function<void()> before_write = [] {};

 private:
  void flush();
  disk_thread& disk_;
  std::string path_;
  std::function<std::string()> next_;
  std::vector<write_answer> waiting_;
  bool writing_ = false;
};

}  // namespace hasup::daemon
