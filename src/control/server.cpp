// The control server: accepts on the Unix socket, answers requests, hands followers their stream.
#include "control/server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <set>

#include "base/unique_fd.hpp"
#include "control/command.hpp"
#include "control/follower.hpp"
#include "control/routes.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using local = asio::local::stream_protocol;

namespace hasup::control {
namespace {

constexpr std::uint32_t header_limit = 8 * 1024;

// What every connection needs of the server; outlives it, so that a late callback finds `open` false.
struct shared {
  server_options options;
  service* of = nullptr;  // null once closed
  std::set<std::shared_ptr<follower>> followers;
  std::size_t connections = 0;
  std::size_t unanswered = 0;  // of them: those that wait for an answer
};

http::status status_of(exit_code code) {
  switch (code) {
    case exit_code::done:
      return http::status::ok;
    case exit_code::usage:
      return http::status::bad_request;
    case exit_code::no_such_unit:
      return http::status::not_found;
    case exit_code::permission_denied:
      return http::status::forbidden;
    case exit_code::invalid_configuration:
      return http::status::unprocessable_entity;
    case exit_code::failed:
    case exit_code::not_healthy:
    case exit_code::daemon_unreachable:
      break;
  }
  return http::status::conflict;
}

peer peer_of(local::socket& s) {
  ucred c{};
  socklen_t size = sizeof c;
  if (::getsockopt(s.native_handle(), SOL_SOCKET, SO_PEERCRED, &c, &size) != 0)
    return {static_cast<uid_t>(-1), static_cast<gid_t>(-1), 0};
  return {c.uid, c.gid, c.pid};
}

// One connection: reads a request, answers it, reads the next.
class connection : public std::enable_shared_from_this<connection> {
 public:
  connection(local::socket s, std::shared_ptr<shared> common)
      : peer_(peer_of(s)), stream_(std::move(s)), common_(std::move(common)) {
    ++common_->connections;
    owe(true);  // whoever connects is about to ask
  }
  ~connection() {
    owe(false);
    --common_->connections;
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(header_limit);
    parser_->body_limit(common_->options.body_limit);
    stream_.expires_after(common_->options.idle_timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code ec, std::size_t) { self->on_read(ec); });
  }

  void refuse(http::status status, std::string_view error) {
    keep_alive_ = false;
    respond(status, encode_error(error));
  }

  void close() {
    owe(false);
    beast::error_code ignored;
    stream_.socket().shutdown(local::socket::shutdown_both, ignored);
    stream_.socket().close(ignored);
  }

 private:
  void owe(bool an_answer) {
    if (std::exchange(owes_, an_answer) == an_answer) return;
    if (an_answer)
      ++common_->unanswered;
    else
      --common_->unanswered;
  }

  void on_read(beast::error_code ec) {
    if (!common_->of) return close();
    if (ec == http::error::body_limit)
      return refuse(http::status::payload_too_large,
                    fmt::format("the body is larger than {} bytes", common_->options.body_limit));
    if (ec == http::error::header_limit)
      return refuse(http::status::request_header_fields_too_large, "the header is too large");
    if (ec && ec.category() == http::make_error_code(http::error::bad_method).category() &&
        ec != http::error::end_of_stream && ec != http::error::partial_message)
      return refuse(http::status::bad_request, "not a valid HTTP request: " + ec.message());
    if (ec) return close();
    owe(true);
    keep_alive_ = parser_->get().keep_alive();
    dispatch(
        parse_route(std::string_view(parser_->get().method_string()), std::string_view(parser_->get().target())));
  }

  void dispatch(const route& r) {
    auto& of = *common_->of;
    switch (r.is) {
      case route::kind::rejected:
        return respond(static_cast<http::status>(r.http_status), encode_error(r.error));
      case route::kind::status:
        return respond(http::status::ok, encode(of.status()));
      case route::kind::unit: {
        auto json = of.unit_json(r.name);
        if (json.empty()) return respond(http::status::not_found, encode_error("no unit \"" + r.name + "\""));
        return respond(http::status::ok, std::move(json));
      }
      case route::kind::events:
        return events(r);
      case route::kind::follow:
        return follow(r);
      case route::kind::logs:
        return logs(r);
      case route::kind::unit_command:
        return unit_command(r);
      case route::kind::command: {
        const auto c = decode_command(parser_->get().body());
        if (!c) return respond(http::status::bad_request, encode_error(c.error().message));
        return execute(*c);
      }
    }
  }

