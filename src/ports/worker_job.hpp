// What hasupd asks of hasup-worker, one process a job, and what comes back.
//
//   hasup-worker JOB.json        JOB.json holds a worker_job; exit 0: done, 1: failed; the answer is in
//   job.result_path
//   hasup-worker --look          stays: the standard input is a socket that brings jobs to inspect, one a line, and
//   takes the answers, one a line; ends when it is closed
//
// The job file may hold one secret, the password in a source's `proxy` (model/source.hpp): who writes it lets nobody
// read it but the worker's user and group. Other secrets are named by their files. Answer and progress hold none. The
// answer is written to result_path as a whole (temporary file, fsync, rename), so it is there complete or not at all.
// While it works, the worker replaces progress_path at most twice a second (no fsync). Every job can be repeated
// after a crash at any point and then comes to the same end.
//
// Layout in DATA_DIR/.hasup/ (created by the worker, as the unit's user, mode 0700):
//   cache/NAME           fetched and verified archives;  cache/NAME.part  not yet whole
//   staging/new/…        what will replace the entries of the data directory, same relative layout
//   staging/archives/AS/NAME   archives of a plan with `as`
//   staging/ahead/{new,archives}   the same, unpacked while it was fetched: of use only beside staging/ahead.json
//   lock                 held by the one worker that is at work here
//   warm/warm.json       which archives of the cache a prefetch left for the next recovery, once they are whole
//   (aside, swap.json and warm/ are directly below: what fetches and what unpacks may write cache and staging alone)
//   aside/…              the old entries, from the swap until clean_up or roll_back
//   inexact              what the last roll back could not bring back: for who asks once more
//   clones/…             what shared entries were before the swap, for as long, where the file system has reflinks
//   swap.json            the intent record, and the marker that forbids an ordinary start: present from before the
//                        first rename until clean_up or roll_back is complete, and from before wipe deletes anything
//                        until clean_up
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum_names.hpp"
#include "base/result.hpp"
#include "model/recipe.hpp"
#include "model/snapshot.hpp"
#include "model/source.hpp"
#include "model/unit.hpp"

namespace hasup::ports {

enum class worker_mode {
  inspect,           // who has the data directories open, what is missing; runs as the daemon's user
  make_directories,  // what a unit wants to find at its start; runs as the daemon's user
  select,            // list the sources, order the candidates
  verify,            // check a file of this machine against what its source says of it; writes nothing
  examine,           // read an archive of this machine as unpacking would; writes nothing
  measure,           // what is free and what of it is taken already; looks only
  fetch,             // download a candidate's archives into the cache and verify them
  unpack,            // unpack them into the staging directory, syncfs
  create,            // pack data into an archive, with its checksum beside it; changes nothing of the data
  wipe,              // for good: delete what the plan replaces, once the chosen archives are whole in the cache
  swap,              // old entries aside, new entries in; shared ones stay, cloned aside where that can be
  rewipe,            // before a further first start: remove what the last attempt created under `wipe`
  roll_back,         // remove what stands in the place of the old entries, put those back as they were
  clean_up,          // delete aside, staging, swap.json and all cached archives but the newest kept
  drop_warm,  // delete what was fetched beforehand: warm.json, the cache, staging; not where a swap is under way
  discard,    // delete `useless` from the cache
};
// What hasupd's own environment says about proxies, agents and S3 keys is for the modes with a network alone:
// select, fetch and verify, and create where the archive comes to another host.
inline constexpr std::array ways_out{"http_proxy",
                                     "https_proxy",
                                     "HTTPS_PROXY",
                                     "all_proxy",
                                     "ALL_PROXY",
                                     "no_proxy",
                                     "NO_PROXY",
                                     "SSH_AUTH_SOCK",
                                     "AWS_ACCESS_KEY_ID",
                                     "AWS_SECRET_ACCESS_KEY",
                                     "AWS_SESSION_TOKEN",
                                     "AWS_PROFILE",
                                     "AWS_SHARED_CREDENTIALS_FILE"};

inline constexpr base::enum_names<worker_mode, 16> worker_mode_names{
    {{{worker_mode::inspect, "inspect"},
      {worker_mode::make_directories, "make_directories"},
      {worker_mode::select, "select"},
      {worker_mode::verify, "verify"},
      {worker_mode::examine, "examine"},
      {worker_mode::measure, "measure"},
      {worker_mode::fetch, "fetch"},
      {worker_mode::unpack, "unpack"},
      {worker_mode::create, "create"},
      {worker_mode::wipe, "wipe"},
      {worker_mode::swap, "swap"},
      {worker_mode::rewipe, "rewipe"},
      {worker_mode::roll_back, "roll_back"},
      {worker_mode::clean_up, "clean_up"},
      {worker_mode::drop_warm, "drop_warm"},
      {worker_mode::discard, "discard"}}}};

// A candidate: one snapshot for each archive of the plan, in the plan's order.
struct candidate {
  unsigned plan = 0;  // index into recipe.plans
  std::vector<model::snapshot> snapshots;

