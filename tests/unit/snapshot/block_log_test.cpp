// The head of a nodeos's blocks.log, whole, torn, pruned and hostile.
#include "snapshot/block_log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "block_logs.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::snapshot;
using namespace hasup::test;

namespace {

struct log_at {
  temp_tree dir;
  std::string path = dir / "blocks.log";

  // "3 to 9", "none", or "unknown: …"
  std::string span_of(const std::string& bytes) const {
    put(path, bytes);
    return span();
  }
  std::string span() const {
    const auto found = read_block_log(path);
    if (!found) return "unknown: " + found.error().message.substr(found.error().message.rfind('/') + 1);
    if (!*found) return "none";
    return std::to_string((*found)->first) + " to " + std::to_string((*found)->last);
  }
};

constexpr std::uint32_t pruned = 3U | 1U << 31U;

}  // namespace

TEST_CASE("the first and the last block of a log are those of its preamble and its end", "[block_log]") {
  const log_at log;
  CHECK(log.span_of(block_log_bytes(100, 1100)) == "100 to 1100");
  CHECK(log.span_of(block_log_bytes(1, 38)) == "1 to 38");
  CHECK(log.span_of(block_log_bytes(1, 1)) == "1 to 1");
  CHECK(log.span_of(block_log_bytes(400, 400)) == "400 to 400");
  CHECK(log.span_of(block_log_bytes(1, 20, 1)) == "1 to 20");
  CHECK(log.span_of(block_log_bytes(70'000, 70'003, 2)) == "70000 to 70003");
}

TEST_CASE("a log that is not there, or holds no block, is begun anew by the node", "[block_log]") {
  const log_at log;
  CHECK(log.span() == "none");
  CHECK(log.span_of("") == "none");
  CHECK(log.span_of(block_log_preamble(100)) == "none");
  CHECK(log.span_of(block_log_preamble(1)) == "none");
  CHECK(read_block_log(log.path + "/below")->has_value() == false);
}

TEST_CASE("a pruned log begins where its count says", "[block_log]") {
  const log_at log;
  const auto whole = block_log_bytes(1, 50, pruned);
  CHECK(log.span_of(whole + little<std::uint32_t>(20)) == "31 to 50");
  CHECK(log.span_of(whole + little<std::uint32_t>(1)) == "50 to 50");
  CHECK(log.span_of(whole + little<std::uint32_t>(0)) == "unknown: blocks.log does not end with a whole block");
  CHECK(log.span_of(whole + little<std::uint32_t>(51)) == "unknown: blocks.log does not end with a whole block");
}

TEST_CASE("of a torn log the head is not known, wherever it was cut", "[block_log]") {
  const log_at log;
  const auto whole = block_log_bytes(100, 103);
  const auto before = block_log_bytes(100, 102).size();
  for (auto size = before + 1; size < whole.size(); ++size) {
    INFO(size);
    CHECK(log.span_of(whole.substr(0, size)) == "unknown: blocks.log does not end with a whole block");
  }
  CHECK(log.span_of(whole.substr(0, before)) == "100 to 102");
  CHECK(log.span_of(whole + std::string(4096, '\0')) == "unknown: blocks.log does not end with a whole block");
}

TEST_CASE("what only looks like a block log gives no number", "[block_log]") {
  const log_at log;
  const auto whole = block_log_bytes(100, 103);
  // A position beyond the file, before it, at itself; a block that does not follow the one before.
  for (const std::uint64_t at : {whole.size() + 5, std::uint64_t{0}, whole.size() - 8, ~std::uint64_t{0} - 3})
    CHECK(log.span_of(whole.substr(0, whole.size() - 8) + little(at)).starts_with("unknown"));
  const auto to_102 = block_log_bytes(100, 102);
  CHECK(log.span_of(to_102 + block_bytes(140, 0) + little<std::uint64_t>(to_102.size())).starts_with("unknown"));
  CHECK(log.span_of(block_log_preamble(100) + block_bytes(99, 0) + little<std::uint64_t>(48)).starts_with("unknown"));
  CHECK(log.span_of(std::string(300, 'x')) == "unknown: blocks.log is no block log of a version from 1 to 3");
  CHECK(log.span_of(little<std::uint32_t>(3)) == "unknown: blocks.log ends within its preamble");
  ::unlink(log.path.c_str());
  REQUIRE(::mkfifo(log.path.c_str(), 0600) == 0);
  CHECK(log.span() == "unknown: blocks.log is no file");  // and nobody waits for a writer
}
