// From listed files to candidates: which names match an archive, which is newer, which archives belong together.
// Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/recipe.hpp"
#include "ports/worker_job.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {

// One archive's names: a glob, or an RE2 pattern on the whole name.
class name_matcher {
 public:
  static base::result<name_matcher> from(const model::archive_spec& spec);
  ~name_matcher();
  name_matcher(name_matcher&&) noexcept;
  name_matcher& operator=(name_matcher&&) noexcept;

  [[nodiscard]] bool matches(std::string_view name) const;
  // From (?P<block>…), from a nodeos name snapshot-<64 hex>…, or, where the order is by block, from the only run of
  // digits in the name.
  [[nodiscard]] std::optional<std::uint64_t> block_of(std::string_view name) const;
  // From (?P<time>…): a date with or without a time of day, in UTC and with any separators, or seconds or
  // milliseconds since 1970.
  [[nodiscard]] std::optional<base::wall_time> time_of(std::string_view name) const;
  // What the recipe leaves open in a name that matches: the text of each * (or ? and […], those side by side as one),
  // or of each named group, without the endings of packed files. Nothing: it says nothing of that.
  [[nodiscard]] std::optional<std::vector<std::string>> free_text(std::string_view name) const;
  // It is the only number in the name, and may as well be a date.
  [[nodiscard]] bool guesses_block_of(std::string_view name) const;

 private:
  struct parts;
  [[nodiscard]] std::optional<std::string_view> group_of(std::string_view name, int group) const;
  explicit name_matcher(std::unique_ptr<parts> p);
  std::unique_ptr<parts> parts_;
};

// A manifest knows the block better than a name.
model::snapshot snapshot_of(const listed_file& f, const std::string& source, std::optional<std::uint64_t> named);

// Below it a file is a torn upload and no candidate: a tenth of the median of what matches, of four sizes at least,
// so that a few snapshots of a chain that has just begun are not held against each other. 0: nothing is too small.
std::uint64_t least_plausible_size(const name_matcher& matcher, const std::vector<listed_file>& files);

// Runs of digits compare as numbers: "a-9" < "a-10", "a-009" < "a-10".
int compare_names(std::string_view a, std::string_view b);

// Newest first. What lacks the block or time comes last; ties go by time, then name.
bool newer(const model::snapshot& a, const model::snapshot& b, model::archive_order order);

// The candidates of one plan from the files of one source, newest first. Several archives are paired by their backup
// with same_set, else by equal block, else by what their names have in common (the time, or all that the recipe
// leaves open in them); never only because both are the newest. `notes` gets what was left out and why.
std::vector<ports::candidate> plan_candidates(const model::recovery_plan& plan, unsigned index,
                                              const std::string& source, const std::vector<listed_file>& all,
                                              std::vector<std::string>& notes);

// One candidate of each whose archives have the same URLs: the first stays, and goes the ways of all in the order of
// the sources, the further ones as mirrors.
void join_ways(std::vector<ports::candidate>& candidates);

// Tells each snapshot where else a file of its name and size is, in the order of the candidates. Whether it is the
// same file is for the checksums to say. After join_ways().
void find_mirrors(std::vector<ports::candidate>& candidates);

// Joins what several sources gave for one plan, newest first; the earlier source wins a tie.
void merge_newest_first(std::vector<ports::candidate>& candidates, const model::recovery_plan& plan);

}  // namespace hasup::snapshot
