// Log lines as nodeos writes them to stderr:
//   info  2026-11-21T01:02:03.456 nodeos    controller.cpp:603            startup              ] message
#pragma once

#include <string_view>

namespace hasup::demo {

// Where in nodeos a line comes from; recipes and people know the lines by it.
struct log_origin {
  std::string_view file_line;
  std::string_view function;
};

void log_info(log_origin from, std::string_view message);
void log_warning(log_origin from, std::string_view message);
void log_error(log_origin from, std::string_view message);

// A line without decoration, as the eos-evm programs write: "  INFO [11-21|01:02:03.456 UTC] message".
void log_evm(std::string_view level, std::string_view message);

}  // namespace hasup::demo
