#include "snapshot/pack_stream.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

namespace hasup::snapshot {
namespace {

constexpr std::size_t head_bytes = 5;
constexpr std::size_t most_in_one = 16U << 20;
constexpr std::size_t step = 1U << 20;
constexpr std::size_t largest_index = std::size_t{16} << 20U;  // of most_chunks chunks it has 12 MiB

outcome<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("hand on to the program that sends", errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

outcome<void> write_frame(int fd, char kind, std::string_view bytes) {
  std::string head(1, kind);
  for (unsigned i = 0; i < 4; ++i) head += static_cast<char>((bytes.size() >> (8 * i)) & 0xffU);
  if (auto written = write_all(fd, head); !written) return written;
  return write_all(fd, bytes);
}

outcome<void> write_frames(int fd, char kind, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, most_in_one);
    if (auto written = write_frame(fd, kind, part); !written) return written;
    bytes.remove_prefix(part.size());
  }
  return {};
}

failure broken() {
  return {ports::worker_failure::internal, "the program that packs ended before the archive was whole"};
}

outcome<void> read_all(int fd, char* into, std::size_t size, const std::function<bool()>& stop) {
  while (size > 0) {
    if (stop()) return cancelled();
    const auto n = ::read(fd, into, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("read from the program that packs", errno);
    if (n == 0) return broken();
    into += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace

outcome<void> write_packed(int fd, std::string_view bytes) {
  return write_frames(fd, 'd', bytes);
}

outcome<void> write_packed_index(int fd, std::string_view bytes) {
  return write_frames(fd, 'i', bytes);
}

outcome<void> write_pack_end(int fd, const ports::worker_result& result) {
  return write_frame(fd, 'r', ports::encode(result));
}

outcome<packed_end> read_packed(int fd, const std::function<outcome<void>(std::string_view)>& take,
                                const std::function<bool()>& stop) {
  packed_end out;
  std::string block(step, '\0');
  while (true) {
    std::array<char, head_bytes> head{};
    if (auto read = read_all(fd, head.data(), head.size(), stop); !read) return read.error();
    std::size_t left = 0;
    for (std::size_t i = head_bytes - 1; i > 0; --i) left = (left << 8U) | static_cast<unsigned char>(head[i]);
    if (left > most_in_one || (head[0] != 'd' && head[0] != 'i' && head[0] != 'r')) return broken();
    if (head[0] == 'r') {
      std::string text(left, '\0');
      if (auto read = read_all(fd, text.data(), left, stop); !read) return read.error();
      auto result = ports::decode_result(text);
      if (!result) return failure{ports::worker_failure::internal, result.error().message};
      out.made = std::move(*result);
      return out;
    }
    if (head[0] == 'i') {
      const auto had = out.index.size();
      if (had + left > largest_index) return broken();
      out.index.resize(had + left);
      if (auto read = read_all(fd, out.index.data() + had, left, stop); !read) return read.error();
      continue;
    }
    while (left > 0) {
      const auto n = std::min(left, block.size());
      if (auto read = read_all(fd, block.data(), n, stop); !read) return read.error();
      if (auto taken = take({block.data(), n}); !taken) return taken.error();
      left -= n;
    }
  }
}

}  // namespace hasup::snapshot
