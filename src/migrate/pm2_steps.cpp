#include "migrate/pm2_steps.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "migrate/unit_text.hpp"

namespace hasup::migrate {
namespace {

// "/^all$/": a name that pm2 would understand as something else.
std::string pm2_target(const std::string& name) {
  const auto ends = [&](std::string_view end) { return name.ends_with(end); };
  const bool special = name == "all" || name.starts_with('-') || ends(".json") || ends(".yml") || ends(".yaml") ||
                       ends(".config.js") || ends(".config.cjs") || ends(".config.mjs");
  if (!special) return shell_word(name);
  std::string pattern;
  for (const char c : name) {
    if (std::string_view(".^$*+?()[]{}|\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return shell_word("/^" + pattern + "$/");
}

class steps {
 public:
  explicit steps(const switch_over& s) : s_(s) {
    if (!s.pm2_owner.empty())
      pm2_ = "sudo -u " + shell_word(s.pm2_owner) + " env PM2_HOME=" + shell_word(s.pm2_home) + " pm2";
    else
      pm2_ = s.pm2_home.empty() ? "pm2" : "PM2_HOME=" + shell_word(s.pm2_home) + " pm2";
  }

  std::string write() {
    text_ = "To go over from pm2 without two copies of a program at any moment, in this order:\n";
    stop();
    forget();
    if (s_.written_to != s_.units_directory) move();
    start();
    return std::move(text_);
  }

 private:
  void step(const std::string& what) { text_ += fmt::format("\n  {}. {}\n", ++number_, what); }
  void command(const std::string& line) { text_ += "     " + line + "\n"; }
  void remark(const std::string& line) { text_ += "     # " + line + "\n"; }

  void stop() {
    step("Stop them in pm2, and let pm2 forget them:");
    std::vector<std::string> names;
    std::int64_t shortest = 600'000;
    for (const auto& u : s_.units) {
      if (std::find(names.begin(), names.end(), u.pm2_name) == names.end()) names.push_back(u.pm2_name);
      shortest = std::min(shortest, u.kill_timeout);
    }
    if (shortest < 600'000) {
      remark(
          fmt::format("pm2 kills what has not ended {} ms after its stop. A program that needs longer to write its "
                      "state",
                      shortest));
      remark("gets that time by this before (pm2 starts it once more):");
      remark(fmt::format("{} restart NAME --kill-timeout 600000", pm2_));
    }
    for (const auto& name : names) {
      const auto target = pm2_target(name);
      command(fmt::format("{0} stop {1} && {0} delete {1}", pm2_, target));
    }
  }

  void forget() {
    step("Keep pm2 from bringing them back:");
    command(pm2_ + " save --force");
    if (!s_.whole_list) {
      remark("pm2 goes on with its other processes");
      return;
    }
    if (s_.boots)
      command(pm2_ + " unstartup");
    else
      remark(pm2_ + " unstartup: only if pm2 is started at boot; no such script was found here");
    command(pm2_ + " kill");
  }

  void move() {
    step("Put the unit files where hasupd reads them; the env files stay where they are:");
    std::string files;
    for (const auto& u : s_.units) files += " " + shell_word(s_.written_to + "/" + u.name + ".toml");
    command(fmt::format("mkdir -p {0} && cp -pn{1} {0}/", shell_word(s_.units_directory), files));
  }

  void start() {
    std::string names, later;
    for (const auto& u : s_.units) (u.enabled ? names : later) += " " + u.name;
    step("Start them under hasup:");
    if (s_.hasupd_runs)
      command("hasup apply");
    else if (s_.as_service)
      command("systemctl enable --now hasupd && sleep 2");
    else
      command("(setsid hasupd >/dev/null 2>&1 &); sleep 2");
    if (!names.empty()) command("hasup start" + names);
    command("hasup status");
    if (!later.empty())
      remark("these were stopped in pm2 and are not started; when they are wanted: hasup start" + later);
    text_ +=
        "\nUntil the last step do not start or restart hasupd, nor say `hasup apply`: that would start the new units "
        "beside pm2's.\n";
  }

  const switch_over& s_;
  std::string pm2_, text_;
  int number_ = 0;
};

}  // namespace

std::string switch_over_steps(const switch_over& s) {
  return steps(s).write();
}

}  // namespace hasup::migrate
