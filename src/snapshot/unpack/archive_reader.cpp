#include "snapshot/unpack/archive_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>
#include <zstd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace hasup::snapshot {
namespace {

constexpr std::size_t read_size = 1U << 20;

// zstd's own frames and the skippable ones that some tools put in front.
bool is_zstd(const unsigned char* magic) {
  const bool frame = magic[0] == 0x28 && magic[1] == 0xB5 && magic[2] == 0x2F && magic[3] == 0xFD;
  const bool skippable = (magic[0] & 0xF0U) == 0x50 && magic[1] == 0x2A && magic[2] == 0x4D && magic[3] == 0x18;
  return frame || skippable;
}

struct zstd_closer {
  void operator()(ZSTD_DStream* s) const { ZSTD_freeDStream(s); }
};
struct archive_closer {
  void operator()(archive* a) const { archive_read_free(a); }
};
using archive_handle = std::unique_ptr<archive, archive_closer>;

// Decompressed bytes for libarchive's formats, block by block. Apart from the format, because a format stops at its
// own end mark and would leave the checksum behind it unread.
class byte_source {
 public:
  byte_source() = default;
  byte_source(const byte_source&) = delete;
  byte_source& operator=(const byte_source&) = delete;
  virtual ~byte_source() = default;
  // 0 at the proper end, -1 with the error set on `a`.
  virtual la_ssize_t next(archive* a, const void** block) = 0;
  [[nodiscard]] virtual std::uint64_t bytes_read() const = 0;

 protected:
  static la_ssize_t fail(archive* a, int code, const char* why) {
    archive_set_error(a, code, "%s", why != nullptr ? why : "damaged");
    return -1;
  }
};

class zstd_source : public byte_source {
 public:
  explicit zstd_source(int fd) : fd_(fd) {
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound);
  }

  la_ssize_t next(archive* a, const void** block) override {
    ZSTD_outBuffer output{out_.data(), out_.size(), 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size && !full_) {
        const auto n = ::read(fd_, in_.data(), in_.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(a, errno, "read failed");
        if (n == 0) return wanted_ == 0 ? 0 : fail(a, EINVAL, "the zstd data is cut off");
        read_bytes_ += static_cast<std::uint64_t>(n);
        input_ = {in_.data(), static_cast<std::size_t>(n), 0};
      }
      wanted_ = ZSTD_decompressStream(stream_.get(), &output, &input_);
      if (ZSTD_isError(wanted_) != 0U) return fail(a, EINVAL, ZSTD_getErrorName(wanted_));
      full_ = output.pos == output.size && wanted_ != 0;  // more may be waiting inside without further input
    }
    *block = out_.data();
    return static_cast<la_ssize_t>(output.pos);
  }
  [[nodiscard]] std::uint64_t bytes_read() const override { return read_bytes_; }

 private:
  int fd_;
  std::unique_ptr<ZSTD_DStream, zstd_closer> stream_{ZSTD_createDStream()};
  std::vector<char> in_ = std::vector<char>(read_size);
  std::vector<char> out_ = std::vector<char>(read_size);
  ZSTD_inBuffer input_{in_.data(), 0, 0};
  std::size_t wanted_ = 0;  // what the last call said: 0 = between frames
  bool full_ = false;
  std::uint64_t read_bytes_ = 0;
};

// Every other compression, by libarchive's filters.
class filter_source : public byte_source {
 public:
  explicit filter_source(archive_handle raw) : raw_(std::move(raw)) {}

  la_ssize_t next(archive* a, const void** block) override {
    std::size_t size = 0;
    la_int64_t offset = 0;
    int code = ARCHIVE_OK;
    do {
      code = archive_read_data_block(raw_.get(), block, &size, &offset);
    } while (code == ARCHIVE_OK && size == 0);
    if (code == ARCHIVE_EOF) return 0;
    if (code != ARCHIVE_OK) return fail(a, EINVAL, archive_error_string(raw_.get()));
    return static_cast<la_ssize_t>(size);
  }
  [[nodiscard]] std::uint64_t bytes_read() const override {
    return static_cast<std::uint64_t>(archive_filter_bytes(raw_.get(), -1));
  }

 private:
  archive_handle raw_;
};

la_ssize_t read_source(archive* a, void* user, const void** block) {
  return static_cast<byte_source*>(user)->next(a, block);
}

