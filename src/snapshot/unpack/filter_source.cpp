#include "snapshot/unpack/filter_source.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hasup::snapshot {

void filter_source::archive_closer::operator()(archive* a) const {
  archive_read_free(a);
}

outcome<std::unique_ptr<filter_source>> filter_source::start(const archive_file& archive) {
  std::unique_ptr<filter_source> out(new filter_source);
  auto file = read_ahead::start(archive);
  if (!file) return file.error();
  out->file_ = std::move(*file);
  auto compressed = out->open();
  if (!compressed) return compressed.error();
  if (!*compressed) return std::unique_ptr<filter_source>();
  auto thread = helper_thread::start("decompress", [self = out.get()] { self->run(); });
  if (!thread) return failure{ports::worker_failure::internal, thread.error().message};
  out->thread_ = std::move(*thread);
  return out;
}

filter_source::~filter_source() {
  if (file_) file_->stop();
  queue_.close();
}

failure filter_source::damaged() const {
  if (read_failure_) return *read_failure_;
  if (archive_errno(raw_.get()) == ENOMEM) return too_little_memory();
  const char* why = archive_error_string(raw_.get());
  return {ports::worker_failure::bad_snapshot, why != nullptr ? why : "unknown format"};
}

long filter_source::read_file(archive* a, void* user, const void** block) {
  auto* self = static_cast<filter_source*>(user);
  auto bytes = self->file_->next();
  if (!bytes) {
    self->read_failure_ = bytes.error();
    archive_set_error(a, EIO, "%s", bytes.error().message.c_str());
    return -1;
  }
  *block = bytes->data();
  return static_cast<long>(bytes->size());
}

outcome<bool> filter_source::open() {
  raw_.reset(archive_read_new());
  archive_read_support_filter_all(raw_.get());
  archive_read_support_format_raw(raw_.get());
  archive_read_support_format_empty(raw_.get());
  archive_entry* entry = nullptr;
  if (archive_read_open(raw_.get(), this, nullptr, &read_file, nullptr) < ARCHIVE_WARN ||
      archive_read_next_header(raw_.get(), &entry) < ARCHIVE_WARN)
    return damaged();
  return archive_filter_count(raw_.get()) > 1;
}

void filter_source::run() try {
  auto block = queue_.to_fill();
  while (block) {
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int code = archive_read_data_block(raw_.get(), &data, &size, &offset);
    if (code != ARCHIVE_OK) {
      if (block->filled > 0) queue_.push(std::move(*block));
      return code == ARCHIVE_EOF ? queue_.finish() : queue_.fail(damaged());
    }
    for (const char* from = static_cast<const char*>(data); size > 0 && block;) {
      const auto n = std::min(size, block->capacity - block->filled);
      std::memcpy(block->data.get() + block->filled, from, n);
      block->filled += n;
      from += n;
      size -= n;
      if (block->filled < block->capacity) continue;
      if (!queue_.push(std::move(*block))) return;
      block = queue_.to_fill();
    }
  }
} catch (const std::exception& e) {
  queue_.fail({ports::worker_failure::internal, e.what()});
}

outcome<std::string_view> filter_source::next() {
  if (held_) queue_.give_back(std::move(*held_));
  held_.reset();
  auto block = queue_.pop();
  if (!block) return block.error();
  held_ = std::move(*block);
  return held_ ? std::string_view(held_->data.get(), held_->filled) : std::string_view();
}

}  // namespace hasup::snapshot
