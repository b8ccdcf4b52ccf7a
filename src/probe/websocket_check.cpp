// Opens a websocket, plain or with TLS, on TCP or a Unix socket; sends a message and judges the first one that comes,
// where either is asked for; and says goodbye. Nothing is kept open between two askings.
#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "probe/bounded_stream.hpp"
#include "probe/http_headers.hpp"
#include "probe/network_check.hpp"

namespace hasup::probe {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using boost::system::error_code;

constexpr std::size_t largest_message = 1024 * 1024;
constexpr std::size_t largest_overhead = 64 * 1024;  // the handshake, frames, pings
// How long the other side may take to say goodbye; the verdict is known by then.
constexpr base::duration patience_at_end{250};

template <class Next>
struct socket_over {
  explicit socket_over(Next& next) : bytes(next, largest_message + largest_overhead), socket(bytes) {}

  bounded_stream<Next> bytes;
  websocket::stream<bounded_stream<Next>&, false> socket;
};

class websocket_check final : public network_check {
 public:
  websocket_check(check_order order, done_handler done)
      : network_check(std::move(order), std::move(done)), farewell_(tools().io) {}

 private:
  enum class phase { before, shaking, waiting, leaving };
  using tls_stream = asio::ssl::stream<stream_socket&>;

  void ask() override;
  bool fill_headers();
  void connected(std::unique_ptr<connection> c) override;
  void abandon() override;
  check_result late(const std::string& limit) override;

  void shake();
  void on_shaken(error_code ec);
  void on_sent(error_code ec);
  void on_message(error_code ec);
  void lost(error_code ec);
  void on_goodbye();
  void on_closed(error_code ec);
  void leave(check_result verdict);
  void on_left(error_code ec);

  [[nodiscard]] bool awaits_message() const { return check().send || asks_for_body(check()); }
  [[nodiscard]] bool used_up() const { return plain_ ? plain_->bytes.used_up() : secure_->bytes.used_up(); }
  template <class Use>
  void on_socket(Use use) {
    if (secure_) {
      use(secure_->socket);
    } else {
      use(plain_->socket);
    }
  }
  template <class Member>
  auto back(Member member) {
    return [self = shared_from_this(), member](error_code ec, std::size_t = 0) {
      auto& me = static_cast<websocket_check&>(*self);
      if (!me.ended()) (me.*member)(ec);
    };
  }

