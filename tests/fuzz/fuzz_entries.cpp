// Paths and links in an archive: whatever they say, nothing leads out of the directory or into .hasup.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "expect.hpp"
#include "snapshot/unpack/entry_path.hpp"

using namespace hasup::snapshot;
namespace fs = std::filesystem;

namespace {

bool is_below_root(const fs::path& relative) {
  if (relative.is_absolute()) return false;
  for (const auto& part : relative.lexically_normal())
    if (part == "..") return false;
  return true;
}

}  // namespace

// The first line is a path, the rest a link's target.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto end = std::min(text.find('\n'), text.size());
  const auto path = clean_entry_path(text.substr(0, end));
  const auto target = text.substr(std::min(end + 1, text.size()));
  if (!path) return 0;
  EXPECT(is_below_root(*path));
  EXPECT(clean_entry_path(*path).value() == *path);
  for (const auto& part : fs::path(*path)) EXPECT(part != "." && part != ".." && part != ".hasup");
  if (!path->empty() && target.find('\0') == std::string_view::npos && link_stays_inside(*path, target)) {
    EXPECT(is_below_root(fs::path(*path).parent_path() / fs::path(target)));
    for (const auto& part : fs::path(target)) EXPECT(part != ".hasup");
  }
  static_cast<void>(without_compression_suffix(*path));
  return 0;
}
