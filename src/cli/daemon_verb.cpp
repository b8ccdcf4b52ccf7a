// hasup daemon upgrade: asks for it, and watches who answers afterwards.
#include <fmt/format.h>
#include <time.h>

#include <boost/json.hpp>
#include <filesystem>
#include <map>

#include "cli/verbs.hpp"

namespace hasup::cli {
namespace {

using std::chrono::steady_clock;
namespace json = boost::json;

constexpr base::duration patience{180'000};     // for the self-check, and hooks that must end first
constexpr base::duration back_within{60'000};   // with a thousand units
constexpr base::duration found_within{20'000};  // for all that ran to be shown as running again

void pause_a_moment() {
  constexpr timespec moment{0, 50'000'000};
  ::nanosleep(&moment, nullptr);
}

std::uint64_t newest_event(const context& c) {
  const auto last = c.daemon.events(0, 1, "");
  return last && !last->empty() ? last->back().seq : 0;
}

// What came of it. While one hasupd goes and the next comes a connection may be cut, and is made again.
control::client_result<control::event> outcome(const context& c, std::uint64_t since) {
  const auto deadline = steady_clock::now() + back_within;
  for (;;) {
    const auto events = c.daemon.events(since, 1000, "");
    if (events)
      for (const auto& e : *events)
        if (e.unit.empty() && (e.kind == "upgraded" || e.kind == "upgrade_refused" || e.kind == "upgrade_failed"))
          return e;
    if (steady_clock::now() > deadline) {
      if (!events) return events.error();
      return control::client_error{exit_code::failed, "hasupd does not say what came of it; see its own log"};
    }
    pause_a_moment();
  }
}

std::map<std::string, std::int32_t> pids_of(const control::host_status& s) {
  std::map<std::string, std::int32_t> out;
  for (const auto& u : s.units)
    if (u.pid) out[control::display_name(u)] = static_cast<std::int32_t>(*u.pid);
  return out;
}

// The units that ran before and do not run as the same process now.
std::vector<std::string> missing_after(const context& c, const std::map<std::string, std::int32_t>& before,
                                       control::host_status& now) {
  const auto deadline = steady_clock::now() + found_within;
  for (;;) {
    std::vector<std::string> missing;
    if (auto status = c.daemon.status()) {
      now = std::move(*status);
      const auto after = pids_of(now);
      for (const auto& [name, pid] : before)
        if (const auto it = after.find(name); it == after.end() || it->second != pid) missing.push_back(name);
      if (missing.empty()) return missing;
    }
    if (steady_clock::now() > deadline) return missing;
    pause_a_moment();
  }
}

}  // namespace

exit_code run_daemon(const context& c) {
  const auto before = c.daemon.status();
  if (!before) return fail(c, before.error());
  const auto since = newest_event(c);
  control::command order;
  order.verb = "upgrade";
  if (!c.call.binary.empty())
    order.options["binary"] = std::filesystem::absolute(c.call.binary).lexically_normal().string();
  const auto reply = control::client(c.dirs.run, patience).execute(order);
  if (!reply) return fail(c, reply.error());
  if (reply->code != exit_code::done) {
    complain(c, reply->message);
    return reply->code;
  }
  const auto what = outcome(c, since);
  if (!what) return fail(c, what.error());
  if (what->kind != "upgraded") {
    complain(c, what->reason);
    return exit_code::failed;
  }
  const auto ran = pids_of(*before);
  control::host_status now;
  const auto missing = missing_after(c, ran, now);
  if (c.call.json) {
    json::array not_found;
    for (const auto& name : missing) not_found.push_back(json::value(name));
    print(json::serialize(json::object{{"from", before->version},
                                       {"to", now.version},
                                       {"pid", now.pid},
                                       {"running", ran.size()},
                                       {"changed_meanwhile", std::move(not_found)}}) +
          "\n");
  } else {
    print(fmt::format("hasupd {} -> {}, pid {}; {} of {} processes run on\n", before->version, now.version, now.pid,
                      ran.size() - missing.size(), ran.size()));
    for (const auto& name : missing) print(fmt::format("  {} changed meanwhile; `hasup why {}`\n", name, name));
  }
  return exit_code::done;
}

}  // namespace hasup::cli
