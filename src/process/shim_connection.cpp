#include "process/shim_connection.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "process/shim_files.hpp"
#include "process/spawner.hpp"

namespace hasup::process {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using asio::local::stream_protocol;

namespace {

constexpr auto longest_retry = std::chrono::milliseconds(200);
constexpr auto patience = std::chrono::seconds(10);  // with a held claim that nobody answers for
constexpr int shim_is_busy = 75;

}  // namespace

void shim_connection::tell(const shim_event& event) {
  // A copy: the handler may close and free us.
  const auto handler = on_event_;
  if (handler) handler(event);
}

void shim_connection::emit(shim_event event) {
  asio::post(io_, [self = shared_from_this(), event = std::move(event)] { self->tell(event); });
}

void shim_connection::emit_unless_reopened(shim_event event) {
  asio::post(io_, [self = shared_from_this(), event = std::move(event), opening = openings_] {
    if (opening == self->openings_) self->tell(event);
  });
}

void shim_connection::open() {
  if (phase_ != phase::closed || !on_event_) return;
  phase_ = phase::opening;
  ++openings_;
  give_up_at_ = std::chrono::steady_clock::now() + patience;
  pause_ = first_retry;
  if (try_connect()) return;
  if (claimed()) return retry_later();
  spawn();
}

// By a descriptor of the socket's file, because its path may be longer than a socket address.
bool shim_connection::try_connect() {
  const base::unique_fd file = open_below(dirs_.run, "shim", name_ + ".sock", O_PATH);
  if (!file) return false;
  base::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  spawned_ = false;
  use(std::move(fd));
  return true;
}

void shim_connection::spawn() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return give_up(base::errno_error("cannot make a socket for the shim of " + name_).message);
  base::unique_fd ours(ends[0]);
  const base::unique_fd theirs(ends[1]);
  std::vector<std::string> argv = {dirs_.shim_program, "--state-dir", dirs_.state, "--run-dir",
                                   dirs_.run,          "--name",      name_};
  if (!dirs_.shim_cgroup.empty()) argv.insert(argv.end(), {"--cgroup", dirs_.shim_cgroup});
  const auto started = spawn_connected(
      io_, argv, theirs.get(), [self = shared_from_this(), epoch = epoch_ + 1](model::exit_status exit) {
        // Before its hello: another shim was quicker, or it cannot work at all.
        if (self->epoch_ != epoch || self->greeted_ || self->phase_ != phase::opening) return;
        self->drop_connection();
        if (exit.code == shim_is_busy) return self->retry_later();
        self->give_up(self->dirs_.shim_program + " ended with " + model::to_text(exit) +
                      " at its start; hasupd's own log says why");
      });
  if (started.has_error()) return give_up(started.error().message);
  spawned_ = true;
  use(std::move(ours));
}

void shim_connection::use(base::unique_fd fd) {
  ++epoch_;
  greeted_ = false;
  incoming_.clear();
  error_code ec;
  socket_.assign(stream_protocol(), fd.get(), ec);
  if (ec) return give_up("cannot watch the socket of " + name_ + ": " + ec.message());
  static_cast<void>(fd.release());
  read_more();
  // A shim that is stopped, or hangs on its disk, takes a connection but does not greet.
  retry_.expires_after(patience);
  retry_.async_wait([self = shared_from_this(), epoch = epoch_](error_code cancelled) {
    if (cancelled || self->epoch_ != epoch || self->greeted_ || self->phase_ != phase::opening) return;
    self->drop_connection();
    self->report_busy();
  });
}

void shim_connection::report_busy() {
  phase_ = phase::closed;
  outgoing_.clear();
  on_gone();
  const auto record = read_record(dirs_, name_);
  const auto pid = record && record->shim_pid != 0 ? ", pid " + std::to_string(record->shim_pid) + "," : "";
  emit_unless_reopened(
      shim_busy{"its shim" + pid +
                " holds the claim but does not answer: stopped, or waiting for a disk. What it keeps runs on, and "
                "commands wait for it. When it will not come back, end it with SIGKILL: a new one takes over"});
}

