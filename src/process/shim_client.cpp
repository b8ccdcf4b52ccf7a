// The client of one shim: connecting, framing, and the translation of what it says into events.
#include "process/shim_client.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <deque>
#include <utility>

#include "process/shim_files.hpp"
#include "process/shim_messages.hpp"
#include "process/spawner.hpp"

namespace hasup::process {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using asio::local::stream_protocol;

namespace {

constexpr auto first_retry = std::chrono::milliseconds(5);
constexpr auto longest_retry = std::chrono::milliseconds(200);
constexpr auto patience = std::chrono::seconds(10);  // with a held claim that nobody answers for
constexpr int shim_is_busy = 75;

}  // namespace

class shim_client::state : public std::enable_shared_from_this<state> {
 public:
  state(asio::io_context& io, directories dirs, std::string name, std::function<void(const shim_event&)> on_event)
      : io_(io),
        socket_(io),
        retry_(io),
        dirs_(std::move(dirs)),
        name_(std::move(name)),
        on_event_(std::move(on_event)) {}

  void open();
  void close();
  void run(const run_request& request);
  void signal(int number, bool whole_tree);
  void refresh_status(std::function<void(const shim_status&)> then);
  // Commands made of numbers only.
  template <class Fill>
  void command(message type, Fill fill) {
    std::string frame;
    string_sink sink{frame};
    command_writer w(sink, type);
    fill(w);
    if (w.finish()) send(std::move(frame));
  }
  [[nodiscard]] bool heeds(const run_request& request) const {
    const auto frame = encode(request);
    return !frame || (fields_of(*frame) & ~run_fields_) == 0;  // one that cannot be encoded is refused by run()
  }
  void expect_run(std::uint64_t run) { run_ = run; }

  [[nodiscard]] bool connected() const { return phase_ == phase::connected; }
  [[nodiscard]] const shim_status& status() const { return status_; }
  [[nodiscard]] bool claimed() const { return is_claimed(dirs_, name_); }

 private:
  enum class phase { closed, opening, connected };

  bool try_connect();
  void spawn();
  void retry_later();
  void report_busy();
  void use(base::unique_fd socket);
  void lose(std::string message);
  void give_up(std::string message);
  void drop_connection();

  void send(std::string frame);
  void write_next();
  void read_more();
  bool take_frames();
  void on_frame(message type, const shim_reply& r);
  void on_hello(const shim_reply& r);
  void greet(const shim_status& as_it_said);
  void on_error(const shim_reply& r);
  void on_already(const shim_reply& r);
  void signal_answered(const shim_reply& r);
  void signal_again();
  void remember(const shim_reply& r);
  // Always by way of the loop, so that no handler runs inside a call of its owner.
  void emit(shim_event event);
  // That there is no connection is nothing to tell to an owner that has asked for a new one since.
  void emit_unless_reopened(shim_event event);

