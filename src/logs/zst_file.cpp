// Compression and decompression of rotated log files with libzstd.
#include "logs/zst_file.hpp"

#include <unistd.h>
#include <zstd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "logs/cri_line.hpp"

namespace hasup::logs {
namespace {

constexpr int level = 3;  // as the zstd program; a higher one costs processor time that belongs to the nodes
constexpr std::size_t block = 256 * 1024;
constexpr std::array<char, 8> signature{'h', 'a', 's', 'u', 'p', 'l', 'o', 'g'};

struct origin_frame {
  std::uint32_t magic = ZSTD_MAGIC_SKIPPABLE_START;
  std::uint32_t length = sizeof(origin_frame) - 8;
  std::array<char, 8> written_by = signature;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t written_ns = 0;
  std::uint64_t lines = 0;
};
static_assert(sizeof(origin_frame) == 48 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

bool write_all(int fd, const char* at, std::size_t left) {
  while (left > 0) {
    const auto n = ::write(fd, at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    left -= static_cast<std::size_t>(n);
  }
  return true;
}

// Whole lines, over blocks that cut them anywhere.
class line_counter {
 public:
  void add(std::string_view text) {
    for (;;) {
      const auto end = text.find('\n');
      head_.append(text.substr(0, std::min(end, std::size_t{64} - std::min<std::size_t>(head_.size(), 64))));
      if (end == std::string_view::npos) return;
      const auto line = parse_cri(head_);
      if (!line || !line->partial) ++lines_;
      head_.clear();
      text.remove_prefix(end + 1);
    }
  }
  [[nodiscard]] std::uint64_t lines() const { return lines_; }

 private:
  std::string head_;  // of the current line: what says whether it is a part
  std::uint64_t lines_ = 0;
};

struct file_facts {
  struct stat s {};
  std::uint64_t lines = 0;
};

template <class Each>
base::result<file_facts> walk(int fd, Each each) {
  file_facts out;
  if (::fstat(fd, &out.s) != 0) return base::errno_error("fstat");
  line_counter counter;
  std::string buffer(block, '\0');
  off_t at = 0;
  for (;;) {
    const auto n = ::pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return base::errno_error("read");
    if (n == 0) break;
    at += n;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(n));
    counter.add(text);
    if (const auto done = each(text); !done) return done.error();
  }
  if (at != out.s.st_size) return base::error{"the file changed while it was read"};
  out.lines = counter.lines();
  return {boost::system::in_place_value, out};
}

base::error zstd_error(std::size_t code) {
  return base::error{std::string("zstd: ") + ::ZSTD_getErrorName(code)};
}

using compressor = std::unique_ptr<ZSTD_CCtx, decltype(&::ZSTD_freeCCtx)>;

base::result<void> press(ZSTD_CCtx* context, std::string_view text, ZSTD_EndDirective how, int to) {
  std::array<char, 128 * 1024> out;
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  for (;;) {
    ZSTD_outBuffer o{out.data(), out.size(), 0};
    const auto left = ::ZSTD_compressStream2(context, &o, &in, how);
    if (::ZSTD_isError(left)) return zstd_error(left);
    if (!write_all(to, out.data(), o.pos)) return base::errno_error("write");
    if (how == ZSTD_e_end ? left == 0 : in.pos == in.size) return {};
  }
}

// What was written must be what was read: the original is deleted on its word.
base::result<void> read_back(int fd, std::uint64_t size) {
  zst_reader r(fd);
  std::string buffer(block, '\0');
  std::uint64_t sum = 0;
  for (;;) {
    const auto n = r.read(buffer.data(), buffer.size());
    if (n < 0) return base::error{"the compressed file cannot be read back"};
    if (n == 0) break;
    sum += static_cast<std::uint64_t>(n);
  }
  if (sum != size) return base::error{"the compressed file is not whole"};
  return {};
}

}  // namespace

file_origin origin_of(const struct stat& s) {
  return {s.st_ino, static_cast<std::uint64_t>(s.st_size),
          static_cast<std::int64_t>(s.st_mtim.tv_sec) * 1'000'000'000 + s.st_mtim.tv_nsec, 0};
}

std::optional<file_origin> read_origin(int fd) {
  origin_frame f;
  if (::pread(fd, &f, sizeof f, 0) != static_cast<ssize_t>(sizeof f)) return std::nullopt;
  if (f.magic != ZSTD_MAGIC_SKIPPABLE_START || f.length != sizeof f - 8 || f.written_by != signature)
    return std::nullopt;
  return file_origin{f.inode, f.size, f.written_ns, f.lines};
}

struct zst_reader::state {
  int fd;
  off_t at = 0;
  std::unique_ptr<ZSTD_DCtx, decltype(&::ZSTD_freeDCtx)> context{::ZSTD_createDCtx(), ::ZSTD_freeDCtx};
  std::vector<char> input = std::vector<char>(128 * 1024);
  ZSTD_inBuffer in{};
  bool more_held = false;  // the last output buffer was filled: there may be more without new input
  bool inside_frame = false;
};

zst_reader::zst_reader(int fd) : state_(std::make_unique<state>()) {
  state_->fd = fd;
  ::ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, 31);
}
zst_reader::~zst_reader() = default;
zst_reader::zst_reader(zst_reader&&) noexcept = default;
zst_reader& zst_reader::operator=(zst_reader&&) noexcept = default;

ssize_t zst_reader::read(char* to, std::size_t room) {
  auto& s = *state_;
  ZSTD_outBuffer out{to, room, 0};
  while (out.pos == 0) {
    if (s.in.pos == s.in.size && !s.more_held) {
      const auto n = ::pread(s.fd, s.input.data(), s.input.size(), s.at);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return -1;
      if (n == 0) return s.inside_frame ? -1 : 0;  // cut off in the middle
      s.at += n;
      s.in = {s.input.data(), static_cast<std::size_t>(n), 0};
    }
    const auto left = ::ZSTD_decompressStream(s.context.get(), &out, &s.in);
    if (::ZSTD_isError(left)) return -1;
    s.inside_frame = left != 0;
    s.more_held = s.inside_frame && out.pos == out.size;
  }
  return static_cast<ssize_t>(out.pos);
}

base::result<file_origin> compress_file(int from, int to) {
  const compressor context(::ZSTD_createCCtx(), ::ZSTD_freeCCtx);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ::ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  origin_frame frame;  // its place is kept; what it says is known at the end
  if (!write_all(to, reinterpret_cast<const char*>(&frame), sizeof frame)) return base::errno_error("write");
  const auto facts =
      walk(from, [&](std::string_view text) { return press(context.get(), text, ZSTD_e_continue, to); });
  if (!facts) return facts.error();
  if (const auto ended = press(context.get(), {}, ZSTD_e_end, to); !ended) return ended.error();
  auto origin = origin_of(facts->s);
  origin.lines = facts->lines;
  frame.inode = origin.inode;
  frame.size = origin.size;
  frame.written_ns = origin.written_ns;
  frame.lines = origin.lines;
  if (::pwrite(to, &frame, sizeof frame, 0) != static_cast<ssize_t>(sizeof frame)) return base::errno_error("write");
  if (const auto same = read_back(to, origin.size); !same) return same.error();
  // The time of the original: age and --since go by it.
  const timespec times[2]{facts->s.st_mtim, facts->s.st_mtim};
  if (::futimens(to, times) != 0 || ::fsync(to) != 0) return base::errno_error("fsync");
  return {boost::system::in_place_value, origin};
}

}  // namespace hasup::logs