  friend bool operator==(const candidate&, const candidate&) = default;
};

// A file that a source lists and that is no candidate.
struct passed_over {
  model::snapshot file;
  std::string why;  // "is empty", "is still being written (.part)", …

  friend bool operator==(const passed_over&, const passed_over&) = default;
};

// What a source has to prove one of its files.
struct snapshot_proof {
  std::string url;     // of the file
  std::string digest;  // "sha256:…"; ""
  bool is_signed = false;
  bool unknown = false;  // the host did not say
  std::string disagree;  // two say different digests, and which; ""

  friend bool operator==(const snapshot_proof&, const snapshot_proof&) = default;
};

// What a prefetch left for the next recovery (warm.json): archives in the cache that it may take without asking a
// host.
struct warm_set {
  std::string recipe;                 // encode(recipe): it was chosen for that one
  std::vector<candidate> candidates;  // of the same archives, one for each plan that may take them, in order
  std::vector<std::string> sha256;    // of each archive, lower-case hex
  bool verified = false;              // against a checksum or key from outside
  std::string verified_by;            // as in worker_result
  std::string public_key;             // that was asked for; ""
  bool unpacked = false;              // for the first candidate, beside its archives
  base::wall_time at;                 // when it was whole

  friend bool operator==(const warm_set&, const warm_set&) = default;
};

// What is made of job.file, or of job.data_dir: of all that is below it, or of what job.plan wipes and job.keep does
// not keep.
struct create_order {
  std::string name;      // of the archive
  model::source target;  // the directory it comes to: file://, sftp:// or s3://
  int level = 3;         // zstd's
  bool chunks = true;    // frames that end where the content says so, and an index of them beside the archive
  bool replace = false;  // one of that name that is there
  // A file that changes while it is read is only noted.
  bool allow_changes = false;
  std::string sign_key;       // minisign's secret key; "" = not signed
  std::string sign_password;  // the file with its password, "-" = standard input; "" = it has none
  // For manifest.json, where they are known.
  std::optional<std::uint64_t> block;
  std::string chain_id;
  std::string node_version;
  std::string set;
};

struct worker_job {
  worker_mode mode = worker_mode::inspect;
  std::string result_path;    // absolute; "-" for --look
  std::string progress_path;  // absolute; "" = none

  std::string data_dir;           // absolute; every mode but verify and examine, which have `file`; select: may be ""
  std::vector<std::string> also;  // further directories of the same node (inspect)
  // Must be mount points (inspect, make_directories). Those below data_dir that a plan replaces are replaced by their
  // children, each within its file system (snapshot/volumes.hpp).
  std::vector<std::string> mounts;

