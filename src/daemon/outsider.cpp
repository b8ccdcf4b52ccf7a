#include "daemon/outsider.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace hasup::daemon {
namespace {

bool descends_from(const ports::writer_info& w, std::int32_t pid) {
  return std::find(w.ancestors.begin(), w.ancestors.end(), pid) != w.ancestors.end();
}

std::string list_of(const std::vector<ports::writer_info>& writers) {
  std::string text;
  for (const auto& w : writers) text += fmt::format("{}pid {} ({})", text.empty() ? "" : ", ", w.pid, w.command);
  return text;
}

}  // namespace

base::result<outsider> choose_outsider(const std::vector<ports::writer_info>& writers, const model::unit& unit,
                                       const process::account& as) {
  const auto name = shown_name(unit);
  const auto& dir = unit.data.dir;
  if (writers.empty())
    return base::error{
        fmt::format("no process has {} open, so there is none to take over; `hasup start {}` starts it", dir, name)};
  const auto top = std::find_if(writers.begin(), writers.end(), [&](const auto& one) {
    return std::all_of(writers.begin(), writers.end(),
                       [&](const auto& other) { return other.pid == one.pid || descends_from(other, one.pid); });
  });
  if (top == writers.end())
    return base::error{fmt::format(
        "several processes that are not one tree have {} open: {}; stop all but the one that is to be taken over",
        dir, list_of(writers))};
  for (const auto& w : writers) {
    if (!w.tree.empty())
      return base::error{
          fmt::format("pid {} ({}) has {} open and runs under a hasup already, as {}; stop it there first", w.pid,
                      w.command, dir, w.tree)};
    if (w.uid != as.uid)
      return base::error{
          fmt::format("pid {} ({}) runs as user {} and {} as {} (user {}); stop it and `hasup start {}`, "
                      "or correct [run] user",
                      w.pid, w.command, w.uid, name, as.uid, as.name, name)};
  }
  if (top->pid <= 1 || top->start_time == 0)
    return base::error{fmt::format("{} is open by a process that cannot be seen from here", dir)};
  return outsider{top->pid, top->start_time, top->command};
}

}  // namespace hasup::daemon
