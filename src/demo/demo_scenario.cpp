// The frame of the demonstration: home, signals, story, result, and that nothing is left behind.
#include "demo/demo_scenario.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <csignal>
#include <cstdio>

#include "demo/demo_home.hpp"
#include "demo/demo_run.hpp"
#include "demo/demo_text.hpp"
#include "hasup/exit_code.hpp"

namespace hasup::demo {
namespace {

volatile std::sig_atomic_t interrupted = 0;

extern "C" void on_interrupt(int) {
  interrupted = 1;
}

// Without SA_RESTART: a signal ends the waiting for the next event at once.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a closed terminal must not keep it from cleaning up
}

std::string summary(const demo_outcome& o) {
  std::string rejected;
  for (const auto& name : o.rejected) rejected += (rejected.empty() ? "" : ", ") + name;
  return fmt::format(
      "restored   {}\n"
      "refused    {}\n"
      "leap       healthy {:.1f} s after its failed start, {:.1f} s after the kill -9\n"
      "all units  healthy {:.1f} s after the kill -9",
      o.snapshot, rejected.empty() ? "none" : rejected, o.failed_exit_to_healthy_s, o.killed_to_healthy_s,
      o.killed_to_all_healthy_s);
}

}  // namespace

int run_demo(const demo_options& options) {
  catch_signals();
  const narrator tell(options.json, options.colour);
  tell.paragraph("A Leap node, an EVM node behind it, an RPC and two miners, under hasup, on this machine alone.\n");
  const auto home = make_demo_home();
  demo_outcome outcome;
  if (home) {
    demo_run run(*home, tell);
    outcome = run.play(interrupted);
    if (outcome.recovered) {
      tell.paragraph("");
      run.show_table();
      tell.paragraph("\n" + summary(outcome));
    }
    if (options.keep && interrupted == 0) {
      const auto how = run.release();
      outcome.home = home->path;
      tell.paragraph("\n" + how);
      if (options.json) std::fputs((how + "\n").c_str(), stderr);
    } else {
      run.stop_all();
      remove_demo_home(*home);
    }
  } else {
    outcome.problem = home.error().message;
  }
  if (options.json) std::puts(to_json(outcome).c_str());
  if (!outcome.recovered) std::fputs(("hasup demo: " + outcome.problem + "\n").c_str(), stderr);
  return static_cast<int>(outcome.recovered ? exit_code::done : exit_code::failed);
}

}  // namespace hasup::demo