void shim_connection::retry_later() {
  if (std::chrono::steady_clock::now() >= give_up_at_) return report_busy();
  retry_.expires_after(pause_);
  pause_ = std::min(pause_ * 2, std::chrono::milliseconds(longest_retry));
  retry_.async_wait([self = shared_from_this()](error_code ec) {
    if (ec || self->phase_ != phase::opening) return;
    if (self->try_connect()) return;
    if (self->claimed()) return self->retry_later();
    self->spawn();
  });
}

void shim_connection::drop_connection() {
  ++epoch_;
  error_code ignored;
  socket_.close(ignored);
  writing_ = false;
  greeted_ = false;
}

void shim_connection::give_up(std::string text) {
  drop_connection();
  phase_ = phase::closed;
  outgoing_.clear();
  on_gone();
  emit_unless_reopened(shim_lost{read_record(dirs_, name_), std::move(text)});
}

void shim_connection::lose(std::string text) {
  const bool was_greeted = greeted_;
  if (was_greeted) return give_up(std::move(text));
  // It went before its hello. Of a shim that we started the exit tells more; another one may just be ending.
  if (spawned_) {
    error_code ignored;
    socket_.close(ignored);
    return;
  }
  drop_connection();
  retry_later();
}

void shim_connection::close() {
  on_event_ = nullptr;
  phase_ = phase::closed;
  retry_.cancel();
  drop_connection();
  outgoing_.clear();
  on_gone();
}

void shim_connection::send(std::string frame) {
  if (phase_ == phase::closed)
    return emit_unless_reopened(shim_lost{read_record(dirs_, name_), "the shim of " + name_ + " is not connected"});
  outgoing_.push_back(std::move(frame));
  if (phase_ == phase::connected) write_next();
}

void shim_connection::write_next() {
  if (writing_ || outgoing_.empty()) return;
  writing_ = true;
  auto frame = std::make_shared<std::string>(std::move(outgoing_.front()));
  outgoing_.pop_front();
  const auto bytes = asio::buffer(*frame);
  asio::async_write(socket_, bytes, [self = shared_from_this(), frame, epoch = epoch_](error_code ec, std::size_t) {
    if (self->epoch_ != epoch) return;
    self->writing_ = false;
    // The reading side hears of a loss as well, and says so.
    if (!ec) self->write_next();
  });
}

void shim_connection::read_more() {
  socket_.async_read_some(asio::buffer(buffer_),
                          [self = shared_from_this(), epoch = epoch_](error_code ec, std::size_t got) {
                            if (self->epoch_ != epoch) return;
                            if (ec) return self->lose("the shim of " + self->name_ + " is gone");
                            self->incoming_.append(self->buffer_.data(), got);
                            if (!self->take_frames())
                              return self->lose("the shim of " + self->name_ + " talks nonsense");
                            if (self->epoch_ == epoch) self->read_more();
                          });
}

bool shim_connection::take_frames() {
  std::size_t at = 0;
  while (incoming_.size() - at >= frame_header_size) {
    frame_header header{};
    memcpy(&header, incoming_.data() + at, sizeof header);
    if (header.magic != frame_magic || header.length > max_frame) return false;
    if (incoming_.size() - at - sizeof header < header.length) break;
    const shim_reply r = decode_reply(incoming_.data() + at + sizeof header, header.length);
    at += sizeof header + header.length;
    on_frame(static_cast<message>(header.type), r);
  }
  incoming_.erase(0, at);
  return true;
}

bool shim_connection::take_hello() {
  if (std::exchange(greeted_, true)) return false;
  retry_.cancel();
  return true;
}

void shim_connection::from_the_loop(std::function<void()> what) {
  asio::post(io_, [self = shared_from_this(), epoch = epoch_, what = std::move(what)] {
    if (self->epoch_ == epoch) what();
  });
}

void shim_connection::begin_to_send() {
  phase_ = phase::connected;
  write_next();
}

}  // namespace hasup::process
