// What the demonstration prints: a line for each thing that happens, with the time since it began.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "control/event.hpp"

namespace hasup::demo {

// Everything that `hasup demo --json` reports.
struct demo_outcome {
  bool recovered = false;
  std::string problem;                  // why not
  std::string snapshot;                 // that leap runs on now
  std::vector<std::string> rejected;    // snapshots that were refused
  double failed_exit_to_healthy_s = 0;  // from the failed start of leap to a healthy leap
  double killed_to_healthy_s = 0;       // from the kill -9 to a healthy leap
  double killed_to_all_healthy_s = 0;   // … until all its dependents are healthy again
  std::vector<std::string> units;       // that are healthy at the end
  double duration_s = 0;
  std::string home;  // HASUP_HOME of what runs on; "" = nothing was left
};

std::string to_json(const demo_outcome& outcome);

class narrator {
 public:
  enum class tone { plain, quiet, good, bad };

  narrator(bool silent, bool colour) : silent_(silent), colour_(colour), begin_(std::chrono::steady_clock::now()) {}

  void paragraph(std::string_view text) const;
  void line(tone how, std::string_view who, std::string_view what) const;
  void event(const control::event& e) const;
  [[nodiscard]] double elapsed_s() const;
  [[nodiscard]] bool silent() const { return silent_; }

 private:
  bool silent_;
  bool colour_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace hasup::demo
