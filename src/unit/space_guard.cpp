#include "unit/space_guard.hpp"

#include <algorithm>

#include "base/byte_size.hpp"

namespace hasup::unit {
namespace {

constexpr std::uint64_t fastest = std::uint64_t{2} << 30U;  // bytes a second that a node may write
constexpr std::uint64_t most_of_nothing = std::uint64_t{16} << 20U;
constexpr base::duration soonest{1'000};
constexpr base::duration latest{30'000};

std::string numbers(std::uint64_t free, std::uint64_t min_free, const std::string& dir) {
  return base::format_byte_size(free) + " free under " + dir + ", data.min_free is " +
         base::format_byte_size(min_free);
}

}  // namespace

std::vector<std::string> watched_dirs(const model::data_dirs& data) {
  std::vector<std::string> dirs;
  if (!data.dir.empty()) dirs.push_back(data.dir);
  dirs.insert(dirs.end(), data.also.begin(), data.also.end());
  for (const auto& mount : data.mounts)
    if (mount.starts_with(data.dir + "/")) dirs.push_back(mount);
  return dirs;
}

space_verdict space_guard::observe(std::uint64_t free, std::uint64_t min_free, const std::string& dir) {
  if (min_free == 0) return {};
  if (free < min_free)
    return {{}, "only " + numbers(free, min_free, dir) + ": stopped before a full disk corrupts its data"};
  const auto above = free - min_free;
  if (above >= min_free / 2) warned_ = false;
  if (warned_ || above >= min_free / 4) return {};
  warned_ = true;
  return {numbers(free, min_free, dir) + ": below that it is stopped", {}};
}

std::uint64_t space_to_start(std::uint64_t min_free, bool was_stopped_for_space) {
  return was_stopped_for_space ? min_free + min_free / 10 : min_free;
}

bool is_full(const room_left& room) {
  // What a database writes at a time does not fit in the rest any more, and its end may have freed a little.
  return room.free <= std::min(most_of_nothing, room.size / 100) || (room.files > 0 && room.free_files == 0);
}

base::duration next_look(std::uint64_t free, std::uint64_t min_free) {
  const auto above = free > min_free ? free - min_free : 0;
  const base::duration reached{static_cast<std::int64_t>(std::min<std::uint64_t>(above / fastest, 3600) * 1000)};
  return std::clamp(reached, soonest, latest);
}

}  // namespace hasup::unit