  // inspect
  std::vector<std::string> locks;       // relative: F_GETLK
  std::vector<std::string> must_exist;  // relative
  std::vector<std::int32_t> tolerated;  // pids whose open files do not count (own worker, units with shared_with)
  bool all_writers = false;             // find every writer, with what is needed to take one over
  // A look of a moment ago found nobody, and what has run since is gone: only the files that are there are asked for
  // writers, which needs no look at all processes. Who holds only files that are gone was seen by that look.
  bool seen_free = false;

  // make_directories; also data_dir, also and mount
  std::vector<model::wanted_directory> directories;
  std::uint32_t uid = 0;  // whose they become
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  std::string user;            // the name, for messages
  bool may_make_data = false;  // the unit never ran: its data directory may be made, empty

  // select, fetch, verify
  std::vector<model::source> sources;
  // select, measure; select: none, with `chosen`: only these files of this machine are looked at, for how large they
  // are
  std::vector<model::recovery_plan> plans;
  // select
  base::duration max_age{0};   // 0 = any; a snapshot of unknown time passes
  bool only_archives = false;  // of a directory's files, what has the ending of an archive or of compression
  bool explain = false;        // also say what is passed over, and what proves the newest

  // verify, examine, create
  std::string file;  // absolute

  create_order create;

  // fetch, verify
  model::checksum_policy checksum = model::checksum_policy::if_present;
  std::uint64_t max_rate = 0;  // bytes a second; 0 = as fast as it goes
  std::string public_key;      // minisign's; "" = signatures are not looked at
  bool keep_proof = false;     // one archive: what its host has to prove it comes with the answer
  // fetch: archives of this machine, absolute, that may have parts of what is fetched; `plan` and `keep` say which
  // files of the node may
  std::vector<std::string> seeds;
  // fetch: what comes is unpacked meanwhile, beside the download (needs all that unpack needs); unpack then finds it
  bool unpack_ahead = false;
  // fetch: taken from the cache, without a question to any host, where its seals say these digests, one an archive;
  // and what they were verified by
  std::vector<std::string> settled;
  std::string settled_by;
  // fetch: when all is there, it is noted in warm.json, and other archives leave the cache; `recipe` and `candidates`
  // say what is noted; unpack: what warm.json says is unpacked beside its archives, as a fetch would have done
  std::optional<warm_set> prefetch;
  bool background = false;  // others have the processor and the disk first
  // inspect, measure: the answer says what warm.json has; select: that, and what of the candidates is in the cache
  bool look_for_warm = false;
  // discard: names of archives; and, as lower-case hex, which of them goes even where warm.json names it
  std::vector<std::string> useless;
  std::vector<std::string> useless_sha256;
  // fetch, verify (one snapshot), unpack, wipe; select: see `plans`
  std::optional<candidate> chosen;
  // fetch, unpack, wipe, swap, rewipe, roll_back, clean_up
  model::recovery_plan plan;
  std::vector<std::string> keep;  // relative; of the recipe
  // unpack: relative; what the archives themselves have to bring, as far as they replace it: without it the node
  // would begin from nothing
  std::vector<std::string> must_bring;
  std::uint64_t min_free = 0;    // bytes that must remain free (fetch, unpack); less is a refusal with numbers
  std::uint64_t max_window = 0;  // unpack: bytes that a zstd frame may look back; 0 = up to 2 GiB
};

// Why a job failed, as far as the recovery has to care.
enum class worker_failure {
  none,
  unreachable,   // a source or archive could not be had: network, 404, time-out; blames nobody
  bad_snapshot,  // truncated, wrong checksum, hostile or unreadable archive: this snapshot is bad
  no_space,      // refused or ENOSPC
  writer,        // a process has the data open
  refused,       // a pre-flight says no: link in the way, foreign owner, wipe outside the data directory
  internal,      // anything else
};
inline constexpr base::enum_names<worker_failure, 7> worker_failure_names{
    {{{worker_failure::none, "none"},
      {worker_failure::unreachable, "unreachable"},
      {worker_failure::bad_snapshot, "bad_snapshot"},
      {worker_failure::no_space, "no_space"},
      {worker_failure::writer, "writer"},
      {worker_failure::refused, "refused"},
      {worker_failure::internal, "internal"}}}};

struct writer_info {
  std::int32_t pid = 0;
  std::string command;  // argv joined with spaces, at most 200 bytes
  std::string path;     // what it holds

