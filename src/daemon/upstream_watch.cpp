#include "daemon/upstream_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace hasup::daemon {
namespace {

using upstream::standing;

base::duration patience_of(const model::upstream& role) {
  base::duration longest{0};
  for (const auto& e : role.endpoints) longest = std::max(longest, e.asked.timeout);
  return longest;
}

// Decimal digits without leading zeros, as the choice compares them; anything else is no weight.
std::string weight_of(const model::head& head) {
  const auto& w = head.weight;
  if (w.empty() || w.find_first_not_of("0123456789") != std::string::npos) return {};
  const auto first = w.find_first_not_of('0');
  return first == std::string::npos ? "0" : w.substr(first);
}

}  // namespace

upstream_watch::upstream_watch(boost::asio::io_context& loop, probe::prober& prober, model::upstream role,
                               upstream_intent was, std::function<void(const change&)> on_change,
                               std::function<void()> on_look)
    : loop_(loop),
      prober_(prober),
      role_(std::move(role)),
      known_(std::move(was)),
      on_change_(std::move(on_change)),
      on_look_(std::move(on_look)) {
  memory_.chosen = known_.chosen;
  memory_.since = std::chrono::steady_clock::now();
  if (known_.since) {
    const auto ago = std::chrono::system_clock::now() - *known_.since;
    if (ago.count() > 0) memory_.since -= std::chrono::duration_cast<base::mono_time::duration>(ago);
  }
  told_ = why_not_ready();
  began_ = std::chrono::steady_clock::now();
  for (const auto& e : role_.endpoints) asked_.push_back(begin(e));
}

std::unique_ptr<upstream_watch::asked> upstream_watch::begin(const model::upstream_endpoint& endpoint) {
  auto one = std::make_unique<asked>();
  one->view.name = endpoint.name;
  if (endpoint.unresolved) {
    one->view.reason = "the addresses of " + endpoint.dns + " are not known yet";
  } else if (endpoint.gone) {
    one->view.is = standing::bad;
    one->view.reason = "no address of " + endpoint.dns + " any more";
  } else {
    one->loop = std::make_unique<probe_loop>(loop_, prober_, endpoint.asked, probe::target{},
                                             [this, at = one.get()](const auto& a) { answered(*at, a); });
  }
  return one;
}

bool upstream_watch::follow(const model::upstream& role) {
  auto same = role;
  same.endpoints = role_.endpoints;
  if (same != role_) return false;
  std::vector<std::unique_ptr<asked>> next(role.endpoints.size());
  bool any = false;
  for (std::size_t i = 0; i < next.size(); ++i) {
    const auto was = std::find(role_.endpoints.begin(), role_.endpoints.end(), role.endpoints[i]);
    if (was == role_.endpoints.end()) continue;
    next[i] = std::move(asked_[static_cast<std::size_t>(was - role_.endpoints.begin())]);
    any = true;
  }
  const bool resolved = !role.dns_names.empty();  // its endpoints come and go by themselves
  if (!any && !resolved) return false;
  for (std::size_t i = 0; i < next.size(); ++i)
    if (!next[i]) next[i] = begin(role.endpoints[i]);
  role_ = role;
  asked_ = std::move(next);
  return true;
}

void upstream_watch::tell_unresolved(const std::string& dns, const std::string& why) {
  for (std::size_t i = 0; i < asked_.size(); ++i)
    if (role_.endpoints[i].unresolved && role_.endpoints[i].dns == dns)
      asked_[i]->view.reason = "the addresses of " + dns + " cannot be found: " + why;
}

void upstream_watch::answered(asked& one, const probe_loop::answer& a) {
  one.view.is = a.verdict.value == unit::verdict::good  ? standing::good
                : a.verdict.value == unit::verdict::bad ? standing::bad
                                                        : standing::undecided;
  one.failing = a.failing;
  one.view.reason = a.verdict.reason;
  if (a.head) one.head = a.head;
  one.latency = a.latency;
  if (a.head && a.head->number && one.view.is == standing::good)
    one.view.at = upstream::position{weight_of(*a.head), *a.head->number};
  look();
}

void upstream_watch::look() {
  const auto wall = std::chrono::system_clock::now();
  std::erase_if(known_.avoided, [&](const auto& a) { return a.second && *a.second <= wall; });
  std::vector<upstream::endpoint_view> all;
  for (auto& at : asked_) {
    auto& one = *at;
    one.view.avoided = known_.avoided.contains(one.view.name);
    all.push_back(one.view);
    // Nobody is restarted for one that has just failed to answer.
    if (one.failing && one.view.is == standing::good && one.view.name != memory_.chosen)
      all.back().is = standing::undecided;
  }
  const auto before = memory_.chosen;
  const auto c = upstream::choose(role_, all, memory_, patience_of(role_), std::chrono::steady_clock::now());
  reason_ = c.reason;
  change out;
  if (c.changed) {
    known_.chosen = c.endpoint;
    known_.reason = c.reason;
    known_.since = wall;
    lost_ = false;
    out.kind = before.empty() ? "upstream_chosen" : "upstream_switched";
    out.reason = before.empty()
                     ? fmt::format("upstream {}: {}, {}", role_.name, c.endpoint, c.reason)
                     : fmt::format("upstream {}: {} instead of {}: {}", role_.name, c.endpoint, before, c.reason);
  } else if (!c.endpoint.empty()) {
    const auto at = std::find_if(all.begin(), all.end(), [&](const auto& e) { return e.name == c.endpoint; });
    const auto is = at == all.end() ? standing::bad : at->is;
    if (is == standing::bad && !std::exchange(lost_, true)) {
      out.kind = "upstream_lost";
      out.reason = fmt::format("upstream {}: {}; what runs keeps it", role_.name, c.reason);
    } else if (is == standing::good && std::exchange(lost_, false)) {
      out.kind = "upstream_back";
      out.reason = fmt::format("upstream {}: {} is healthy again", role_.name, c.endpoint);
    }
  }
  auto now = why_not_ready();
  bool differs = std::exchange(told_, now) != now;
  const auto seen = seen_by({});
  std::vector<std::pair<standing, bool>> of{{standing::undecided, seen.all_told}};
  for (const auto& e : seen.all) of.emplace_back(e.is, e.avoided);
  if (std::exchange(told_of_, of) != of) differs = true;
  if (!out.kind.empty() || differs) on_change_(out);
  on_look_();
}

