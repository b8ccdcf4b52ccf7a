#include "snapshot/free_text.hpp"

#include <re2/re2.h>

#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace hasup::snapshot {
namespace {

// In a glob, from `at` on: what [ begins, as an expression, and where it ends; nothing: it is only a [.
std::optional<std::pair<std::string, std::size_t>> bracket_of(const std::string& glob, std::size_t at) {
  auto i = at + 1;
  std::string out = "[";
  if (i < glob.size() && (glob[i] == '!' || glob[i] == '^')) {
    out += '^';
    ++i;
  }
  for (const auto first = i; i < glob.size(); ++i) {
    if (glob[i] == ']' && i > first) return std::pair{out + "]", i};
    if (const auto end = glob.find(":]", i); glob.compare(i, 2, "[:") == 0 && end != std::string::npos) {
      out += glob.substr(i, end + 2 - i);
      i = end + 1;
      continue;
    }
    if (glob[i] == '\\' || glob[i] == ']' || glob[i] == '[') out += '\\';
    out += glob[i];
  }
  return std::nullopt;
}

}  // namespace

std::string free_text_of_glob(const std::string& glob) {
  std::string out;
  bool open = false;
  const auto add = [&](bool is_free, const std::string& text) {
    if (is_free != open) out += is_free ? "(" : ")";
    open = is_free;
    out += text;
  };
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] == '*') {
      add(true, ".*?");
    } else if (glob[i] == '?') {
      add(true, ".");
    } else if (const auto set = glob[i] == '[' ? bracket_of(glob, i) : std::nullopt) {
      add(true, set->first);
      i = set->second;
    } else {
      if (glob[i] == '\\' && i + 1 < glob.size()) ++i;
      add(false, RE2::QuoteMeta(glob.substr(i, 1)));
    }
  }
  add(false, "");
  return out;
}

void drop_endings(std::string& text) {
  constexpr std::array<std::string_view, 15> ends{".zst", ".gz", ".xz",  ".bz2", ".lz4", ".lzma", ".lz", ".br",
                                                  ".zip", ".7z", ".tar", ".tgz", ".txz", ".tbz",  ".bin"};
  for (bool dropped = true; dropped;) {
    dropped = false;
    for (const auto end : ends) {
      if (!text.ends_with(end)) continue;
      text.resize(text.size() - end.size());
      dropped = true;
    }
  }
}

}  // namespace hasup::snapshot
