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

// Blocks as long as the machine's name service likes; on a lane only. Those of IPv4, or of IPv6 when it has no
// others.
upstream::address_answer look_up(const std::string& name) {
  upstream::address_answer out;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* all = nullptr;
  errno = 0;
  if (const int e = ::getaddrinfo(name.c_str(), nullptr, &hints, &all); e != 0) {
    out.error = e == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(e);
    return out;
  }
  for (const int family : {AF_INET, AF_INET6}) {
    for (const addrinfo* a = all; a != nullptr; a = a->ai_next)
      if (a->ai_family == family)
        if (auto text = text_of(*a); !text.empty()) out.hosts.push_back(std::move(text));
    if (!out.hosts.empty()) break;
  }
  ::freeaddrinfo(all);
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
    if (change.known_differs) book[name] = upstream::known_of(one->memory);
    if (change.known_differs || change.problem_differs || change.left_out_differs) on_change(name, change);
  }
};

address_watch::address_watch(boost::asio::io_context& loop, std::function<std::set<std::string>()> in_use,
                             std::function<void(const std::string&, const upstream::address_change&)> on_change)
    : impl_(std::make_shared<impl>(loop, std::move(in_use), std::move(on_change))) {}

address_watch::~address_watch() = default;

void address_watch::restore(const model::address_book& known) {
  impl_->book = known;
}

void address_watch::set(const std::map<std::string, wish>& names) {
  std::erase_if(impl_->names, [&](const auto& one) { return !names.contains(one.first); });
  std::erase_if(impl_->book, [&](const auto& one) { return !names.contains(one.first); });
  for (const auto& [name, as] : names) {
    auto& one = impl_->names[name];
    const bool fresh = !one;
    if (fresh) one = std::make_shared<impl::asked>(impl_->loop);
    one->as = as;
    if (!fresh) continue;
    if (const auto was = impl_->book.find(name); was != impl_->book.end())
      one->memory = upstream::memory_of(was->second);
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
        if (!memory.all.empty() && !self->names.contains(name)) self->book[name] = upstream::known_of(memory);
        whom->open.erase(name);
        if (whom->open.empty()) whom->timer.cancel();
      };
    });
  }
  all->timer.expires_after(longest_wait);
  all->timer.async_wait([all, then = std::move(then)](boost::system::error_code) { then(); });
}

const model::address_book& address_watch::known() const {
  return impl_->book;
}

const upstream::address_memory* address_watch::of(const std::string& name) const {
  const auto one = impl_->names.find(name);
  return one == impl_->names.end() ? nullptr : &one->second->memory;
}

}  // namespace hasup::daemon
