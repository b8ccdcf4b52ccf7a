#include "snapshot/fetch/fetch_bounds.hpp"

#include <fcntl.h>

#include "base/unique_fd.hpp"
#include "snapshot/at_hand.hpp"
#include "snapshot/fetch/s3_access.hpp"

namespace hasup::snapshot {

namespace {

// What may have parts of the archives.
void add_seeds(const ports::worker_job& job, std::vector<std::string>& read) {
  read.insert(read.end(), job.seeds.begin(), job.seeds.end());
  const base::unique_fd root(::open(job.data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return;
  for (const auto& archive : job.plan.archives)
    for (const auto& path : files_at_hand(root.get(), archive.at_hand, job.keep))
      read.push_back(job.data_dir + "/" + path);
}

}  // namespace

bounds fetch_bounds(const ports::worker_job& job, const std::string& home) {
  bounds b;
  b.network = true;
  b.write = answer_directories(job);
  auto& read = b.read.emplace();
  if (job.mode == ports::worker_mode::fetch) {
    const auto own = job.data_dir + "/.hasup/";
    b.write.insert(b.write.end(), {own + "lock", own + "cache"});
    if (job.prefetch) b.write.push_back(own + "warm");
    b.remove = {own + "staging"};
    b.list = {job.data_dir};
    add_seeds(job, read);
  }
  const auto add = [&read](const std::string& path) {
    if (!path.empty()) read.push_back(path);
  };
  // Of the node's own data only what a plan's snapshots must fit.
  for (const auto& plan : job.plans)
    if (!plan.require.block_within.empty() && !job.data_dir.empty())
      add(job.data_dir + "/" + plan.require.block_within);
  if (job.mode == ports::worker_mode::select && job.look_for_warm && !job.data_dir.empty())
    add(job.data_dir + "/.hasup");
  for (const auto& s : job.sources) {
    const auto files = files_of_access(s, home);
    read.insert(read.end(), files.begin(), files.end());
  }
  add(job.file);
  return b;
}

}  // namespace hasup::snapshot