  // With all_writers only.
  std::uint64_t start_time = 0;           // clock ticks since boot; 0: it ended meanwhile
  std::uint32_t uid = 0;                  // effective
  std::vector<std::int32_t> ancestors{};  // parent first
  std::string tree{};                     // HASUP_TREE of its environment: a shim is above it
};

// An archive, or the part of one, in the cache.
struct cached_file {
  std::string name;         // of the archive
  bool whole = false;       // else a part
  std::uint64_t bytes = 0;  // on the disk

  friend bool operator==(const cached_file&, const cached_file&) = default;
};

// What a volume of the data directory has, in bytes on the disk.
struct volume_room {
  std::string path;                  // relative to the data directory
  std::uint64_t free_bytes = 0;      // for the user of the job
  std::uint64_t staging = 0;         // as in room_found
  std::vector<std::uint64_t> state;  // one a plan: what stands in it where that plan replaces
  std::vector<std::uint64_t> freed;  // one a plan: what deleting that would free

  friend bool operator==(const volume_room&, const volume_room&) = default;
};

// What the file system of the data directory has, in bytes on the disk: holes take none.
struct room_found {
  std::uint64_t device = 0;      // st_dev: which file system
  std::uint64_t free_bytes = 0;  // for the user of the job
  std::uint64_t staging = 0;     // unpacked by an earlier try; goes before anything is unpacked anew
  std::vector<cached_file> cached;
  std::vector<std::uint64_t> state;  // one a plan: what stands where that plan replaces, or stood before wipe
  std::vector<std::uint64_t> freed;  // one a plan: what deleting that would free; at most `state`
  // One a plan: why its shared entries cannot be cloned aside; "" = as far as can be seen they can. Empty: unknown.
  std::vector<std::string> not_cloned;
  // One a plan: why what it replaces cannot be renamed (a link, somebody else's, a mount point); "" = it can.
  std::vector<std::string> not_swappable;
  std::vector<volume_room>
      volumes;  // in which any of the plans replaces something; what is in them is not counted above
  // Of the free bytes, what other recoveries on the file system will still take, and whose; hasupd fills it in.
  std::uint64_t promised = 0;
  std::vector<std::string> promised_to;

  friend bool operator==(const room_found&, const room_found&) = default;
};

struct worker_result {
  worker_failure failure = worker_failure::none;
  bool answered = true;  // false: nobody knows anything but what `error` says; not part of the text form
  std::string error;     // for a person; "" when it succeeded
  std::string snapshot;  // the archive the failure is about, "" = none

  // inspect
  std::optional<writer_info> writer;
  std::vector<writer_info> writers;  // with all_writers: of these, `writer` is the first
  std::vector<std::string> missing;  // of must_exist
  bool mounted = true;
  std::string unmounted;      // the first of job.mounts that is none; "" = all are
  bool other_volume = false;  // something is mounted there, but not what swap.json is about
  bool data_dir_exists = false;
  bool data_dir_empty = true;  // no entry but .hasup and lost+found, which a new volume has, and volumes like that
  bool half_swapped = false;   // swap.json is there; swap: also where it failed
  std::string swap_phase;      // what it says (snapshot::swap_phase); "" = there is none, or it cannot be read
  bool has_own_dir = false;    // .hasup is there, which a recovery makes and nobody deletes
  // Also wipe, roll_back: by swap.json the old state is deleted, or its deletion has begun. Unknown where the worker
  // gave no answer.
  bool wiped = false;
  // The least that is free in any of the directories, and in which, where that is not data_dir.
  std::uint64_t free_bytes = 0;
  std::string least_free;
  // roll_back: in what the state that is back differs from what it was, "what the node wrote to blocks meanwhile
  // stays (the file system has no reflinks)"; "" = in nothing
  std::string inexact;
  std::uint64_t device = 0;  // st_dev of the data directory, or of the nearest directory above it; 0 = not known

