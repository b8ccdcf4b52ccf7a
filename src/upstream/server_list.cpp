#include "upstream/server_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace hasup::upstream {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Why no request may go there; "" = it is fit, as far as is known.
std::string why_unfit(const model::proxy_policy& policy, const server_view& s) {
  if (s.is == standing::bad) return s.reason.empty() ? "unhealthy" : s.reason;
  if (s.avoided) return "avoided";
  if (s.is == standing::undecided) return "";
  if (s.behind && *s.behind > policy.max_behind) return base::format_duration_short(*s.behind) + " behind";
  if (policy.max_blocks_behind && s.blocks_behind.value_or(0) > *policy.max_blocks_behind)
    return fmt::format("{} blocks behind", *s.blocks_behind);
  return "";
}

// Nothing speaks against it, but too little is known to send it requests.
bool is_unproven(const server_view& s) {
  return s.is == standing::undecided || !s.ever_level;
}

std::vector<std::string> ordered(const std::vector<server_view>& all, const std::vector<std::string>& in,
                                 const std::string& chosen) {
  std::vector<std::string> out;
  if (contains(in, chosen)) out.push_back(chosen);
  for (const auto& s : all)
    if (s.name != chosen && contains(in, s.name)) out.push_back(s.name);
  return out;
}

void remember_fit(const model::proxy_policy& policy, const std::vector<server_view>& all, list_memory& memory,
                  base::mono_time now) {
  for (const auto& s : all) {
    const bool fit = why_unfit(policy, s).empty() && !is_unproven(s);
    if (!fit)
      memory.fit_since.erase(s.name);
    else
      memory.fit_since.try_emplace(s.name, now);
  }
  std::erase_if(memory.fit_since, [&](const auto& known) {
    return std::none_of(all.begin(), all.end(), [&](const auto& s) { return s.name == known.first; });
  });
}

std::string who_is_left_out(const model::proxy_policy& policy, const std::vector<server_view>& all,
                            const std::vector<std::string>& listed) {
  std::string out;
  for (const auto& s : all) {
    if (contains(listed, s.name)) continue;
    auto why = why_unfit(policy, s);
    if (why.empty()) why = is_unproven(s) ? "not known well enough yet" : "fit again only since a moment ago";
    out += (out.empty() ? "" : "; ") + s.name + ": " + why;
  }
  return out;
}

server_list take(std::vector<std::string> servers, list_memory& memory, base::mono_time now) {
  const bool changed = servers != memory.listed;
  if (changed) memory.changed = now;
  memory.listed = std::move(servers);
  memory.waits_since.reset();
  return {memory.listed, changed, {}};
}

std::vector<std::string> all_fit(const list_memory& memory) {
  std::vector<std::string> out;
  for (const auto& [name, since] : memory.fit_since) out.push_back(name);
  return out;
}

server_list first_list(const model::proxy_policy& policy, const std::vector<server_view>& all,
                       const std::string& chosen, list_memory& memory, base::duration patience, base::mono_time now) {
  if (memory.fit_since.empty()) {
    memory.waits_since.reset();
    return {};
  }
  if (!memory.waits_since) memory.waits_since = now;
  const bool any_unproven = std::any_of(
      all.begin(), all.end(), [&](const auto& s) { return is_unproven(s) && why_unfit(policy, s).empty(); });
  if (any_unproven && now - *memory.waits_since < patience) return {};
  return take(ordered(all, all_fit(memory), chosen), memory, now);
}

