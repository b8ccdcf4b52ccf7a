// One instance of a unit with everything filled in: what section by section stands in units/NAME.toml.
// Built by config/, never changed afterwards; the spec of a running process is the one it was started with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "model/capability.hpp"
#include "model/probe.hpp"
#include "model/source.hpp"
#include "model/unit_name.hpp"
#include "model/upstream.hpp"

namespace hasup::model {

// [data]: what must never have two writers or be lost.
struct data_dirs {
  std::string dir;                // absolute; "" = the unit has no state
  std::vector<std::string> also;  // absolute
  // Must be mount points before a start, absolute. Those below dir are what a recovery may replace by their children.
  std::vector<std::string> mounts;
  std::uint64_t min_free = 0;  // bytes; 0 = no guard
  std::string shared_with;     // unit whose data this one opens; "" = none

  friend bool operator==(const data_dirs&, const data_dirs&) = default;
};

struct limits {
  std::optional<std::uint64_t> open_files;
  std::optional<std::uint64_t> memlock;  // UINT64_MAX = unlimited
  std::optional<std::uint64_t> stack;
  std::optional<std::uint64_t> core;
  std::optional<std::uint64_t> memory_restart;  // bytes of anonymous and shared memory: above for 30 s = a restart
  std::optional<std::uint64_t> memory_max;      // of the cgroup: above it the kernel kills
  std::optional<std::uint64_t> cpu_weight;      // of the cgroup, 1 … 10000
  std::optional<std::uint64_t> pids;            // of the cgroup: processes and threads
  std::optional<int> nice;                      // -20 … 19
  int oom_score_adjust = 0;                     // always set explicitly: the daemon's own -900 must not be inherited

  friend bool operator==(const limits&, const limits&) = default;
};

using command_line = std::vector<std::string>;  // argv, no shell

// Made before a start when it is not there, as the unit user's; one that is there stays as it is.
struct wanted_directory {
  std::string path;  // absolute, normal
  unsigned mode = 0755;

