// The client behind http_poll: a fresh connection a question.
#include "demo/node/http_poll.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace hasup::demo {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

class exchange : public std::enable_shared_from_this<exchange> {
 public:
  exchange(const asio::any_io_executor& executor, poll_question question, poll_answer answer)
      : stream_(executor), question_(std::move(question)), answer_(std::move(answer)) {}

  void start() {
    error_code failed;
    const auto address = asio::ip::make_address(question_.where.host, failed);
    if (failed) return asio::post(stream_.get_executor(), [self = shared_from_this()] { self->finish({}); });
    stream_.expires_after(std::chrono::seconds(2));
    stream_.async_connect(tcp::endpoint(address, question_.where.port), [self = shared_from_this()](error_code e) {
      if (e)
        self->finish({});
      else
        self->send();
    });
  }

 private:
  void send() {
    request_.method(question_.body.empty() ? http::verb::get : http::verb::post);
    request_.target(question_.path);
    request_.set(http::field::host, question_.where.host);
    request_.set(http::field::content_type, "application/json");
    request_.body() = question_.body;
    request_.prepare_payload();
    http::async_write(stream_, request_, [self = shared_from_this()](error_code e, std::size_t) {
      if (e)
        self->finish({});
      else
        self->receive();
    });
  }

  void receive() {
    http::async_read(stream_, buffer_, response_, [self = shared_from_this()](error_code e, std::size_t) {
      if (e || self->response_.result() != http::status::ok)
        self->finish({});
      else
        self->finish(std::move(self->response_.body()));
    });
  }

  void finish(std::optional<std::string> body) {
    if (const auto answer = std::exchange(answer_, {})) answer(std::move(body));
  }

  beast::tcp_stream stream_;
  poll_question question_;
  poll_answer answer_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

}  // namespace

void ask_http(const asio::any_io_executor& executor, poll_question question, poll_answer answer) {
  std::make_shared<exchange>(executor, std::move(question), std::move(answer))->start();
}

class http_poll::loop : public std::enable_shared_from_this<loop> {
 public:
  loop(const asio::any_io_executor& executor, poll_question question, std::chrono::milliseconds interval,
       poll_answer answer)
      : timer_(executor), question_(std::move(question)), interval_(interval), answer_(std::move(answer)) {}

  void ask() {
    ask_http(timer_.get_executor(), question_, [self = shared_from_this()](std::optional<std::string> body) {
      if (self->stopped_) return;
      self->answer_(std::move(body));
      self->wait();
    });
  }

  void stop() {
    stopped_ = true;
    timer_.cancel();
  }

 private:
  void wait() {
    timer_.expires_after(interval_);
    timer_.async_wait([self = shared_from_this()](error_code failed) {
      if (!failed && !self->stopped_) self->ask();
    });
  }

  asio::steady_timer timer_;
  poll_question question_;
  std::chrono::milliseconds interval_;
  poll_answer answer_;
  bool stopped_ = false;
};

http_poll::http_poll(asio::any_io_executor executor, poll_question question, std::chrono::milliseconds interval,
                     poll_answer answer)
    : loop_(std::make_shared<loop>(executor, std::move(question), interval, std::move(answer))) {
  loop_->ask();
}

http_poll::~http_poll() {
  loop_->stop();
}

}  // namespace hasup::demo
