// A header with the chain and the first block, then one fixed-size record a block.
#include "demo/node/range_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace hasup::demo {

struct range_log::header {
  std::uint32_t version = 3;
  std::uint32_t first = 0;
  digest chain{};
};

namespace {
constexpr std::size_t header_size = 40;
constexpr std::size_t record_size = sizeof(std::int64_t);

off_t offset_of(std::uint32_t index) {
  return static_cast<off_t>(header_size + record_size * index);
}
}  // namespace

base::result<void> range_log::open(std::string path) {
  static_assert(sizeof(header) == header_size);
  path_ = std::move(path);
  fd_.reset(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd_) {
    if (errno == ENOENT) return {};
    return base::errno_error("cfile unable to open: " + path_);
  }
  header h;
  struct stat st {};
  if (::fstat(fd_.get(), &st) != 0) return base::errno_error("fstat " + path_);
  if (::pread(fd_.get(), &h, sizeof h, 0) != sizeof h) {
    fd_.reset();  // cut inside its header: as good as absent
    return {};
  }
  first_ = h.first;
  chain_ = h.chain;
  count_ = static_cast<std::uint32_t>((static_cast<std::size_t>(st.st_size) - header_size) / record_size);
  return {};
}

base::result<block> range_log::read(std::uint32_t number) const {
  block b{number, 0};
  if (empty() || number < first_ || number > last()) return base::error{"no such block in " + path_};
  if (::pread(fd_.get(), &b.time_ms, record_size, offset_of(number - first_)) != static_cast<ssize_t>(record_size))
    return base::errno_error("read " + path_);
  return b;
}

base::result<void> range_log::append(const digest& chain, block b) {
  if (empty()) {
    if (!fd_) fd_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd_) return base::errno_error("cfile unable to open: " + path_);
    header h;
    h.first = b.number;
    h.chain = chain;
    if (::pwrite(fd_.get(), &h, sizeof h, 0) != sizeof h) return base::errno_error("write " + path_);
    first_ = b.number;
    chain_ = chain;
  }
  if (::pwrite(fd_.get(), &b.time_ms, record_size, offset_of(count_)) != static_cast<ssize_t>(record_size))
    return base::errno_error("write " + path_);
  ++count_;
  return {};
}

base::result<void> range_log::cut_above(std::uint32_t number) {
  if (empty() || number >= last()) return {};
  count_ = number < first_ ? 0 : number - first_ + 1;
  if (::ftruncate(fd_.get(), offset_of(count_)) != 0) return base::errno_error("ftruncate " + path_);
  return {};
}

}  // namespace hasup::demo
