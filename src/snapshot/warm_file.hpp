// DATA_DIR/.hasup/warm/warm.json: the archives of the cache that a prefetch left for the next recovery. Written
// durably when they are whole and sealed; what it says is believed only as far as their seals
// (snapshot/cache_seal.hpp) say the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ports/worker_job.hpp"
#include "snapshot/disk.hpp"

namespace hasup::snapshot {

// Nothing when there is none, it cannot be read, or one of its archives is not there as it was.
outcome<std::optional<ports::warm_set>> read_warm(int own);
// The same below a data directory, which may have none of it.
std::optional<ports::warm_set> warm_below(int data_dir);
outcome<void> write_warm(int own, const disk& d, const ports::warm_set& w);
outcome<void> remove_warm(int own, const disk& d);

// Deletes from the cache what is not of these archives; unfinished ones too.
outcome<void> keep_in_cache(int own, const disk& d, const std::vector<std::string>& names);

}  // namespace hasup::snapshot
