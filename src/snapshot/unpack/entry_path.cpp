#include "snapshot/unpack/entry_path.hpp"

#include "model/own_directory.hpp"

namespace hasup::snapshot {

base::result<std::string> clean_entry_path(std::string_view raw) {
  if (raw.starts_with('/')) return base::error{"is an absolute path"};
  if (raw.size() >= 4096) return base::error{"is longer than 4095 bytes"};
  std::string out;
  while (!raw.empty()) {
    const auto end = raw.find('/');
    const auto part = raw.substr(0, end);
    raw.remove_prefix(end == std::string_view::npos ? raw.size() : end + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") return base::error{"leads upwards with \"..\""};
    if (model::is_own_directory(part)) return base::error{"would write into .hasup"};
    if (part.size() > 255) return base::error{"has a name longer than 255 bytes"};
    for (const char c : part)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return base::error{"has control characters in its name"};
    if (!out.empty()) out += '/';
    out += part;
  }
  return {boost::system::in_place_value, std::move(out)};
}

bool link_stays_inside(std::string_view path, std::string_view target) {
  if (target.empty() || target.starts_with('/')) return false;
  long depth = 0;
  for (const char c : path) depth += c == '/' ? 1 : 0;
  while (!target.empty()) {
    const auto end = target.find('/');
    const auto part = target.substr(0, end);
    target.remove_prefix(end == std::string_view::npos ? target.size() : end + 1);
    if (part.empty() || part == ".") continue;
    if (model::is_own_directory(part)) return false;
    depth += part == ".." ? -1 : 1;
    if (depth < 0) return false;
  }
  return true;
}

std::string without_compression_suffix(std::string_view name) {
  for (const std::string_view end : {".zst", ".zstd", ".gz", ".xz", ".bz2", ".lz4", ".lzma", ".lz", ".Z"})
    if (name.size() > end.size() && name.ends_with(end)) return std::string(name.substr(0, name.size() - end.size()));
  return std::string(name);
}

}  // namespace hasup::snapshot