  asio::io_context& io_;
  stream_protocol::socket socket_;
  asio::steady_timer retry_;
  directories dirs_;
  std::string name_;
  std::function<void(const shim_event&)> on_event_;
  phase phase_ = phase::closed;
  std::uint64_t epoch_ = 0;     // counts connections: what belongs to an older one is ignored
  std::uint64_t openings_ = 0;  // counts calls of open()
  bool greeted_ = false;
  bool spawned_ = false;  // this connection was given to a shim that we started
  std::chrono::steady_clock::time_point give_up_at_;
  std::chrono::milliseconds pause_{first_retry};
  std::deque<std::string> outgoing_;
  struct sent_signal {
    int number;
    bool whole_tree;
    bool lost;  // the connection went before the answer came
  };
  std::vector<sent_signal> unanswered_;
  bool writing_ = false;
  std::string incoming_;
  std::array<char, 4096> buffer_;
  shim_status status_;
  std::uint64_t run_ = 0;  // the run that commands are about
  std::uint64_t run_fields_ = first_run_fields;
  std::deque<std::function<void(const shim_status&)>> status_waiters_;
};

void shim_client::state::emit(shim_event event) {
  asio::post(io_, [self = shared_from_this(), event = std::move(event)] {
    // A copy: the handler may close and free us.
    const auto handler = self->on_event_;
    if (handler) handler(event);
  });
}

void shim_client::state::emit_unless_reopened(shim_event event) {
  asio::post(io_, [self = shared_from_this(), event = std::move(event), opening = openings_] {
    const auto handler = self->on_event_;
    if (handler && opening == self->openings_) handler(event);
  });
}

void shim_client::state::open() {
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
bool shim_client::state::try_connect() {
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

void shim_client::state::spawn() {
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

void shim_client::state::use(base::unique_fd fd) {
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

void shim_client::state::report_busy() {
  phase_ = phase::closed;
  outgoing_.clear();
  for (auto& s : unanswered_) s.lost = true;
  status_waiters_.clear();
  const auto record = read_record(dirs_, name_);
  const auto pid = record && record->shim_pid != 0 ? ", pid " + std::to_string(record->shim_pid) + "," : "";
  emit_unless_reopened(
      shim_busy{"its shim" + pid +
                " holds the claim but does not answer: stopped, or waiting for a disk. What it keeps runs on, and "
                "commands wait for it. When it will not come back, end it with SIGKILL: a new one takes over"});
}

void shim_client::state::retry_later() {
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

void shim_client::state::drop_connection() {
  ++epoch_;
  error_code ignored;
  socket_.close(ignored);
  writing_ = false;
  greeted_ = false;
}

void shim_client::state::give_up(std::string text) {
  drop_connection();
  phase_ = phase::closed;
  outgoing_.clear();
  for (auto& s : unanswered_) s.lost = true;
  status_waiters_.clear();
  emit_unless_reopened(shim_lost{read_record(dirs_, name_), std::move(text)});
}

void shim_client::state::lose(std::string text) {
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

void shim_client::state::close() {
  on_event_ = nullptr;
  phase_ = phase::closed;
  retry_.cancel();
  drop_connection();
  outgoing_.clear();
  status_waiters_.clear();
}

void shim_client::state::send(std::string frame) {
  if (phase_ == phase::closed)
    return emit_unless_reopened(shim_lost{read_record(dirs_, name_), "the shim of " + name_ + " is not connected"});
  outgoing_.push_back(std::move(frame));
  if (phase_ == phase::connected) write_next();
}

void shim_client::state::write_next() {
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

void shim_client::state::read_more() {
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

bool shim_client::state::take_frames() {
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

void shim_client::state::remember(const shim_reply& r) {
  if (!r.record) return;
  status_ = to_status(*r.record);
  run_ = std::max(run_, status_.run);
}

void shim_client::state::on_frame(message type, const shim_reply& r) {
  remember(r);
  switch (type) {
    case message::hello:
      return on_hello(r);
    case message::error:
      return on_error(r);
    case message::already:
      return on_already(r);
    case message::ok:
      return signal_answered(r);
    case message::started:
      signal_again();
      return emit(shim_started{r.run, status_.pid, status_.start_time});
    case message::exec_failed:
      return emit(
          shim_exec_failed{r.run, exec_error_text(static_cast<exec_stage>(r.stage), static_cast<int>(r.error_number)),
                           static_cast<int>(r.error_number)});
    case message::main_exited:
      return emit(shim_main_exited{r.run, status_.exit, status_.exited_at.value_or(base::wall_time{})});
    case message::tree_empty:
      return emit(shim_tree_empty{r.run, status_.logs_dropped});
    case message::logs_dropped:
      return emit(shim_logs_dropped{r.run, status_.logs_dropped});
    case message::status_is:
      if (status_waiters_.empty()) return;
      asio::post(io_, [self = shared_from_this(), then = std::move(status_waiters_.front()), status = status_] {
        if (self->on_event_) then(status);
      });
      status_waiters_.pop_front();
      return;
    default:
      return;
  }
}

void shim_client::state::on_hello(const shim_reply& r) {
  if (greeted_ || !r.record) return;
  greeted_ = true;
  run_fields_ = r.run_fields;
  retry_.cancel();
  run_ = status_.run;
  asio::post(io_, [self = shared_from_this(), epoch = epoch_, status = status_] {
    if (self->epoch_ == epoch) self->greet(status);
  });
}

// Connected is what the owner has been told to be: what it asks for before would be answered by a status that knows
// nothing of it.
void shim_client::state::greet(const shim_status& as_it_said) {
  phase_ = phase::connected;
  write_next();
  if (!as_it_said.tree_alive) unanswered_.clear();
  if (as_it_said.phase != shim_phase::orphaned) signal_again();  // else once it is attached to
  const auto handler = on_event_;
  if (handler) handler(shim_connected{as_it_said});
}

void shim_client::state::on_error(const shim_reply& r) {
  signal_answered(r);
  const auto command = static_cast<message>(r.command);
  if (command == message::run && static_cast<request_error>(r.error) == request_error::busy)
    return refresh_status([self = shared_from_this()](const shim_status& s) {
      self->run_ = s.run;
      const auto handler = self->on_event_;
      if (handler) handler(shim_connected{s});
    });
  if (command == message::run || command == message::attach)
    emit(shim_exec_failed{run_, refusal_text(r), static_cast<int>(r.error_number)});
}

// The request was carried out before; whoever asks again has missed what followed.
void shim_client::state::on_already(const shim_reply& r) {
  if (status_.phase == shim_phase::spawning) return;  // the events are still to come
  if (status_.phase == shim_phase::exec_failed)
    return emit(shim_exec_failed{r.run, status_.exec_error, r.record ? r.record->exec_errno : 0});
  emit(shim_started{r.run, status_.pid, status_.start_time});
  if (status_.phase == shim_phase::exited || status_.phase == shim_phase::tree_empty)
    emit(shim_main_exited{r.run, status_.exit, status_.exited_at.value_or(base::wall_time{})});
  if (status_.phase == shim_phase::tree_empty) emit(shim_tree_empty{r.run, status_.logs_dropped});
}

void shim_client::state::run(const run_request& request) {
  auto frame = encode(request);
  if (frame.has_error()) return emit(shim_exec_failed{request.run, frame.error().message, E2BIG});
  run_ = request.run;
  unanswered_.clear();
  send(std::move(*frame));
}

void shim_client::state::signal(int number, bool whole_tree) {
  unanswered_.push_back({number, whole_tree, phase_ == phase::closed});
  command(message::signal, [&](command_writer& w) {
    w.u32(tag::signal, static_cast<std::uint32_t>(number));
    w.u32(tag::whole_tree, whole_tree ? 1 : 0);
    w.u64(tag::run, run_);
  });
}

// Answers come in the order of commands.
void shim_client::state::signal_answered(const shim_reply& r) {
  if (static_cast<message>(r.command) != message::signal) return;
  const auto sent = std::find_if(unanswered_.begin(), unanswered_.end(), [](const auto& s) { return !s.lost; });
  if (sent != unanswered_.end()) unanswered_.erase(sent);
}

void shim_client::state::signal_again() {
  std::vector<sent_signal> again;
  for (const auto& s : unanswered_)
    if (s.lost) again.push_back(s);
  std::erase_if(unanswered_, [](const auto& s) { return s.lost; });
  for (const auto& s : again) signal(s.number, s.whole_tree);
}

void shim_client::state::refresh_status(std::function<void(const shim_status&)> then) {
  if (phase_ == phase::closed) return;
  status_waiters_.push_back(std::move(then));
  command(message::status, [](command_writer&) {});
}

shim_client::shim_client(asio::io_context& io, directories dirs, std::string name,
                         std::function<void(const shim_event&)> on_event)
    : state_(std::make_shared<state>(io, std::move(dirs), std::move(name), std::move(on_event))) {}

shim_client::~shim_client() {
  state_->close();
}

void shim_client::open() {
  state_->open();
}
void shim_client::close() {
  state_->close();
}
bool shim_client::connected() const {
  return state_->connected();
}
bool shim_client::claimed() const {
  return state_->claimed();
}
bool shim_client::heeds(const run_request& request) const {
  return state_->heeds(request);
}
const shim_status& shim_client::status() const {
  return state_->status();
}
void shim_client::run(const run_request& request) {
  state_->run(request);
}
void shim_client::signal(int number, bool whole_tree) {
  state_->signal(number, whole_tree);
}

void shim_client::attach(std::int32_t pid, std::uint64_t start_time, std::uint64_t run,
                         const std::vector<std::string>& data_dirs, const log_settings& log) {
  state_->expect_run(run);
  state_->command(message::attach, [&](command_writer& w) {
    w.u32(tag::pid, static_cast<std::uint32_t>(pid));
    w.u64(tag::start_time, start_time);
    w.u64(tag::run, run);
    for (const auto& dir : data_dirs) w.text(tag::data_dir, dir.c_str());
    if (log.path.empty()) return;
    w.text(tag::log_path, log.path.c_str());
    w.u64(tag::log_max_size, log.max_size);
    w.u32(tag::log_max_files, log.max_files);
    w.u32(tag::log_daily, log.daily ? 1 : 0);
  });
}

void shim_client::lease(std::uint64_t valid_until_boot_ms, lease_action action, int signal_number) {
  state_->command(message::lease, [&](command_writer& w) {
    w.u64(tag::lease_valid_until, valid_until_boot_ms);
    w.u32(tag::lease_action, static_cast<std::uint32_t>(action));
    w.u32(tag::lease_signal, static_cast<std::uint32_t>(signal_number));
  });
}

void shim_client::refresh_status(std::function<void(const shim_status&)> then) {
  state_->refresh_status(std::move(then));
}

void shim_client::exit_shim() {
  state_->command(message::exit, [](command_writer&) {});
}

}  // namespace hasup::process
