#include "control/tcp_listener.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <optional>

#include "control/routes.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

namespace hasup::control {
namespace {

constexpr std::uint32_t header_limit = 8 * 1024;
constexpr std::size_t body_limit = 8 * 1024;  // nobody has a reason to send one

// What connections need of the listener; outlives it.
struct shared {
  tcp_options options;
  answer_health on_request;
  answer_line on_line;
  bool open = true;
  std::size_t connections = 0;
};

class connection : public std::enable_shared_from_this<connection> {
 public:
  connection(tcp::socket s, std::shared_ptr<shared> common) : stream_(std::move(s)), common_(std::move(common)) {
    ++common_->connections;
  }
  virtual ~connection() { --common_->connections; }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  virtual void begin() = 0;
  void close() {
    beast::error_code ignored;
    stream_.socket().close(ignored);
  }

 protected:
  // The answer must arrive although what was sent was not read to its end: that is read and thrown away, until the
  // peer closes, or the time or its patience with it is over.
  void linger() {
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::min(common_->options.patience, base::duration{2'000}));
    discard();
  }

  beast::basic_stream<tcp, asio::any_io_executor> stream_;
  std::shared_ptr<shared> common_;

 private:
  void discard() {
    stream_.async_read_some(asio::buffer(rest_), [self = shared_from_this()](beast::error_code ec, std::size_t n) {
      self->discarded_ += n;
      if (ec || !self->common_->open || self->discarded_ > most_discarded) return self->close();
      self->discard();
    });
  }

  static constexpr std::size_t most_discarded = 256 * 1024;
  std::size_t discarded_ = 0;
  std::array<char, 1024> rest_{};
};

// Reads a request, answers it, reads the next.
class http_connection : public connection {
 public:
  using connection::connection;
  void begin() override {
    parser_.emplace();
    parser_->header_limit(header_limit);
    parser_->body_limit(body_limit);
    stream_.expires_after(common_->options.patience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = self()](beast::error_code ec, std::size_t) { self->on_read(ec); });
  }

 private:
  std::shared_ptr<http_connection> self() { return std::static_pointer_cast<http_connection>(shared_from_this()); }

  void on_read(beast::error_code ec) {
    if (!common_->open) return close();
    keep_alive_ = false;
    if (ec == http::error::body_limit || ec == http::error::header_limit)
      return respond(413, "the request is too large\n");
    if (ec && ec.category() == http::make_error_code(http::error::bad_method).category() &&
        ec != http::error::end_of_stream && ec != http::error::partial_message)
      return respond(400, "not a valid HTTP request\n");
    if (ec) return close();
    const auto& request = parser_->get();
    keep_alive_ = request.keep_alive();
    head_ = request.method() == http::verb::head;
    const auto r = parse_public_route(std::string_view(request.method_string()), std::string_view(request.target()));
    if (r.is == public_route::kind::rejected) return respond(r.http_status, r.error + "\n");
    auto a = common_->on_request(r.name);
    respond(a.http_status, std::move(a.body));
  }

  void respond(unsigned status, std::string body) {
    response_.emplace(static_cast<http::status>(status), 11);
    response_->set(http::field::server, "hasupd");
    response_->set(http::field::content_type, "text/plain; charset=utf-8");
    response_->set(http::field::cache_control, "no-store");
    if (status == 405) response_->set(http::field::allow, "GET, HEAD");
    response_->keep_alive(keep_alive_);
    response_->content_length(body.size());  // also of an answer to HEAD, which has none
    if (!head_) response_->body() = std::move(body);
    stream_.expires_after(common_->options.patience);
    http::async_write(stream_, *response_, [self = self()](beast::error_code ec, std::size_t) {
      if (ec || !self->common_->open) return self->close();
      if (self->keep_alive_) return self->begin();
      self->linger();
    });
  }

  beast::flat_buffer buffer_{header_limit + 2 * body_limit};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  bool keep_alive_ = false;
  bool head_ = false;
};

class line_connection : public connection {
 public:
  using connection::connection;
  void begin() override {
    line_ = common_->on_line() + "\n";
    stream_.expires_after(common_->options.patience);
    asio::async_write(
        stream_, asio::buffer(line_),
        [self = std::static_pointer_cast<line_connection>(shared_from_this())](beast::error_code ec, std::size_t) {
          if (ec || !self->common_->open) return self->close();
          self->linger();
        });
  }

