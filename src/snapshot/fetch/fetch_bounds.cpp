#include "snapshot/fetch/fetch_bounds.hpp"

#include "snapshot/fetch/expected_digest.hpp"
#include "snapshot/fetch/select.hpp"

namespace hasup::snapshot {

bounds fetch_bounds(const ports::worker_job& job, const std::string& home) {
  bounds b;
  b.network = true;
  b.write = answer_directories(job);
  auto& read = b.read.emplace();
  if (job.mode == ports::worker_mode::fetch) {
    b.write.push_back(job.data_dir + "/.hasup");
    b.list = {job.data_dir};
  }
  const auto add = [&read](const std::string& path) {
    if (!path.empty()) read.push_back(path);
  };
  // A source that is one file has its checksums beside it, where no source names their directory.
  const auto add_place = [&](const std::string& url) {
    const auto path = file_source_path(url).value_or("");
    add(path);
    if (!path.empty() && !path.ends_with('/'))
      for (const auto& beside : side_file_places(path)) add(beside);
  };
  for (const auto& s : job.sources) {
    add_place(s.url);
    for (const auto* path : {&s.ca_file, &s.client_certificate, &s.client_key, &s.header_file, &s.identity_file,
                             &s.known_hosts, &s.credentials_file})
      add(*path);
    if (home.empty()) continue;
    if (s.url.starts_with("sftp://")) add(home + "/.ssh");
    if (s.url.starts_with("s3://")) add(home + "/.aws");
  }
  add(job.file);
  if (!job.chosen) return b;
  // A file of a local source may be a link to another place. Where the listing is another host's, a path of this
  // machine in it is nothing to believe.
  for (const auto& s : job.chosen->snapshots) {
    if (file_source_path(s.source)) add(file_source_path(s.url).value_or(""));
    if (job.mode == ports::worker_mode::verify) add_place(s.source);
  }
  return b;
}

}  // namespace hasup::snapshot
