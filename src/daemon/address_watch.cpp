#include "daemon/address_watch.hpp"

#include <arpa/inet.h>
#include <netdb.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "probe/lane.hpp"

namespace hasup::daemon {
namespace {

constexpr std::chrono::seconds longest_wait{3};  // of a person, for names that are not found
constexpr std::chrono::minutes learned_for{1};   // whoever asked for it takes it into use until then

std::string text_of(const addrinfo& a) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (a.ai_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, a.ai_addr, sizeof in);
    return ::inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size()) == nullptr ? "" : text.data();
  }
  sockaddr_in6 in6{};
  std::memcpy(&in6, a.ai_addr, sizeof in6);
  if (in6.sin6_scope_id != 0) return {};  // says nothing without the interface
  return ::inet_ntop(AF_INET6, &in6.sin6_addr, text.data(), text.size()) == nullptr
             ? ""
             : "[" + std::string(text.data()) + "]";
}

// Blocks as long as the machine's name service likes; on a lane only.
int addresses_of(const std::string& name, int family, upstream::address_answer& out) {
  addrinfo hints{};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* all = nullptr;
  errno = 0;
  const int e = ::getaddrinfo(name.c_str(), nullptr, &hints, &all);
  out.error = e == 0 ? "" : e == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(e);
  if (e != 0) return e;
  for (const addrinfo* a = all; a != nullptr; a = a->ai_next)
    if (auto text = text_of(*a); !text.empty()) out.hosts.push_back(std::move(text));
  ::freeaddrinfo(all);
  return 0;
}

// Those of IPv4, or of IPv6 when it surely has no others: asked for both at once, a server that fails for one of
// them would have told of the other alone.
upstream::address_answer look_up(const std::string& name) {
  upstream::address_answer out;
  const int e = addresses_of(name, AF_INET, out);
  const bool has_none = e == EAI_NONAME || e == EAI_NODATA || e == EAI_ADDRFAMILY;
  if (has_none || (e == 0 && out.hosts.empty())) addresses_of(name, AF_INET6, out);
  return out;
}

}  // namespace

struct address_watch::impl : std::enable_shared_from_this<impl> {
  impl(boost::asio::io_context& l, std::function<std::set<std::string>()> u,
       std::function<void(const std::string&, const upstream::address_change&)> c)
      : loop(l), in_use(std::move(u)), on_change(std::move(c)) {}

  struct asked {
    explicit asked(boost::asio::io_context& l) : thread(l), timer(l) {}
    probe::lane thread;  // of its own: one that hangs keeps no other from being asked
    boost::asio::steady_timer timer;
    wish as{};
    upstream::address_memory memory;
  };

  boost::asio::io_context& loop;
  std::function<std::set<std::string>()> in_use;
  std::function<void(const std::string&, const upstream::address_change&)> on_change;
  std::map<std::string, std::shared_ptr<asked>> names;
  model::address_book book;
  std::set<std::string> assumed;                   // names that have not been answered since
  std::map<std::string, base::mono_time> learned;  // and when; nobody has wanted them yet
  std::minstd_rand random{std::random_device{}()};

  void ask(const std::string& name) {
    const auto& one = names.at(name);
    one->thread.run([weak = weak_from_this(), at = std::weak_ptr(one), name]() -> probe::lane::answer {
      return [weak, at, name, found = look_up(name)] {
        const auto self = weak.lock();
        const auto whom = at.lock();
        if (self && whom) self->answered(name, whom, found);
      };
    });
    see_to_thread(one);
  }

  // When there was no thread to be had, the question waits in its lane until somebody comes with another job.
  static void see_to_thread(const std::shared_ptr<asked>& one) {
    one->timer.expires_after(one->as.every);
    one->timer.async_wait([at = std::weak_ptr(one)](boost::system::error_code ec) {
      const auto whom = at.lock();
      if (ec || !whom) return;
      whom->thread.run([]() -> probe::lane::answer { return [] {}; });
      see_to_thread(whom);
    });
  }

