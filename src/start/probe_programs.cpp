#include "start/probe_programs.hpp"

#include <memory>
#include <utility>

#include "process/spawner.hpp"

namespace hasup::start {

probe::target probe_target_of(const model::unit& unit, const launch& from) {
  probe::target t;
  // Without what a missing secret would have filled in: such a unit does not start either.
  auto env = environment_of(unit, from);
  t.env = env ? std::move(*env) : from.env;
  if (!from.account.own) {
    t.uid = from.account.uid;
    t.gid = from.account.gid;
    t.groups = from.account.groups;
  }
  t.directory = unit.run.directory;
  return t;
}

probe::exec_runner run_probe_programs(boost::asio::io_context& io) {
  return [&io](const probe::exec_request& r, std::function<void(probe::exec_result)> done) -> std::function<void()> {
    process::program_options o;
    o.timeout = r.timeout;
    o.uid = r.uid;
    o.gid = r.gid;
    o.groups = r.groups;
    if (!r.directory.empty()) o.directory = r.directory;
    o.capture = r.capture;
    auto dropped = std::make_shared<bool>(false);
    auto running =
        process::async_run(io, r.command, r.env, o, [done = std::move(done), dropped](process::program_result p) {
          if (!*dropped) done({std::move(p.error), p.exit, std::move(p.output), p.timed_out});
        });
    return [running = std::move(running), dropped] {
      *dropped = true;
      running->cancel();
    };
  };
}

}  // namespace hasup::start
