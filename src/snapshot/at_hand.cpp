#include "snapshot/at_hand.hpp"

#include <fcntl.h>
#include <fnmatch.h>

#include <algorithm>

#include "snapshot/disk.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t most_files = 10'000;

class search {
 public:
  search(int root, const std::vector<std::string>& keep) : root_(root), keep_(keep) {}

  void below(const std::string& dir, std::string_view glob) {
    const auto slash = glob.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string part(glob.substr(0, slash));
    const auto here = open_beneath(root_, dir, O_RDONLY | O_DIRECTORY, mounts::cross);
    if (!here) return;
    const auto names = list_names(here->get(), "");
    if (!names) return;
    for (const auto& name : *names) {
      if (::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) != 0) continue;
      const auto path = joined(dir, name);
      if (is_kept(path) || found.size() >= most_files) continue;
      const auto info = look(here->get(), name);
      if (!info || !*info) continue;
      if (!last && (*info)->is_directory()) below(path, glob.substr(slash + 1));
      if (last && (*info)->is_file() && std::find(found.begin(), found.end(), path) == found.end())
        found.push_back(path);
    }
  }

  std::vector<std::string> found;

 private:
  [[nodiscard]] bool is_kept(const std::string& path) const {
    return path == ".hasup" || std::any_of(keep_.begin(), keep_.end(), [&](const std::string& kept) {
             return path == kept || path.starts_with(kept + "/");
           });
  }

  int root_;
  const std::vector<std::string>& keep_;
};

}  // namespace

std::vector<std::string> files_at_hand(int root, const std::vector<std::string>& globs,
                                       const std::vector<std::string>& keep) {
  search all(root, keep);
  for (const auto& glob : globs) all.below("", glob);
  return std::move(all.found);
}

}  // namespace hasup::snapshot
