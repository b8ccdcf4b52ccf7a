#include "snapshot/fetch/part_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "snapshot/disk.hpp"
#include "snapshot/fetch/digester.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t chunk = 1U << 20;
constexpr std::uint64_t space_step = 64U << 20;        // how often the free space is looked at
constexpr std::uint64_t flush_step = 8U << 20;         // early write-back, so that no fsync has much to do
constexpr std::uint64_t checkpoint_step = 256U << 20;  // or this long:
constexpr std::chrono::seconds checkpoint_pause{5};

}  // namespace

part_file::part_file(const data_tree& tree, const disk& d, std::string name, std::uint64_t min_free,
                     std::set<digest_kind> kinds, part_listener* listener)
    : tree_(tree),
      disk_(d),
      name_(std::move(name)),
      min_free_(min_free),
      kinds_(std::move(kinds)),
      listener_(listener) {}

part_file::~part_file() {
  if (syncing_.joinable()) syncing_.join();
}

outcome<void> part_file::use(base::unique_fd fd) {
  hash_.reset();
  fd_ = std::move(fd);
  have_.clear();
  sync_result_ = outcome<void>();
  seeds_ = {};
  bytes_ = unchecked_ = noted_bytes_ = 0;
  reserved_ = false;
  noted_at_ = std::chrono::steady_clock::now();
  hash_ = std::make_unique<prefix_hash>(fd_.get(), kinds_);
  return {};
}

