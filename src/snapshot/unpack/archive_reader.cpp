#include "snapshot/unpack/archive_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "snapshot/unpack/filter_source.hpp"
#include "snapshot/unpack/zstd_source.hpp"

namespace hasup::snapshot {
namespace {

struct archive_closer {
  void operator()(archive* a) const { archive_read_free(a); }
};
using archive_handle = std::unique_ptr<archive, archive_closer>;

// Where the decompressed bytes of `file` come from; null where libarchive reads the file itself.
outcome<std::unique_ptr<byte_source>> source_of(const archive_file& file, const archive_reader::options& o,
                                                bool& compressed) {
  std::array<char, 512> begin{};
  const auto n = read_at(file, begin.data(), begin.size(), 0);
  if (!n) return n.error();
  compressed = true;
  if (*n >= 4 && is_zstd(begin.data())) {
    zstd_limits limits;
    limits.window = o.max_window;
    limits.memory = o.memory;
    auto zstd = zstd_source::start(file, limits);
    if (!zstd) return zstd.error();
    return std::unique_ptr<byte_source>(std::move(*zstd));
  }
  auto filtered = filter_source::start(file);
  if (!filtered) return filtered.error();
  if (*filtered) return std::unique_ptr<byte_source>(std::move(*filtered));
  compressed = false;
  // Zip and 7z have to seek; tar is read in order.
  if (std::memcmp(begin.data() + 257, "ustar", 5) != 0) return std::unique_ptr<byte_source>();
  auto plain = read_ahead::start(file);
  if (!plain) return plain.error();
  return std::unique_ptr<byte_source>(std::move(*plain));
}

}  // namespace

struct archive_reader::parts {
  std::string name;
  options given;
  std::unique_ptr<byte_source> source;  // outlives the archive that reads from it
  bool compressed = false;
  std::optional<failure> source_failure{};
  archive_handle handle{archive_read_new()};
  bool in_entry = false;
  std::int64_t after_entry = 0;  // uncompressed bytes consumed up to the end of the last entry

  [[nodiscard]] std::string words() const {
    const char* why = archive_error_string(handle.get());
    return why != nullptr ? why : "its format is unknown, or its data is damaged";
  }

  // 0 at the proper end, -1 with the failure kept here.
  static la_ssize_t read(archive* a, void* user, const void** block) {
    auto* self = static_cast<parts*>(user);
    if (self->source_failure) return -1;
    outcome<std::string_view> bytes = cancelled();
    if (!self->given.stop || !self->given.stop()) bytes = self->source->next();
    if (bytes) {
      *block = bytes->data();
      return static_cast<la_ssize_t>(bytes->size());
    }
    self->source_failure = bytes.error();
    archive_set_error(a, EIO, "%s", bytes.error().message.c_str());
    return -1;
  }
};

archive_reader::archive_reader(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
archive_reader::~archive_reader() = default;
archive_reader::archive_reader(archive_reader&&) noexcept = default;
archive_reader& archive_reader::operator=(archive_reader&&) noexcept = default;

// What the threads below the archive saw comes before what libarchive made of it.
failure archive_reader::damaged(const std::string& why) const {
  if (!parts_->source_failure && archive_errno(parts_->handle.get()) == ENOMEM) {
    auto f = too_little_memory();
    f.message = parts_->name + " " + f.message;
    return f;
  }
  const auto bad = [&](const std::string& w) {
    return bad_snapshot(parts_->name, parts_->name + " cannot be read: " + w);
  };
  if (!parts_->source_failure) return bad(why);
  auto f = *parts_->source_failure;
  if (f.kind == ports::worker_failure::bad_snapshot) return bad(f.message);
  if (f.kind == ports::worker_failure::refused) f.message = parts_->name + " " + f.message;
  return f;
}

outcome<archive_reader> archive_reader::open(const archive_file& file, const std::string& name, content c,
                                             const options& o) {
  auto p = std::make_unique<parts>();
  p->name = name;
  p->given = o;
  archive* a = p->handle.get();
  auto source = source_of(file, o, p->compressed);
  if (source)
    p->source = std::move(*source);
  else
    p->source_failure = source.error();
  archive_reader reader(std::move(p));
  auto& parts = *reader.parts_;
  if (parts.source_failure) return reader.damaged(parts.source_failure->message);
  if (c == content::archive)
    archive_read_support_format_all(a);
  else
    archive_read_support_format_raw(a);
  archive_read_support_filter_none(a);
  if (!parts.source) {
    if (auto all = wait_for_all(file); !all) return all.error();
    if (::lseek(file.fd, 0, SEEK_SET) != 0) return system_failure("read " + name, errno);
  }
  const int opened = parts.source ? archive_read_open(a, &parts, nullptr, &parts::read, nullptr)
                                  : archive_read_open_fd(a, file.fd, 1U << 20U);
  if (opened < ARCHIVE_WARN) return reader.damaged(parts.words());
  return reader;
}

outcome<void> archive_reader::leave_entry() {
  if (!parts_->in_entry) return {};
  archive* a = parts_->handle.get();
  if (archive_read_data_skip(a) < ARCHIVE_WARN) return damaged(parts_->words());
  parts_->in_entry = false;
  parts_->after_entry = archive_filter_bytes(a, 0);
  return {};
}

outcome<archive_entry*> archive_reader::next() {
  if (auto left = leave_entry(); !left) return left.error();
  archive* a = parts_->handle.get();
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(a, &entry);
  if (code == ARCHIVE_EOF && parts_->source_failure) return damaged("");
  if (code == ARCHIVE_EOF) {
    // libarchive takes a tar file that is cut off between two entries for whole; only the blocks of zeros at the end
    // tell that it is.
    const bool tar = (archive_format(a) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    if (tar && archive_filter_bytes(a, 0) - parts_->after_entry < 512)
      return damaged("it is cut off: the end-of-archive mark is missing");
    return drain();
  }
  if (code < ARCHIVE_WARN) {
    return damaged(parts_->words());
  }
  parts_->in_entry = true;
  return entry;
}

// To the end of the compressed data, so that its checksum is verified and a missing rest is seen.
outcome<archive_entry*> archive_reader::drain() {
  if (!parts_->compressed) return nullptr;
  archive* a = parts_->handle.get();
  const void* rest = nullptr;
  la_ssize_t n = 1;
  while (n > 0) n = parts::read(a, parts_.get(), &rest);
  if (n < 0) return damaged(parts_->words());
  return nullptr;
}

outcome<std::optional<archive_reader::block>> archive_reader::next_block() {
  archive* a = parts_->handle.get();
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int code = archive_read_data_block(a, &data, &size, &offset);
  if (code == ARCHIVE_EOF && !parts_->source_failure) return std::optional<block>{};
  if (code != ARCHIVE_OK) {
    return damaged(parts_->words());
  }
  return std::optional<block>{{static_cast<const char*>(data), size, static_cast<std::uint64_t>(offset)}};
}

bool archive_reader::compressed() const {
  return parts_->compressed;
}

std::uint64_t archive_reader::bytes_read() const {
  if (parts_->source) return parts_->source->bytes_read();
  return static_cast<std::uint64_t>(archive_filter_bytes(parts_->handle.get(), -1));
}

}  // namespace hasup::snapshot