 private:
  std::string line_;
};

base::error cannot_listen(const model::tcp_endpoint& at, const boost::system::error_code& ec) {
  return {"cannot listen on " + to_text(at) + ": " + ec.message(), ec.value()};
}

}  // namespace

class tcp_listener::impl : public std::enable_shared_from_this<impl> {
 public:
  impl(asio::io_context& io, std::shared_ptr<shared> common)
      : acceptor_(io), retry_(io), common_(std::move(common)) {}

  boost::system::error_code listen(const model::tcp_endpoint& at) {
    boost::system::error_code ec;
    const auto address = asio::ip::make_address(at.host, ec);
    if (ec) return ec;
    const tcp::endpoint where(address, at.port);
    acceptor_.open(where.protocol(), ec);
    // Connections of an earlier hasupd are no reason to wait for the port.
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor_.bind(where, ec);
    if (!ec) acceptor_.listen(128, ec);
    return ec;
  }

  void accept() {
    acceptor_.async_accept([self = shared_from_this()](boost::system::error_code ec, tcp::socket s) {
      if (!self->common_->open) return;
      if (ec) return self->accept_later();
      self->begin(std::move(s));
      self->accept();
    });
  }

  void close() {
    if (!std::exchange(common_->open, false)) return;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    for (const auto& weak : connections_)
      if (const auto c = weak.lock()) c->close();
    connections_.clear();
  }

  [[nodiscard]] std::size_t connections() const { return common_->connections; }

 private:
  void begin(tcp::socket s) {
    std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
    if (common_->connections >= common_->options.connection_limit) return;  // closes it
    std::shared_ptr<connection> c;
    if (common_->on_line)
      c = std::make_shared<line_connection>(std::move(s), common_);
    else
      c = std::make_shared<http_connection>(std::move(s), common_);
    connections_.push_back(c);
    c->begin();
  }

  // Out of descriptors, most likely: the next try waits, so that the loop does not spin.
  void accept_later() {
    retry_.expires_after(std::chrono::milliseconds(200));
    retry_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
      if (!ec && self->common_->open) self->accept();
    });
  }

  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::shared_ptr<shared> common_;
  std::list<std::weak_ptr<connection>> connections_;
};

namespace {

using opened = base::result<std::unique_ptr<tcp_listener>>;

std::shared_ptr<shared> common_of(const tcp_options& options) {
  auto common = std::make_shared<shared>();
  common->options = options;
  return common;
}

}  // namespace

opened tcp_listener::open_http(asio::io_context& io, const model::tcp_endpoint& at, answer_health answer,
                               const tcp_options& options) {
  auto common = common_of(options);
  common->on_request = std::move(answer);
  auto i = std::make_shared<impl>(io, std::move(common));
  if (const auto ec = i->listen(at)) return cannot_listen(at, ec);
  i->accept();
  return std::unique_ptr<tcp_listener>(new tcp_listener(std::move(i)));
}

opened tcp_listener::open_line(asio::io_context& io, const model::tcp_endpoint& at, answer_line answer,
                               const tcp_options& options) {
  auto common = common_of(options);
  common->on_line = std::move(answer);
  auto i = std::make_shared<impl>(io, std::move(common));
  if (const auto ec = i->listen(at)) return cannot_listen(at, ec);
  i->accept();
  return std::unique_ptr<tcp_listener>(new tcp_listener(std::move(i)));
}

tcp_listener::tcp_listener(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
tcp_listener::~tcp_listener() {
  impl_->close();
}
std::size_t tcp_listener::connections() const {
  return impl_->connections();
}

}  // namespace hasup::control