outcome<void> part_file::open(const note_check& usable) {
  auto dir = open_beneath(tree_.own(), "cache", O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  base::unique_fd fd(
      ::openat(dir->get(), (name_ + ".part").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0)
    return system_failure("open " + tree_.own_path("cache/" + name_ + ".part"), errno);
  if (auto used = use(std::move(fd)); !used) return used;
  const auto note = read_resume_note(tree_.own(), name_);
  noted_ = true;  // something may be there, even if it cannot be read
  if (!note || !usable || !usable(*note) || note->here.end() > static_cast<std::uint64_t>(st.st_size)) {
    if (auto fresh = start_over(); !fresh) return fresh;
  } else {
    have_ = note->here;
    seeds_ = note->seeds;
    bytes_ = noted_bytes_ = have_.bytes();
  }
  if (listener_ != nullptr) listener_->begins("cache/" + name_ + ".part");
  reached();
  return {};
}

void part_file::reached() {
  hash_->reach(prefix());
  if (listener_ != nullptr) listener_->reached(prefix());
}

outcome<void> part_file::start_over() {
  if (listener_ != nullptr) listener_->given_up();
  (void)end_checkpoint();  // it was about bytes that are given up
  if (noted_) {
    if (auto gone = disk_.remove_file(tree_.own(), "cache/" + name_ + ".resume"); !gone) return gone;
    if (auto synced = disk_.sync_dir(tree_.own(), "cache"); !synced) return synced;
    noted_ = false;
  }
  auto fd = std::move(fd_);
  hash_.reset();
  if (::ftruncate(fd.get(), 0) != 0) return system_failure("truncate " + name_ + ".part", errno);
  return use(std::move(fd));
}

outcome<void> part_file::reserve(std::uint64_t total) {
  struct stat st {};
  if (::fstat(fd_.get(), &st) != 0) return system_failure("look at " + name_ + ".part", errno);
  const auto taken = static_cast<std::uint64_t>(st.st_blocks) * 512U;
  if (auto enough = check_space(total > taken ? total - taken : 0); !enough) return enough;
  if (total == 0 || reserved_) return {};
  int code = 0;
  do code = ::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(total)) == 0 ? 0 : errno;
  while (code == EINTR);
  reserved_ = code == 0;
  // Not every file system can; writing then finds out.
  if (code == 0 || code == EOPNOTSUPP || code == ENOSYS || code == EINVAL) return {};
  if (code != ENOSPC && code != EDQUOT && code != EFBIG) return system_failure("reserve room for " + name_, code);
  auto free = free_space(tree_.own());
  const auto room = free ? base::format_byte_size(*free) : std::string("less");
  return failure{ports::worker_failure::no_space,
                 base::errno_error(name_ + " needs " + base::format_byte_size(total) + ", and " + tree_.path() +
                                       " has " + room + " free: no room could be reserved",
                                   code)
                         .message +
                     "; make room, or lift the quota or file size limit of the unit's user",
                 name_};
}

outcome<void> part_file::write(std::uint64_t at, const char* data, std::size_t size) {
  if (unchecked_ >= space_step && !reserved_) {
    if (auto enough = check_space(0); !enough) return enough;
    unchecked_ = 0;
  }
  unchecked_ += size;
  const auto first = at;
  while (size > 0) {
    const auto n = ::pwrite(fd_.get(), data, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("write " + tree_.own_path("cache/" + name_ + ".part"), errno);
    data += n;
    size -= static_cast<std::size_t>(n);
    at += static_cast<std::uint64_t>(n);
  }
  written_ += at - first;
  have_.add({first, at});
  bytes_ = have_.bytes();
  reached();
  if (first / flush_step != at / flush_step)
    (void)::sync_file_range(fd_.get(), static_cast<off_t>(first / flush_step * flush_step), flush_step,
                            SYNC_FILE_RANGE_WRITE);
  return {};
}

outcome<void> part_file::seed(std::uint64_t at, const char* data, std::size_t size) {
  const auto before = bytes_;
  if (auto written = write(at, data, size); !written) return written;
  seeds_.bytes += bytes_ - before;
  return {};
}

outcome<void> part_file::check_space(std::uint64_t more) const {
  auto free = free_space(tree_.own());
  if (!free) return free.error();
  if (*free >= more && *free - more >= min_free_) return {};
  return failure{ports::worker_failure::no_space,
                 name_ + " needs " + base::format_byte_size(more) + " and " + base::format_byte_size(min_free_) +
                     " must stay free, but " + tree_.path() + " has " + base::format_byte_size(*free) +
                     " free; make room, or lower data.min_free",
                 name_};
}

void part_file::begin_checkpoint(const resume_note& note) {
  auto whole = note;
  whole.here = have_;
  whole.seeds = seeds_;
  noted_ = true;
  noted_bytes_ = bytes_;
  noted_at_ = std::chrono::steady_clock::now();
  synced_ = false;
  sync_result_ = outcome<void>();
  syncing_ = std::thread([this, whole] {
    if (::fdatasync(fd_.get()) != 0)
      sync_result_ = system_failure("fdatasync " + name_ + ".part", errno);
    else
      sync_result_ = write_resume_note(tree_.own(), disk_, name_, whole);
    synced_ = true;
  });
}

outcome<void> part_file::end_checkpoint() {
  if (syncing_.joinable()) syncing_.join();
  return sync_result_;
}

outcome<void> part_file::checkpoint(const resume_note& note) {
  if (syncing_.joinable()) return synced_ ? end_checkpoint() : outcome<void>();
  const bool due =
      bytes_ - noted_bytes_ >= checkpoint_step || std::chrono::steady_clock::now() - noted_at_ >= checkpoint_pause;
  if (due && bytes_ > noted_bytes_) begin_checkpoint(note);
  return {};
}

outcome<void> part_file::checkpoint_now(const resume_note& note) {
  if (auto ended = end_checkpoint(); !ended) return ended;
  if (bytes_ == noted_bytes_) return {};
  begin_checkpoint(note);
  return end_checkpoint();
}

outcome<digests> part_file::digest(job_control& control) {
  return hash_->take(prefix(), control);
}

outcome<void> part_file::finish() {
  if (auto ended = end_checkpoint(); !ended) return ended;
  hash_.reset();
  if (::fsync(fd_.get()) != 0) return system_failure("fsync " + name_ + ".part", errno);
  auto dir = open_beneath(tree_.own(), "cache", O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::renameat(dir->get(), (name_ + ".part").c_str(), dir->get(), name_.c_str()) != 0)
    return system_failure("rename " + name_ + ".part", errno);
  fd_.reset();
  if (auto removed = disk_.remove_file(tree_.own(), "cache/" + name_ + ".resume"); !removed) return removed;
  return disk_.sync_dir(tree_.own(), "cache");
}

outcome<void> part_file::remove() {
  if (listener_ != nullptr) listener_->given_up();
  (void)end_checkpoint();
  hash_.reset();
  fd_.reset();
  if (auto removed = disk_.remove_file(tree_.own(), "cache/" + name_ + ".resume"); !removed) return removed;
  return disk_.remove_file(tree_.own(), "cache/" + name_ + ".part");
}

outcome<digests> digests_of(int fd, const std::set<digest_kind>& kinds, job_control& control) {
  std::map<digest_kind, digester> hashes;
  for (const auto kind : kinds) hashes.emplace(kind, digester(kind));
  std::vector<char> buffer(chunk);
  std::uint64_t done = 0;
  while (true) {
    if (control.cancelled()) return cancelled();
    const auto n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("read from the cache", errno);
    if (n == 0) break;
    for (auto& [kind, hash] : hashes) hash.add(buffer.data(), static_cast<std::size_t>(n));
    done += static_cast<std::uint64_t>(n);
    control.advance(done);
  }
  digests out;
  for (auto& [kind, hash] : hashes) out[kind] = hash.take();
  return out;
}

}  // namespace hasup::snapshot
