#include "snapshot/unpack/examine.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unique_fd.hpp"
#include "snapshot/unpack/archive_reader.hpp"
#include "snapshot/unpack/entry_ledger.hpp"

namespace hasup::snapshot {
namespace {

using content = archive_reader::content;

// Such a file must be an archive; another may be one file that is only compressed.
bool is_archive_name(std::string_view name) {
  for (const std::string_view mark : {".tar.", ".tgz", ".tzst", ".txz", ".tbz", ".tlz", ".zip", ".7z", ".cpio"})
    if (name.find(mark) != std::string_view::npos) return true;
  return name.ends_with(".tar");
}

class examining {
 public:
  examining(int fd, std::string name, std::uint64_t max_window, job_control& control, ports::worker_result& out)
      : fd_(fd), name_(std::move(name)), max_window_(max_window), control_(control), out_(out) {}

  outcome<void> run() {
    {
      auto reader = archive_reader::open(fd_, name_, content::archive, reading());
      if (reader) {
        auto first = reader->next();
        if (first && *first != nullptr) return archive(*reader, *first);
        if (!first && (is_archive_name(name_) || control_.cancelled())) return first.error();
      } else if (is_archive_name(name_)) {
        return reader.error();
      }
    }  // its threads are gone before the file is read anew
    return single_file();
  }

 private:
  [[nodiscard]] archive_reader::options reading() const {
    archive_reader::options o;
    o.stop = [this] { return control_.cancelled(); };
    if (max_window_ != 0) o.max_window = std::min(o.max_window, max_window_);
    return o;
  }

  outcome<void> archive(archive_reader& reader, ::archive_entry* entry) {
    out_.is_archive = true;
    entry_ledger ledger(name_);
    while (entry != nullptr) {
      auto checked = check_entry(entry, name_);
      if (!checked) return checked.error();
      if (auto added = ledger.add(*checked); !added) return added;
      ++out_.entries;
      if (checked->is == checked_entry::kind::file)
        if (auto read = data(reader, checked->path); !read) return read;
      if (control_.cancelled()) return cancelled();
      auto next = reader.next();
      if (!next) return next.error();
      entry = *next;
      control_.advance(reader.bytes_read());
    }
    return ledger.check_links();
  }

  outcome<void> data(archive_reader& reader, const std::string& path) {
    std::uint64_t end = 0;
    while (true) {
      if (control_.cancelled()) return cancelled();
      auto block = reader.next_block();
      if (!block) return block.error();
      if (!*block) break;
      if ((*block)->offset < end) return hostile_entry(name_, path, "its data runs backwards");
      end = (*block)->offset + (*block)->size;
      control_.advance(reader.bytes_read());
    }
    out_.bytes += end;
    return {};
  }

  outcome<void> single_file() {
    if (::lseek(fd_, 0, SEEK_SET) != 0) return system_failure("read " + name_, errno);
    auto reader = archive_reader::open(fd_, name_, content::single_file, reading());
    if (!reader) return reader.error();
    auto entry = reader->next();
    if (!entry) return entry.error();
    if (*entry == nullptr) return bad_snapshot(name_, name_ + " is empty");
    if (auto read = data(*reader, name_); !read) return read;
    if (auto rest = reader->next(); !rest) return rest.error();
    return {};
  }

  int fd_;
  std::string name_;
  std::uint64_t max_window_;
  job_control& control_;
  ports::worker_result& out_;
};

}  // namespace

ports::worker_result examine(const ports::worker_job& job, job_control& control) {
  ports::worker_result out;
  const auto fail = [&](const failure& f) {
    out.failure = f.kind;
    out.error = f.message;
    out.snapshot = f.snapshot;
    return out;
  };
  const auto name = job.file.substr(job.file.rfind('/') + 1);
  const base::unique_fd fd(::open(job.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return fail(system_failure("open " + job.file, errno));
  if (!S_ISREG(st.st_mode)) return fail(refusal(job.file + " is no file"));
  if (st.st_size == 0) return fail(bad_snapshot(name, name + " is empty"));
  control.begin("examine", name, "", static_cast<std::uint64_t>(st.st_size));
  examining one(fd.get(), name, job.max_window, control, out);
  if (auto done = one.run(); !done) return fail(done.error());
  return out;
}

}  // namespace hasup::snapshot
