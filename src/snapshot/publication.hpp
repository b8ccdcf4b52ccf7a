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

// Beside the archives, one row for each.
inline constexpr const char* manifest_name = "manifest.json";

struct side_file {
  std::string name;
  std::string text;

  friend bool operator==(const side_file&, const side_file&) = default;
};

// In the order in which they are put there: made.chunks with the text `index`, of a signed archive NAME.minisig, and
// NAME.sha256 as sha256sum writes it. (Where they replace those of another archive, that one does not have its
// checksum any more for the shortest time; of which archive an index is says the index.)
std::vector<side_file> side_files_of(const ports::worker_result& made, std::string index = {});
// Of an earlier archive of that name: they would say that the new one is damaged, or another. Not those that are new.
std::vector<std::string> stale_side_files(const ports::worker_result& made);
// What an archive that is to be replaced has beside it, as far as that is overwritten or removed: to be read before,
// and put back when the replacing fails. Not its index, which may be large: without one nothing is lost.
std::vector<std::string> texts_to_keep(const std::vector<side_file>& beside, const std::vector<std::string>& stale);

// One row of manifest.json, as listing.hpp reads it; what else is there where it is known.
struct manifest_row {
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;
  base::wall_time time{};
  std::optional<std::uint64_t> block;
  std::string chain_id;
  std::string node_version;
  std::string chunks{};        // the name of the index of its chunks; ""
  std::uint64_t unpacked = 0;  // bytes; 0 = not known
  std::string set{};           // the backup that it is of; ""
};
manifest_row row_of(const ports::create_order& order, const ports::worker_result& made, base::wall_time time);

// The text with that row in the place of one of the same name, or after the last. Everything else stays. "" is a
// manifest without rows; another text that is no manifest is an error.
base::result<std::string> manifest_with(std::string_view text, const manifest_row& row);
// Without the row of that name; nothing when it has none.
base::result<std::optional<std::string>> manifest_without(std::string_view text, std::string_view name);

// With the row of that name as it is in `before`; without one, where that has none.
base::result<std::optional<std::string>> manifest_as_before(std::string_view text, std::string_view before,
                                                            std::string_view name);

// Why an archive cannot have that name; "" = it can.
std::string name_problem(std::string_view name);

}  // namespace hasup::snapshot
