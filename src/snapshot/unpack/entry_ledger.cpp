#include "snapshot/unpack/entry_ledger.hpp"

#include <deque>
#include <string_view>
#include <vector>

#include "snapshot/disk.hpp"
#include "snapshot/unpack/entry_path.hpp"

namespace hasup::snapshot {
namespace {

constexpr unsigned most_links = 40;  // as the kernel has it

void put_in_front(std::deque<std::string>& to_go, std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto end = path.find('/');
    if (const auto part = path.substr(0, end); !part.empty() && part != ".") parts.emplace_back(part);
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  }
  to_go.insert(to_go.begin(), parts.begin(), parts.end());
}

}  // namespace

failure entry_ledger::hostile(const std::string& path, const std::string& why) const {
  return hostile_entry(archive_, path, why);
}

outcome<void> entry_ledger::add_parents(const std::string& path) {
  for (auto up = parent_of(path); !up.empty(); up = parent_of(up)) {
    const auto [there, made] = entries_.try_emplace(std::string(up), kind::directory);
    if (there->second == kind::link) return hostile(path, "would be written through a link");
    if (there->second == kind::file) return hostile(path, "lies below something that is no directory");
    if (!made) break;  // and so are all above it
  }
  return {};
}

outcome<void> entry_ledger::add(const checked_entry& e) {
  using entry = checked_entry::kind;
  if (e.is == entry::root) return {};
  if (auto fine = add_parents(e.path); !fine) return fine;
  const auto there = entries_.find(e.path);
  const bool again = there != entries_.end();
  if (e.is == entry::directory) {
    if (again && there->second != kind::directory) return hostile(e.path, "is there twice");
    entries_.try_emplace(e.path, kind::directory);
    return {};
  }
  if (e.is == entry::hard_link) {
    auto target = clean_entry_path(e.target);
    if (!target)
      return hostile(e.path,
                     "is a hard link to \"" + e.target.substr(0, 300) + "\", which " + target.error().message);
    const auto file = entries_.find(*target);
    if (file == entries_.end() || file->second != kind::file)
      return hostile(e.path, "is a hard link to \"" + *target + "\", which is no file unpacked before it");
  }
  if (again) return hostile(e.path, "is there twice");
  entries_.emplace(e.path, e.is == entry::link ? kind::link : kind::file);
  if (e.is == entry::link) links_[e.path] = e.target;
  return {};
}

bool entry_ledger::leaves(const std::string& link) const {
  std::vector<std::string> at;
  std::deque<std::string> to_go;
  put_in_front(to_go, link);
  for (unsigned followed = 0; !to_go.empty();) {
    const auto part = to_go.front();
    to_go.pop_front();
    if (part == "..") {
      if (at.empty()) return true;
      at.pop_back();
      continue;
    }
    std::string path;
    for (const auto& p : at) path += p + "/";
    path += part;
    const auto found = links_.find(path);
    if (found == links_.end()) {
      at.push_back(part);
      continue;
    }
    if (++followed > most_links) return false;  // a loop leads nowhere
    if (found->second.starts_with('/')) return true;
    put_in_front(to_go, found->second);
  }
  return false;
}

outcome<void> entry_ledger::check_links() const {
  for (const auto& [path, target] : links_) {
    if (target.size() >= 4096) return hostile(path, "is a link with an impossible target");
    if (!link_stays_inside(path, target) || leaves(path))
      return hostile(path, "is a link to \"" + target.substr(0, 300) + "\", which leaves the data directory");
  }
  return {};
}

}  // namespace hasup::snapshot
