// Writes entries of this machine into a pax archive: sparse files as GNU.sparse 1.0, times with their fraction,
// owners by number. The same entries give the same bytes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "snapshot/create/data_spans.hpp"
#include "snapshot/create/source_tree.hpp"

struct archive;
struct archive_entry;

namespace hasup::snapshot {

class tar_writer {
 public:
  using sink = std::function<outcome<void>(std::string_view)>;

  static outcome<std::unique_ptr<tar_writer>> open(sink to);
  tar_writer(const tar_writer&) = delete;
  tar_writer& operator=(const tar_writer&) = delete;
  ~tar_writer();

  // Of a file then exactly the data of `spans` follows, in order.
  outcome<void> begin(const source_entry& e, const std::vector<data_span>& spans = {});
  outcome<void> data(std::uint64_t offset, const char* bytes, std::size_t size);
  outcome<void> end();     // of the entry
  outcome<void> finish();  // of the archive

  // For libarchive's C callback.
  bool take(std::string_view bytes);

 private:
  explicit tar_writer(sink to);
  outcome<void> skip_to(std::uint64_t offset);
  [[nodiscard]] failure problem(const char* what) const;

  sink sink_;
  archive* archive_;
  archive_entry* entry_;
  std::optional<failure> failure_;  // of the sink
  std::string path_;
  std::uint64_t at_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace hasup::snapshot
