// Why files that a source lists are no candidates, for a person who wonders. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/recipe.hpp"
#include "ports/worker_job.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

// Those of a listing of everything that could be taken for a snapshot, and that no plan takes: empty, still being
// written, implausibly small, of another name. Side files and indexes are no such files.
std::vector<ports::passed_over> passed_over_files(const std::vector<model::recovery_plan>& plans,
                                                  const std::string& source, const std::vector<listed_file>& files);

// Those of them that would be candidates, were they not implausibly small.
std::vector<ports::passed_over> torn_files(const std::vector<model::recovery_plan>& plans, const std::string& source,
                                           const std::vector<listed_file>& files);

// What a listing of everything shows beside an archive; `digest` also for a list of sums that may have it.
struct shown_side_files {
  bool digest = false;
  bool signature = false;
};
shown_side_files side_files_of(std::string_view name, const std::vector<listed_file>& files);

}  // namespace hasup::snapshot
