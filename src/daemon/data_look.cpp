#include "daemon/data_look.hpp"

#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "base/unique_fd.hpp"
#include "ports/worker_job.hpp"
#include "process/spawner.hpp"

namespace hasup::daemon {
namespace {

namespace asio = boost::asio;
using error_code = boost::system::error_code;

constexpr std::size_t answer_limit = 1 << 20;

using handler = std::function<void(ports::worker_result)>;
using answered = std::function<void(base::result<ports::worker_result>)>;

}  // namespace

// One worker.
struct data_look::looker : std::enable_shared_from_this<looker> {
  explicit looker(asio::io_context& loop) : socket(loop) {}

  asio::local::stream_protocol::socket socket;
  std::string question;
  std::string answer;

  base::result<void> start(asio::io_context& loop, const std::string& program) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      return base::errno_error("cannot make a socket for " + program);
    base::unique_fd ours(ends[0]);
    const base::unique_fd theirs(ends[1]);
    const auto pid = process::spawn_connected(loop, {program, "--look"}, theirs.get(), [](model::exit_status) {});
    if (!pid) return pid.error();
    error_code ec;
    socket.assign(asio::local::stream_protocol(), ours.get(), ec);
    if (ec) return base::error{"cannot ask " + program + ": " + ec.message()};
    static_cast<void>(ours.release());  // it is the socket's now
    return {};
  }

  void ask(std::string what, answered then) {
    question = std::move(what);
    asio::async_write(socket, asio::buffer(question),
                      [self = shared_from_this(), then = std::move(then)](error_code ec, std::size_t) {
                        if (ec) return then(base::error{ec.message()});
                        self->read(then);
                      });
  }

  void read(answered then) {
    answer.clear();
    asio::async_read_until(socket, asio::dynamic_buffer(answer, answer_limit), '\n',
                           [self = shared_from_this(), then = std::move(then)](error_code ec, std::size_t) {
                             if (ec) return then(base::error{ec.message()});
                             then(ports::decode_result(self->answer));
                           });
  }
};

struct data_look::lookers : std::enable_shared_from_this<lookers> {
  lookers(asio::io_context& l, std::string p) : loop(l), program(std::move(p)) {}

  asio::io_context& loop;
  std::string program;
  std::shared_ptr<looker> waiting;

  void ask(const std::string& question, const handler& done) {
    if (const auto who = std::exchange(waiting, nullptr)) return put(who, question, done, true);
    ask_new(question, done);
  }

  void ask_new(const std::string& question, const handler& done) {
    const auto who = std::make_shared<looker>(loop);
    const auto started = who->start(loop, program);
    if (started) return put(who, question, done, false);
    asio::post(loop, [done, why = started.error().message] { done(ports::internal_failure(why)); });
  }

  void put(const std::shared_ptr<looker>& who, const std::string& question, const handler& done, bool had_waited) {
    who->ask(question,
             [self = shared_from_this(), who, question, done, had_waited](base::result<ports::worker_result> answer) {
               if (!answer && had_waited) return self->ask_new(question, done);  // it was killed while it waited
               if (!answer)
                 return done(ports::internal_failure(self->program + " ended without an answer (" +
                                                     answer.error().message + ")"));
               if (!self->waiting) self->waiting = who;
               done(std::move(*answer));
             });
  }
};

data_look::data_look(asio::io_context& loop, std::string worker_program)
    : lookers_(std::make_shared<lookers>(loop, std::move(worker_program))) {}

data_look::~data_look() = default;

void data_look::ask(ports::worker_job job, std::function<void(ports::worker_result)> done) {
  job.result_path = "-";
  lookers_->ask(ports::encode(job) + "\n", done);
}

}  // namespace hasup::daemon
