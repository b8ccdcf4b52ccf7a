// What `hasup status --json` shows: plain structs that mirror the JSON of the daemon member by member.
// A member without a value is written as null. Decoding ignores unknown members, so that an older `hasup` can read a
// newer daemon.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.hpp"
#include "base/duration.hpp"
#include "base/result.hpp"
#include "model/probe.hpp"
#include "model/state.hpp"

namespace hasup::control {

// How the last run ended. Lost: code and signal absent and the class "lost".
struct last_exit {
  std::optional<int> code;
  std::optional<int> signal;
  std::string cls;  // JSON member "class": of the recipe or built in; "" = unexplained (null)
  std::optional<base::wall_time> at;

  friend bool operator==(const last_exit&, const last_exit&) = default;
};

// What is fetched beforehand for a recovery ([recovery] prefetch).
struct prefetch_status {
  std::string snapshot;                 // that is here, whole and verified; "" = none
  bool unpacked = false;                // a recovery only renames it
  std::optional<base::wall_time> time;  // of the snapshot
  std::string fetching;                 // the one on its way; "" = none
  std::uint64_t bytes_done = 0;
  std::optional<std::uint64_t> bytes_total;
  std::uint64_t bytes_per_s = 0;
  std::string problem;  // why there is none, or no newer one; ""
  std::optional<base::wall_time> next_look_at;

  friend bool operator==(const prefetch_status&, const prefetch_status&) = default;
};

struct recovery_status {
  std::string
      phase;  // quiesce, select, fetch, verify, wipe, stage, swap, import, first_start, confirm, clean_up, roll_back
  std::string plan;  // "" = not chosen yet (null), also below
  std::string snapshot;
  std::string source;
  std::uint64_t bytes_done = 0;
  std::optional<std::uint64_t> bytes_total;
  std::uint64_t bytes_per_s = 0;
  std::optional<std::uint64_t> eta_s;
  bool asks = false;  // all is staged, and a person must say yes; the unit is `asking`, or still `running`
  std::optional<base::wall_time> began_at;  // or when this hasupd went on with it
  std::optional<base::wall_time> phase_since;
  std::uint64_t files_done = 0;  // where files are deleted, and not bytes
  std::optional<std::uint64_t> files_total;
  std::optional<std::uint64_t> head;           // of the restored node
  std::optional<base::wall_time> confirms_at;  // when its head goes on advancing until then
  std::optional<base::wall_time> gives_up_at;  // when its head does not advance, or the import does not end, by then

  friend bool operator==(const recovery_status&, const recovery_status&) = default;
};

// What a person set over the unit's file, until it is taken back.
struct setting_by_hand {
  std::string key;      // of the unit file: "enabled", "instances"
  std::string value;    // as in TOML and JSON: "true", "4"
  std::string in_file;  // "" = not known, since the file is broken (null)
  std::string by;       // "hasup scale"
  std::string undo;     // "hasup scale miner --reset"

  friend bool operator==(const setting_by_hand&, const setting_by_hand&) = default;
};

struct instance_status {
  std::string unit;
  unsigned instance = 0;
  unsigned instances = 1;  // of the whole unit: `miner@2` is shown with its number when there are several
  model::unit_state state = model::unit_state::stopped;
  model::desired desired = model::desired::down;
  model::health health = model::health::unknown;
  std::string reason;
  std::optional<base::wall_time> since;         // of the state
  std::optional<base::wall_time> health_since;  // while it runs; of an older hasupd not known
  std::optional<std::int32_t> pid;
  std::optional<double> uptime_s;  // of the running process
  std::uint64_t restarts = 0;
  std::uint64_t recoveries = 0;
  std::vector<std::string> waiting_for;  // "leap (healthy)"
  std::optional<base::wall_time> next_attempt_at;
  std::optional<base::wall_time> scheduled_at;   // the next restart of [schedule]; that of the whole unit
  std::optional<base::wall_time> drain_ends_at;  // while stopping: when it is asked to, after run.drain_time
  std::optional<base::wall_time> kill_at;        // while stopping: when SIGKILL comes if it has not ended
  std::optional<last_exit> exit;                 // JSON member "last_exit"
  std::optional<model::head> head;
  std::string upstream;  // "" = null, also role
  std::string role;
  bool maintenance = false;
  std::vector<setting_by_hand> by_hand;  // of the whole unit
  bool config_changed = false;           // the file on disk differs from what runs: `hasup apply`
  std::string addresses_changed;         // then: the names for whose addresses alone it does; "" = null
  bool killed = false;                   // the last stop needed SIGKILL
  std::uint64_t logs_dropped = 0;        // lines
  std::optional<double> cpu_percent;
  std::optional<std::uint64_t> memory_bytes;
  std::optional<recovery_status> recovery;
  std::optional<prefetch_status> prefetch;

  friend bool operator==(const instance_status&, const instance_status&) = default;
};

struct host_status {
  std::string host;
  std::string version;
  std::int32_t pid = 0;
  double uptime_s = 0;
  base::diagnostics diagnostics;       // objects with severity, file, line, column, length, message, source_line
  std::vector<instance_status> units;  // in the order in which they start

  friend bool operator==(const host_status&, const host_status&) = default;
};

std::string encode(const host_status& s);
std::string encode(const instance_status& s);
std::string encode(const recovery_status& r);
base::result<host_status> decode_status(std::string_view json);
base::result<instance_status> decode_instance(std::string_view json);

// "4.1GiB of 8.5GiB, 210MiB/s, 21s left, 20s so far": all but the phase and the names; "" = nothing is known.
// With `bar` before the first, when there is a total: "[#####-----]".
std::string progress_text(const recovery_status& r, base::wall_time now, const std::string& bar = {});
// How much of the bytes, or files, is done; nothing without a total.
std::optional<double> part_done(const recovery_status& r);

// "instances = 4 by `hasup scale`, the file says 2; back to the file: hasup scale miner --reset"
std::string to_text(const setting_by_hand& s);

// "leap", or "miner@1" when the unit has several instances.
std::string display_name(const instance_status& s);

}  // namespace hasup::control
