#include "daemon/health_desk.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>

namespace hasup::daemon {
namespace {

constexpr auto try_again_after = std::chrono::seconds(2);

}  // namespace

health_desk::health_desk(boost::asio::io_context& loop, std::function<std::vector<health::instance_view>()> views,
                         std::function<void(control::event)> publish)
    : loop_(loop), views_(std::move(views)), publish_(std::move(publish)), retry_(loop) {}

void health_desk::set(const config::daemon_settings& settings) {
  http_ = settings.http;
  groups_ = settings.health;
  std::map<model::tcp_endpoint, bool> wanted;
  for (const auto& g : groups_)
    if (g.agent_check) wanted[*g.agent_check] = false;
  if (http_) wanted[*http_] = true;
  // First, since one that is gone may be in the way of one that is new.
  std::erase_if(ports_, [&](const auto& one) {
    const auto it = wanted.find(one.first);
    return it == wanted.end() || it->second != one.second.is_http;
  });
  for (const auto& [at, is_http] : wanted) ports_[at].is_http = is_http;
  open_missing();
}

void health_desk::open_missing() {
  retry_.cancel();
  bool missing = false;
  for (auto& [at, port] : ports_) {
    if (port.listener) continue;
    auto opened = open(at);
    if (opened) {
      port.listener = std::move(*opened);
      if (!port.told.empty()) tell("listening", "listening on " + to_text(at) + " after all");
      port.told.clear();
      continue;
    }
    missing = true;
    const auto& why = opened.error().message;
    if (port.told != why)
      tell("listen_failed", why + "; load balancers get no answer there; it is tried again until it can be had");
    port.told = why;
  }
  if (!missing) return;
  retry_.expires_after(try_again_after);
  retry_.async_wait([this](const boost::system::error_code& ec) {
    if (!ec) open_missing();
  });
}

base::result<std::unique_ptr<control::tcp_listener>> health_desk::open(const model::tcp_endpoint& at) {
  if (at == http_)
    return control::tcp_listener::open_http(loop_, at, [this](const std::string& name) { return answer(name); });
  return control::tcp_listener::open_line(loop_, at, [this, at] { return agent_line(at); });
}

control::public_answer health_desk::answer(const std::string& name) const {
  if (name.empty()) return {200, "hasupd is up\n"};
  const auto a = health::answer_for(name, views_(), groups_);
  return {a.healthy ? 200U : a.known ? 503U : 404U, a.text};
}

std::string health_desk::agent_line(const model::tcp_endpoint& at) const {
  const auto g = std::find_if(groups_.begin(), groups_.end(), [&](const auto& one) { return one.agent_check == at; });
  return g == groups_.end() ? "down #no such group" : health::answer_for(*g, views_()).agent;
}

void health_desk::tell(const std::string& kind, const std::string& why) {
  control::event e;
  e.kind = kind;
  e.reason = why;
  publish_(std::move(e));
}

}  // namespace hasup::daemon
