// hasup upstream: shows them, and has an endpoint avoided.
#include <chrono>

#include "cli/upstream_text.hpp"
#include "cli/verbs.hpp"

namespace hasup::cli {

exit_code run_upstream(const context& c) {
  control::command command;
  command.verb = "upstream";
  command.targets = c.call.targets;
  if (c.call.undo) command.options["undo"] = "true";
  if (c.call.timeout) command.options["for_ms"] = std::to_string(c.call.timeout->count());
  const auto reply = c.daemon.execute(command);
  if (!reply) return fail(c, reply.error());
  if (reply->code != exit_code::done) {
    complain(c, reply->message);
    return reply->code;
  }
  if (!reply->message.empty()) {
    if (!c.call.json) print(reply->message + "\n");
    return exit_code::done;
  }
  if (c.call.json) {
    print(reply->body + "\n");
    return exit_code::done;
  }
  const auto all = control::decode_upstreams(reply->body);
  if (!all) {
    complain(c, all.error().message);
    return exit_code::failed;
  }
  print(render_upstreams(*all, std::chrono::system_clock::now(), c.out));
  return exit_code::done;
}

}  // namespace hasup::cli