  void events(const route& r) {
    // A filter is applied to a larger page, so that n of the wanted unit are found where they are not too old.
    auto all = common_->of->events_since(r.since.value_or(0), r.filter.empty() ? r.count : max_count);
    std::erase_if(all, [&](const event& e) { return !concerns(e, r.filter); });
    if (all.size() > r.count) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(r.count));
    respond(http::status::ok, encode(all));
  }

  void follow(const route& r) {
    const auto& o = common_->options;
    owe(false);
    stream_.expires_never();
    auto f = std::make_shared<follower>(
        stream_.release_socket(), r.filter, follower_limits{o.follower_limit, o.keep_alive, o.idle_timeout},
        [common = std::weak_ptr(common_)](follower* gone) {
          if (const auto c = common.lock())
            std::erase_if(c->followers, [gone](const auto& one) { return one.get() == gone; });
        });
    common_->followers.insert(f);
    f->start(r.since ? common_->of->events_since(*r.since, o.follower_limit) : std::vector<event>{});
  }

  void logs(const route& r) {
    common_->of->read_log({r.name, r.count}, [self = shared_from_this(), answered = false](log_reply l) mutable {
      if (std::exchange(answered, true)) return;
      if (l.code != exit_code::done) return self->respond(status_of(l.code), encode_error(l.message));
      self->respond(http::status::ok, std::move(l.text), "text/plain; charset=utf-8");
    });
  }

  void unit_command(const route& r) {
    auto options = decode_options(parser_->get().body());
    if (!options) return respond(http::status::bad_request, encode_error(options.error().message));
    command c;
    c.verb = r.verb;
    if (!r.name.empty()) c.targets.push_back(r.name);
    c.all = r.all;
    c.options = std::move(*options);
    execute(c);
  }

  void execute(const command& c) {
    common_->of->execute_async(c, peer_, [self = shared_from_this(), answered = false](command_reply reply) mutable {
      if (std::exchange(answered, true)) return;
      self->respond(status_of(reply.code), encode(reply));
    });
  }

  void respond(http::status status, std::string body, std::string_view type = "application/json") {
    response_.emplace(status, 11);
    response_->set(http::field::server, "hasupd");
    response_->set(http::field::content_type, beast::string_view(type.data(), type.size()));
    response_->set(http::field::cache_control, "no-store");
    response_->keep_alive(keep_alive_);
    response_->body() = std::move(body);
    response_->prepare_payload();
    stream_.expires_after(common_->options.idle_timeout);
    http::async_write(stream_, *response_, [self = shared_from_this()](beast::error_code ec, std::size_t) {
      self->owe(false);
      if (ec) return self->close();
      if (self->keep_alive_) return self->read();
      self->linger();
    });
  }

  // Ends a connection whose request was not read to its end: first the answer must arrive, so what still comes in is
  // read and thrown away until the peer closes or the time is over.
  void linger() {
    beast::error_code ignored;
    stream_.socket().shutdown(local::socket::shutdown_send, ignored);
    stream_.expires_after(std::min(common_->options.idle_timeout, base::duration{2'000}));
    discard();
  }
  void discard() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(16 * 1024),
                            [self = shared_from_this()](beast::error_code ec, std::size_t) {
                              if (ec) return self->close();
                              self->discard();
                            });
  }

  peer peer_;
  beast::basic_stream<local, asio::any_io_executor> stream_;
  std::shared_ptr<shared> common_;
  beast::flat_buffer buffer_{header_limit + (2 << 20)};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  bool keep_alive_ = false;
  bool owes_ = false;
};

}  // namespace

class server::impl : public std::enable_shared_from_this<impl> {
 public:
  impl(asio::io_context& io, base::unique_fd directory, base::unique_fd listening, std::shared_ptr<shared> common)
      : directory_(std::move(directory)), acceptor_(io), retry_(io), common_(std::move(common)) {
    acceptor_.assign(local(), listening.release());
  }

  void accept() {
    if (paused_) return;
    acceptor_.async_accept([self = shared_from_this()](boost::system::error_code ec, local::socket s) {
      if (ec == asio::error::operation_aborted || !self->common_->of) return;
      if (ec) return self->accept_later();
      self->begin(std::move(s));
      self->accept();
    });
  }

  void pause() {
    paused_ = true;
    boost::system::error_code ignored;
    acceptor_.cancel(ignored);
    retry_.cancel();
  }

