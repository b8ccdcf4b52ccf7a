#include "upstream/addresses.hpp"

#include <algorithm>
#include <utility>

namespace hasup::upstream {
namespace {

using one = address_memory::one;

constexpr std::size_t most_left_out = 100;  // are counted

// 10.0.0.9 stands before 10.0.0.10, and both before those of IPv6.
bool is_before(const std::string& a, const std::string& b) {
  const auto key = [](const std::string& host) {
    const bool v6 = host.starts_with('[');
    std::string out(v6 ? "6" : "4");
    for (std::size_t at = 0; at < host.size();) {
      const auto end = std::min(host.find_first_of(v6 ? ":]" : ".", at), host.size());
      const auto part = host.substr(at, end - at);
      out += std::string(part.size() < 4 ? 4 - part.size() : 0, '0') + part;
      at = end + 1;
    }
    return out;
  };
  return key(a) < key(b);
}

bool contains(const std::vector<std::string>& all, const std::string& host) {
  return std::find(all.begin(), all.end(), host) != all.end();
}

}  // namespace

address_change take_answer(address_memory& memory, const address_answer& answer, const std::set<std::string>& in_use,
                           base::duration keep_for, base::mono_time now) {
  address_change out;
  auto problem = answer.error.empty() && answer.hosts.empty() ? std::string("it has no address") : answer.error;
  out.problem_differs = std::exchange(memory.problem, problem) != problem;
  if (!problem.empty()) return out;

  const auto before = known_of(memory);
  const auto used = [&](const one& a) { return in_use.contains(a.host); };
  for (auto& a : memory.all) {
    if (contains(answer.hosts, a.host)) {
      if (std::exchange(a.gone, false) | std::exchange(a.assumed, false)) out.joined.push_back(a.host);
      a.missing_since.reset();
      continue;
    }
    if (std::exchange(a.assumed, false)) {  // it never was one, and nothing waits for it to come back
      a.gone = true;
      continue;
    }
    if (!a.missing_since) a.missing_since = now;
    if (now - *a.missing_since < keep_for || a.gone) continue;
    a.gone = true;
    out.left.push_back(a.host);
  }
  std::erase_if(memory.all, [&](const one& a) { return a.gone && !used(a); });

  auto named = answer.hosts;
  std::sort(named.begin(), named.end(), is_before);
  named.erase(std::unique(named.begin(), named.end()), named.end());
  std::erase_if(named, [&](const std::string& host) {
    return std::any_of(memory.all.begin(), memory.all.end(), [&](const one& a) { return a.host == host; });
  });
  // Whoever is known stays for its time, or a name that answers by turns would be another list with every answer.
  const bool told = !memory.left_out.empty();
  std::erase_if(memory.left_out, [&](const auto& one) { return now - one.second >= keep_for; });
  for (auto& host : named) {
    if (memory.all.size() < model::most_addresses) {
      memory.left_out.erase(host);
      out.joined.push_back(host);
      memory.all.push_back({std::move(host), false, false, {}});
    } else if (memory.left_out.contains(host) || memory.left_out.size() < most_left_out) {
      memory.left_out[host] = now;
    }
  }
  std::sort(memory.all.begin(), memory.all.end(),
            [](const one& a, const one& b) { return is_before(a.host, b.host); });
  out.too_many = !told && !memory.left_out.empty();
  out.known_differs = known_of(memory) != before;
  return out;
}

std::vector<model::known_address> known_of(const address_memory& memory) {
  std::vector<model::known_address> out;
  for (const auto& a : memory.all) out.push_back({a.host, a.gone});
  return out;
}

address_memory memory_of(const std::vector<model::known_address>& known) {
  address_memory out;
  for (const auto& a : known)
    if (out.all.size() < model::most_addresses) out.all.push_back({a.host, a.gone, false, {}});
  return out;
}

void assume(address_memory& memory, const std::set<std::string>& hosts) {
  for (const auto& host : hosts)
    if (memory.all.size() < model::most_addresses) memory.all.push_back({host, false, true, {}});
  std::sort(memory.all.begin(), memory.all.end(),
            [](const one& a, const one& b) { return is_before(a.host, b.host); });
}

}  // namespace hasup::upstream
