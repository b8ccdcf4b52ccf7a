// Every compression but zstd: libarchive's filters, on a thread of their own.
#pragma once

#include "snapshot/unpack/read_ahead.hpp"

struct archive;

namespace hasup::snapshot {

class filter_source : public byte_source {
 public:
  // Null: the file is not compressed.
  static outcome<std::unique_ptr<filter_source>> start(const archive_file& file);
  ~filter_source() override;

  outcome<std::string_view> next() override;
  [[nodiscard]] std::uint64_t bytes_read() const override { return file_->bytes_read(); }

 private:
  struct archive_closer {
    void operator()(archive* a) const;
  };

  filter_source() = default;
  outcome<bool> open();
  void run();
  failure damaged() const;
  static long read_file(archive* a, void* user, const void** block);

  std::unique_ptr<read_ahead> file_;
  std::optional<failure> read_failure_;  // of the thread that runs the filters
  std::unique_ptr<archive, archive_closer> raw_;
  block_queue queue_{256U << 10, 8};
  std::optional<buffer> held_;
  helper_thread thread_;
};

}  // namespace hasup::snapshot
