// Puts into an archive that is about to be fetched what is at hand of it: frames of older archives, and what the
// node's own files have in common with it, packed again. Each is checked by its digest in the index of the archive's
// chunks, and the whole by its own afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/snapshot.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/delta/chunk_index.hpp"
#include "snapshot/fetch/part_file.hpp"
#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/job_control.hpp"

namespace hasup::snapshot {

// What is seen in the data directory of the job, which may be read only as far as fetch_bounds() has it.
class seeding {
 public:
  // `archive`: its place in the plan.
  seeding(const ports::worker_job& job, job_control& control, const data_tree& tree, const model::snapshot& s,
          std::size_t archive)
      : job_(job), control_(control), tree_(tree), snapshot_(s), archive_(archive) {}

  struct version {
    std::uint64_t total = 0;
    std::string validator;  // of the archive on the host; ""
  };
  // What the host has, when something may be put together by it: an index that is about that file, and something at
  // hand. Nothing when there is no use in it; then why() says why, if a person has to know. `digest`: announced for
  // the archive, "sha256:…"; "" = none.
  outcome<std::optional<version>> prepare(remote_client& host, const std::string& url, const std::string& digest);

  // Fills `part`, which has room for all of it. `note` is what is durable of it meanwhile. Cancelled is a failure; a
  // file that cannot be read is none.
  outcome<void> fill(part_file& part, const resume_note& note);

  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  struct seed {
    std::string path;  // for people
    std::function<outcome<base::unique_fd>()> open;
    std::uint64_t size = 0;
    bool raw = false;  // no archive
  };
  void collect();
  void add(std::string path, std::function<outcome<base::unique_fd>()> open, bool raw);
  bool read_index(remote_client& host, const std::string& url, const std::string& digest);
  bool no_use(std::string why = {});

  const ports::worker_job& job_;
  job_control& control_;
  const data_tree& tree_;
  const model::snapshot& snapshot_;
  std::size_t archive_;
  std::vector<seed> seeds_;
  chunk_index index_;
  std::uint64_t total_ = 0;  // of the archive that it is about
  std::string why_;
};

}  // namespace hasup::snapshot
