#include "snapshot/fetch/verify.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "snapshot/fetch/part_file.hpp"
#include "snapshot/fetch/proof.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

outcome<void> verify_one(const ports::worker_job& job, const model::snapshot& s, job_control& control, patience p,
                         ports::worker_result& out) {
  const base::unique_fd fd(::open(job.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return system_failure("open " + job.file, errno);
  if (!S_ISREG(st.st_mode)) return refusal(job.file + " is no file");
  const auto size = static_cast<std::uint64_t>(st.st_size);
  control.begin("verify", s.name, without_password(s.source), size);
  const auto access = source_of(job.sources, s.source, s.source_nth);
  remote_client host(control, patience_for(access, p), access);
  auto wanted = find_proof(host, s, job);
  if (!wanted) return wanted.error();
  auto actual = digests_of(fd.get(), wanted->kinds(), control);
  if (!actual) return actual.error();
  out.sha256 = {actual->at(digest_kind::sha256)};
  out.bytes = size;
  if (auto fits = check(*wanted, s, *actual, fd.get(), size); !fits) return fits;
  out.verified = !wanted->empty();
  out.verified_by = wanted->text();
  if (job.keep_proof) wanted->keep_in(out);
  if (!wanted->note.empty()) out.notes.push_back(wanted->note);
  return {};
}

}  // namespace

ports::worker_result verify(const ports::worker_job& job, job_control& control, patience p) {
  ports::worker_result out;
  const auto done = job.chosen && job.chosen->snapshots.size() == 1
                        ? verify_one(job, job.chosen->snapshots.front(), control, p, out)
                        : outcome<void>(refusal("the job names no snapshot to verify"));
  if (done) return out;
  out.failure = done.error().kind;
  out.error = done.error().message;
  out.snapshot = done.error().snapshot;
  return out;
}

}  // namespace hasup::snapshot
