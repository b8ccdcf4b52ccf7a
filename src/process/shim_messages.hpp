// The daemon's half of the shim protocol: commands to frames, frames to answers. Inside process/ only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "process/shim_client.hpp"

namespace hasup::process {

struct string_sink {
  std::string& text;
  bool append(const void* data, std::size_t length) {
    text.append(static_cast<const char*>(data), length);
    return text.size() <= max_frame + frame_header_size;
  }
  void patch(std::size_t at, const void* data, std::size_t length) {
    text.replace(at, length, static_cast<const char*>(data), length);
  }
  [[nodiscard]] std::size_t size() const { return text.size(); }
};

using command_writer = frame_writer<string_sink>;

base::result<std::string> encode(const run_request& r);
void add_limit(command_writer& w, const rlimit_value& limit);
void add_rotation(command_writer& w, const log_settings& log);
// The fields of an encoded command, as in tag::run_fields.
std::uint64_t fields_of(const std::string& frame);

// What an answer or push holds.
struct shim_reply {
  std::uint32_t command = 0;
  std::uint32_t error = 0;
  std::uint32_t error_number = 0;
  std::uint32_t stage = 0;
  std::uint64_t run = 0;
  std::uint64_t run_fields = first_run_fields;
  std::optional<shim_record> record;
};

shim_reply decode_reply(const char* payload, std::size_t length);

// Why a shim refused, for a person.
std::string refusal_text(const shim_reply& r);

}  // namespace hasup::process
