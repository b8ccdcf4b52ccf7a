// Asks one HTTP endpoint again and again: what a follower does with the node that it follows.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "demo/node/arguments.hpp"

namespace hasup::demo {

struct poll_question {
  host_port where;
  std::string path = "/";
  std::string body;  // "" = GET, else POST
};

// The body of a 200, or nothing when it was not to be had within two seconds.
using poll_answer = std::function<void(std::optional<std::string>)>;

// Asks once.
void ask_http(const boost::asio::any_io_executor& executor, poll_question question, poll_answer answer);

// Asks at once and then `interval` after each answer, until it is destroyed.
class http_poll {
 public:
  http_poll(boost::asio::any_io_executor executor, poll_question question, std::chrono::milliseconds interval,
            poll_answer answer);
  ~http_poll();

 private:
  class loop;
  std::shared_ptr<loop> loop_;
};

}  // namespace hasup::demo
