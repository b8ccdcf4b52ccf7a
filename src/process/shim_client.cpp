// The client of one shim: its commands, and the translation of what it says into events.
#include "process/shim_client.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <deque>
#include <utility>

#include "process/shim_connection.hpp"
#include "process/shim_files.hpp"
#include "process/shim_messages.hpp"

namespace hasup::process {

namespace asio = boost::asio;

class shim_client::state : public shim_connection {
 public:
  using shim_connection::shim_connection;

  void run(const run_request& request);
  void signal(int number, bool whole_tree);
  void adjust(const adjustment& to);
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
  [[nodiscard]] const shim_status& status() const { return status_; }

 private:
  void on_frame(message type, const shim_reply& r) override;
  void on_gone() override {
    for (auto& s : unanswered_) s.lost = true;
    status_waiters_.clear();
  }
  void on_hello(const shim_reply& r);
  void greet(const shim_status& as_it_said);
  void on_error(const shim_reply& r);
  void on_already(const shim_reply& r);
  void signal_answered(const shim_reply& r);
  void signal_again();
  void remember(const shim_reply& r);

  struct sent_signal {
    int number;
    bool whole_tree;
    bool lost;  // the connection went before the answer came
  };
  std::vector<sent_signal> unanswered_;
  shim_status status_;
  std::uint64_t run_ = 0;  // the run that commands are about
  std::uint64_t run_fields_ = first_run_fields;
  std::deque<std::function<void(const shim_status&)>> status_waiters_;
};

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
      asio::post(io_, [this, self = shared_from_this(), then = std::move(status_waiters_.front()), status = status_] {
        if (has_owner()) then(status);
      });
      status_waiters_.pop_front();
      return;
    default:
      return;
  }
}

void shim_client::state::on_hello(const shim_reply& r) {
  if (!r.record || !take_hello()) return;
  run_fields_ = r.run_fields;
  run_ = status_.run;
  from_the_loop([this, status = status_] { greet(status); });
}

// Connected is what the owner has been told to be: what it asks for before would be answered by a status that knows
// nothing of it.
void shim_client::state::greet(const shim_status& as_it_said) {
  begin_to_send();
  if (!as_it_said.tree_alive) unanswered_.clear();
  if (as_it_said.phase != shim_phase::orphaned) signal_again();  // else once it is attached to
  tell(shim_connected{as_it_said});
}

void shim_client::state::on_error(const shim_reply& r) {
  signal_answered(r);
  const auto command = static_cast<message>(r.command);
  if (command == message::run && static_cast<request_error>(r.error) == request_error::busy)
    return refresh_status([this](const shim_status& s) {
      run_ = s.run;
      tell(shim_connected{s});
    });
  if (command == message::adjust) emit(shim_not_adjusted{run_, refusal_text(r)});
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
  unanswered_.push_back({number, whole_tree, closed()});
  command(message::signal, [&](command_writer& w) {
    w.u32(tag::signal, static_cast<std::uint32_t>(number));
    w.u32(tag::whole_tree, whole_tree ? 1 : 0);
    w.u64(tag::run, run_);
  });
}

void shim_client::state::adjust(const adjustment& to) {
  command(message::adjust, [&](command_writer& w) {
    w.u64(tag::run, run_);
    for (const auto& limit : to.limits) add_limit(w, limit);
    if (to.nice) w.u32(tag::nice, static_cast<std::uint32_t>(*to.nice));
    if (to.oom_score_adjust) w.u32(tag::oom_score_adjust, static_cast<std::uint32_t>(*to.oom_score_adjust));
    if (to.log) add_rotation(w, *to.log);
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
  if (closed()) return;
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

void shim_client::adjust(const adjustment& to) {
  state_->adjust(to);
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
    add_rotation(w, log);
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
