// A small HTTP/1.1 server on the event loop: one handler for all paths, answers that may come later, file ranges.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "demo/node/arguments.hpp"

namespace hasup::demo {

struct http_request {
  std::string method;
  std::string path;   // decoded, without the query
  std::string range;  // the Range header, "" = none
  std::string body;
};

// A part of a file that follows the headers instead of `body`.
struct file_part {
  base::unique_fd fd;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t bytes_per_s = 0;  // 0 = as fast as it goes
};

struct http_answer {
  unsigned status = 200;
  std::string type = "application/json";
  std::map<std::string, std::string> headers;
  std::string body;
  std::shared_ptr<file_part> file;
};

using http_reply = std::function<void(http_answer)>;  // to be called once, now or later
using http_handler = std::function<void(const http_request&, http_reply)>;

class http_service {
 public:
  explicit http_service(boost::asio::any_io_executor executor);
  ~http_service();

  // Binds and serves; the error is the system's ("bind: Address already in use").
  base::result<void> listen(const host_port& where, http_handler handler);
  void close();

 private:
  class listener;
  boost::asio::any_io_executor executor_;
  std::shared_ptr<listener> listener_;
};

// A listening TCP socket that only occupies its port (p2p, state history).
base::result<base::unique_fd> occupy_port(const host_port& where);

}  // namespace hasup::demo