  // measure
  std::optional<room_found> room;
  // With look_for_warm; nothing when there is none or its files are not those it was written for
  std::optional<warm_set> warm;
  // select, with look_for_warm: of the candidates' archives, those that are whole in the cache: name -> sha256
  std::map<std::string, std::string> in_cache;

  // make_directories: what was not there
  std::vector<std::string> made;

  // select: newest first within a plan, plans in order
  std::vector<candidate> candidates;
  std::vector<std::string> notes;      // sources that were down, listings without a match …
  std::vector<passed_over> passed;     // with explain
  std::vector<snapshot_proof> proofs;  // with explain: of the newest candidates

  // fetch, verify
  std::vector<std::string> sha256;  // of each archive, lower-case hex
  bool verified = false;            // against a checksum or key from outside
  std::string verified_by;          // "sha256", "md5", "its signature and sha256" …; ""
  std::string announced;            // with keep_proof: the digest that the host says, "sha256:…"; ""
  // unpack
  std::map<std::string, std::string> archive_paths;  // AS -> absolute path
  std::uint64_t bytes = 0;                           // fetched, or what is or would be unpacked
  std::uint64_t at_hand = 0;                         // fetch: of them, those that no host had to send
  // fetch, where it failed: the sources whose copy of `snapshot` came whole and is damaged. The same job again would
  // load those again.
  std::vector<std::string> damaged_at;
  // fetch, unpack: bytes of archives that came, or were unpacked, in this job itself, and how long all of it took
  std::uint64_t work_bytes = 0;
  std::uint64_t work_ms = 0;
  bool unpacked_ahead = false;  // fetch: all that was fetched is unpacked, too
  // examine
  bool is_archive = false;    // else one file, compressed or not
  std::uint64_t entries = 0;  // of an archive
  // create: `bytes`, `sha256` and `entries` are those of the archive
  std::string name;
  std::string url;            // or path, of the archive
  std::uint64_t content = 0;  // bytes of the files that were read, holes left out
  std::string signature;      // the text of NAME.minisig; ""; with keep_proof also of what was fetched or verified
  std::string chunks;         // the name of the index of its chunks; "" = it has none

  [[nodiscard]] bool ok() const { return failure == worker_failure::none; }
  [[nodiscard]] const std::string& least_free_under(const std::string& data_dir) const {
    return least_free.empty() ? data_dir : least_free;
  }
};

struct worker_progress {
  std::string phase;  // "fetch", "verify", "stage", …: as in status
  std::string snapshot;
  std::string source;
  std::uint64_t bytes_done = 0;
  std::optional<std::uint64_t> bytes_total;
  std::uint64_t bytes_per_s = 0;
  // Where files are deleted, or looked at, and not bytes
  std::uint64_t files_done = 0;
  std::optional<std::uint64_t> files_total;
};

// JSON, one object. Decoding checks every type; an unknown member is ignored (an older worker may read a newer job).
std::string encode(const worker_job& job);
std::string encode(const worker_result& result);
std::string encode(const worker_progress& progress);
base::result<worker_job> decode_job(std::string_view json);
base::result<worker_result> decode_result(std::string_view json);

// No fault of a snapshot, a host or the data: the worker itself could not be run, or gave no answer.
worker_result internal_failure(std::string why);
base::result<worker_progress> decode_progress(std::string_view json);

// The same for a candidate, a source and a recipe by themselves: journal records carry them.
std::string encode(const candidate& c);
std::string encode(const model::source& s);
base::result<model::source> decode_source(std::string_view json);
base::result<candidate> decode_candidate(std::string_view json);
std::string encode(const model::recipe& r);
std::string encode(const warm_set& w);
base::result<warm_set> decode_warm(std::string_view json);
base::result<model::recipe> decode_recipe(std::string_view json);

}  // namespace hasup::ports
