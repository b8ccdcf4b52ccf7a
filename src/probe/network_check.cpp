#include "probe/network_check.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/http/error.hpp>

namespace hasup::probe {
namespace {

namespace ip = boost::asio::ip;

struct names_found {
  std::string error;
  std::vector<ip::address> addresses;
};

// Blocks as long as the machine's name service likes; on the lane only.
names_found look_up_name(const std::string& host) {
  names_found out;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* all = nullptr;
  if (const int e = ::getaddrinfo(host.c_str(), nullptr, &hints, &all); e != 0) {
    out.error = ::gai_strerror(e);
    return out;
  }
  for (const addrinfo* a = all; a != nullptr; a = a->ai_next) {
    ip::tcp::endpoint endpoint;
    if (a->ai_addrlen > endpoint.capacity()) continue;
    std::copy_n(reinterpret_cast<const char*>(a->ai_addr), a->ai_addrlen, reinterpret_cast<char*>(endpoint.data()));
    out.addresses.push_back(endpoint.address());
  }
  ::freeaddrinfo(all);
  return out;
}

listen_address as_listen_address(const ip::tcp::endpoint& e) {
  listen_address out;
  out.port = e.port();
  if (e.address().is_v4()) {
    const auto raw = e.address().to_v4().to_bytes();
    out.ip.assign(raw.begin(), raw.end());
  } else {
    const auto raw = e.address().to_v6().to_bytes();
    out.ip.assign(raw.begin(), raw.end());
  }
  return out;
}

std::string place_of(const ip::address& a, std::uint16_t port) {
  return (a.is_v6() ? "[" + a.to_string() + "]" : a.to_string()) + ":" + std::to_string(port);
}

}  // namespace

check_result connect_failure(boost::system::error_code ec, const std::string& place) {
  check_result r;
  r.out = outcome::failed;
  switch (ec.value()) {
    case ECONNREFUSED:
      r.reason = "connection refused by " + place;
      break;
    case ENOENT:
      r.reason = "no socket at " + place;
      break;
    case EAGAIN:  // Unix sockets only
      r.reason = "the queue of connections at " + place + " is full";
      break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
      r.out = outcome::unknown;
      r.reason = "cannot connect to " + place + " from here: " + ec.message();
      break;
    default:
      r.reason = "no connection to " + place + ": " + ec.message();
  }
  return r;
}

std::optional<std::string> end_of_connection(boost::system::error_code ec, const std::string& place, bool began) {
  namespace http = boost::beast::http;
  namespace asio = boost::asio;
  if (ec == http::error::end_of_stream || ec == asio::error::eof || ec == asio::ssl::error::stream_truncated) {
    return place + " closed the connection without an answer";
  }
  if (ec == http::error::partial_message) return place + " closed the connection in the middle of its answer";
  if (ec == asio::error::connection_reset || ec == asio::error::broken_pipe) {
    return "connection reset by " + place + (began ? " in the middle of its answer" : "");
  }
  // One that wants a certificate says so only after the handshake.
  if (ec.category() == asio::error::get_ssl_category()) return place + " ended TLS: " + ec.message();
  return std::nullopt;
}

void network_check::connect() {
  refusal_ = {};
  if (!to_.unix_path.empty()) return try_unix();
  boost::system::error_code ec;
  const ip::address numeric = ip::make_address(to_.host, ec);
  if (!ec) return looked_up({}, {numeric});
  // By its definition it needs no lookup; most nodes listen on v4 only.
  if (to_.host == "localhost") return looked_up({}, {ip::address_v4::loopback(), ip::address_v6::loopback()});
  look_up();
}

void network_check::look_up() {
  phase_ = phase::looking_up;
  std::weak_ptr<check_run> weak = weak_from_this();
  tools().names.run([weak, host = to_.host]() -> lane::answer {
    if (weak.expired()) return [] {};  // cancelled while it waited in the queue
    auto found = std::make_shared<names_found>(look_up_name(host));
    return [weak, found] {
      const auto self = weak.lock();
      if (!self || self->ended()) return;
      static_cast<network_check&>(*self).looked_up(found->error, std::move(found->addresses));
    };
  });
}

void network_check::looked_up(const std::string& error, std::vector<ip::address> found) {
  if (!error.empty()) return finish(outcome::failed, "cannot look up the name " + to_.host + ": " + error);
  addresses_ = std::move(found);
  std::reverse(addresses_.begin(), addresses_.end());
  try_next();
}

void network_check::try_next() {
  if (addresses_.empty()) {
    if (refusal_.reason.empty()) refusal_ = result_of(outcome::failed, "the name " + to_.host + " has no address");
    return finish(refusal_);
  }
  current_ = addresses_.back();
  addresses_.pop_back();
  phase_ = phase::connecting;
  const endpoint at(ip::tcp::endpoint(current_, to_.port));
  opening_ = std::make_unique<connection>(stream_socket(tools().io));
  boost::system::error_code ec;
  opening_->socket.open(at.protocol(), ec);
  if (ec) return on_connect(ec);
  opening_->socket.set_option(ip::tcp::no_delay(true), ec);
  opening_->socket.async_connect(at, [self = shared_from_this()](boost::system::error_code result) {
    auto& me = static_cast<network_check&>(*self);
    if (!me.ended()) me.on_connect(result);
  });
}

void network_check::try_unix() {
  namespace local = boost::asio::local;
  phase_ = phase::connecting;
  std::string path = to_.unix_path;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    const auto slash = path.rfind('/');
    directory_.reset(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory_) return finish(connect_failure({errno, boost::system::system_category()}, to_.place()));
    path = "/proc/self/fd/" + std::to_string(directory_.get()) + path.substr(slash);
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      return finish(outcome::unknown, "the name of the socket " + to_.unix_path + " is too long");
    }
  }
  const endpoint at{local::stream_protocol::endpoint(path)};
  opening_ = std::make_unique<connection>(stream_socket(tools().io));
  boost::system::error_code ec;
  opening_->socket.open(at.protocol(), ec);
  if (ec) return on_connect(ec);
  opening_->socket.async_connect(at, [self = shared_from_this()](boost::system::error_code result) {
    auto& me = static_cast<network_check&>(*self);
    if (!me.ended()) me.on_connect(result);
  });
}