server_list next_list(const model::proxy_policy& policy, const std::vector<server_view>& all,
                      const std::string& chosen, list_memory& memory, base::mono_time now) {
  std::vector<std::string> stay, joining;
  for (const auto& s : all) {
    const auto since = memory.fit_since.find(s.name);
    if (contains(memory.listed, s.name)) {
      if (why_unfit(policy, s).empty()) stay.push_back(s.name);
    } else if (since != memory.fit_since.end() && now - since->second >= policy.back_after) {
      joining.push_back(s.name);
    }
  }
  // Better one that was bad a moment ago than none.
  if (stay.empty() && joining.empty()) joining = all_fit(memory);
  memory.none_fit = stay.empty() && joining.empty();
  if (memory.none_fit) return {memory.listed, false, {}};
  const bool leaves = stay.size() < memory.listed.size();
  if (!leaves && now - memory.changed < policy.min_interval) return {memory.listed, false, {}};
  stay.insert(stay.end(), joining.begin(), joining.end());
  return take(ordered(all, stay, chosen), memory, now);
}

constexpr std::array<std::string_view, 3> prefixes{"${endpoint.", "${other.", "${first."};
enum which : std::size_t { endpoint, other, first };

bool names(std::string_view line, which what) {
  return line.find(prefixes[what]) != std::string_view::npos;
}

base::result<std::string> fill_line(std::string_view line, const model::upstream_endpoint& one,
                                    const model::upstream_endpoint& best) {
  std::string out;
  while (!line.empty()) {
    std::size_t at = std::string_view::npos;
    which what = endpoint;
    for (const auto w : {endpoint, other, first})
      if (const auto found = line.find(prefixes[w]); found < at) at = found, what = w;
    if (at == std::string_view::npos) break;
    const auto begin = at + prefixes[what].size();
    const auto close = line.find('}', begin);
    if (close == std::string_view::npos) return base::error{"\"" + std::string(line.substr(at)) + "\" has no \"}\""};
    const std::string key(line.substr(begin, close - begin));
    const auto& values = (what == first ? best : one).values;
    const auto value = values.find(key);
    if (value == values.end()) {
      std::string known;
      for (const auto& [k, text] : values) known += (known.empty() ? "" : ", ") + k;
      return base::error{"the endpoints have no \"" + key + "\", only " + known};
    }
    out += line.substr(0, at);
    out += value->second;
    line.remove_prefix(close + 1);
  }
  out += line;
  return base::success(std::move(out));
}

}  // namespace

server_list list_servers(const model::proxy_policy& policy, const std::vector<server_view>& all,
                         const std::string& chosen, list_memory& memory, base::duration patience,
                         base::mono_time now) {
  // A server that is no longer in the file.
  std::erase_if(memory.listed, [&](const auto& name) {
    return std::none_of(all.begin(), all.end(), [&](const auto& s) { return s.name == name; });
  });
  remember_fit(policy, all, memory, now);
  auto out = memory.listed.empty() ? first_list(policy, all, chosen, memory, patience, now)
                                   : next_list(policy, all, chosen, memory, now);
  out.left_out = who_is_left_out(policy, all, memory.none_fit ? std::vector<std::string>{} : out.servers);
  return out;
}

base::result<std::string> fill_template(std::string_view text,
                                        const std::vector<const model::upstream_endpoint*>& servers) {
  if (servers.empty()) return base::error{"there is no server to list"};
  std::string out;
  bool any = false;
  for (unsigned number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    const auto line = text.substr(0, end);
    text.remove_prefix(end);
    const auto at_line = [&](const std::string& why) { return base::error{fmt::format("line {}: {}", number, why)}; };
    const bool each = names(line, endpoint), others = names(line, other);
    if (each && others) return at_line("a line is for each ${endpoint.…} or for each ${other.…}, not for both");
    any = any || each || names(line, first);
    const std::size_t begin = others ? 1 : 0, stop = each || others ? servers.size() : 1;
    // A last line without its end would run into its next copy.
    const bool open = line.back() != '\n' && stop > begin + 1;
    for (auto i = begin; i < stop; ++i) {
      auto filled = fill_line(line, *servers[i], *servers.front());
      if (!filled) return at_line(filled.error().message);
      out += *filled + (open ? "\n" : "");
    }
  }
  if (!any) return base::error{"it names no ${endpoint.KEY} or ${first.KEY}, so that no server stands in the list"};
  return base::success(std::move(out));
}

}  // namespace hasup::upstream
