// How one kind of node fails and how it is restored: recipes/NAME.toml with the unit's parameters filled in.
// Strings of first_start.append and import.command may still hold ${archive.NAME.path}, known only once an archive is
// staged.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"

namespace hasup::model {

// What to do about a class of exits. next_endpoint: it ended because of a server that it used: restart, with another
// endpoint of its upstream. hold: a person must act; never wiped, never restarted.
enum class class_action { recover, restart, next_endpoint, hold };
inline constexpr base::enum_names<class_action, 4> class_action_names{
    {{{class_action::recover, "recover"},
      {class_action::restart, "restart"},
      {class_action::next_endpoint, "next_endpoint"},
      {class_action::hold, "hold"}}}};

enum class match_mode { all, any };
inline constexpr base::enum_names<match_mode, 2> match_mode_names{
    {{{match_mode::all, "all"}, {match_mode::any, "any"}}}};

// What the unit's probes had said when the run ended.
enum class startup_seen { passed, not_passed };
inline constexpr base::enum_names<startup_seen, 2> startup_seen_names{
    {{{startup_seen::passed, "passed"}, {startup_seen::not_passed, "not_passed"}}}};
enum class readiness_seen { passed, failed };
inline constexpr base::enum_names<readiness_seen, 2> readiness_seen_names{
    {{{readiness_seen::passed, "passed"}, {readiness_seen::failed, "failed"}}}};

// The conditions; `match` says whether all of those that are asked must hold, or any. When a run ended, and what its
// probes had said, never speaks alone for a recovery.
struct exit_class {
  std::string name;
  std::vector<int> exit_codes;  // empty = not asked
  std::vector<int> signals;     // empty = not asked
  std::string log;              // RE2 on a line of the evidence; "" = not asked
  match_mode match = match_mode::all;
  class_action action = class_action::restart;
  std::string advice;  // for a person, shown by `hasup why`; may be empty
  // Empty = not asked; not known = does not hold.
  std::optional<base::duration> within{};  // it ended earlier than this after its start
  std::optional<base::duration> after{};   // not earlier than this
  std::optional<startup_seen> startup{};
  std::optional<readiness_seen> readiness{};
  std::string upstream{};  // of next_endpoint: the word behind "upstream." in the unit; "" = all that the run used

  friend bool operator==(const exit_class&, const exit_class&) = default;
};

enum class archive_order { block, time, name };
inline constexpr base::enum_names<archive_order, 3> archive_order_names{
    {{{archive_order::block, "block"}, {archive_order::time, "time"}, {archive_order::name, "name"}}}};

enum class unpack_mode { archive, decompress, none };
inline constexpr base::enum_names<unpack_mode, 3> unpack_mode_names{
    {{{unpack_mode::archive, "archive"}, {unpack_mode::decompress, "decompress"}, {unpack_mode::none, "none"}}}};

// One archive a plan needs. Either `as` (stays in the staging directory, path is ${archive.AS.path}) or `into`
// ("." = each top entry replaces its namesake; "NAME" = the contents become NAME as a whole).
struct archive_spec {
  std::string match;    // glob; exactly one of match and pattern
  std::string pattern;  // RE2 on the whole name, with (?P<block>…) where order = block
  archive_order order = archive_order::time;
  unpack_mode unpack = unpack_mode::archive;
  std::string as;
  std::string into;
  bool strip = true;  // drop a single leading directory if all entries share one that is not itself wiped
  std::vector<std::string> at_hand{};  // globs, relative to the data directory: files that may hold parts of it

  friend bool operator==(const archive_spec&, const archive_spec&) = default;
};

// What a snapshot must be for a plan, as far as manifest.json or its name says it; "" = anything goes.
struct snapshot_rule {
  std::string chain_id;
  std::string node_version;  // a version_range
  std::string block_within;  // relative, a nodeos's blocks.log: the block, or the one after it, is in it
  bool strict = false;       // what says nothing of it is no candidate either

  friend bool operator==(const snapshot_rule&, const snapshot_rule&) = default;
};

// by_hand: it loses for good what no snapshot has, so that a person must name it (--plan).
enum class plan_use { always, by_hand };
inline constexpr base::enum_names<plan_use, 2> plan_use_names{
    {{{plan_use::always, "always"}, {plan_use::by_hand, "by_hand"}}}};

struct recovery_plan {
  std::string name;
  std::vector<std::string> wipe;        // relative to the data directory; "*" = every entry but kept and shared ones
  std::vector<std::string> shared;      // stay in place
  std::vector<std::string> refused_by;  // RE2: the node's words for "this snapshot does not fit this plan"
  bool same_set = false;
  std::vector<archive_spec> archives;
  snapshot_rule require{};
  plan_use use = plan_use::always;

  friend bool operator==(const recovery_plan&, const recovery_plan&) = default;
};

enum class bootstrap_mode { recover, empty, hold };
inline constexpr base::enum_names<bootstrap_mode, 3> bootstrap_mode_names{
    {{{bootstrap_mode::recover, "recover"}, {bootstrap_mode::empty, "empty"}, {bootstrap_mode::hold, "hold"}}}};

enum class confirm_when { advancing, healthy };
inline constexpr base::enum_names<confirm_when, 2> confirm_when_names{
    {{{confirm_when::advancing, "advancing"}, {confirm_when::healthy, "healthy"}}}};

struct recipe {
  std::string name;
  std::string description;
  std::vector<exit_class> classes;  // first match wins
  unsigned failed_starts = 2;       // [trigger]: unexplained failed starts in a row; 0 = never
  unsigned stuck_restarts =
      0;  // restarts for a head that stands still, until others that advance are heard; 0 = never
  std::vector<std::string> must_exist;  // relative
  bootstrap_mode bootstrap = bootstrap_mode::hold;
  std::vector<std::string> locks;               // relative; asked with F_GETLK
  std::vector<std::string> keep;                // relative; never wiped, never rolled back
  std::vector<recovery_plan> plans;             // tried in order
  std::vector<std::string> first_start_append;  // argv tail of the starts after a swap, until `loaded`
  // [import]: a run of its own before the first start, in the node's place; not both. Empty = none.
  std::vector<std::string> import_command;
  base::duration import_timeout{86'400'000};
  confirm_when confirm = confirm_when::healthy;
  base::duration confirm_within{1'800'000};  // without an advance
  base::duration confirm_advancing_for{120'000};
  base::duration confirm_healthy_for{0};  // with confirm_when::healthy

  // So long after it was loaded a restored node is good, if it still is. Where no probe says how it is, a node that
  // was only just spawned looks like one that is well: then it takes as long as a head would have to move.
  [[nodiscard]] base::duration proving_time(bool probed) const {
    const auto asked = confirm == confirm_when::healthy ? confirm_healthy_for : confirm_advancing_for;
    return probed ? asked : std::max(asked, confirm_advancing_for);
  }

  friend bool operator==(const recipe&, const recipe&) = default;
};

}  // namespace hasup::model
