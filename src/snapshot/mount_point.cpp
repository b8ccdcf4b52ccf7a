#include "snapshot/mount_point.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <fstream>

namespace hasup::snapshot {

bool is_mount_point(const std::string& path) {
  struct statx here {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &here) != 0) return false;
  if ((here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
    return (here.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  struct stat st {};
  struct stat above {};
  return ::stat(path.c_str(), &st) == 0 && ::stat((path + "/..").c_str(), &above) == 0 &&
         (st.st_dev != above.st_dev || st.st_ino == above.st_ino);
}

std::string first_unmounted(const std::vector<std::string>& paths) {
  const auto none = std::find_if_not(paths.begin(), paths.end(), is_mount_point);
  return none == paths.end() ? std::string() : *none;
}

std::string mounted_at(std::string_view line) {
  for (int field = 0; field < 4; ++field) {
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) return {};
    line.remove_prefix(blank + 1);
  }
  line = line.substr(0, line.find(' '));
  std::string out;
  const auto is_octal = [&](std::size_t i) { return i < line.size() && line[i] >= '0' && line[i] <= '7'; };
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || !is_octal(i + 1) || !is_octal(i + 2) || !is_octal(i + 3)) {
      out += line[i];
      continue;
    }
    out += static_cast<char>((line[i + 1] - '0') * 64 + (line[i + 2] - '0') * 8 + (line[i + 3] - '0'));
    i += 3;
  }
  return out;
}

outcome<std::vector<std::string>> mount_points() {
  std::ifstream in("/proc/self/mountinfo");
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);)
    if (auto path = mounted_at(line); !path.empty()) out.push_back(std::move(path));
  if (out.empty()) return refusal("/proc/self/mountinfo cannot be read, and nobody else says what is mounted where");
  return out;
}

std::string mounted_below(const std::vector<std::string>& all, const spot& entry) {
  std::array<char, PATH_MAX + 1> target{};
  const auto link = "/proc/self/fd/" + std::to_string(entry.root);
  if (::readlink(link.c_str(), target.data(), target.size() - 1) <= 0) return {};
  auto dir = std::string(target.data());
  if (!entry.path.empty()) dir += "/" + entry.path;
  dir += "/";
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& path) { return path.starts_with(dir); });
  return found == all.end() ? std::string() : *found;
}

}  // namespace hasup::snapshot
