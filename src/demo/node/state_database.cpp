// The mapped state file of the stand-in nodeos.
#include "demo/node/state_database.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hasup::demo {

namespace {
constexpr std::string_view magic = "EOSIODB2";
constexpr std::size_t content_offset = 4096;
constexpr std::size_t smallest = 1 << 20;  // mostly a hole, as the real one
}  // namespace

struct state_database::header {
  char magic[8];
  std::uint8_t dirty;
  std::uint8_t padding[7];
  std::uint32_t head_number;
  std::uint32_t unused;
  std::int64_t head_time_ms;
  std::uint64_t content_size;
  digest chain;
};

state_database::~state_database() {
  if (map_) ::munmap(map_, size_);
}

bool state_database::lock() {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(fd_.get(), F_SETLK, &whole) == 0;
}

base::result<void> state_database::map(std::size_t size) {
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
  if (address == MAP_FAILED) return base::errno_error("mmap shared_memory.bin");
  map_ = static_cast<header*>(address);
  size_ = size;
  return {};
}

state_database::fault state_database::open(const std::string& path) {
  fd_.reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd_) {
    detail_ = std::strerror(errno);
    return fault::unreadable;
  }
  struct stat st {};
  header on_disk{};
  if (::fstat(fd_.get(), &st) != 0 || ::pread(fd_.get(), &on_disk, sizeof on_disk, 0) != sizeof on_disk) {
    detail_ = "Failed to read DB header.";
    return fault::unreadable;
  }
  if (std::string_view(on_disk.magic, sizeof on_disk.magic) != magic) return fault::pre_dates_versioning;
  if (on_disk.dirty != 0 || !lock()) return fault::dirty;
  const auto size = static_cast<std::size_t>(st.st_size);
  if (size < content_offset || on_disk.content_size > size - content_offset) {
    detail_ = "Failed to read DB header.";
    return fault::unreadable;
  }
  if (const auto mapped = map(size); !mapped) {
    detail_ = mapped.error().message;
    return fault::unreadable;
  }
  map_->dirty = 1;
  return fault::none;
}

base::result<void> state_database::create(const std::string& path, const digest& chain, block head,
                                          std::string_view content) {
  fd_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd_) return base::errno_error("open " + path);
  if (!lock()) return base::errno_error("lock " + path);
  const std::size_t size = std::max(smallest, content_offset + content.size());
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return base::errno_error("ftruncate " + path);
  if (auto mapped = map(size); !mapped) return mapped;
  map_->dirty = 1;
  std::memcpy(map_->magic, magic.data(), magic.size());
  map_->chain = chain;
  map_->content_size = content.size();
  std::ranges::copy(content, reinterpret_cast<char*>(map_) + content_offset);
  set_head(head);
  return {};
}

base::result<void> state_database::reserve(std::size_t most) {
  const std::size_t size = content_offset + most;
  if (size <= size_) return {};
  if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) return base::errno_error("ftruncate shared_memory.bin");
  ::munmap(map_, size_);
  map_ = nullptr;
  return map(size);
}

bool state_database::grow(std::size_t bytes) {
  const std::size_t left = size_ - content_offset - map_->content_size;
  if (bytes > left) return false;
  std::memset(reinterpret_cast<char*>(map_) + content_offset + map_->content_size, 'g', bytes);
  map_->content_size += bytes;
  return true;
}

bool state_database::lock_in_memory() {
  return ::syscall(SYS_mlock, map_, size_) == 0;  // the sanitizers' mlock() does nothing
}

void state_database::close_dirty() {
  if (map_) ::munmap(map_, size_);
  map_ = nullptr;
  fd_.reset();
}

void state_database::close_clean() {
  if (!map_) return;
  ::msync(map_, size_, MS_SYNC);
  map_->dirty = 0;
  ::msync(map_, content_offset, MS_SYNC);
  ::munmap(map_, size_);
  map_ = nullptr;
  fd_.reset();
}

block state_database::head() const {
  return {map_->head_number, map_->head_time_ms};
}

void state_database::set_head(block head) {
  map_->head_number = head.number;
  map_->head_time_ms = head.time_ms;
}

digest state_database::chain() const {
  return map_->chain;
}

std::string_view state_database::content() const {
  return {reinterpret_cast<const char*>(map_) + content_offset, map_->content_size};
}

}  // namespace hasup::demo
