// What the checks of one probe keep between two askings.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "probe/answer.hpp"
#include "probe/log_lines.hpp"
#include "probe/port_owner.hpp"

namespace hasup::probe {

using stream_socket = boost::asio::generic::stream_protocol::socket;

// An open connection, of TCP or a Unix socket, with TLS over it or not.
struct connection {
  stream_socket socket;
  std::optional<boost::asio::ssl::stream<stream_socket&>> tls;
  std::string place;    // whom it reached: "127.0.0.1:8888"
  std::string note;     // about its owner; "" = none
  std::string purpose;  // whom it was opened for; it serves nobody else
  bool reused = false;

  explicit connection(stream_socket s) : socket(std::move(s)) {}
};

struct check_memory {
  answer_memory growth;
  log_memory log;
  owner_finding owner;
  std::unique_ptr<connection> idle;  // kept alive, nothing under way on it
};

struct session_state {
  std::vector<check_memory> checks;  // by the index of the check
};

}  // namespace hasup::probe
