// A digest that is made while its file comes.
#include "snapshot/fetch/prefix_hash.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/unique_fd.hpp"

using namespace hasup;
using namespace std::chrono_literals;
using snapshot::digest_kind;
using snapshot::prefix_hash;

namespace {

constexpr std::size_t mib = 1U << 20, packet = 16U << 10;

base::unique_fd file_of(const std::string& content) {
  base::unique_fd fd(::memfd_create("archive", MFD_CLOEXEC));
  REQUIRE(::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  return fd;
}

std::string digest_of(const std::string& content) {
  snapshot::digester d(digest_kind::sha256);
  d.add(content.data(), content.size());
  return d.take();
}

}  // namespace

TEST_CASE("what comes in packets is hashed while it comes, and not at the end") {
  const std::string content(8 * mib + 100, 'x');
  const auto fd = file_of(content);
  prefix_hash hash(fd.get(), {digest_kind::sha256});
  for (std::size_t at = packet; at < content.size(); at += packet) hash.reach(at);
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (hash.hashed() < 8 * mib && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  REQUIRE(hash.hashed() == 8 * mib);
  snapshot::job_control control;
  const auto got = hash.take(content.size(), control);
  REQUIRE(got.has_value());
  CHECK(got->at(digest_kind::sha256) == digest_of(content));
}

TEST_CASE("a file that is there already, or is small, is hashed when it is asked for") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, mib - 1, mib, 3 * mib + 1}) {
    const std::string content(size, 'y');
    const auto fd = file_of(content);
    prefix_hash hash(fd.get(), {digest_kind::sha256});
    hash.reach(size);
    snapshot::job_control control;
    const auto got = hash.take(size, control);
    REQUIRE(got.has_value());
    CHECK(got->at(digest_kind::sha256) == digest_of(content));
  }
}

TEST_CASE("a file that is shorter than what was told is no digest") {
  const auto fd = file_of(std::string(mib, 'z'));
  prefix_hash hash(fd.get(), {digest_kind::sha256});
  hash.reach(4 * mib);
  snapshot::job_control control;
  CHECK_FALSE(hash.take(4 * mib, control).has_value());
}
