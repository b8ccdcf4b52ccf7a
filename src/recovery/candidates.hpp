// Which candidate comes next, and which must not be tried again. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "recovery/event.hpp"
#include "recovery/progress.hpp"

namespace hasup::recovery {

// How a snapshot is remembered as bad: a copy by name, size, time and source, so that it is not fetched again; a file
// that was replaced under the same name is another one. And, where all of it was here, by the digest of its bytes,
// wherever they come from. What a host announces is no such digest: its copy may be damaged, and that of a mirror, or
// the one that is put there next, good.
std::string bad_key_of_copy(const model::snapshot& s);
std::string bad_key_of_digest(std::string_view sha256);
// By which `s` is known to be the same archive as another: its digest, else its copy.
std::string same_key(const model::snapshot& s);
bool is_bad(const model::snapshot& s, const std::set<std::string>& bad);

// Marks it; `sha256` of what was fetched whole, none otherwise. The oldest are forgotten.
void remember_as_bad(memory& m, const ports::candidate& c, const std::vector<std::string>& sha256);

// Likewise the copies of those sources that a fetch found damaged while the snapshot's own could not be had.
void remember_bad_mirrors(memory& m, const ports::candidate& c, const ports::worker_result& fetched);
// Without the mirrors whose copy is remembered as bad.
ports::candidate without_bad_mirrors(ports::candidate c, const memory& m);

// A person forgives it all, also what a recovery that is under way has found: it only goes on without what it
// dropped.
void forget_bad_and_swaps(memory& m);

// Does every archive of it that says a block say one beyond this, and at least one say it for sure?
bool is_beyond(const ports::candidate& c, std::uint64_t block);

// May it be tried, as far as a person was asked? Never by itself where that would lose for good what no archive
// brings.
bool may_use(const model::recovery_plan& p, const frozen& plan);
// "; plan "full set" is tried only when a person names it: `hasup recover leap --plan "full set"`"; "" = there is
// none.
std::string left_to_a_person(const frozen& plan);

// The candidates that the options allow, without those marked bad (a snapshot named by a person stays).
// `skipped_bad` gets the names of those left out for that.
std::vector<ports::candidate> allowed(const std::vector<ports::candidate>& all, const frozen& plan,
                                      const std::set<std::string>& bad, std::vector<std::string>* skipped_bad);

// After a refusal the next plan with the same snapshot; otherwise the first untried one in order. A snapshot that was
// bad in one plan is not tried in another. None of the plans of `without`, and none that is remembered as bad since
// they were listed, unless a person named it.
std::optional<std::size_t> next_candidate(const progress& p, const std::set<unsigned>& without = {},
                                          const memory& m = {});

// Is there an untried plan for the snapshot of the current candidate?
bool other_plan_fits(const progress& p);

// asked.from as a candidate: one local archive serves the first allowed plan that needs just one.
base::result<ports::candidate> candidate_from_file(const frozen& plan);

// The job that looks how large asked.from is; its answer has candidate_from_file() with what it saw.
base::result<ports::worker_job> job_of_file(const frozen& plan);

// "snapshot-…bin.zst", or "a.tar, b.tar"
std::string name_of(const ports::candidate& c);
// The backup that all its archives are of; "" = they do not say, or are of several.
std::string set_of(const ports::candidate& c);
// The highest block of its archives.
std::optional<std::uint64_t> block_of(const ports::candidate& c);
// Likewise, of those that say it for sure: a number in a file name may be a date.
std::optional<std::uint64_t> sure_block_of(const ports::candidate& c);
// What is known of how far back it goes: "block 300, of 2026-01-01T00:00:00Z"; "" = nothing.
std::string as_of(const ports::candidate& c);

// first_start.append with ${archive.NAME.path} filled in; nothing when the plan keeps no archive in the staging
// directory (its archives replace the state themselves); an error when it names one that is not there.
base::result<std::vector<std::string>> first_start_arguments(const model::recipe& recipe,
                                                             const model::recovery_plan& plan,
                                                             const std::map<std::string, std::string>& archive_paths);
// import.command likewise.
base::result<std::vector<std::string>> import_command(const model::recipe& recipe, const model::recovery_plan& plan,
                                                      const std::map<std::string, std::string>& archive_paths);

// What must be there for a start (must_exist), unless the node makes it in its first start: of a snapshot that it is
// given as an argument, of an import, or of what else it is told to do there.
std::vector<std::string> must_be_brought(const model::recipe& recipe, const model::recovery_plan& plan);

// Whether a swap counts towards the budget now. One that a clock stamped which was wrong by more than the window does
// not: it would count for as long as the clock was ahead.
bool counts(base::wall_time swap, base::duration within, base::wall_time now);
// How many of the swaps do.
unsigned swaps_within(const std::vector<base::wall_time>& swaps, base::duration within, base::wall_time now);

// The archives of what was tried in vain, when a recovery ends: no other candidate is made of them. What a person
// named that lies in the cache itself is his.
std::vector<std::string> useless_archives(const progress& p);
// Of bad_keys(): the digests alone, lower-case hex.
std::vector<std::string> bad_digests(const memory& m);

}  // namespace hasup::recovery
