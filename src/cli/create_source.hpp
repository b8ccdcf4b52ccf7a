// What `hasup snapshot create` makes an archive of: a unit's data, a directory or a file; and how the archive is
// called.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/duration.hpp"
#include "cli/snapshot_target.hpp"

namespace hasup::cli {

struct create_source {
  std::string unit;               // "leap"; "" = it is no unit's
  ports::worker_job job;          // data_dir with plan and keep, or file; without a target
  model::archive_spec archive{};  // of a unit: which names its recipe takes
  std::string note{};             // for a person; ""
};

std::variant<create_source, target_error> find_create_source(const context& c, const std::string& word);

// Pure. Whether the plan restores from an archive of data, rather than from files that the node writes itself.
bool unpacks_data(const model::recovery_plan& plan);
// Pure. What to pack: the plan that is named, else the first that unpacks such an archive, else the one that replaces
// all that any of them does. An error says what to type.
base::result<model::recovery_plan> plan_to_create(const model::recipe& recipe, const std::string& named,
                                                  const std::string& unit);

// Pure. Without --name: "state-*.tar.zst" of the unit's recipe -> "state-20261121T010203Z.tar.zst", a directory
// "data" -> "data-20261121T010203Z.tar.zst", a file "a.bin" -> "a.bin.zst". With it, what is missing of ".tar.zst" or
// ".zst" is added.
std::string archive_name(const create_source& source, const std::string& wanted, base::wall_time now);

}  // namespace hasup::cli
