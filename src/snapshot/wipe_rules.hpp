// Which entries of a data directory a plan may replace. Pure.
//
//   untouched  neither moved nor deleted: kept, shared, .hasup, or not named by wipe
//   descend    stays, but entries below it may be replaced (a kept file lies inside, or wipe names something inside)
//   replaced   moves aside as a whole
//
// A volume (a file system of its own, volumes.hpp) cannot move: it stays, and its children are replaced. Its own
// .hasup and lost+found are untouched.
//
// Because a directory with something kept inside is never moved as a whole, kept files stay where they are, with
// their current content, through swap and roll back.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "snapshot/disk.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

enum class fate { untouched, descend, replaced };

class wipe_rules {
 public:
  // Patterns are relative paths whose components may hold * ? [ ]; "*" = every top entry. A bad one is a refusal.
  // Volumes are plain paths.
  static outcome<wipe_rules> from(std::vector<std::string> wipe, std::vector<std::string> keep,
                                  std::vector<std::string> shared, std::vector<std::string> volumes = {});

  // `path` is plain and relative to the data directory.
  [[nodiscard]] fate decide(std::string_view path) const;
  // Kept entries and what is below them: never brought in by an archive either.
  [[nodiscard]] bool keeps(std::string_view path) const;
  // Not kept as it is written, but a file system that folds names would take it for one that is
  // (base/folded_name.hpp).
  [[nodiscard]] bool keeps_when_folded(std::string_view path) const;

  [[nodiscard]] const std::vector<std::string>& wipe() const { return wipe_; }
  [[nodiscard]] const std::vector<std::string>& keep() const { return keep_; }
  [[nodiscard]] const std::vector<std::string>& shared() const { return shared_; }
  // Those of the volumes in which something may be replaced.
  [[nodiscard]] std::vector<std::string> volumes() const;

 private:
  std::vector<std::string> wipe_;
  std::vector<std::string> keep_;
  std::vector<std::string> shared_;
  std::vector<std::string> volumes_;
};

// What decide() says of every entry below root, as paths with fate::replaced, sorted. Links are not followed; a root
// path that is not there gives none.
outcome<std::vector<std::string>> replaced_entries(int root, std::string_view under, const wipe_rules& rules);

// The same where each entry, the root of all ("") too, is at a spot of its own.
using spot_of = std::function<spot(std::string_view path)>;
outcome<std::vector<std::string>> replaced_entries(const spot_of& at, const wipe_rules& rules);

}  // namespace hasup::snapshot
