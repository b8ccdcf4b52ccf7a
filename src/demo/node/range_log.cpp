// As nodeos writes its blocks.log (see snapshot/block_log.hpp for the format), but for a first block of 1, where
// nodeos has the genesis state, and with blocks of one size: behind the header of each one nothing but its time to
// the millisecond.
#include "demo/node/range_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hasup::demo {

struct range_log::header {
  std::uint32_t version = 3;
  std::uint32_t first = 0;
  digest chain{};
  std::uint64_t separator = ~std::uint64_t{0};
};

namespace {
constexpr std::size_t header_size = 48;
constexpr std::size_t block_size = 184;  // with one signature and no transaction
constexpr std::size_t previous_at = 14;
constexpr std::size_t time_at = block_size - sizeof(std::int64_t);
constexpr std::size_t record_size = block_size + sizeof(std::uint64_t);

off_t offset_of(std::uint32_t index) {
  return static_cast<off_t>(header_size + record_size * index);
}

std::array<std::uint8_t, record_size> record_of(const digest& chain, block b, off_t position) {
  constexpr std::int64_t epoch_ms = 946'684'800'000;  // 2000-01-01
  constexpr std::int64_t slot_ms = 500;
  std::array<std::uint8_t, record_size> out{};
  const auto slot = static_cast<std::uint32_t>((b.time_ms - epoch_ms) / slot_ms);
  const auto previous = block_id(chain, b.number - 1);
  const auto at = static_cast<std::uint64_t>(position);
  std::memcpy(out.data(), &slot, sizeof slot);
  std::memcpy(out.data() + previous_at, previous.data(), previous.size());
  std::memcpy(out.data() + time_at, &b.time_ms, sizeof b.time_ms);
  std::memcpy(out.data() + block_size, &at, sizeof at);
  return out;
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
  if (::pread(fd_.get(), &b.time_ms, sizeof b.time_ms, offset_of(number - first_) + static_cast<off_t>(time_at)) !=
      static_cast<ssize_t>(sizeof b.time_ms))
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
  const auto record = record_of(chain, b, offset_of(count_));
  for (std::size_t done = 0; done < record_size;) {  // on a disk that becomes full, only the second one says why
    const auto n =
        ::pwrite(fd_.get(), record.data() + done, record_size - done, offset_of(count_) + static_cast<off_t>(done));
    if (n <= 0) return base::errno_error("write " + path_);
    done += static_cast<std::size_t>(n);
  }
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
