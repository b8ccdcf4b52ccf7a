// What the daemon asks for. Each command is checked against the state, carried out, and answered.
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/proc.hpp"
#include "shim/shim.hpp"

namespace hasup::shim {

using process::field;
using process::field_reader;
using process::frame_writer;
using process::message;
using process::request_error;
using process::shim_phase;
using process::tag;

namespace {

constexpr unsigned flush_ms = 5000;

// One number of a small command; false when it is missing or malformed.
template <class Number>
bool find(const char* payload, size_t length, tag id, Number& out) {
  field_reader fields(payload, length);
  for (field f; fields.next(f);)
    if (f.id == id) return f.read(out);
  return false;
}

bool find_log(const char* payload, size_t length, log_target& out) {
  const char* path = nullptr;
  field_reader fields(payload, length);
  for (field f; fields.next(f);)
    if (f.id == tag::log_path) path = f.length <= max_log_path ? f.text() : nullptr;
  if (!path || path[0] != '/') return false;
  out.path = path;
  find(payload, length, tag::log_max_size, out.max_size);
  find(payload, length, tag::log_max_files, out.max_files);
  find(payload, length, tag::log_daily, out.daily);
  return true;
}

}  // namespace

void shim::on_connected(int connection) {
  note_drops();
  reply_frame frame;
  frame_writer<reply_frame> writer(frame, message::hello);
  writer.u32(tag::speaks, process::protocol_version);
  writer.u32(tag::pid, static_cast<uint32_t>(getpid()));
  writer.bytes(tag::record, &now(), sizeof now());
  writer.u64(tag::run_fields, process::run_fields);
  if (writer.finish()) control_.send(connection, frame);
}

void shim::on_command(int connection, message type, const char* payload, size_t length) {
  switch (type) {
    case message::run:
      return run(connection, payload, length);
    case message::signal:
      return signal(connection, payload, length);
    case message::status:
      note_drops();
      return send_record(connection, message::status_is, type);
    case message::lease:
      return lease(connection, payload, length);
    case message::attach:
      return attach(connection, payload, length);
    case message::adjust:
      return adjust(connection, payload, length);
    case message::exit:
      return exit(connection);
    default:
      return refuse(connection, type, request_error::unknown_message);
  }
}

void shim::answer(int connection, message command) {
  reply_frame frame;
  frame_writer<reply_frame> writer(frame, message::ok);
  writer.u32(tag::command, static_cast<uint32_t>(command));
  if (writer.finish()) control_.send(connection, frame);
}

void shim::refuse(int connection, message command, request_error why, int error) {
  reply_frame frame;
  frame_writer<reply_frame> writer(frame, message::error);
  writer.u32(tag::command, static_cast<uint32_t>(command));
  writer.u32(tag::error_code, static_cast<uint32_t>(why));
  writer.u32(tag::error_number, static_cast<uint32_t>(error));
  writer.u64(tag::run, now().run);
  if (writer.finish()) control_.send(connection, frame);
}

void shim::send_record(int connection, message type, message command) {
  reply_frame frame;
  frame_writer<reply_frame> writer(frame, type);
  writer.u32(tag::command, static_cast<uint32_t>(command));
  writer.u64(tag::run, now().run);
  writer.bytes(tag::record, &now(), sizeof now());
  if (writer.finish()) control_.send(connection, frame);
}

void shim::run(int connection, const char* payload, size_t length) {
  run_spec spec;
  const request_error wrong = parse_run(payload, length, spec);
  if (wrong != request_error::none) return refuse(connection, message::run, wrong);
  if (spec.run == now().run && now().phase != shim_phase::idle)
    return send_record(connection, message::already, message::run);
  // Of a node that nobody attached to and that has ended meanwhile, the end is told first.
  if (now().phase == shim_phase::orphaned && !is_alive(now().pid, now().start_time)) take_over();
  if (tree_alive()) return refuse(connection, message::run, request_error::busy);
  if (now().lease_expired != 0) return refuse(connection, message::run, request_error::lease_expired);
  start(spec);
}

void shim::signal(int connection, const char* payload, size_t length) {
  uint32_t number = 0;
  uint32_t whole_tree = 0;
  uint64_t run = now().run;
  if (!find(payload, length, tag::signal, number) || number == 0 || number > 64)
    return refuse(connection, message::signal, request_error::bad_request);
  find(payload, length, tag::whole_tree, whole_tree);
  find(payload, length, tag::run, run);
  const auto signo = static_cast<int>(number);
  if (run != now().run || !tree_alive()) return refuse(connection, message::signal, request_error::not_running);
  if (now().phase == shim_phase::orphaned && !take_over())
    return refuse(connection, message::signal, request_error::not_running);
  if (!(whole_tree != 0 ? signal_tree(signo) : signal_main(signo)))
    return refuse(connection, message::signal, request_error::not_running, errno);
  answer(connection, message::signal);
}

void shim::lease(int connection, const char* payload, size_t length) {
  uint64_t valid_until = 0;
  uint32_t action = 0;
  uint32_t number = 0;
  if (!find(payload, length, tag::lease_valid_until, valid_until))
    return refuse(connection, message::lease, request_error::bad_request);
  find(payload, length, tag::lease_action, action);
  find(payload, length, tag::lease_signal, number);
  if (action > static_cast<uint32_t>(process::lease_action::signal) || number > 64 ||
      (action == static_cast<uint32_t>(process::lease_action::signal) && number == 0))
    return refuse(connection, message::lease, request_error::bad_request);
  now().lease_valid_until_ms = valid_until;
  now().lease_action = action;
  now().lease_signal = number;
  now().lease_expired = 0;
  record_.save();
  answer(connection, message::lease);
  arm_lease();
}

void shim::attach(int connection, const char* payload, size_t length) {
  uint32_t pid = 0;
  uint64_t start_time = 0;
  uint64_t run = 0;
  if (!find(payload, length, tag::pid, pid) || !find(payload, length, tag::start_time, start_time) ||
      !find(payload, length, tag::run, run) || pid == 0 || run == 0)
    return refuse(connection, message::attach, request_error::bad_request);
  const bool same = now().pid == static_cast<int32_t>(pid) && now().start_time == start_time && now().run == run;
  if (same && now().phase == shim_phase::running) return push(message::started);
  if (tree_alive() && now().phase != shim_phase::orphaned)
    return refuse(connection, message::attach, request_error::busy);
  if (!same) take_up_outsider(run, static_cast<int32_t>(pid), start_time);
  now().phase = shim_phase::orphaned;
  now().ended = process::exit_kind::none;
  log_target log;
  if (find_log(payload, length, log)) record_.save_log_target(log);
  if (!take_over()) return;
  process::field_reader fields(payload, length);
  for (process::field f; fields.next(f);)
    if (f.id == tag::data_dir && f.text() != nullptr) data_lock_.take(f.text());
  push(message::started);
}

void shim::exit(int connection) {
  if (tree_alive()) return refuse(connection, message::exit, request_error::busy);
  control_.unlink();
  // A disk that hangs for so long does not get them any more: somebody may wait to start the next run.
  if (!queue_.wait_empty(flush_ms)) {
    queue_.add_dropped(writer_.unwritten());
    tell_drops(monotonic_ms());
  }
  note_drops();
  answer(connection, message::exit);
  // The end of an exiting process closes its files in no certain order: whoever sees the connection end may rely on
  // the claim being free.
  claim_.reset();
  _exit(0);
}

}  // namespace hasup::shim