// Where the decompressed bytes of `fd` come from; null when it is not compressed. `error` says why it cannot be read.
std::unique_ptr<byte_source> source_of(int fd, std::string& error) {
  std::array<unsigned char, 4> magic{};
  if (::pread(fd, magic.data(), magic.size(), 0) == 4 && is_zstd(magic.data()))
    return std::make_unique<zstd_source>(fd);
  archive_handle raw(archive_read_new());
  archive_read_support_filter_all(raw.get());
  archive_read_support_format_raw(raw.get());
  archive_read_support_format_empty(raw.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_fd(raw.get(), fd, read_size) < ARCHIVE_WARN ||
      archive_read_next_header(raw.get(), &entry) < ARCHIVE_WARN) {
    const char* why = archive_error_string(raw.get());
    error = why != nullptr ? why : "unknown format";
    return nullptr;
  }
  if (archive_filter_count(raw.get()) > 1) return std::make_unique<filter_source>(std::move(raw));
  (void)::lseek(fd, 0, SEEK_SET);
  return nullptr;
}

}  // namespace

struct archive_reader::parts {
  std::string name;
  std::unique_ptr<byte_source> source;  // outlives the archive that reads from it
  archive_handle handle{archive_read_new()};
  bool in_entry = false;
  std::int64_t after_entry = 0;  // uncompressed bytes consumed up to the end of the last entry
};

archive_reader::archive_reader(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
archive_reader::~archive_reader() = default;
archive_reader::archive_reader(archive_reader&&) noexcept = default;
archive_reader& archive_reader::operator=(archive_reader&&) noexcept = default;

failure archive_reader::damaged(const std::string& why) const {
  return bad_snapshot(parts_->name, parts_->name + " cannot be read: " + why);
}

outcome<archive_reader> archive_reader::open(int fd, const std::string& name, content c) {
  auto p = std::make_unique<parts>();
  p->name = name;
  archive* a = p->handle.get();
  std::string error;
  p->source = source_of(fd, error);
  if (c == content::archive)
    archive_read_support_format_all(a);
  else
    archive_read_support_format_raw(a);
  archive_read_support_filter_none(a);
  int opened = ARCHIVE_OK;
  // Straight from the file where it is not compressed: zip and 7z have to seek.
  if (p->source)
    opened = archive_read_open(a, p->source.get(), nullptr, &read_source, nullptr);
  else if (error.empty())
    opened = archive_read_open_fd(a, fd, read_size);
  archive_reader reader(std::move(p));
  if (!error.empty()) return reader.damaged(error);
  if (opened < ARCHIVE_WARN) {
    const char* why = archive_error_string(a);
    return reader.damaged(why != nullptr ? why : "unknown format");
  }
  return reader;
}

outcome<void> archive_reader::leave_entry() {
  if (!parts_->in_entry) return {};
  archive* a = parts_->handle.get();
  if (archive_read_data_skip(a) < ARCHIVE_WARN) return damaged(archive_error_string(a));
  parts_->in_entry = false;
  parts_->after_entry = archive_filter_bytes(a, 0);
  return {};
}

outcome<archive_entry*> archive_reader::next() {
  if (auto left = leave_entry(); !left) return left.error();
  archive* a = parts_->handle.get();
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(a, &entry);
  if (code == ARCHIVE_EOF) {
    // libarchive takes a tar file that is cut off between two entries for whole; only the blocks of zeros at the end
    // tell that it is.
    const bool tar = (archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    if (tar && archive_filter_bytes(a, 0) - parts_->after_entry < 512)
      return damaged("it is cut off: the end-of-archive mark is missing");
    return drain();
  }
  if (code < ARCHIVE_WARN) {
    const char* why = archive_error_string(a);
    return damaged(why != nullptr ? why : "unknown format");
  }
  parts_->in_entry = true;
  return entry;
}

// To the end of the compressed data, so that its checksum is verified and a missing rest is seen.
outcome<archive_entry*> archive_reader::drain() {
  if (!parts_->source) return nullptr;
  archive* a = parts_->handle.get();
  const void* rest = nullptr;
  la_ssize_t n = 1;
  while (n > 0) n = parts_->source->next(a, &rest);
  if (n < 0) return damaged(archive_error_string(a));
  return nullptr;
}

outcome<std::optional<archive_reader::block>> archive_reader::next_block() {
  archive* a = parts_->handle.get();
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int code = archive_read_data_block(a, &data, &size, &offset);
  if (code == ARCHIVE_EOF) return std::optional<block>{};
  if (code != ARCHIVE_OK) {
    const char* why = archive_error_string(a);
    return damaged(why != nullptr ? why : "its data is damaged");
  }
  return std::optional<block>{{static_cast<const char*>(data), size, static_cast<std::uint64_t>(offset)}};
}

bool archive_reader::compressed() const {
  return parts_->source != nullptr;
}

std::uint64_t archive_reader::bytes_read() const {
  if (parts_->source) return parts_->source->bytes_read();
  return static_cast<std::uint64_t>(archive_filter_bytes(parts_->handle.get(), -1));
}

}  // namespace hasup::snapshot
