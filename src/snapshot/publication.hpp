// What stands beside an archive when it is published: its checksum, its signature, its row in manifest.json. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "ports/worker_job.hpp"

namespace hasup::snapshot {

struct side_file {
  std::string name;
  std::string text;

  friend bool operator==(const side_file&, const side_file&) = default;
};

// NAME.sha256 as sha256sum writes it and, of a signed archive, NAME.minisig.
std::vector<side_file> side_files_of(const ports::worker_result& made);
// Of an earlier archive of that name: they would say that the new one is damaged. `is_signed`: NAME.minisig is new.
std::vector<std::string> stale_side_files(std::string_view name, bool is_signed);

// One row of manifest.json, as listing.hpp reads it; block, chain_id and node_version where they are known.
struct manifest_row {
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;
  base::wall_time time{};
  std::optional<std::uint64_t> block;
  std::string chain_id;
  std::string node_version;
};
manifest_row row_of(const ports::create_order& order, const ports::worker_result& made, base::wall_time time);

// The text with that row in the place of one of the same name, or after the last. Everything else stays. "" is a
// manifest without rows; another text that is no manifest is an error.
base::result<std::string> manifest_with(std::string_view text, const manifest_row& row);
// Without the row of that name; nothing when it has none.
base::result<std::optional<std::string>> manifest_without(std::string_view text, std::string_view name);

// Why an archive cannot have that name; "" = it can.
std::string name_problem(std::string_view name);

}  // namespace hasup::snapshot