std::string network_check::current_place() const {
  return to_.unix_path.empty() ? place_of(current_, to_.port) : to_.place();
}

void network_check::on_connect(boost::system::error_code ec) {
  // A full queue of a Unix socket is EAGAIN, which the reactor takes for "connecting": only the peer's name tells.
  if (!ec && !to_.unix_path.empty()) opening_->socket.remote_endpoint(ec);
  if (ec == boost::asio::error::not_connected) {
    ec = {EAGAIN, boost::system::system_category()};
  }
  if (ec) {
    opening_.reset();
    if (refusal_.reason.empty()) refusal_ = connect_failure(ec, current_place());
    return try_next();
  }
  opening_->place = current_place();
  const auto owner =
      check().owner.value_or(current_.is_loopback() ? model::port_owner::unit : model::port_owner::any);
  if (!to_.unix_path.empty() || whom().main_pid == 0 || owner == model::port_owner::any) return greet();
  ask_owner();
}

void network_check::ask_owner() {
  phase_ = phase::asking_owner;
  std::weak_ptr<check_run> weak = weak_from_this();
  const auto at = as_listen_address(ip::tcp::endpoint(current_, to_.port));
  const auto pid = whom().main_pid;
  tools().owners.run([weak, at, pid, before = memory().owner]() -> lane::answer {
    if (weak.expired()) return [] {};
    auto found = std::make_shared<owner_finding>(find_owner(at, pid, before));
    return [weak, found] {
      const auto self = weak.lock();
      if (!self || self->ended()) return;
      static_cast<network_check&>(*self).on_owner(*found);
    };
  });
}

void network_check::on_owner(const owner_finding& finding) {
  memory().owner = finding;
  const std::string port = "port " + std::to_string(to_.port);
  switch (finding.who) {
    case ownership::unit:
      break;
    case ownership::unreadable:
      opening_->note = "the owner of " + port + " could not be checked: " + finding.note;
      break;
    case ownership::stranger:
      return finish(outcome::failed, port + " belongs to " + finding.stranger + ", not to this unit");
    case ownership::nobody:
      return finish(outcome::failed,
                    port + " answers, but no process of this machine listens there, so not this unit; " +
                        "set port_owner = \"any\" if that is as it should be");
  }
  greet();
}

void network_check::greet() {
  if (!to_.tls) return give();
  namespace ssl = boost::asio::ssl;
  phase_ = phase::greeting;
  const auto context = tools().tls.of(check());
  if (!context) return finish(outcome::unknown, context.error().message);
  boost::system::error_code ec;
  opening_->tls.emplace(opening_->socket, **context);
  SSL* tls = opening_->tls->native_handle();
  ip::make_address(to_.host, ec);
  const bool named = static_cast<bool>(ec);
  const bool set =
      named ? SSL_set_tlsext_host_name(tls, to_.host.c_str()) == 1 && SSL_set1_host(tls, to_.host.c_str()) == 1
            : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), to_.host.c_str()) == 1;
  if (!set) return finish(outcome::unknown, "TLS cannot be set up for " + to_.host);
  opening_->tls->async_handshake(ssl::stream_base::client,
                                 [self = shared_from_this()](boost::system::error_code result) {
                                   auto& me = static_cast<network_check&>(*self);
                                   if (!me.ended()) me.on_greeted(result);
                                 });
}

void network_check::on_greeted(boost::system::error_code ec) {
  if (!ec) return give();
  const long verdict = SSL_get_verify_result(opening_->tls->native_handle());
  if (verdict != X509_V_OK) {
    return finish(outcome::failed, "the certificate of " + opening_->place +
                                       " is not trusted: " + X509_verify_cert_error_string(verdict));
  }
  finish(outcome::failed, "no TLS with " + opening_->place + ": " + ec.message());
}

// A kept connection must not outlive what was checked when it was opened.
std::string network_check::purpose() const {
  const auto owner = check().owner ? std::string(model::port_owner_names.text(*check().owner)) : "";
  return std::string(to_.tls ? "tls " : "") + to_.place() + " " + owner + " " + std::to_string(whom().main_pid);
}

void network_check::give() {
  phase_ = phase::connected;
  opening_->purpose = purpose();
  connected(std::move(opening_));
}

void network_check::abandon() {
  if (!opening_) return;
  boost::system::error_code ec;
  opening_->socket.close(ec);
}

check_result network_check::late(const std::string& limit) {
  switch (phase_) {
    case phase::looking_up:
      return result_of(outcome::failed, "the lookup of the name " + to_.host + " took longer than " + limit);
    case phase::asking_owner:
      return result_of(outcome::unknown,
                       "who owns port " + std::to_string(to_.port) + " could not be found out within " + limit);
    case phase::greeting:
      return result_of(outcome::failed, "no TLS with " + opening_->place + " within " + limit);
    case phase::connecting:
    case phase::connected:
      break;
  }
  return result_of(outcome::failed, "no connection to " + current_place() + " within " + limit);
}

}  // namespace hasup::probe
