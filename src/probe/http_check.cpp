// Asks over HTTP/1.1, plain or with TLS, on TCP or a Unix socket; kinds http and jsonrpc.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "probe/http_headers.hpp"
#include "probe/json_values.hpp"
#include "probe/network_check.hpp"

namespace hasup::probe {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::uint64_t largest_body = 1024 * 1024;
constexpr std::uint32_t largest_header = 64 * 1024;

class http_check final : public network_check {
 public:
  using network_check::network_check;

 private:
  enum class phase { before, waiting };
  using parser = http::response_parser<http::string_body>;

  void ask() override;
  bool fill_request();
  void connected(std::unique_ptr<connection> c) override;
  void abandon() override;
  check_result late(const std::string& limit) override;

  void send();
  void on_sent(error_code ec);
  void read();
  void on_read(error_code ec);
  void lost(error_code ec);
  void judge();
  void keep();

  [[nodiscard]] bool is_jsonrpc() const { return check().kind == model::check_kind::jsonrpc; }
  // Calls `use` with the stream that carries the bytes.
  template <class Use>
  void on_stream(Use use) {
    if (line_->tls) {
      use(*line_->tls);
    } else {
      use(line_->socket);
    }
  }
  template <class Member>
  auto back(Member member) {
    return [self = shared_from_this(), member](error_code ec, std::size_t = 0) {
      auto& me = static_cast<http_check&>(*self);
      if (!me.ended()) (me.*member)(ec);
    };
  }

  phase phase_ = phase::before;
  http::request<http::string_body> request_;
  std::unique_ptr<connection> line_;
  boost::beast::flat_buffer buffer_;
  std::optional<parser> parser_;
  unsigned interim_ = 0;  // 1xx answers seen
};

// A kept connection is used again only while it is silent: a closed one shows its end, a strange one unasked bytes.
bool silent(connection& c) {
  char byte = 0;
  const ssize_t n = ::recv(c.socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && (!c.tls || SSL_pending(c.tls->native_handle()) == 0);
}

void http_check::ask() {
  auto to = parse_url(check().url);
  if (!to) return finish(outcome::unknown, to.error().message);
  auto idle = std::move(memory().idle);
  aim(std::move(*to));
  if (!fill_request()) return;
  if (idle && idle->purpose == purpose() && silent(*idle)) {
    idle->reused = true;
    return connected(std::move(idle));
  }
  connect();
}

// False when the check is finished because the request cannot be made.
bool http_check::fill_request() {
  request_.version(11);
  request_.target(to().target);
  request_.set(http::field::host, to().unix_path.empty() ? to().place() : "localhost");
  request_.set(http::field::user_agent, "hasup");
  request_.set(http::field::accept, "*/*");
  if (is_jsonrpc()) {
    request_.method(http::verb::post);
    request_.set(http::field::content_type, "application/json");
    request_.body() = R"({"jsonrpc":"2.0","id":1,"method":)" + json_quote(check().method) + R"(,"params":)" +
                      (check().params.empty() ? "[]" : check().params) + "}";
  } else {
    const std::string method = check().method.empty() ? "GET" : check().method;
    const bool good = std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!good || method == "CONNECT") {
      finish(outcome::unknown, "bad HTTP method \"" + excerpt(method) + "\"");
      return false;
    }
    request_.method_string(method);
    request_.body() = check().body;
  }
  const auto headers = read_headers(check());
  if (!headers) {
    finish(outcome::unknown, headers.error().message);
    return false;
  }
  for (const auto& [name, value] : *headers) request_.set(name, value);
  request_.prepare_payload();
  return true;
}

void http_check::connected(std::unique_ptr<connection> c) {
  line_ = std::move(c);
  send();
}

void http_check::send() {
  phase_ = phase::waiting;
  parser_.emplace();
  parser_->body_limit(largest_body);
  parser_->header_limit(largest_header);
  if (request_.method() == http::verb::head) parser_->skip(true);
  on_stream([this](auto& stream) { http::async_write(stream, request_, back(&http_check::on_sent)); });
}

void http_check::on_sent(error_code ec) {
  // A server may answer and close before it has read all: the answer counts, so a failed write is no end yet.
  if (ec && line_->reused) return lost(ec);
  read();
}

void http_check::read() {
  on_stream([this](auto& stream) { http::async_read(stream, buffer_, *parser_, back(&http_check::on_read)); });
}

void http_check::on_read(error_code ec) {
  if (ec == http::error::body_limit && !asks_for_body(check()) && !is_jsonrpc())
    return judge();  // the status is enough
  if (ec) return lost(ec);
  const auto status = parser_->get().result_int();
  if (status / 100 == 1 && status != 101 && ++interim_ < 5) {
    parser_.emplace();
    parser_->body_limit(largest_body);
    parser_->header_limit(largest_header);
    return read();
  }
  judge();
}

void http_check::lost(error_code ec) {
  const std::string place = line_->place;
  const bool began = parser_->got_some();
  if (line_->reused && !began) {
    // It was closed just as it was used again. Asking twice does no harm to a question.
    line_.reset();
    buffer_.clear();
    phase_ = phase::before;
    return connect();
  }
  if (ec == http::error::body_limit)
    return finish(outcome::failed, "the answer of " + place + " is larger than 1 MiB");
  if (ec == http::error::header_limit)
    return finish(outcome::failed, "the header of " + place + " is larger than 64 KiB");
  if (const auto end = end_of_connection(ec, place, began)) return finish(outcome::failed, *end);
  finish(outcome::failed, place + " did not answer as HTTP does: " + ec.message());
}

void http_check::judge() {
  const auto status = static_cast<int>(parser_->get().result_int());
  const auto& wanted = check().status;
  if (std::find(wanted.begin(), wanted.end(), status) == wanted.end()) {
    std::string expected;
    for (const int s : wanted) expected += (expected.empty() ? "" : ", ") + std::to_string(s);
    const std::string said = error_in_answer(parser_->get().body());
    keep();
    return finish(outcome::failed, "HTTP " + std::to_string(status) + " (expected " + expected + ")" +
                                       (said.empty() ? "" : ": " + said));
  }
  const std::string note = line_->note;
  keep();
  judge_and_finish(parser_->get().body(), note);
}

void http_check::keep() {
  const bool clean = parser_->is_done() && parser_->get().keep_alive() && parser_->get().result_int() != 101 &&
                     buffer_.size() == 0 && request_.keep_alive();
  if (clean) memory().idle = std::move(line_);
}

void http_check::abandon() {
  network_check::abandon();
  if (!line_) return;
  error_code ec;
  line_->socket.close(ec);
}

check_result http_check::late(const std::string& limit) {
  if (phase_ == phase::before) return network_check::late(limit);
  const bool began = parser_ && parser_->got_some();
  return result_of(outcome::failed, began ? "the answer of " + line_->place + " was not complete within " + limit
                                          : line_->place + " took the connection but did not answer within " + limit);
}

}  // namespace

std::shared_ptr<check_run> make_http_check(check_order order, check_run::done_handler done) {
  return std::make_shared<http_check>(std::move(order), std::move(done));
}

}  // namespace hasup::probe
