// Asks which addresses the DNS names of upstreams have, again and again, one request a name at a time.
//
//   getaddrinfo on a thread of the name ──> upstream::take_answer ──> on_change
//
// Everything else runs on the loop, which never waits for a name.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/duration.hpp"
#include "model/upstream.hpp"
#include "upstream/addresses.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::daemon {

// "10.0.0.2", "[2001:db8::2]".
[[nodiscard]] bool is_address(const std::string& host);

class address_watch {
 public:
  struct wish {
    base::duration every{0};
    base::duration keep_for{0};
  };
  // `in_use`: addresses that something runs with. on_change comes from the loop, when who is known differs or there
  // is something to tell.
  address_watch(boost::asio::io_context& loop, std::function<std::set<std::string>()> in_use,
                std::function<void(const std::string& name, const upstream::address_change&)> on_change);
  ~address_watch();
  address_watch(const address_watch&) = delete;
  address_watch& operator=(const address_watch&) = delete;

  // What an earlier hasupd knew; before set(). Of names that nobody wants it is forgotten then.
  void restore(const model::address_book& known);
  // These names from now on: new ones are asked at once, what is known of others is forgotten,
  // but for what was learned a moment ago.
  void set(const std::map<std::string, wish>& names);
  // Asks for names that are about to be used. `then` comes from the loop when all have answered, and soon anyway.
  void learn(const std::set<std::string>& names, std::function<void()> then);
  // Of a name of which nothing is known, until it answers: what runs goes on with these.
  void assume(const std::string& name, const std::set<std::string>& hosts);
  [[nodiscard]] const model::address_book& known() const;
  // Of the last answer.
  [[nodiscard]] const upstream::address_memory* of(const std::string& name) const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace hasup::daemon
