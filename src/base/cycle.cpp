#include "base/cycle.hpp"

#include <algorithm>
#include <cstddef>
#include <set>

namespace hasup::base {
namespace {

struct frame {
  const std::string* name;
  std::size_t next = 0;
};

std::vector<std::string> normalised(std::vector<std::string> loop) {
  std::rotate(loop.begin(), std::min_element(loop.begin(), loop.end()), loop.end());
  loop.push_back(loop.front());
  return loop;
}

}  // namespace

std::vector<std::vector<std::string>> find_cycles(const named_edges& edges) {
  static const std::vector<std::string> none;
  const auto edges_of = [&](const std::string& name) -> const std::vector<std::string>& {
    const auto it = edges.find(name);
    return it == edges.end() ? none : it->second;
  };
  std::vector<std::vector<std::string>> found;
  std::set<std::string> finished;
  std::set<std::string> on_path;
  for (const auto& [start, unused] : edges) {
    if (finished.contains(start)) continue;
    std::vector<frame> path{{&start}};
    on_path.insert(start);
    while (!path.empty()) {
      auto& top = path.back();
      const auto& out = edges_of(*top.name);
      if (top.next == out.size()) {
        on_path.erase(*top.name);
        finished.insert(*top.name);
        path.pop_back();
        continue;
      }
      const auto& to = out[top.next++];
      if (on_path.contains(to)) {
        std::vector<std::string> loop;
        auto it = std::find_if(path.begin(), path.end(), [&](const frame& f) { return *f.name == to; });
        for (; it != path.end(); ++it) loop.push_back(*it->name);
        loop = normalised(std::move(loop));
        if (std::find(found.begin(), found.end(), loop) == found.end()) found.push_back(std::move(loop));
      } else if (!finished.contains(to)) {
        on_path.insert(to);
        path.push_back({&to});
      }
    }
  }
  return found;
}

std::string cycle_text(const std::vector<std::string>& cycle) {
  std::string out;
  for (const auto& name : cycle) out += (out.empty() ? "" : " -> ") + name;
  return out;
}

}  // namespace hasup::base
