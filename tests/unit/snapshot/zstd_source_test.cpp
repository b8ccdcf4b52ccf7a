// Decompressing in little memory: large frames come as one stream, and nothing is read twice.
#include "snapshot/unpack/zstd_source.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

#include "base/unique_fd.hpp"
#include "zstd_packing.hpp"

using namespace hasup;
using namespace hasup::test;

namespace {

class packed_file {
 public:
  explicit packed_file(const std::string& bytes) : fd_(::memfd_create("packed", MFD_CLOEXEC)) {
    for (std::size_t at = 0; at < bytes.size();) {
      const auto n = ::write(fd_.get(), bytes.data() + at, bytes.size() - at);
      REQUIRE(n > 0);
      at += static_cast<std::size_t>(n);
    }
  }
  [[nodiscard]] snapshot::outcome<std::string> decompress(std::size_t memory) const {
    snapshot::zstd_limits limits;
    limits.memory = memory;
    auto source = snapshot::zstd_source::start({fd_.get()}, limits);
    REQUIRE(source.has_value());
    std::string out;
    while (true) {
      const auto block = (*source)->next();
      if (!block) return block.error();
      if (block->empty()) return out;
      out += *block;
    }
  }

 private:
  base::unique_fd fd_;
};

// What all threads have read so far, page cache or not.
std::uint64_t read_so_far() {
  std::ifstream in("/proc/self/io");
  std::string word;
  std::uint64_t n = 0;
  REQUIRE((in >> word >> n));
  REQUIRE(word == "rchar:");
  return n;
}

}  // namespace

TEST_CASE("large frames in little memory are one stream, and are not read twice", "[unpack]") {
  const auto text = noise(48'000'000) + std::string(16'000'000, 'z');
  const auto packed = pzstd(text, 8'000'000);
  const packed_file file(packed);
  const auto before = read_so_far();
  const auto out = file.decompress(24U << 20);
  const auto read = read_so_far() - before;
  REQUIRE(out.has_value());
  CHECK(*out == text);
  CHECK(read < packed.size() + packed.size() / 2);  // the first frame is, to be seen
}

TEST_CASE("frames of all sizes in little memory come out whole, or not at all", "[unpack]") {
  std::string text, packed;
  for (const std::size_t size : {3'000'000U, 10U, 2'000'000U, 2'000'000U, 100'000U, 4'000'000U, 0U, 1'500'000U}) {
    const auto part = noise(size, size);
    text += part;
    packed += zstd_frame(part, 1, 0, size % 3 == 0) + skippable_frame("between");
  }
  const auto memory = GENERATE(2U << 20, 6U << 20, 24U << 20);
  const auto out = packed_file(packed).decompress(memory);
  REQUIRE(out.has_value());
  CHECK(*out == text);
  for (std::size_t cut = 65'536; cut < packed.size() - 20; cut += 65'536 * 7) {
    const auto part = packed_file(packed.substr(0, cut)).decompress(memory);
    if (part)
      CHECK(text.compare(0, part->size(), *part) == 0);  // it ended with a frame
    else
      CHECK(part.error().kind == ports::worker_failure::bad_snapshot);
  }
  auto damaged = packed;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  CHECK_FALSE(packed_file(damaged).decompress(memory).has_value());
}
