// hasup-worker-logs: what takes long or may wait for a disk and concerns logs, so that hasupd and the shims need not.
//
//   keep DIRECTORY (NAME max_files max_age_ms max_total compress)…   compresses and deletes rotated files
//   mark FILE…                                     where the files end: "DEVICE INODE SIZE" a line
//   since LIMIT (FILE DEVICE INODE SIZE)…          what was written to them since
//
// Exit codes: 0 done, 1 something could not be done (said on standard output), 64 usage, 75 another keeper is at it.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "logs/cri_line.hpp"
#include "logs/log_keeping.hpp"
#include "logs/node_files.hpp"

namespace {

using namespace hasup;
using words = std::vector<std::string>;

enum exit_code { done = 0, failed = 1, usage = 64, busy = 75 };

bool number(const std::string& text, std::uint64_t& out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc{} && end == text.data() + text.size();
}

// Nodes come first, at the processor and at the disk.
void step_back() {
  constexpr int who_process = 1, idle = 3 << 13;
  ::setpriority(PRIO_PROCESS, 0, 19);
  ::syscall(SYS_ioprio_set, who_process, 0, idle);
}

int keep(const words& w) {
  constexpr std::size_t each = 5;
  if (w.empty() || (w.size() - 1) % each != 0) return usage;
  step_back();
  base::unique_fd lock;
  if (!logs::lock_keeping(w[0], lock)) {
    if (lock) return busy;
    std::printf("%s/.keeping cannot be opened\n", w[0].c_str());
    return failed;
  }
  const auto now_ns = logs::to_nanoseconds(std::chrono::system_clock::now());
  bool good = true;
  for (std::size_t i = 1; i < w.size(); i += each) {
    std::uint64_t files = 0, age = 0;
    logs::retention rule;
    rule.compress = w[i + 4] == "1";
    if (!number(w[i + 1], files) || !number(w[i + 2], age) || !number(w[i + 3], rule.max_total)) return usage;
    rule.max_files = static_cast<unsigned>(files);
    rule.max_age = base::duration(age);
    const auto r = logs::keep_log(w[0] + "/" + w[i], rule, now_ns);
    if (r.compressed + r.removed > 0)
      std::printf("%s: %u compressed, %u deleted\n", w[i].c_str(), r.compressed, r.removed);
    for (const auto& p : r.problems) std::printf("%s\n", p.c_str());
    good = good && r.problems.empty();
  }
  return good ? done : failed;
}

int mark(const words& w) {
  for (const auto& path : w) {
    const auto m = logs::mark_file(path);
    std::printf("%llu %llu %llu\n", static_cast<unsigned long long>(m.device),
                static_cast<unsigned long long>(m.inode), static_cast<unsigned long long>(m.size));
  }
  return done;
}

int since(const words& w) {
  constexpr std::size_t each = 4;
  std::uint64_t limit = 0;
  if (w.empty() || (w.size() - 1) % each != 0 || !number(w[0], limit)) return usage;
  for (std::size_t i = 1; i < w.size(); i += each) {
    logs::file_mark m{w[i]};
    if (!number(w[i + 1], m.device) || !number(w[i + 2], m.inode) || !number(w[i + 3], m.size)) return usage;
    const auto text = logs::lines_since(m, limit);
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  words w(argv + std::min(argc, 2), argv + argc);
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "keep") return keep(w);
  if (mode == "mark") return mark(w);
  if (mode == "since") return since(w);
  std::fputs("hasup-worker-logs is started by hasupd\n", stderr);
  return usage;
}
