// What `hasup apply` answers, in its tense. Pure.
#pragma once

#include <string>

namespace hasup::cli {

// hasupd says of a dry run and of the real one alike what "will be started". A dry run only would; the real one has
// begun with it when the answer comes.
std::string in_tense_of_apply(std::string message, bool dry_run);

}  // namespace hasup::cli
