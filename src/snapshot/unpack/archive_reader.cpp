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

// Decompressed bytes for libarchive, block by block.
struct zstd_source {
  int fd = -1;
  std::unique_ptr<ZSTD_DStream, zstd_closer> stream{ZSTD_createDStream()};
  std::vector<char> in = std::vector<char>(read_size);
  std::vector<char> out = std::vector<char>(read_size);
  ZSTD_inBuffer input{in.data(), 0, 0};
  std::size_t wanted = 0;  // what the last call said: 0 = between frames
  std::uint64_t read_bytes = 0;

  la_ssize_t next(archive* a, const void** block) {
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    while (output.pos == 0) {
      if (input.pos == input.size) {
        const auto n = ::read(fd, in.data(), in.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(a, errno, "read failed");
        if (n == 0) return wanted == 0 ? 0 : fail(a, EINVAL, "the zstd data is cut off");
        read_bytes += static_cast<std::uint64_t>(n);
        input = {in.data(), static_cast<std::size_t>(n), 0};
      }
      // A full output buffer may leave data inside the stream; it comes out with the next call.
      wanted = ZSTD_decompressStream(stream.get(), &output, &input);
      if (ZSTD_isError(wanted) != 0U) return fail(a, EINVAL, ZSTD_getErrorName(wanted));
    }
    *block = out.data();
    return static_cast<la_ssize_t>(output.pos);
  }

  static la_ssize_t fail(archive* a, int code, const char* why) {
    archive_set_error(a, code, "%s", why);
    return -1;
  }
};

la_ssize_t read_zstd(archive* a, void* user, const void** block) {
  return static_cast<zstd_source*>(user)->next(a, block);
}

}  // namespace

struct archive_reader::parts {
  std::string name;
  content what = content::archive;
  std::unique_ptr<zstd_source> zstd;  // outlives the archive that reads from it
  std::unique_ptr<archive, archive_closer> handle{archive_read_new()};
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
  p->what = c;
  archive* a = p->handle.get();
  if (c == content::archive) archive_read_support_format_all(a);
  else archive_read_support_format_raw(a);
  std::array<unsigned char, 4> magic{};
  const auto n = ::pread(fd, magic.data(), magic.size(), 0);
  int opened = ARCHIVE_OK;
  if (n == 4 && is_zstd(magic.data())) {
    p->zstd = std::make_unique<zstd_source>();
    p->zstd->fd = fd;
    ZSTD_DCtx_setParameter(p->zstd->stream.get(), ZSTD_d_windowLogMax, ZSTD_dParam_getBounds(ZSTD_d_windowLogMax).upperBound);
    archive_read_support_filter_none(a);
    opened = archive_read_open(a, p->zstd.get(), nullptr, &read_zstd, nullptr);
  } else {
    archive_read_support_filter_all(a);
    opened = archive_read_open_fd(a, fd, read_size);
  }
  archive_reader reader(std::move(p));
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
    return nullptr;
  }
  if (code < ARCHIVE_WARN) {
    const char* why = archive_error_string(a);
    return damaged(why != nullptr ? why : "unknown format");
  }
  parts_->in_entry = true;
  return entry;
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

bool archive_reader::compressed() const { return parts_->zstd || archive_filter_count(parts_->handle.get()) > 1; }

std::uint64_t archive_reader::bytes_read() const {
  if (parts_->zstd) return parts_->zstd->read_bytes;
  return static_cast<std::uint64_t>(archive_filter_bytes(parts_->handle.get(), -1));
}

}  // namespace hasup::snapshot
