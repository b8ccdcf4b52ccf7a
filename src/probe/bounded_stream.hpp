// A stream that gives no more than a number of bytes in all: what a library reads on its own is bounded too.
#pragma once

#include <algorithm>
#include <boost/asio/compose.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/buffers_prefix.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <boost/system/error_code.hpp>

namespace hasup::probe {

// Next is a stream that outlives this one, and this one outlives all that it reads.
template <class Next>
class bounded_stream {
 public:
  using executor_type = typename Next::executor_type;
  using next_layer_type = Next;
  using error_code = boost::system::error_code;

  bounded_stream(Next& next, std::size_t limit) : next_(next), left_(limit) {}

  executor_type get_executor() { return next_.get_executor(); }
  Next& next_layer() { return next_; }
  const Next& next_layer() const { return next_; }
  [[nodiscard]] bool used_up() const { return left_ == 0; }

  // message_size once nothing is left.
  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    bool begun = false;
    return boost::asio::async_compose<Handler, void(error_code, std::size_t)>(
        [this, buffers, begun](auto& self, error_code ec = {}, std::size_t got = 0) mutable {
          if (begun) {
            left_ -= std::min(left_, got);
            return self.complete(ec, got);
          }
          begun = true;
          if (left_ != 0) {
            auto part = boost::beast::buffers_prefix(left_, buffers);
            return next_.async_read_some(part, std::move(self));
          }
          boost::asio::post(next_.get_executor(), [self = std::move(self)]() mutable {
            self.complete(boost::asio::error::message_size, 0);
          });
        },
        handler, next_);
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return next_.async_write_some(buffers, std::forward<Handler>(handler));
  }

 private:
  Next& next_;
  std::size_t left_;
};

// How a websocket over it ends.
template <class Next>
void teardown(boost::beast::role_type role, bounded_stream<Next>& stream, boost::system::error_code& ec) {
  using boost::beast::websocket::teardown;
  teardown(role, stream.next_layer(), ec);
}
template <class Next, class Handler>
void async_teardown(boost::beast::role_type role, bounded_stream<Next>& stream, Handler&& handler) {
  using boost::beast::websocket::async_teardown;
  async_teardown(role, stream.next_layer(), std::forward<Handler>(handler));
}

}  // namespace hasup::probe
