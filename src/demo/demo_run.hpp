// The story of the demonstration: start, disaster, recovery, end.
#pragma once

#include <csignal>
#include <optional>
#include <string>

#include "control/client.hpp"
#include "demo/child_program.hpp"
#include "demo/demo_home.hpp"
#include "demo/demo_text.hpp"

namespace hasup::demo {

class demo_run {
 public:
  demo_run(const demo_home& home, const narrator& tell);

  // Everything up to the last unit's health. `interrupted` is looked at again and again.
  demo_outcome play(const volatile std::sig_atomic_t& interrupted);

  void show_table();
  // Units in order, then hasupd and the backup host, then whatever is left.
  void stop_all();
  // Leaves everything running; how to talk to it and how to end it.
  std::string release();

 private:
  using moment = base::mono_time;
  void start_programs();
  void wait_until_all_healthy();
  void kill_leap();
  void wait_until_recovered();
  // Takes in events until `done` says so; throws `ended` on a failure, an interruption or at the deadline.
  template <class Done>
  void follow(Done done, std::string_view what);
  void on_event(const control::event& e);
  bool all_healthy();
  control::host_status status();

  const demo_home& home_;
  const narrator& tell_;
  control::client client_;
  child_program backup_host_;
  child_program hasupd_;
  std::optional<control::event_stream> events_;
  const volatile std::sig_atomic_t* interrupted_ = nullptr;
  demo_outcome outcome_;
  std::optional<moment> killed_at_;
  std::optional<moment> failed_at_;
  std::optional<moment> healthy_at_;
};

}  // namespace hasup::demo
