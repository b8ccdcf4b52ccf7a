#include "snapshot/block_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique_fd.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::uint32_t pruned_flag = 1U << 31U;
constexpr std::uint32_t newest_version = 3;
constexpr std::uint64_t none = ~std::uint64_t{0};
constexpr std::uint64_t number_size = 8;
constexpr std::uint64_t previous_at = 14;  // in a block
// Time, producer, confirmed, three digests, schedule version: no block is smaller.
constexpr std::uint64_t least_block = 4 + 8 + 2 + 3 * 32 + 4;
constexpr std::uint64_t least_preamble = 4 + 4 + 32 + 8;

class log_file {
 public:
  log_file(int fd, std::uint64_t size) : fd_(fd), size_(size) {}

  // Nothing when it is not in the file, or cannot be read.
  template <std::size_t N>
  [[nodiscard]] std::optional<std::array<unsigned char, N>> bytes(std::uint64_t at) const {
    std::array<unsigned char, N> out{};
    if (at > size_ || size_ - at < N) return std::nullopt;
    const auto n = ::pread(fd_, out.data(), N, static_cast<off_t>(at));
    if (n != static_cast<ssize_t>(N)) return std::nullopt;
    return out;
  }
  [[nodiscard]] std::optional<std::uint32_t> u32(std::uint64_t at) const {
    const auto b = bytes<4>(at);
    if (!b) return std::nullopt;
    std::uint32_t n = 0;
    for (std::size_t i = 4; i-- > 0;) n = n << 8U | (*b)[i];
    return n;
  }
  [[nodiscard]] std::optional<std::uint64_t> u64(std::uint64_t at) const {
    const auto b = bytes<8>(at);
    if (!b) return std::nullopt;
    std::uint64_t n = 0;
    for (std::size_t i = 8; i-- > 0;) n = n << 8U | (*b)[i];
    return n;
  }
  // Of the block that begins there.
  [[nodiscard]] std::optional<std::uint32_t> block_number(std::uint64_t at) const {
    const auto b = bytes<4>(at + previous_at);
    if (!b) return std::nullopt;
    std::uint32_t n = 0;
    for (const auto c : *b) n = n << 8U | c;
    return n + 1;
  }

 private:
  int fd_;
  std::uint64_t size_;
};

// Where the block begins that ends, with its position, at `end`.
std::optional<std::uint64_t> block_before(const log_file& log, std::uint64_t end) {
  if (end < least_block + number_size) return std::nullopt;
  const auto at = log.u64(end - number_size);
  if (!at || *at > end - number_size - least_block) return std::nullopt;
  return at;
}

// The last one, if the one before it is the one before it.
std::optional<block_span> read_span(const log_file& log, std::uint64_t end, std::uint32_t first,
                                    std::optional<std::uint32_t> still_there) {
  const auto at = block_before(log, end);
  const auto last = at ? log.block_number(*at) : std::nullopt;
  if (!last || *last < first) return std::nullopt;
  if (still_there) {
    if (*still_there == 0 || *still_there > *last - first + 1) return std::nullopt;
    first = *last - *still_there + 1;
  }
  if (*last == first) return block_span{first, *last};
  const auto before = block_before(log, *at);
  if (!before || log.block_number(*before) != *last - 1) return std::nullopt;
  return block_span{first, *last};
}

}  // namespace

base::result<std::optional<block_span>> read_block_log(const std::string& path) {
  const base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<block_span>{};
    return base::errno_error("open " + path);
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return base::errno_error("stat " + path);
  if (!S_ISREG(st.st_mode)) return base::error{path + " is no file"};
  const auto size = static_cast<std::uint64_t>(st.st_size);
  if (size == 0) return std::optional<block_span>{};
  const log_file log(fd.get(), size);
  const auto marked = log.u32(0);
  const auto version = marked.value_or(0) & ~pruned_flag;
  if (version == 0 || version > newest_version)
    return base::error{path + " is no block log of a version from 1 to " + std::to_string(newest_version)};
  const auto first = version == 1 ? std::optional<std::uint32_t>(1) : log.u32(4);
  if (!first || *first == 0) return base::error{path + " ends within its preamble"};
  if (version > 1 && size >= least_preamble && log.u64(size - number_size) == none)
    return std::optional<block_span>{};
  const bool pruned = (*marked & pruned_flag) != 0;
  const auto count = pruned && size > 4 ? log.u32(size - 4) : std::nullopt;
  auto span = read_span(log, pruned ? size - 4 : size, *first, count);
  if (span) {
    span->pruned = pruned;
    return span;
  }
  return base::error{path + " does not end with a whole block"};
}

}  // namespace hasup::snapshot
