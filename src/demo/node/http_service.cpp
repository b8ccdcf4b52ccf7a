// The server behind http_service: a session reads one request, waits for its answer, writes it, reads the next.
#include "demo/node/http_service.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <optional>
#include <vector>

namespace hasup::demo {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

constexpr std::size_t chunk_size = 64 * 1024;
constexpr std::uint64_t largest_body = 1 << 20;

std::string decode_path(std::string_view target) {
  target = target.substr(0, target.find('?'));
  std::string path;
  for (std::size_t i = 0; i < target.size(); ++i) {
    unsigned value = 0;
    if (target[i] == '%' && i + 2 < target.size()) {
      const char* begin = target.data() + i + 1;
      if (const auto [end, e] = std::from_chars(begin, begin + 2, value, 16); e == std::errc{} && end == begin + 2) {
        path += static_cast<char>(value);
        i += 2;
        continue;
      }
    }
    path += target[i];
  }
  return path;
}

class session : public std::enable_shared_from_this<session> {
 public:
  session(tcp::socket socket, http_handler handler)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), handler_(std::move(handler)) {}

  void read() {
    parser_.emplace();
    parser_->body_limit(largest_body);
    http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code failed, std::size_t) {
      if (!failed) self->serve();
    });
  }

 private:
  void serve() {
    const auto& message = parser_->get();
    keep_alive_ = message.keep_alive();
    head_only_ = message.method() == http::verb::head;
    const http_request request{std::string(message.method_string()), decode_path(message.target()),
                               std::string(message[http::field::range]), message.body()};
    handler_(request, [self = shared_from_this()](http_answer answer) { self->write(std::move(answer)); });
  }

  void write(http_answer answer) {
    file_ = std::move(answer.file);
    const std::uint64_t length = file_ ? file_->length : answer.body.size();
    const auto status = static_cast<http::status>(answer.status);
    out_ = fmt::format(
        "HTTP/1.1 {} {}\r\nServer: hasup-demo-node\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
        "Connection: {}\r\n",
        answer.status, std::string_view(http::obsolete_reason(status)), answer.type, length,
        keep_alive_ ? "keep-alive" : "close");
    for (const auto& [name, value] : answer.headers) out_ += name + ": " + value + "\r\n";
    out_ += "\r\n";
    if (head_only_)
      file_.reset();
    else
      out_ += answer.body;
    asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](error_code failed, std::size_t) {
      if (!failed) self->write_file();
    });
  }

  void write_file() {
    if (!file_ || file_->length == 0) return finish();
    chunk_.resize(std::min<std::uint64_t>(chunk_size, file_->length));
    const auto n = ::pread(file_->fd.get(), chunk_.data(), chunk_.size(), static_cast<off_t>(file_->offset));
    if (n <= 0) return close();  // the file became shorter: the client sees a cut transfer
    chunk_.resize(static_cast<std::size_t>(n));
    file_->offset += chunk_.size();
    file_->length -= chunk_.size();
    asio::async_write(socket_, asio::buffer(chunk_), [self = shared_from_this()](error_code failed, std::size_t) {
      if (!failed) self->pace();
    });
  }

  void pace() {
    if (file_->bytes_per_s == 0) return write_file();
    timer_.expires_after(std::chrono::microseconds(chunk_.size() * 1'000'000 / file_->bytes_per_s));
    timer_.async_wait([self = shared_from_this()](error_code failed) {
      if (!failed) self->write_file();
    });
  }

  void finish() {
    if (keep_alive_)
      read();
    else
      close();
  }

  void close() {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  http_handler handler_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::string out_;
  std::vector<char> chunk_;
  std::shared_ptr<file_part> file_;
  bool keep_alive_ = false;
  bool head_only_ = false;
};

}  // namespace

class http_service::listener : public std::enable_shared_from_this<listener> {
 public:
  listener(const asio::any_io_executor& executor, http_handler handler)
      : acceptor_(executor), handler_(std::move(handler)) {}

  base::result<void> open(const host_port& where) {
    error_code failed;
    const auto address = asio::ip::make_address(where.host, failed);
    if (failed) return base::error{"'" + where.host + "' is not a numeric address"};
    const tcp::endpoint endpoint(address, where.port);
    acceptor_.open(endpoint.protocol(), failed);
    if (!failed) acceptor_.set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed) acceptor_.bind(endpoint, failed);
    if (failed) return base::error{"bind: " + failed.message(), failed.value()};
    acceptor_.listen(tcp::acceptor::max_listen_connections, failed);
    if (failed) return base::error{"listen: " + failed.message(), failed.value()};
    return {};
  }

  void accept() {
    acceptor_.async_accept([self = shared_from_this()](error_code failed, tcp::socket socket) {
      if (!self->acceptor_.is_open()) return;
      if (!failed) std::make_shared<session>(std::move(socket), self->handler_)->read();
      self->accept();
    });
  }

  void close() {
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  tcp::acceptor acceptor_;
  http_handler handler_;
};

http_service::http_service(asio::any_io_executor executor) : executor_(std::move(executor)) {}
http_service::~http_service() {
  close();
}

base::result<void> http_service::listen(const host_port& where, http_handler handler) {
  listener_ = std::make_shared<listener>(executor_, std::move(handler));
  if (auto opened = listener_->open(where); !opened) {
    listener_.reset();
    return opened;
  }
  listener_->accept();
  return {};
}

void http_service::close() {
  if (listener_) listener_->close();
  listener_.reset();
}

base::result<base::unique_fd> occupy_port(const host_port& where) {
  base::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return base::errno_error("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(where.port);
  if (::inet_pton(AF_INET, where.host.c_str(), &address.sin_addr) != 1)
    return base::error{"'" + where.host + "' is not a numeric address"};
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return base::errno_error("bind");
  if (::listen(fd.get(), 16) != 0) return base::errno_error("listen");
  return fd;
}

}  // namespace hasup::demo
