// The table of paths of the control API.
#include "control/routes.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <map>
#include <vector>

namespace hasup::control {
namespace {

using query_map = std::map<std::string, std::string>;

constexpr std::array unit_verbs{
    std::string_view("start"),  std::string_view("stop"),        std::string_view("restart"),
    std::string_view("reload"), std::string_view("signal"),      std::string_view("scale"),
    std::string_view("enable"), std::string_view("disable"),     std::string_view("recover"),
    std::string_view("reset"),  std::string_view("maintenance"), std::string_view("why")};

route rejected(unsigned status, std::string error) {
  route r;
  r.http_status = status;
  r.error = std::move(error);
  return r;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto* first = text.data() + i + 1;
    const auto [end, ec] = std::from_chars(first, first + 2, value, 16);
    if (ec != std::errc{} || end != first + 2 || value == 0) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::optional<query_map> parse_query(std::string_view text) {
  query_map all;
  while (!text.empty()) {
    const auto amp = text.find('&');
    const auto part = text.substr(0, amp);
    text = amp == std::string_view::npos ? std::string_view{} : text.substr(amp + 1);
    if (part.empty()) continue;
    const auto eq = part.find('=');
    const auto key = percent_decode(part.substr(0, eq));
    const auto value = percent_decode(eq == std::string_view::npos ? "" : part.substr(eq + 1));
    if (!key || !value) return std::nullopt;
    all[*key] = *value;
  }
  return all;
}

std::optional<std::uint64_t> parse_number(const std::string& text) {
  std::uint64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// Takes over the parameters that `r` allows; an unknown one is an error, so that a typing mistake is not ignored.
route with_query(route r, const query_map& query) {
  const bool events = r.is == route::kind::events;
  for (const auto& [key, value] : query) {
    const auto number = parse_number(value);
    if (key == "n" && (events || r.is == route::kind::logs)) {
      if (!number || *number == 0 || *number > max_count)
        return rejected(400, fmt::format("n must be a number from 1 to {}", max_count));
      r.count = *number;
    } else if (key == "since" && events) {
      if (!number) return rejected(400, "since must be the number of an event");
      r.since = *number;
    } else if (key == "unit" && events) {
      r.filter = value;
    } else if (key == "follow" && events) {
      if (value != "0" && value != "1") return rejected(400, "follow must be 0 or 1");
      if (value == "1") r.is = route::kind::follow;
    } else {
      return rejected(400, fmt::format("unknown parameter \"{}\"", key));
    }
  }
  return r;
}

route get_route(const std::vector<std::string>& path) {
  route r;
  if (path.size() == 1 && path[0] == "status") {
    r.is = route::kind::status;
  } else if (path.size() == 1 && path[0] == "events") {
    r.is = route::kind::events;
  } else if (path.size() == 2 && path[0] == "units") {
    r.is = route::kind::unit;
    r.name = path[1];
  } else if (path.size() == 3 && path[0] == "units" && path[2] == "why") {
    r.is = route::kind::unit_command;
    r.name = path[1];
    r.verb = path[2];
  } else if (path.size() == 2 && path[0] == "logs") {
    r.is = route::kind::logs;
    r.name = path[1];
  }
  return r;
}

route post_route(const std::vector<std::string>& path) {
  route r;
  if (path.size() == 3 && path[0] == "units") {
    for (const auto verb : unit_verbs)
      if (verb == path[2]) {
        r.is = route::kind::unit_command;
        r.name = path[1];
        r.verb = path[2];
      }
  } else if (path.size() == 1 && path[0] == "commands") {
    r.is = route::kind::command;
  } else if (path.size() == 1 && (path[0] == "apply" || path[0] == "upgrade")) {
    r.is = route::kind::unit_command;
    r.verb = path[0];
  } else if (path.size() == 1 && (path[0] == "stop_all" || path[0] == "start_all" || path[0] == "restart_all")) {
    r.is = route::kind::unit_command;
    r.verb = path[0].substr(0, path[0].find('_'));
    r.all = true;
  }
  return r;
}

}  // namespace

route parse_route(std::string_view method, std::string_view target) {
  const auto question = target.find('?');
  auto rest = target.substr(0, question);
  if (!rest.starts_with("/v1/")) return rejected(404, "no such path; the API begins with /v1/");
  rest.remove_prefix(4);

  std::vector<std::string> path;
  for (;;) {
    const auto slash = rest.find('/');
    auto segment = percent_decode(rest.substr(0, slash));
    if (!segment || segment->empty()) return rejected(400, "malformed path");
    path.push_back(std::move(*segment));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  const auto query = parse_query(question == std::string_view::npos ? "" : target.substr(question + 1));
  if (!query) return rejected(400, "malformed query");

  if (method != "GET" && method != "POST") return rejected(405, "only GET and POST are answered");
  const bool get = method == "GET";
  auto r = get ? get_route(path) : post_route(path);
  if (r.is != route::kind::rejected) return with_query(std::move(r), *query);
  const auto other = get ? post_route(path) : get_route(path);
  if (other.is != route::kind::rejected)
    return rejected(405, fmt::format("this path is asked with {}", get ? "POST" : "GET"));
  return rejected(404, "no such path");
}

public_route parse_public_route(std::string_view method, std::string_view target) {
  using kind = public_route::kind;
  const auto path = target.substr(0, target.find('?'));
  constexpr std::string_view below = "/healthz/";
  if (path != "/healthz" && path != "/healthz/" && !path.starts_with(below))
    return {kind::rejected, {}, 404, "no such path; there are /healthz and /healthz/NAME"};
  if (method != "GET" && method != "HEAD") return {kind::rejected, {}, 405, "only GET and HEAD are answered"};
  if (path.size() <= below.size()) return {kind::daemon_health, {}, 0, {}};
  auto name = percent_decode(path.substr(below.size()));
  if (!name) return {kind::rejected, {}, 400, "malformed path"};
  return {kind::health_of, std::move(*name), 0, {}};
}

}  // namespace hasup::control