  phase phase_ = phase::before;
  header_lines headers_;
  std::unique_ptr<connection> line_;
  std::optional<socket_over<stream_socket>> plain_;
  std::optional<socket_over<tls_stream>> secure_;
  websocket::response_type response_;
  beast::flat_buffer buffer_{largest_message};
  check_result verdict_;
  asio::steady_timer farewell_;
};

void websocket_check::ask() {
  auto to = parse_url(check().url, "ws");
  if (!to) return finish(outcome::unknown, to.error().message);
  aim(std::move(*to));
  if (fill_headers()) connect();
}

// False when the check is finished because the request cannot be made.
bool websocket_check::fill_headers() {
  auto headers = read_headers(check());
  if (!headers) {
    finish(outcome::unknown, headers.error().message);
    return false;
  }
  headers_ = std::move(*headers);
  const auto own = [](const auto& line) {
    return beast::iequals(line.first, "Connection") || beast::iequals(line.first, "Upgrade") ||
           beast::iequals(line.first.substr(0, 14), "Sec-WebSocket-");
  };
  if (const auto bad = std::find_if(headers_.begin(), headers_.end(), own); bad != headers_.end()) {
    finish(outcome::unknown, "headers: \"" + bad->first + "\" belongs to the handshake itself");
    return false;
  }
  if (!check().subprotocol.empty()) headers_.emplace_back("Sec-WebSocket-Protocol", check().subprotocol);
  return true;
}

void websocket_check::connected(std::unique_ptr<connection> c) {
  line_ = std::move(c);
  if (line_->tls) {
    secure_.emplace(*line_->tls);
  } else {
    plain_.emplace(line_->socket);
  }
  shake();
}

void websocket_check::shake() {
  phase_ = phase::shaking;
  const auto decorate = [headers = headers_](websocket::request_type& request) {
    request.set(http::field::user_agent, "hasup");
    for (const auto& [name, value] : headers) request.set(name, value);
  };
  const std::string host = to().unix_path.empty() ? to().place() : "localhost";
  on_socket([&](auto& socket) {
    socket.set_option(websocket::stream_base::decorator(decorate));
    socket.read_message_max(largest_message);
    socket.control_callback([this](websocket::frame_type kind, beast::string_view) {
      if (kind == websocket::frame_type::close && phase_ == phase::waiting) on_goodbye();
    });
    socket.async_handshake(response_, host, to().target, back(&websocket_check::on_shaken));
  });
}

void websocket_check::on_shaken(error_code ec) {
  if (ec == websocket::error::upgrade_declined) {
    const std::string said = error_in_answer(response_.body());
    return finish(outcome::failed, "HTTP " + std::to_string(response_.result_int()) + " instead of a websocket" +
                                       (said.empty() ? "" : ": " + said));
  }
  if (ec) return lost(ec);
  if (const auto& wanted = check().subprotocol; !wanted.empty()) {
    const std::string agreed(response_[http::field::sec_websocket_protocol]);
    if (agreed != wanted) {
      auto bad = result_of(outcome::failed, line_->place + " did not agree to the subprotocol " + excerpt(wanted) +
                                                (agreed.empty() ? "" : ", but to " + excerpt(agreed)));
      return leave(std::move(bad));
    }
  }
  phase_ = phase::waiting;
  if (!awaits_message()) return leave(judged({}, line_->note));
  if (!check().send) return on_sent({});
  on_socket([this](auto& socket) {
    socket.text(true);
    socket.async_write(asio::buffer(*check().send), back(&websocket_check::on_sent));
  });
}

void websocket_check::on_sent(error_code ec) {
  if (ec) return lost(ec);
  on_socket([this](auto& socket) { socket.async_read(buffer_, back(&websocket_check::on_message)); });
}

void websocket_check::on_message(error_code ec) {
  if (ec) return lost(ec);
  const std::string message = beast::buffers_to_string(buffer_.data());
  auto result = judged(message, line_->note);
  // A JSON-RPC error is why a result is missing.
  if (const auto said = error_in_answer(message); result.out == outcome::failed && !said.empty())
    result.reason = said;
  leave(std::move(result));
}

void websocket_check::lost(error_code ec) {
  const std::string& place = line_->place;
  if (used_up() || ec == websocket::error::message_too_big || ec == websocket::error::buffer_overflow ||
      ec == http::error::body_limit) {
    return finish(outcome::failed, "the answer of " + place + " is larger than 1 MiB");
  }
  if (ec == websocket::error::closed) {
    std::string why;
    on_socket([&why](auto& socket) {
      const auto& reason = socket.reason();
      if (reason.code != websocket::close_code::none) why = " with code " + std::to_string(reason.code);
      if (!reason.reason.empty()) why += ": " + excerpt({reason.reason.data(), reason.reason.size()});
    });
    return finish(outcome::failed, place + " closed the websocket before it sent a message" + why);
  }
  const bool open = phase_ == phase::waiting;
  if (ec == asio::error::eof || ec == asio::ssl::error::stream_truncated)
    if (open) return finish(outcome::failed, place + " closed the connection before it sent a message");
  if (const auto end = end_of_connection(ec, place, false)) return finish(outcome::failed, *end);
  finish(outcome::failed,
         place + (open ? " does not speak as a websocket does: " : " did not answer the websocket handshake: ") +
             ec.message());
}

// The library waits for the end of the connection, too, which is not asked for here.
void websocket_check::on_goodbye() {
  farewell_.expires_after(patience_at_end);
  farewell_.async_wait(back(&websocket_check::on_closed));
}

void websocket_check::on_closed(error_code /*of the timer*/) {
  lost(websocket::error::closed);
}

// A node that is not told logs an error for each look at it.
void websocket_check::leave(check_result verdict) {
  phase_ = phase::leaving;
  verdict_ = std::move(verdict);
  stamp(verdict_);
  farewell_.expires_after(patience_at_end);
  farewell_.async_wait(back(&websocket_check::on_left));
  on_socket([this](auto& socket) {
    socket.async_close(websocket::close_reason(websocket::close_code::normal), back(&websocket_check::on_left));
  });
}

void websocket_check::on_left(error_code /*whatever it was*/) {
  finish(verdict_);
}

void websocket_check::abandon() {
  network_check::abandon();
  farewell_.cancel();
  if (!line_) return;
  error_code ec;
  line_->socket.close(ec);
}

check_result websocket_check::late(const std::string& limit) {
  switch (phase_) {
    case phase::before:
      return network_check::late(limit);
    case phase::shaking:
      return result_of(outcome::failed, line_->place + " took the connection but did not answer the websocket " +
                                            "handshake within " + limit);
    case phase::waiting:
      return result_of(outcome::failed, line_->place + " sent no message within " + limit);
    case phase::leaving:
      break;
  }
  return verdict_;
}

}  // namespace

std::shared_ptr<check_run> make_websocket_check(check_order order, check_run::done_handler done) {
  return std::make_shared<websocket_check>(std::move(order), std::move(done));
}

}  // namespace hasup::probe
