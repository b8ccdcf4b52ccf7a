// Archives that are read, decompressed and written by threads of their own: in order, whole or not at all, within
// their memory, and confined.
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "unpacking.hpp"
#include "zstd_packing.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;

namespace {

std::string tar_of(const std::vector<entry>& entries) {
  const temp_tree dir(true);
  make_tar(dir / "a.tar", entries);
  return get(dir / "a.tar");
}

std::size_t threads_of(const std::string& pid) {
  std::size_t n = 0;
  std::error_code gone;
  for (auto it = fs::directory_iterator("/proc/" + pid + "/task", gone); it != fs::directory_iterator(); ++it) ++n;
  return n;
}

// A thread that was joined may still be in the list for a moment.
void check_threads(std::size_t wanted) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (threads_of("self") != wanted && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(threads_of("self") == wanted);
}

class framed_node : public node {
 public:
  framed_node() { use("a.tar.zst"); }
};

}  // namespace

TEST_CASE("archives of many zstd frames come out whole, whatever the frames", "[unpack]") {
  framed_node n;
  const auto a = noise(3'000'000);
  const auto b = std::string(2'000'000, 'b') + noise(500'000, 2);
  const auto tar = tar_of({{"state/a", a}, {"state/b", b}, {"blocks/c", "c"}});
  const auto third = tar.size() / 3;
  const std::string packed = GENERATE_COPY(
      pzstd(tar, 10'000),            // put together to be worth a thread
      pzstd(tar, 1'000'000),         // one by one
      zstd_frame(tar),               // one
      zstd_frame(tar, 3, 0, false),  // one from a pipe
      zstd_frame(tar, 3, 27),        // one with a long window
      zstd_frame("") + skippable_frame("") + zstd_frame(tar) + skippable_frame("x"),  // with empty ones
      zstd_frame(tar.substr(0, third)) + skippable_frame(noise(1'500'000)) + pzstd(tar.substr(third), 50'000));
  const auto out = n.unpack_bytes(packed);
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(n.staged("state/a")) == a);
  CHECK(get(n.staged("state/b")) == b);
  CHECK(out.bytes == a.size() + b.size() + 1);
  CHECK(n.is_staged());
}

TEST_CASE("a frame too large to be held is streamed between smaller ones", "[unpack]") {
  framed_node n;
  const auto a = noise(12'000'000);
  const auto tar = tar_of({{"state/a", a}, {"state/z", std::string(60'000'000, 'z')}, {"blocks/b", "b"}});
  const auto packed = pzstd(tar.substr(0, 500'000), 100'000) + zstd_frame(tar.substr(500'000, 11'000'000)) +
                      pzstd(tar.substr(11'500'000, 1'000'000), 300'000) + skippable_frame(noise(10'000'000)) +
                      zstd_frame(tar.substr(12'500'000, 54'000'000)) + pzstd(tar.substr(66'500'000), 1'000'000);
  const auto out = n.unpack_bytes(packed);
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(n.staged("state/a")) == a);
  CHECK(fs::file_size(n.staged("state/z")) == 60'000'000);
  run("tr -d z <" + n.staged("state/z") + " | cmp -s - /dev/null");
  CHECK(get(n.staged("blocks/b")) == "b");
}

TEST_CASE("an archive of many frames that is cut off anywhere is bad", "[unpack]") {
  framed_node n;
  const auto frame = GENERATE(std::size_t{90'000}, std::size_t{700'000});
  const auto tar = tar_of({{"state/a", noise(1'000'000)}, {"state/b", "b"}});
  const auto packed = pzstd(tar, frame);
  REQUIRE(n.unpack_bytes(packed).ok());
  std::vector<std::size_t> cuts{1, 5, packed.size() - 1, packed.size() - 5};
  for (std::size_t cut = 64U << 10; cut < packed.size(); cut += 64U << 10) cuts.push_back(cut);
  for (std::size_t at = 0; at < tar.size(); at += frame)  // between two frames: no frame is damaged
    cuts.push_back(at == 0 ? 0 : pzstd(tar.substr(0, at), frame).size());
  for (const auto cut : cuts) {
    const auto out = n.unpack_bytes(packed.substr(0, cut));
    INFO("frames of " << frame << ", cut at " << cut << ": " << out.error);
    CHECK(out.failure == worker_failure::bad_snapshot);
    CHECK(out.snapshot == "a.tar.zst");
    CHECK_FALSE(n.is_staged());
  }
}

TEST_CASE("any compression that is cut off at a multiple of 64 KiB is bad", "[unpack]") {
  node n;
  const std::string filter = GENERATE("", "gzip", "bzip2", "xz", "lz4", "zstd");
  n.use("a.tar" + filter);
  const auto tar = tar_of({{"state/a", noise(500'000)}, {"state/b", "b"}});
  std::string packed = tar;
  if (!filter.empty()) {
    packed.assign(2'000'000, '\0');
    std::size_t used = 0;
    archive* a = archive_write_new();
    archive_write_set_format_raw(a);
    REQUIRE(archive_write_add_filter_by_name(a, filter.c_str()) == ARCHIVE_OK);
    REQUIRE(archive_write_set_bytes_in_last_block(a, 1) == ARCHIVE_OK);
    REQUIRE(archive_write_open_memory(a, packed.data(), packed.size(), &used) == ARCHIVE_OK);
    archive_entry* e = archive_entry_new();
    archive_entry_set_filetype(e, AE_IFREG);
    REQUIRE(archive_write_header(a, e) == ARCHIVE_OK);
    REQUIRE(archive_write_data(a, tar.data(), tar.size()) == static_cast<la_ssize_t>(tar.size()));
    archive_entry_free(e);
    REQUIRE(archive_write_free(a) == ARCHIVE_OK);
    packed.resize(used);
  }
  fs::create_directories(n.dir() + "/state");
  put(n.dir() + "/state/a", "what the node has");
  auto out = n.unpack_bytes(packed);
  INFO(filter << ": " << out.error);
  REQUIRE(out.ok());
  CHECK(get(n.staged("state/a")) == noise(500'000));
  for (std::size_t cut = 64U << 10; cut < packed.size(); cut += 64U << 10) {
    out = n.unpack_bytes(packed.substr(0, cut));
    INFO(filter << " cut at " << cut << ": " << out.error);
    CHECK(out.failure == worker_failure::bad_snapshot);
    CHECK_FALSE(n.is_staged());
  }
  CHECK(get(n.dir() + "/state/a") == "what the node has");
  CHECK(std::distance(fs::directory_iterator(n.dir()), fs::directory_iterator()) == 2);  // state and .hasup
}

TEST_CASE("a damaged frame anywhere, and what follows the last one, make the snapshot bad", "[unpack]") {
  framed_node n;
  const auto threads = threads_of("self");
  const auto tar = tar_of({{"state/a", noise(2'000'000)}});
  const auto size = GENERATE(std::size_t{40'000}, std::size_t{600'000}, std::size_t{5'000'000});
  const auto packed = pzstd(tar, size);
  for (const auto at : {packed.size() / 2, packed.size() - 200, packed.size() - 1, std::size_t{14}}) {
    auto flipped = packed;
    flipped[at] = static_cast<char>(~flipped[at]);
    const auto out = n.unpack_bytes(flipped);
    INFO("frames of " << size << ", changed at " << at << ": " << out.error);
    CHECK(out.failure == worker_failure::bad_snapshot);
    CHECK_FALSE(n.is_staged());
  }
  for (const auto& rest : {std::string("x"), std::string("garbage that is no frame"), std::string(4096, '\0')}) {
    const auto out = n.unpack_bytes(packed + rest);
    INFO("frames of " << size << ", then " << rest.size() << " bytes: " << out.error);
    CHECK(out.failure == worker_failure::bad_snapshot);
    CHECK_FALSE(n.is_staged());
  }
  check_threads(threads);
}

TEST_CASE("a frame that looks back further than max_window is refused, wherever it is", "[unpack]") {
  framed_node n;
  const auto tar = tar_of({{"state/a", noise(2'000'000)}});
  const auto middle = pzstd(tar.substr(0, 1'000'000), 100'000) +
                      zstd_frame(tar.substr(1'000'000, 9'000), 3, 27, false) + pzstd(tar.substr(1'009'000), 100'000);
  REQUIRE(n.unpack_bytes(middle).ok());
  n.job.max_window = 64U << 20;
  const auto out = n.unpack_bytes(middle);
  CHECK(out.failure == worker_failure::refused);
  CHECK(out.snapshot == "a.tar.zst");
  CHECK(out.error.find("128MiB") != std::string::npos);
  CHECK(out.error.find("max_window") != std::string::npos);
  CHECK_FALSE(n.is_staged());
}

TEST_CASE("an early refusal and a cancellation end the threads behind it", "[unpack]") {
  framed_node n;
  const auto threads = threads_of("self");
  const auto frame = GENERATE(std::size_t{50'000}, std::size_t{1'000'000}, std::size_t{30'000'000});
  const auto big = noise(15'000'000);
  auto out = n.unpack_bytes(pzstd(tar_of({{"/etc/passwd", "x"}, {"state/a", big}}), frame));
  CHECK(out.failure == worker_failure::bad_snapshot);
  CHECK(out.error.find("/etc/passwd") != std::string::npos);
  check_threads(threads);
  int asked = 0;
  n.cancelled = [&] { return ++asked > 20; };
  out = n.unpack_bytes(pzstd(tar_of({{"state/a", big}}), frame));
  CHECK(out.failure == worker_failure::internal);
  CHECK(out.error == "cancelled");
  CHECK_FALSE(n.is_staged());
  check_threads(threads);
}

TEST_CASE("a disk that fills up while frames are decompressed is no bad snapshot", "[unpack]") {
  temp_tree small;
  if (::geteuid() != 0 || ::mount("none", small.path().c_str(), "tmpfs", 0, "size=4m") != 0) return;
  {
    node full(small / "node");
    full.use("a.tar.zst");
    const auto out = full.unpack_bytes(pzstd(tar_of({{"state/a", std::string(20'000'000, 'a')}}), 500'000));
    INFO(out.error);
    CHECK(out.failure == worker_failure::no_space);
    CHECK_FALSE(full.is_staged());
  }
  CHECK(::umount(small.path().c_str()) == 0);
}
