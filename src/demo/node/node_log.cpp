// Writes each log line with one write(2), so that lines of several threads or processes never mix.
#include "demo/node/node_log.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

namespace hasup::demo {
namespace {

struct clock_parts {
  std::tm utc;
  long milliseconds;
};

clock_parts now() {
  const auto t = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(t).count();
  return {fmt::gmtime(static_cast<std::time_t>(ms / 1000)), static_cast<long>(ms % 1000)};
}

void write_line(const std::string& line) {
  for (std::size_t done = 0; done < line.size();) {
    const auto n = ::write(STDERR_FILENO, line.data() + done, line.size() - done);
    if (n <= 0) return;  // nobody to tell
    done += static_cast<std::size_t>(n);
  }
}

void log(std::string_view level, log_origin from, std::string_view message) {
  const auto [utc, ms] = now();
  write_line(fmt::format("{:<5} {:%Y-%m-%dT%H:%M:%S}.{:03} {:<9} {:<29} {:<20} ] {}\n", level, utc, ms, "nodeos",
                         from.file_line, from.function, message));
}

}  // namespace

void log_info(log_origin from, std::string_view message) {
  log("info", from, message);
}
void log_warning(log_origin from, std::string_view message) {
  log("warn", from, message);
}
void log_error(log_origin from, std::string_view message) {
  log("error", from, message);
}

void log_evm(std::string_view level, std::string_view message) {
  const auto [utc, ms] = now();
  write_line(fmt::format("{:>6} [{:%m-%d|%H:%M:%S}.{:03} UTC] {}\n", level, utc, ms, message));
}

}  // namespace hasup::demo
