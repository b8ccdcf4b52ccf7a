#include "snapshot/create/tar_writer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace hasup::snapshot {
namespace {

la_ssize_t on_write(archive*, void* user, const void* bytes, std::size_t size) {
  return static_cast<tar_writer*>(user)->take({static_cast<const char*>(bytes), size}) ? static_cast<la_ssize_t>(size)
                                                                                       : -1;
}

// libarchive wants to be shown the bytes of holes too, and does not look at them.
class nothing {
 public:
  static constexpr std::size_t size = std::size_t{256} << 20U;
  nothing() : map_(::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    if (map_ == MAP_FAILED) throw std::bad_alloc();
  }
  nothing(const nothing&) = delete;
  nothing& operator=(const nothing&) = delete;
  ~nothing() { ::munmap(map_, size); }
  [[nodiscard]] const void* bytes() const { return map_; }

 private:
  void* map_;
};

}  // namespace

tar_writer::tar_writer(sink to) : sink_(std::move(to)), archive_(archive_write_new()), entry_(archive_entry_new()) {
  if (archive_ == nullptr || entry_ == nullptr) throw std::bad_alloc();
}

tar_writer::~tar_writer() {
  archive_entry_free(entry_);
  archive_write_fail(archive_);  // what is not finished by now is not to be finished
  archive_write_free(archive_);
}

outcome<std::unique_ptr<tar_writer>> tar_writer::open(sink to) {
  std::unique_ptr<tar_writer> out(new tar_writer(std::move(to)));
  auto* a = out->archive_;
  if (archive_write_set_format_pax(a) != ARCHIVE_OK || archive_write_add_filter_none(a) != ARCHIVE_OK ||
      archive_write_set_bytes_per_block(a, 0) != ARCHIVE_OK ||
      archive_write_open(a, out.get(), nullptr, &on_write, nullptr) != ARCHIVE_OK)
    return out->problem("begin the archive");
  return out;
}

bool tar_writer::take(std::string_view bytes) {
  auto taken = sink_(bytes);
  if (!taken && !failure_) failure_ = taken.error();
  return static_cast<bool>(taken);
}

failure tar_writer::problem(const char* what) const {
  if (failure_) return *failure_;
  const char* why = archive_error_string(archive_);
  return {ports::worker_failure::internal,
          std::string(what) + (path_.empty() ? "" : " " + path_) + ": " + (why == nullptr ? "no memory" : why)};
}

outcome<void> tar_writer::begin(const source_entry& e, const std::vector<data_span>& spans) {
  using kind = source_entry::kind;
  path_ = e.path;
  at_ = 0;
  size_ = e.is == kind::file ? e.size : 0;
  archive_entry_clear(entry_);
  archive_entry_copy_pathname(entry_, e.path.c_str());
  archive_entry_set_filetype(entry_, e.is == kind::directory ? AE_IFDIR : e.is == kind::link ? AE_IFLNK : AE_IFREG);
  archive_entry_set_perm(entry_, e.mode);
  archive_entry_set_uid(entry_, e.uid);
  archive_entry_set_gid(entry_, e.gid);
  archive_entry_set_mtime(entry_, e.modified.tv_sec, e.modified.tv_nsec);
  archive_entry_set_size(entry_, static_cast<la_int64_t>(size_));
  if (e.is == kind::link) archive_entry_copy_symlink(entry_, e.target.c_str());
  if (e.is == kind::hard_link) archive_entry_copy_hardlink(entry_, e.target.c_str());
  const bool whole = spans.size() == 1 && spans[0] == data_span{0, size_};
  if (size_ > 0 && !whole) {
    if (spans.empty()) archive_entry_sparse_add_entry(entry_, 0, 0);
    for (const auto& s : spans)
      archive_entry_sparse_add_entry(entry_, static_cast<la_int64_t>(s.offset), static_cast<la_int64_t>(s.size));
  }
  // A warning is about a name that is no UTF-8: it goes into the archive as the bytes that it is.
  if (archive_write_header(archive_, entry_) < ARCHIVE_WARN) return problem("pack");
  return {};
}

outcome<void> tar_writer::data(std::uint64_t offset, const char* bytes, std::size_t size) {
  if (auto skipped = skip_to(offset); !skipped) return skipped;
  while (size > 0) {
    const auto n = archive_write_data(archive_, bytes, size);
    if (n <= 0) return problem("pack");
    bytes += n;
    size -= static_cast<std::size_t>(n);
    at_ += static_cast<std::uint64_t>(n);
  }
  return {};
}

outcome<void> tar_writer::skip_to(std::uint64_t offset) {
  if (at_ >= offset) return {};
  static const nothing zeros;
  while (at_ < offset) {
    const auto wanted = std::min<std::uint64_t>(offset - at_, nothing::size);
    const auto n = archive_write_data(archive_, zeros.bytes(), static_cast<std::size_t>(wanted));
    if (n <= 0) return problem("pack");
    at_ += static_cast<std::uint64_t>(n);
  }
  return {};
}

outcome<void> tar_writer::end() {
  if (auto skipped = skip_to(size_); !skipped) return skipped;
  if (archive_write_finish_entry(archive_) < ARCHIVE_WARN) return problem("pack");
  return {};
}

outcome<void> tar_writer::finish() {
  path_.clear();
  if (archive_write_close(archive_) != ARCHIVE_OK) return problem("end the archive");
  return {};
}

}  // namespace hasup::snapshot
