// Encodes commands and decodes answers.
#include "process/shim_messages.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace hasup::process {

void add_limit(command_writer& w, const rlimit_value& limit) {
  std::array<char, 20> bytes;
  const auto resource = static_cast<std::uint32_t>(limit.resource);
  memcpy(bytes.data(), &resource, sizeof resource);
  memcpy(bytes.data() + 4, &limit.soft, sizeof limit.soft);
  memcpy(bytes.data() + 12, &limit.hard, sizeof limit.hard);
  w.bytes(tag::limit, bytes.data(), bytes.size());
}

void add_rotation(command_writer& w, const log_settings& log) {
  w.u64(tag::log_max_size, log.max_size);
  w.u32(tag::log_max_files, log.max_files);
  if (log.daily) w.u32(tag::log_daily, 1);  // a shim of before that field is asked for it only when it must be
}

base::result<std::string> encode(const run_request& r) {
  std::string frame;
  string_sink sink{frame};
  command_writer w(sink, message::run);
  w.u64(tag::run, r.run);
  for (const auto& argument : r.argv) w.text(tag::argv, argument.c_str());
  for (const auto& [key, value] : r.env) w.text(tag::env, (key + "=" + value).c_str());
  w.text(tag::directory, r.directory.c_str());
  if (r.uid) w.u32(tag::uid, *r.uid);
  if (r.gid) w.u32(tag::gid, *r.gid);
  for (const unsigned group : r.groups) w.u32(tag::group, group);
  w.u32(tag::umask, static_cast<std::uint32_t>(r.umask));
  if (r.nice) w.u32(tag::nice, static_cast<std::uint32_t>(*r.nice));
  w.u32(tag::oom_score_adjust, static_cast<std::uint32_t>(r.oom_score_adjust));
  for (const auto& limit : r.limits) add_limit(w, limit);
  w.text(tag::log_path, r.log.path.c_str());
  add_rotation(w, r.log);
  if (r.capabilities != 0) w.u64(tag::capabilities, r.capabilities);
  if (!r.cgroup.empty()) w.text(tag::cgroup, r.cgroup.c_str());
  for (const auto& dir : r.data_dirs) w.text(tag::data_dir, dir.c_str());
  if (!w.finish()) return base::error{"command and environment are above 4 MiB"};
  return base::result<std::string>(boost::system::in_place_value, std::move(frame));
}

std::uint64_t fields_of(const std::string& frame) {
  std::uint64_t bits = 0;
  field_reader fields(frame.data() + frame_header_size, frame.size() - frame_header_size);
  for (field f{}; fields.next(f);) bits |= bit_of(f.id);
  return bits;
}

shim_reply decode_reply(const char* payload, std::size_t length) {
  shim_reply r;
  field_reader fields(payload, length);
  for (field f{}; fields.next(f);) {
    switch (f.id) {
      case tag::command:
        f.read(r.command);
        break;
      case tag::error_code:
        f.read(r.error);
        break;
      case tag::error_number:
        f.read(r.error_number);
        break;
      case tag::stage:
        f.read(r.stage);
        break;
      case tag::run:
        f.read(r.run);
        break;
      case tag::run_fields:
        f.read(r.run_fields);
        break;
      case tag::record:
        r.record.emplace();
        memcpy(static_cast<void*>(&*r.record), f.data, std::min<std::size_t>(f.length, sizeof(shim_record)));
        r.record->boot_id[sizeof r.record->boot_id - 1] = 0;
        break;
      default:
        break;
    }
  }
  return r;
}

std::string refusal_text(const shim_reply& r) {
  switch (static_cast<request_error>(r.error)) {
    case request_error::unknown_message:
      return "the shim is older than this request";
    case request_error::bad_request:
      return "the shim does not understand the request";
    case request_error::busy:
      return "processes of run " + std::to_string(r.run) + " are still alive";
    case request_error::not_running:
      return "nothing is running";
    case request_error::lease_expired:
      return "the lease has expired";
    case request_error::none:
    case request_error::failed:
      break;
  }
  return base::errno_error("the shim failed", static_cast<int>(r.error_number)).message;
}

}  // namespace hasup::process