upstream::role_view upstream_watch::seen_by(const std::string& used) const {
  upstream::role_view out{{}, memory_.chosen, true};
  for (const auto& at : asked_) {
    const auto& one = *at;
    out.all.push_back(one.view);
    out.all.back().avoided = known_.avoided.contains(one.view.name);
    if (one.failing && one.view.is == standing::good && one.view.name != used)
      out.all.back().is = standing::undecided;
    if (one.view.is == standing::undecided) out.all_told = false;
  }
  if (std::chrono::steady_clock::now() - began_ >= patience_of(role_)) out.all_told = true;
  return out;
}

std::string upstream_watch::why_not_good(const std::string& endpoint) const {
  if (endpoint == memory_.chosen) return why_not_ready();
  for (const auto& one : asked_) {
    if (one->view.name != endpoint) continue;
    if (one->view.is == standing::good) return {};
    return endpoint + (one->view.is == standing::undecided ? " has not answered yet" : " is unhealthy");
  }
  return endpoint + " is not among its endpoints any more";
}

std::string upstream_watch::why_not_ready() const {
  if (memory_.chosen.empty()) {
    const auto open =
        std::find_if(asked_.begin(), asked_.end(), [](const auto& a) { return a->view.is != standing::bad; });
    if (asked_.empty()) return "no endpoint has been chosen yet";
    if (open == asked_.end()) return "no endpoint is healthy";
    const bool only_names = std::none_of(asked_.begin(), asked_.end(), [](const auto& a) {
      return a->view.is == standing::good || (a->loop && a->view.is == standing::undecided);
    });
    return only_names ? (*open)->view.reason : "no endpoint has been chosen yet";
  }
  for (const auto& at : asked_) {
    const auto& one = *at;
    if (one.view.name != memory_.chosen) continue;
    if (one.view.is == standing::good) return {};
    if (one.view.is == standing::undecided) return memory_.chosen + " has not answered yet";
    if (!one.loop) return memory_.chosen + " is " + one.view.reason + ", and no other one is healthy";
    return memory_.chosen + " is unhealthy, and no other one is healthy";
  }
  for (std::size_t i = 0; i < asked_.size(); ++i)
    if (role_.endpoints[i].unresolved) return asked_[i]->view.reason;
  return memory_.chosen + " is not among its endpoints any more, and no other one is healthy";
}

std::vector<upstream_watch::endpoint_state> upstream_watch::endpoints() const {
  std::vector<endpoint_state> out;
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    const auto& one = *asked_[i];
    endpoint_state e{
        one.view.name, role_.endpoints[i].dns, one.view.is, one.view.reason, one.head, one.latency, {}, false, {}};
    e.behind = upstream::behind(memory_, one.view, now);
    if (const auto it = known_.avoided.find(e.name); it != known_.avoided.end()) {
      e.avoided = true;
      e.avoided_until = it->second;
    }
    out.push_back(std::move(e));
  }
  return out;
}

std::vector<upstream::server_view> upstream_watch::servers() const {
  const auto now = std::chrono::steady_clock::now();
  std::optional<std::uint64_t> highest;
  for (const auto& at : asked_)
    if (const auto& one = *at; one.view.is == standing::good && one.view.at)
      highest = std::max(highest.value_or(0), one.view.at->number);
  std::vector<upstream::server_view> out;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    if (role_.endpoints[i].unresolved) continue;
    const auto& one = *asked_[i];
    upstream::server_view s;
    s.name = one.view.name;
    s.is = one.failing && one.view.is == standing::good ? standing::undecided : one.view.is;
    s.reason = one.view.reason;
    s.avoided = known_.avoided.contains(s.name);
    s.behind = upstream::behind(memory_, one.view, now);
    s.ever_level = upstream::was_level(memory_, one.view);
    if (one.view.at && highest) s.blocks_behind = *highest - std::min(*highest, one.view.at->number);
    out.push_back(std::move(s));
  }
  return out;
}

void upstream_watch::avoid(const std::string& endpoint, std::optional<base::wall_time> until) {
  known_.avoided[endpoint] = until;
  look();
}

bool upstream_watch::stop_avoiding(const std::string& endpoint) {
  if (known_.avoided.erase(endpoint) == 0) return false;
  look();
  return true;
}

}  // namespace hasup::daemon
