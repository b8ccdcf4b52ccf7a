#include "snapshot/fetch/part_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "snapshot/disk.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t chunk = 1U << 20;
constexpr std::uint64_t space_step = 64U << 20;  // how often the free space is looked at
constexpr std::uint64_t flush_step = 8U << 20;   // early write-back, so that the fsync at the end is short

// Hashes fd from its start to its end; the number of bytes.
outcome<std::uint64_t> hash_all(int fd, sha256& hash, job_control& control) {
  std::vector<char> buffer(chunk);
  std::uint64_t done = 0;
  while (true) {
    if (control.cancelled()) return cancelled();
    const auto n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("read from the cache", errno);
    if (n == 0) return done;
    hash.add(buffer.data(), static_cast<std::size_t>(n));
    done += static_cast<std::uint64_t>(n);
    control.advance(done);
  }
}

}  // namespace

part_file::part_file(const data_tree& tree, std::string name, std::uint64_t min_free)
    : tree_(tree), name_(std::move(name)), min_free_(min_free) {}

outcome<void> part_file::open_existing(job_control& control) {
  auto dir = open_beneath(tree_.own(), "cache", O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  fd_.reset(::openat(dir->get(), (name_ + ".part").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd_) return system_failure("open " + tree_.own_path("cache/" + name_ + ".part"), errno);
  hash_ = sha256();
  auto hashed = hash_all(fd_.get(), hash_, control);
  if (!hashed) return hashed.error();
  size_ = *hashed;
  checked_at_ = size_;
  return {};
}

outcome<void> part_file::start_over() {
  if (::ftruncate(fd_.get(), 0) != 0) return system_failure("truncate " + name_ + ".part", errno);
  hash_ = sha256();
  size_ = 0;
  checked_at_ = 0;
  return {};
}

outcome<void> part_file::append(const char* data, std::size_t size) {
  if (size_ - checked_at_ >= space_step) {
    if (auto enough = check_space(0); !enough) return enough;
    checked_at_ = size_;
  }
  hash_.add(data, size);
  const auto before = size_;
  while (size > 0) {
    const auto n = ::pwrite(fd_.get(), data, size, static_cast<off_t>(size_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("write " + tree_.own_path("cache/" + name_ + ".part"), errno);
    data += n;
    size -= static_cast<std::size_t>(n);
    size_ += static_cast<std::uint64_t>(n);
  }
  if (before / flush_step != size_ / flush_step)
    (void)::sync_file_range(fd_.get(), static_cast<off_t>(before / flush_step * flush_step), flush_step,
                            SYNC_FILE_RANGE_WRITE);
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

outcome<void> part_file::finish(const disk& d) {
  if (::fsync(fd_.get()) != 0) return system_failure("fsync " + name_ + ".part", errno);
  auto dir = open_beneath(tree_.own(), "cache", O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  if (::renameat(dir->get(), (name_ + ".part").c_str(), dir->get(), name_.c_str()) != 0)
    return system_failure("rename " + name_ + ".part", errno);
  fd_.reset();
  if (auto removed = d.remove_file(tree_.own(), "cache/" + name_ + ".resume"); !removed) return removed;
  return d.sync_dir(tree_.own(), "cache");
}

outcome<void> part_file::remove(const disk& d) {
  fd_.reset();
  if (auto removed = d.remove_file(tree_.own(), "cache/" + name_ + ".part"); !removed) return removed;
  return d.remove_file(tree_.own(), "cache/" + name_ + ".resume");
}

outcome<std::string> digest_of(int root, const std::string& path, job_control& control) {
  auto fd = open_beneath(root, path, O_RDONLY);
  if (!fd) return fd.error();
  sha256 hash;
  auto done = hash_all(fd->get(), hash, control);
  if (!done) return done.error();
  return hash.take();
}

}  // namespace hasup::snapshot
