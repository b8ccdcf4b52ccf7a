// What a request line asks for: pure, so that every malformed target is a table row in a test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hasup::control {

struct route {
  enum class kind { status, unit, events, follow, logs, unit_command, command, rejected };
  kind is = kind::rejected;
  std::string name;                    // unit, logs, unit_command: as typed, percent-decoded, not looked up
  std::string verb;                    // unit_command; of /v1/apply and /v1/*_all too
  bool all = false;                    // /v1/stop_all …
  std::optional<std::uint64_t> since;  // events, follow
  std::string filter;                  // events, follow: unit=
  std::size_t count = 100;             // events, logs: n=
  unsigned http_status = 0;            // rejected: 400, 404, 405
  std::string error;                   // rejected
};

inline constexpr std::size_t max_count = 10'000;

route parse_route(std::string_view method, std::string_view target);

// On the TCP listener: what is answered to everybody.
struct public_route {
  enum class kind { daemon_health, health_of, rejected };
  kind is = kind::rejected;
  std::string name;          // health_of: percent-decoded, not looked up
  unsigned http_status = 0;  // rejected: 400, 404, 405
  std::string error;         // rejected
};

public_route parse_public_route(std::string_view method, std::string_view target);

}  // namespace hasup::control
