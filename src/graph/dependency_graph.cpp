#include "graph/dependency_graph.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include "base/cycle.hpp"

namespace hasup::graph {
namespace {

base::named_edges edges_of(const dependency_graph& g) {
  base::named_edges edges;
  for (const auto& [unit, required] : g.nodes) {
    auto& out = edges[unit];
    for (const auto& r : required)
      if (g.nodes.contains(r.on)) out.push_back(r.on);
  }
  return edges;
}

base::named_edges reversed(const base::named_edges& edges) {
  base::named_edges out;
  for (const auto& [unit, required] : edges) {
    out[unit];
    for (const auto& r : required) out[r].push_back(unit);
  }
  return out;
}

std::set<std::string> reachable(const base::named_edges& edges, std::span<const std::string> from) {
  std::set<std::string> seen;
  std::vector<std::string> left;
  for (const auto& name : from)
    if (edges.contains(name)) left.push_back(name);
  while (!left.empty()) {
    const auto name = std::move(left.back());
    left.pop_back();
    if (!seen.insert(name).second) continue;
    const auto& next = edges.at(name);
    left.insert(left.end(), next.begin(), next.end());
  }
  return seen;
}

// Kahn's algorithm; of all that could come next the smallest name does. What stands in loops is left out.
std::vector<std::string> ordered(const base::named_edges& edges, const std::set<std::string>& among) {
  std::map<std::string, std::size_t> missing;
  base::named_edges dependents;
  for (const auto& name : among) {
    std::set<std::string> required;
    for (const auto& r : edges.at(name))
      if (among.contains(r)) required.insert(r);
    missing[name] = required.size();
    for (const auto& r : required) dependents[r].push_back(name);
  }
  std::set<std::string> ready;
  for (const auto& [name, n] : missing)
    if (n == 0) ready.insert(name);
  std::vector<std::string> out;
  while (!ready.empty()) {
    auto name = *ready.begin();
    ready.erase(ready.begin());
    for (const auto& d : dependents[name])
      if (--missing[d] == 0) ready.insert(d);
    out.push_back(std::move(name));
  }
  return out;
}

std::vector<std::string> with_loops_last(std::vector<std::string> order, const std::set<std::string>& all) {
  const std::set<std::string> have(order.begin(), order.end());
  for (const auto& name : all)
    if (!have.contains(name)) order.push_back(name);
  return order;
}

std::string described(const requirement& r) {
  return r.label.empty() ? r.on : r.on + " (" + r.label + ")";
}

class drawing {
 public:
  explicit drawing(const dependency_graph& g) : g_(g) {}

  std::string text() {
    const auto by = reversed(edges_of(g_));
    for (const auto& [unit, required] : g_.nodes)
      if (by.at(unit).empty()) top(unit);
    for (const auto& [unit, required] : g_.nodes)  // what only loops lead to
      if (!drawn_.contains(unit)) top(unit);
    return std::move(out_);
  }

 private:
  void top(const std::string& unit) {
    out_ += unit + "\n";
    below(unit, "");
  }

  // Each unit's own requirements are drawn once; later it is only named, so that wide graphs and loops stay short.
  void below(const std::string& unit, const std::string& indent) {
    drawn_.insert(unit);
    const auto& required = g_.nodes.at(unit);
    for (std::size_t i = 0; i < required.size(); ++i) {
      const auto& r = required[i];
      const bool last = i + 1 == required.size();
      const auto node = g_.nodes.find(r.on);
      const bool again = node != g_.nodes.end() && !node->second.empty() && drawn_.contains(r.on);
      out_ += indent + (last ? "└── " : "├── ") + described(r);
      out_ += node == g_.nodes.end() ? " [missing]\n" : again ? " …\n" : "\n";
      if (node != g_.nodes.end() && !again) below(r.on, indent + (last ? "    " : "│   "));
    }
  }

  const dependency_graph& g_;
  std::set<std::string> drawn_;
  std::string out_;
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

base::result<std::vector<std::string>> start_order(const dependency_graph& g) {
  const auto edges = edges_of(g);
  std::set<std::string> all;
  for (const auto& [name, required] : edges) all.insert(name);
  auto order = ordered(edges, all);
  if (order.size() == all.size()) return order;
  const auto loops = base::find_cycles(edges);
  return base::error{"requirements form a loop: " + base::cycle_text(loops.front())};
}

std::vector<std::string> with_requirements(const dependency_graph& g, std::span<const std::string> units) {
  const auto edges = edges_of(g);
  const auto found = reachable(edges, units);
  return with_loops_last(ordered(edges, found), found);
}

std::vector<std::string> with_dependents(const dependency_graph& g, std::span<const std::string> units) {
  const auto edges = edges_of(g);
  const auto found = reachable(reversed(edges), units);
  auto order = ordered(edges, found);
  if (order.size() == found.size()) {
    std::reverse(order.begin(), order.end());
    return order;
  }
  return with_loops_last(ordered(reversed(edges), found), found);  // what leads to a loop still goes before it
}

std::vector<std::string> direct_dependents(const dependency_graph& g, const std::string& unit) {
  std::vector<std::string> out;
  for (const auto& [name, required] : g.nodes)
    if (std::any_of(required.begin(), required.end(), [&](const requirement& r) { return r.on == unit; }))
      out.push_back(name);
  return out;
}

std::string render_text(const dependency_graph& g) {
  return drawing(g).text();
}

std::string render_dot(const dependency_graph& g) {
  std::string out = "digraph units {\n  rankdir=LR;\n  node [shape=box];\n";
  std::set<std::string> missing;
  for (const auto& [unit, required] : g.nodes) {
    out += "  " + quoted(unit) + ";\n";
    for (const auto& r : required) {
      out += "  " + quoted(unit) + " -> " + quoted(r.on);
      out += r.label.empty() ? ";\n" : " [label=" + quoted(r.label) + "];\n";
      if (!g.nodes.contains(r.on)) missing.insert(r.on);
    }
  }
  for (const auto& name : missing) out += "  " + quoted(name) + " [style=dashed];\n";
  return out + "}\n";
}

}  // namespace hasup::graph
