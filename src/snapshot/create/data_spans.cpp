#include "snapshot/create/data_spans.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace hasup::snapshot {
namespace {

constexpr std::uint64_t least_hole = 64U << 10;  // a smaller one is not worth a line in the archive

}  // namespace

std::vector<data_span> joined_spans(const std::vector<data_span>& spans, std::uint64_t size, std::uint64_t hole) {
  std::vector<data_span> out;
  for (auto s : spans) {
    if (s.offset >= size) break;
    s.size = std::min(s.size, size - s.offset);
    if (s.size == 0) continue;
    if (out.empty() && s.offset > 0 && s.offset < hole) s = {0, s.offset + s.size};
    if (!out.empty() && s.offset < out.back().offset + out.back().size + hole)
      out.back().size = std::max(out.back().size, s.offset + s.size - out.back().offset);
    else
      out.push_back(s);
  }
  if (!out.empty() && size - (out.back().offset + out.back().size) < hole) out.back().size = size - out.back().offset;
  return out;
}

outcome<std::vector<data_span>> find_data(int fd, std::uint64_t size) {
  std::vector<data_span> found;
  for (std::uint64_t at = 0; at < size;) {
    const auto data = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole up to the end
    if (data < 0 && errno == EINVAL) return std::vector<data_span>{{0, size}};
    if (data < 0) return system_failure("look for holes", errno);
    const auto hole = ::lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return system_failure("look for holes", errno);
    found.push_back({static_cast<std::uint64_t>(data), static_cast<std::uint64_t>(hole - data)});
    at = static_cast<std::uint64_t>(hole);
  }
  return joined_spans(found, size, least_hole);
}

}  // namespace hasup::snapshot
