// The stream of events to one reader.
#include "control/follower.hpp"

#include <boost/asio/write.hpp>

namespace asio = boost::asio;

namespace hasup::control {
namespace {

std::string frame(const event& e, const std::string& line) {
  return "id: " + std::to_string(e.seq) + "\nevent: " + e.kind + "\ndata: " + line + "\n\n";
}

}  // namespace

follower::follower(socket s, std::string filter, follower_limits limits, std::function<void(follower*)> gone)
    : socket_(std::move(s)),
      timer_(socket_.get_executor()),
      filter_(std::move(filter)),
      limits_(limits),
      gone_(std::move(gone)) {}

void follower::start(const std::vector<event>& backlog) {
  std::string bytes =
      "HTTP/1.1 200 OK\r\nServer: hasupd\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "Connection: close\r\n\r\n";
  for (const auto& e : backlog) {
    last_seq_ = e.seq;
    if (concerns(e, filter_)) bytes += frame(e, encode(e));
  }
  send(std::move(bytes));
  watch();
  tick();
}

void follower::publish(const event& e, const std::string& line) {
  if (closed_ || e.seq <= last_seq_) return;
  last_seq_ = e.seq;
  if (!concerns(e, filter_)) return;
  if (queue_.size() > limits_.events) return close();
  send(frame(e, line));
}

void follower::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  if (gone_) std::exchange(gone_, nullptr)(this);
}

void follower::send(std::string bytes) {
  queue_.push_back(std::move(bytes));
  if (!writing_) write_next();
}

void follower::write_next() {
  writing_ = true;
  write_began_ = std::chrono::steady_clock::now();
  asio::async_write(socket_, asio::buffer(queue_.front()),
                    [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                      self->writing_ = false;
                      if (self->closed_) return;
                      if (ec) return self->close();
                      self->queue_.pop_front();
                      if (!self->queue_.empty()) self->write_next();
                    });
}

void follower::watch() {
  socket_.async_read_some(asio::buffer(ignored_),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                            if (ec) return self->close();
                            self->watch();
                          });
}

void follower::tick() {
  timer_.expires_after(limits_.keep_alive);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
    if (ec || self->closed_) return;
    if (self->writing_) {
      if (std::chrono::steady_clock::now() - self->write_began_ > self->limits_.stall) return self->close();
    } else {
      self->send(": alive\n\n");
    }
    self->tick();
  });
}

}  // namespace hasup::control