  void answered(const std::string& name, const std::shared_ptr<asked>& one, const upstream::address_answer& found) {
    // Not all names in the same moment.
    one->timer.expires_after(one->as.every * std::uniform_int_distribution<int>(90, 110)(random) / 100);
    one->timer.async_wait([weak = weak_from_this(), at = std::weak_ptr(one), name](boost::system::error_code ec) {
      const auto self = weak.lock();
      if (!ec && self && at.lock()) self->ask(name);
    });
    const auto change =
        upstream::take_answer(one->memory, found, in_use(), one->as.keep_for, std::chrono::steady_clock::now());
    if (one->memory.problem.empty()) assumed.erase(name);
    if (change.known_differs) book[name] = upstream::known_of(one->memory);
    if (change.known_differs || change.problem_differs || change.too_many || !change.joined.empty())
      on_change(name, change);
  }
};

bool is_address(const std::string& host) {
  in6_addr any{};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    return ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &any) == 1;
  return ::inet_pton(AF_INET, host.c_str(), &any) == 1;
}

address_watch::address_watch(boost::asio::io_context& loop, std::function<std::set<std::string>()> in_use,
                             std::function<void(const std::string&, const upstream::address_change&)> on_change)
    : impl_(std::make_shared<impl>(loop, std::move(in_use), std::move(on_change))) {}

address_watch::~address_watch() = default;

void address_watch::restore(const model::address_book& known) {
  impl_->book = known;
}

void address_watch::set(const std::map<std::string, wish>& names) {
  std::erase_if(impl_->names, [&](const auto& one) { return !names.contains(one.first); });
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(impl_->learned,
                [&](const auto& one) { return names.contains(one.first) || now - one.second >= learned_for; });
  const auto is_over = [&](const std::string& name) {
    return !names.contains(name) && !impl_->learned.contains(name);
  };
  std::erase_if(impl_->book, [&](const auto& one) { return is_over(one.first); });
  std::erase_if(impl_->assumed, is_over);
  for (const auto& [name, as] : names) {
    auto& one = impl_->names[name];
    const bool fresh = !one;
    if (fresh) one = std::make_shared<impl::asked>(impl_->loop);
    one->as = as;
    if (!fresh) continue;
    if (const auto was = impl_->book.find(name); was != impl_->book.end()) {
      one->memory = upstream::memory_of(was->second);
      for (auto& a : one->memory.all) a.assumed = impl_->assumed.contains(name);
    }
    impl_->ask(name);
  }
}

void address_watch::learn(const std::set<std::string>& names, std::function<void()> then) {
  struct learning {
    explicit learning(boost::asio::io_context& l) : timer(l) {}
    std::map<std::string, probe::lane> open;
    boost::asio::steady_timer timer;
  };
  const auto all = std::make_shared<learning>(impl_->loop);
  for (const auto& name : names) {
    auto& thread = all->open.try_emplace(name, impl_->loop).first->second;
    thread.run([weak = std::weak_ptr(impl_), at = std::weak_ptr(all), name]() -> probe::lane::answer {
      return [weak, at, name, found = look_up(name)] {
        const auto self = weak.lock();
        const auto whom = at.lock();
        if (!self || !whom) return;
        upstream::address_memory memory;
        upstream::take_answer(memory, found, {}, {}, std::chrono::steady_clock::now());
        if (!memory.all.empty() && !self->names.contains(name)) {
          self->book[name] = upstream::known_of(memory);
          self->learned[name] = std::chrono::steady_clock::now();
        }
        whom->open.erase(name);
        if (whom->open.empty()) whom->timer.cancel();
      };
    });
  }
  all->timer.expires_after(longest_wait);
  all->timer.async_wait([all, then = std::move(then)](boost::system::error_code) { then(); });
}

void address_watch::assume(const std::string& name, const std::set<std::string>& hosts) {
  auto& known = impl_->book[name];
  if (!known.empty()) return;
  upstream::address_memory memory;
  upstream::assume(memory, hosts);
  known = upstream::known_of(memory);
  impl_->assumed.insert(name);
  if (const auto one = impl_->names.find(name); one != impl_->names.end()) one->second->memory.all = memory.all;
}

const model::address_book& address_watch::known() const {
  return impl_->book;
}

const upstream::address_memory* address_watch::of(const std::string& name) const {
  const auto one = impl_->names.find(name);
  return one == impl_->names.end() ? nullptr : &one->second->memory;
}

}  // namespace hasup::daemon