  friend bool operator==(const wanted_directory&, const wanted_directory&) = default;
};

struct run_spec {
  std::vector<std::string> command;  // argv; argv[0] is looked up in the unit's PATH when it has no slash
  std::string user;                  // name or number; "" = the daemon's own
  std::vector<std::string> groups;
  std::string directory;                   // "" = the data dir's parent or "/"
  std::map<std::string, std::string> env;  // values may hold ${secret:NAME} and ${env:NAME}, filled in at each run
  std::vector<std::string> env_files;      // a leading "-" = may be missing
  std::vector<wanted_directory> create_directories;  // before pre_start
  capability_set capabilities = 0;                   // of the node and its commands, also as another user than root
  std::vector<command_line> pre_start;               // one after the other; a failing one fails the start
  std::vector<command_line> post_start;              // once startup has passed
  std::vector<command_line> stop_command;            // instead of stop_signal
  std::vector<command_line> post_stop;               // once the last process is gone
  std::vector<command_line> check_command;           // before reload_signal
  base::duration hook_timeout{60'000};               // of each of these but stop_command, which has stop_timeout
  std::optional<int> umask;
  int stop_signal = 15;
  std::optional<int> reload_signal;
  base::duration drain_time{0};  // announced for so long to load balancers before it is asked to stop
  base::duration stop_timeout{600'000};
  base::duration start_timeout{300'000};
  limits limit;

  friend bool operator==(const run_spec&, const run_spec&) = default;
};

enum class restart_when { never, on_failure, always };
inline constexpr base::enum_names<restart_when, 3> restart_when_names{
    {{{restart_when::never, "never"}, {restart_when::on_failure, "on_failure"}, {restart_when::always, "always"}}}};

struct restart_policy {
  restart_when policy = restart_when::always;
  std::vector<int> success_codes = {0};
  base::duration backoff_initial{1000};
  base::duration backoff_max{60'000};
  double backoff_factor = 2.0;
  double backoff_jitter = 0.1;      // 0 … 1, share of the delay
  unsigned start_limit_count = 10;  // 0 = no limit
  base::duration start_limit_within{600'000};

  friend bool operator==(const restart_policy&, const restart_policy&) = default;
};

enum class condition { started, healthy, completed };
inline constexpr base::enum_names<condition, 3> condition_names{
    {{{condition::started, "started"}, {condition::healthy, "healthy"}, {condition::completed, "completed"}}}};

enum class on_loss { keep, restart, stop };
inline constexpr base::enum_names<on_loss, 3> on_loss_names{
    {{{on_loss::keep, "keep"}, {on_loss::restart, "restart"}, {on_loss::stop, "stop"}}}};

struct requirement {
  std::string unit;
  condition when = condition::healthy;
  on_loss loss = on_loss::keep;

  friend bool operator==(const requirement&, const requirement&) = default;
};

enum class recovery_mode { automatic, ask, off };
inline constexpr base::enum_names<recovery_mode, 3> recovery_mode_names{
    {{{recovery_mode::automatic, "auto"}, {recovery_mode::ask, "ask"}, {recovery_mode::off, "off"}}}};

enum class checksum_policy { required, if_present };
inline constexpr base::enum_names<checksum_policy, 2> checksum_policy_names{
    {{{checksum_policy::required, "required"}, {checksum_policy::if_present, "if_present"}}}};

// [recovery] prefetch: the newest snapshot is fetched, verified and unpacked while the node runs.
struct prefetch_policy {
  base::duration every{3'600'000};  // between two looks at the sources, at least 1 s
  std::uint64_t max_size = 0;  // bytes that the archives and what comes out of them may take; 0 = what room allows

  friend bool operator==(const prefetch_policy&, const prefetch_policy&) = default;
};

// Where a recovery finds room. in_place deletes the old state before the new one is unpacked: there is no way back.
enum class space_policy { automatic, stage, in_place };
inline constexpr base::enum_names<space_policy, 3> space_policy_names{
    {{{space_policy::automatic, "auto"}, {space_policy::stage, "stage"}, {space_policy::in_place, "in_place"}}}};

// Somebody else's node of the same chain.
struct reference_endpoint {
  std::string name;  // for people: scheme and host of the URL, without what may be a secret in it
  probe asks;        // says a head number; interval and timeout are set

  friend bool operator==(const reference_endpoint&, const reference_endpoint&) = default;
};

// [recovery.reference]: whether others advance, asked only while the unit's own head stands still.
struct reference_policy {
  std::vector<reference_endpoint> endpoints;  // one that advances is enough
  base::duration interval{10'000};            // between two rounds
  std::string chain_id;  // that they must name; "" = that of the unit's own node, where it says it

  friend bool operator==(const reference_policy&, const reference_policy&) = default;
};

// [recovery]: which recipe, from where, how often.
struct recovery_policy {
  std::string recipe;                         // "" = none
  std::map<std::string, std::string> params;  // for the recipe
  recovery_mode mode = recovery_mode::automatic;
  std::vector<source> sources;
  checksum_policy checksum = checksum_policy::if_present;
  unsigned budget_count = 3;  // swaps
  base::duration budget_within{86'400'000};
  std::string public_key;              // minisign's; "" = signatures are not looked at
  base::duration max_snapshot_age{0};  // 0 = any age
  space_policy space = space_policy::automatic;
  std::uint64_t max_rate = 0;             // bytes a second of a download; 0 = as fast as it goes
  std::uint64_t max_window = 2ULL << 30;  // bytes that a zstd archive may look back
  std::optional<prefetch_policy> prefetch{};
  std::optional<reference_policy> reference{};
  std::string group{};  // units with the same word are restored as one set, from archives of one backup; ""

  friend bool operator==(const recovery_policy&, const recovery_policy&) = default;
};

struct log_policy {
  std::uint64_t max_size = 100ULL << 20;  // bytes of one file
  unsigned max_files = 10;                // rotated files kept beside the current one
  base::duration max_age{0};              // of rotated files; with it the current file is rotated daily; 0 = any age
  std::uint64_t max_total = 0;            // bytes of all rotated files; 0 = no other limit than max_files
  bool compress = false;
  std::vector<std::string> follow;  // log files that the node writes itself

  friend bool operator==(const log_policy&, const log_policy&) = default;
};

// [schedule]: an orderly restart by the clock.
struct restart_schedule {
  std::string cron;                // as it was written; parsed by base::parse_cron
  std::string timezone = "local";  // "local", "UTC", or a name of the time zone database
  base::duration splay{0};         // random delay up to this

  friend bool operator==(const restart_schedule&, const restart_schedule&) = default;
};

// [proxy]: the unit is nginx or HAProxy, and its servers are the caught-up endpoints of an upstream.
struct proxy_policy {
  std::string upstream;                      // the word behind "upstream."
  std::string template_file;                 // absolute
  std::string output;                        // absolute: what is made of it
  command_line check_command;                // must take the new text, in the file ${candidate}, before it is used
  std::vector<command_line> reload_command;  // instead of the unit's reload_signal
  base::duration max_behind{10'000};
  std::optional<unsigned> max_blocks_behind;
  base::duration back_after{10'000};
  base::duration min_interval{5'000};  // between two changes, but for servers that leave

  friend bool operator==(const proxy_policy&, const proxy_policy&) = default;
};

struct unit_choices;
// Shared, and compared by what is in it.
struct choices_of_unit {
  std::shared_ptr<const unit_choices> all;  // null: it has no upstream
  // The same made again from the same files, with these addresses of DNS names, and with one variant alone: that with
  // these endpoints, or the first one that there is of a role. Null when that gives no unit. Not set: it uses no
  // names. Not compared.
  using maker = std::function<std::shared_ptr<const unit_choices>(
      const address_book&, const std::map<std::string, std::string>& endpoints)>;
  maker again{};
  std::shared_ptr<const address_book> with{};  // what `all` was made again with; null: it has all variants

  friend bool operator==(const choices_of_unit& a, const choices_of_unit& b);
};

struct unit {
  instance_id id;
  unsigned instances = 1;  // of the whole unit
  std::string description;
  bool enabled = true;
  std::vector<std::string> groups;
  data_dirs data;
  run_spec run;
  std::optional<probe> startup;
  std::optional<probe> readiness;
  std::optional<probe> liveness;
  restart_policy restart;
  std::vector<requirement> requires_units;
  recovery_policy recovery;
  log_policy log;
  std::optional<restart_schedule> schedule;
  std::optional<proxy_policy> proxy;

  std::string file;               // the unit file, for messages
  std::uint64_t fingerprint = 0;  // of the resolved spec: differs when a restart would run something else
  std::uint64_t settings = 0;     // of what a run gets while it goes on: limits, priorities, rotation of its log
  // `fingerprint` as it is with no address of a DNS name known: differs when the files do. 0: it uses no names.
  std::uint64_t by_names = 0;
  // What it is filled in with, by the word behind "upstream."; a new start takes what is chosen then.
  std::map<std::string, std::string> endpoints;
  choices_of_unit choices;

  [[nodiscard]] bool has_data() const { return !data.dir.empty(); }
  // Does a probe say where the head of the chain is?
  [[nodiscard]] bool tells_head() const {
    return (startup && startup->tells_head()) || (readiness && readiness->tells_head()) ||
           (liveness && liveness->tells_head());
  }
  // Does a probe say that it has started, or is well? One without is taken for well as soon as it runs.
  [[nodiscard]] bool tells_health() const { return startup.has_value() || readiness.has_value(); }
  [[nodiscard]] bool has_recovery() const { return !recovery.recipe.empty() && recovery.mode != recovery_mode::off; }

  friend bool operator==(const unit&, const unit&) = default;
};

// The upstreams of a unit by the word behind "upstream.", also those that it only requires, and the unit as it is
// with each endpoint that could be chosen.
struct unit_choices {
  std::map<std::string, upstream> roles;
  std::vector<unit> variants;  // these have no choices of their own; see choices_of_unit::again

  friend bool operator==(const unit_choices&, const unit_choices&) = default;
};

// The same unit with these endpoints; where one is not named or not there any more, the one that `u` has.
unit with_endpoints(const unit& u, const std::map<std::string, std::string>& wanted);
// With its own endpoints as far as they are still there.
unit with_addresses(const unit& u, const address_book& known);

// For people: "leap", or "miner@1" when the unit has several instances.
std::string shown_name(const unit& u);
// "leap.log", or "miner@1.log" when the unit has several instances.
std::string log_file_name(const unit& u);

}  // namespace hasup::model
