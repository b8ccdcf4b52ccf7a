// What `hasup snapshot list` shows: each file, what proves it, and why a recovery would not take it. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "cli/terminal.hpp"
#include "ports/worker_job.hpp"

namespace hasup::cli {

struct snapshot_row {
  model::snapshot file;
  std::string plan;        // "" = of none
  unsigned group = 0;      // archives of one candidate have one number
  std::string digest;      // "sha256:…"; ""
  std::string disagree{};  // two say different ones, and which; ""
  bool is_signed = false;
  bool asked = false;     // digest and is_signed are known
  bool taken = false;     // a recovery would take it
  bool matches = true;    // by its name
  bool bad = false;       // it is remembered as that
  bool fetched = false;   // whole in the unit's cache
  bool unpacked = false;  // and beside it: a recovery only renames it
  std::string why_not;    // ""
};

struct snapshot_policy {
  std::vector<model::recovery_plan> plans;
  model::checksum_policy checksum = model::checksum_policy::if_present;
  bool needs_signature = false;
  std::set<std::string> bad;
  std::string reset;  // what makes a bad one be forgotten: "hasup reset leap"; ""
};

// The candidates in the order in which they would be tried, then what is passed over.
std::vector<snapshot_row> snapshot_rows(const ports::worker_result& found, const snapshot_policy& policy);

// A line for each file that is newer than what would be taken, and is not: which, and why.
std::vector<std::string> newer_passed_over(const std::vector<snapshot_row>& rows);

// "sha256, signed", "none", "?" when the host was not asked.
std::string proof_text(const snapshot_row& r);

// Fits the terminal. Files of another name are only counted unless `all` is wanted.
std::string render_snapshots(const std::vector<snapshot_row>& rows, base::wall_time now, bool all, const terminal& t);
std::string snapshots_json(const std::vector<snapshot_row>& rows, const std::string& target, bool is_unit,
                           const std::vector<std::string>& notes, base::wall_time now);

}  // namespace hasup::cli