  void resume() {
    if (std::exchange(paused_, false)) accept();
  }

  void publish(const event& e) {
    if (common_->followers.empty()) return;
    const auto line = encode(e);
    // A follower that falls behind leaves the set meanwhile.
    const std::vector<std::shared_ptr<follower>> now(common_->followers.begin(), common_->followers.end());
    for (const auto& f : now) f->publish(e, line);
  }

  void close() {
    if (!common_->of) return;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    ::unlinkat(directory_.get(), common_->options.name.c_str(), 0);
    end_connections();
  }

  base::unique_fd hand_over() {
    if (!common_->of) return {};
    base::unique_fd listening(acceptor_.release());
    end_connections();
    return listening;
  }

  [[nodiscard]] std::size_t connections() const { return common_->connections + common_->followers.size(); }
  [[nodiscard]] std::size_t unanswered() const { return common_->unanswered; }

 private:
  void end_connections() {
    common_->of = nullptr;
    retry_.cancel();
    for (const auto& weak : connections_)
      if (const auto c = weak.lock()) c->close();
    connections_.clear();
    const auto followers = std::exchange(common_->followers, {});
    for (const auto& f : followers) f->close();
  }

  void begin(local::socket s) {
    std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
    const bool full = connections() >= common_->options.connection_limit;
    auto c = std::make_shared<connection>(std::move(s), common_);
    connections_.push_back(c);
    if (full)
      c->refuse(http::status::service_unavailable, "too many connections");
    else
      c->read();
  }

  // Out of descriptors, most likely: the next try waits, so that the loop does not spin.
  void accept_later() {
    retry_.expires_after(std::chrono::milliseconds(200));
    retry_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
      if (!ec && self->common_->of) self->accept();
    });
  }

  base::unique_fd directory_;
  local::acceptor acceptor_;
  asio::steady_timer retry_;
  std::shared_ptr<shared> common_;
  std::vector<std::weak_ptr<connection>> connections_;
  bool paused_ = false;
};

namespace {

// Bound by way of the directory's descriptor, so that the length of its path does not matter. The umask gives the
// mode from the first moment on.
base::result<base::unique_fd> listen_in(int directory, const server_options& o) {
  base::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return base::errno_error("create the control socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto path = fmt::format("/proc/self/fd/{}/{}", directory, o.name);
  if (path.size() >= sizeof address.sun_path)
    return base::error{"the name of the control socket is too long: " + o.name};
  path.copy(address.sun_path, path.size());

  if (::unlinkat(directory, o.name.c_str(), 0) != 0 && errno != ENOENT)
    return base::errno_error(fmt::format("replace {}/{}", o.directory, o.name));
  const auto before = ::umask(static_cast<mode_t>(~o.mode & 0777));
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int code = errno;
  ::umask(before);
  if (bound != 0) return base::errno_error(fmt::format("create {}/{}", o.directory, o.name), code);
  if (o.gid && ::fchownat(directory, o.name.c_str(), static_cast<uid_t>(-1), *o.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return base::errno_error(fmt::format("give {}/{} to group {}", o.directory, o.name, *o.gid));
  if (::listen(fd.get(), 128) != 0) return base::errno_error("listen on the control socket");
  return fd;
}

}  // namespace

base::result<std::unique_ptr<server>> server::open(asio::io_context& io, const server_options& options, service& of,
                                                   base::unique_fd inherited) {
  base::unique_fd directory(::open(options.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return base::errno_error("open the runtime directory " + options.directory);
  base::result<base::unique_fd> listening = std::move(inherited);
  if (!*listening) listening = listen_in(directory.get(), options);
  if (!listening) return listening.error();
  auto common = std::make_shared<shared>();
  common->options = options;
  common->of = &of;
  auto i = std::make_shared<impl>(io, std::move(directory), std::move(*listening), std::move(common));
  i->accept();
  return std::unique_ptr<server>(new server(std::move(i)));
}

server::server(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
server::~server() {
  impl_->close();
}
void server::publish(const event& e) {
  impl_->publish(e);
}
void server::close() {
  impl_->close();
}
void server::pause() {
  impl_->pause();
}
void server::resume() {
  impl_->resume();
}
std::size_t server::unanswered() const {
  return impl_->unanswered();
}
base::unique_fd server::hand_over() {
  return impl_->hand_over();
}
std::size_t server::connections() const {
  return impl_->connections();
}

}  // namespace hasup::control
