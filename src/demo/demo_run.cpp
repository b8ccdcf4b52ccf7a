// It watches what hasupd itself reports (events and status) and decides nothing.
#include "demo/demo_run.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

namespace hasup::demo {
namespace {

using clock = std::chrono::steady_clock;
using tone = narrator::tone;

constexpr base::duration whole_story{120'000};  // far more than it takes: this is for what hangs
constexpr base::duration look_again{100};
constexpr base::duration last_events{50};
constexpr std::size_t instances = 5;

// Why the story ended early.
struct ended {
  std::string why;
};

double seconds_between(base::mono_time from, base::mono_time to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

demo_run::demo_run(const demo_home& home, const narrator& tell)
    : home_(home), tell_(tell), client_(home.path + "/run") {}

demo_outcome demo_run::play(const volatile std::sig_atomic_t& interrupted) {
  interrupted_ = &interrupted;
  try {
    start_programs();
    wait_until_all_healthy();
    kill_leap();
    wait_until_recovered();
    outcome_.recovered = true;
  } catch (const ended& e) {
    outcome_.problem = e.why;
  }
  outcome_.duration_s = tell_.elapsed_s();
  return outcome_;
}

void demo_run::start_programs() {
  tell_.line(tone::quiet, "backup",
             "a backup host on 127.0.0.1:" + std::to_string(home_.backup_port) + " lists " +
                 std::to_string(home_.snapshots.size()) + " snapshots; one byte of the newest, " + home_.damaged() +
                 ", is altered");
  auto backup_host = child_program::start({home_.demo_node(), "backup-host", "--dir", home_.backup_dir(), "--http",
                                           "127.0.0.1:" + std::to_string(home_.backup_port)},
                                          {}, home_.path + "/backup-host.log");
  if (!backup_host) throw ended{backup_host.error().message};
  backup_host_ = std::move(*backup_host);
  auto hasupd =
      child_program::start({home_.program_dir + "/hasupd"}, {{"HASUP_HOME", home_.path}}, home_.path + "/hasupd.log");
  if (!hasupd) throw ended{hasupd.error().message};
  hasupd_ = std::move(*hasupd);
  tell_.line(tone::quiet, "hasupd", "started with 4 unit files; each unit waits until what it requires is healthy");
  while (true) {
    if (*interrupted_) throw ended{"interrupted"};
    if (!hasupd_.running()) throw ended{"hasupd ended by itself; see " + home_.path + "/hasupd.log"};
    if (auto stream = client_.follow(0, "")) {
      events_ = std::move(*stream);
      return;
    }
    if (tell_.elapsed_s() * 1000 > static_cast<double>(whole_story.count())) throw ended{"hasupd does not answer"};
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

control::host_status demo_run::status() {
  auto found = client_.status();
  if (!found) throw ended{found.error().message};
  return *found;
}

bool demo_run::all_healthy() {
  const auto now = status();
  std::vector<std::string> healthy;
  for (const auto& unit : now.units) {
    if (unit.state == model::unit_state::failed) throw ended{control::display_name(unit) + " failed: " + unit.reason};
    if (unit.health == model::health::healthy && unit.state == model::unit_state::running)
      healthy.push_back(control::display_name(unit));
  }
  outcome_.units = std::move(healthy);
  return outcome_.units.size() == instances;
}

template <class Done>
void demo_run::follow(Done done, std::string_view what) {
  while (!done()) {
    control::event e;
    const auto deadline = clock::now() + look_again;
    switch (events_->next(e, deadline)) {
      case control::event_stream::outcome::event:
        on_event(e);
        break;
      case control::event_stream::outcome::timeout:
        break;
      case control::event_stream::outcome::closed:
        throw ended{"hasupd is gone"};
      case control::event_stream::outcome::interrupted:
        break;
    }
    if (*interrupted_) throw ended{"interrupted"};
    if (tell_.elapsed_s() * 1000 > static_cast<double>(whole_story.count()))
      throw ended{"not within " + base::format_duration(whole_story) + ": " + std::string(what)};
  }
  // The status may be ahead of the events that led to it.
  control::event e;
  while (events_->next(e, clock::now() + last_events) == control::event_stream::outcome::event) on_event(e);
}

void demo_run::on_event(const control::event& e) {
  const auto now = clock::now();
  tell_.event(e);
  if (!killed_at_ || e.unit != "leap") return;
  if (e.kind == "exited" && e.reason.find("code 2") != std::string::npos && !failed_at_) failed_at_ = now;
  if (e.kind == "became_healthy" && failed_at_ && !healthy_at_) healthy_at_ = now;
  for (const auto& name : home_.snapshots) {
    if (e.reason.find(name) == std::string::npos) continue;
    if (e.kind == "recovery_dropped" && std::ranges::find(outcome_.rejected, name) == outcome_.rejected.end())
      outcome_.rejected.push_back(name);
    if (e.kind == "recovery_swapped") outcome_.snapshot = name;
  }
}

void demo_run::wait_until_all_healthy() {
  follow([this] { return all_healthy(); }, "all units healthy for the first time");
  tell_.line(tone::good, "", "all units are healthy\n");
}

void demo_run::kill_leap() {
  const auto now = status();
  const auto leap = std::ranges::find(now.units, "leap", &control::instance_status::unit);
  if (leap == now.units.end() || !leap->pid) throw ended{"leap has no pid"};
  tell_.line(tone::bad, "", "kill -9 " + std::to_string(*leap->pid) + " (leap): its database stays behind dirty");
  killed_at_ = clock::now();
  if (::kill(*leap->pid, SIGKILL) != 0) throw ended{"cannot kill leap"};
}

void demo_run::wait_until_recovered() {
  follow([this] { return healthy_at_.has_value(); }, "leap healthy again");
  outcome_.failed_exit_to_healthy_s = seconds_between(*failed_at_, *healthy_at_);
  outcome_.killed_to_healthy_s = seconds_between(*killed_at_, *healthy_at_);
  const auto all_again = [this] {
    const bool all = all_healthy();
    if (all) outcome_.killed_to_all_healthy_s = seconds_between(*killed_at_, clock::now());
    return all;
  };
  follow(all_again, "all units healthy again");
  tell_.line(tone::good, "", "all units are healthy again");
}

// The table as `hasup status` prints it, without the advice for real deployments below it.
void demo_run::show_table() {
  if (tell_.silent()) return;
  const std::string path = home_.path + "/table.txt";
  auto table = child_program::start({home_.program_dir + "/hasup", "status"}, {{"HASUP_HOME", home_.path}}, path);
  if (!table || !table->wait(base::duration{5000})) return;
  std::ifstream in(path);
  for (std::string row; std::getline(in, row) && !row.empty();) tell_.paragraph(row);
}

void demo_run::stop_all() {
  events_.reset();
  if (hasupd_.running()) {
    control::command stop;
    stop.verb = "stop";
    stop.all = true;
    if (client_.execute(stop)) {
      const auto deadline = clock::now() + std::chrono::seconds(12);
      while (clock::now() < deadline) {
        const auto now = client_.status();
        if (!now || std::ranges::all_of(now->units, [](const auto& unit) { return !unit.pid; })) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }
  hasupd_.end(base::duration{5000});
  backup_host_.end(base::duration{2000});
  end_all_with(home_.path);
}

std::string demo_run::release() {
  std::string pids;
  for (const auto pid : {hasupd_.pid(), backup_host_.pid()})
    if (pid > 0) pids += " " + std::to_string(pid);
  hasupd_.release();
  backup_host_.release();
  const auto hasup = "\n  " + home_.program_dir + "/hasup ";
  return "It runs on. Talk to it, and end it, with\n  export HASUP_HOME=" + home_.path + hasup + "status" + hasup +
         "why leap" + hasup + "stop --all" + (pids.empty() ? "" : " && kill" + pids);
}

}  // namespace hasup::demo
