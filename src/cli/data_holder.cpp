#include "cli/data_holder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "base/small_file.hpp"
#include "cli/selection.hpp"
#include "config/unit_dir.hpp"

namespace hasup::cli {
namespace {

constexpr std::size_t most_bytes = 16U << 20U;

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

std::string text_of(std::int32_t pid, const char* file) {
  const auto text = base::read_small_file(fmt::format("/proc/{}/{}", pid, file), most_bytes);
  return text ? *text : std::string();
}

std::string command_of(std::int32_t pid) {
  auto out = text_of(pid, "cmdline");
  while (!out.empty() && out.back() == '\0') out.pop_back();
  std::replace(out.begin(), out.end(), '\0', ' ');
  return out;
}

std::string name_of(std::int32_t pid) {
  auto out = text_of(pid, "comm");
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

std::optional<std::int32_t> parent_of(std::int32_t pid) {
  const auto stat = text_of(pid, "stat");
  std::string_view rest(stat);
  const auto name = rest.rfind(')');  // which may hold anything
  if (name == std::string_view::npos) return std::nullopt;
  rest.remove_prefix(name + 1);
  next_word(rest);
  const auto word = next_word(rest);
  std::int32_t parent = 0;
  std::from_chars(word.data(), word.data() + word.size(), parent);
  return parent > 1 ? std::optional(parent) : std::nullopt;
}

// A worker works for the `hasup` above it: that is what a person started, and can end.
std::int32_t whom_to_ask(std::int32_t pid) {
  auto at = pid;
  for (int up = 0; up < 4 && name_of(at).starts_with("hasup-worker"); ++up) {
    const auto parent = parent_of(at);
    if (!parent || !name_of(*parent).starts_with("hasup")) break;
    at = *parent;
  }
  return name_of(at) == "hasup" ? at : pid;
}

}  // namespace

std::vector<std::int32_t> flock_holders(std::string_view locks, unsigned major, unsigned minor, std::uint64_t inode) {
  const auto file = fmt::format("{:02x}:{:02x}:{}", major, minor, inode);
  std::vector<std::int32_t> out;
  while (!locks.empty()) {
    const auto end = locks.find('\n');
    auto line = locks.substr(0, end);
    locks.remove_prefix(end == std::string_view::npos ? locks.size() : end + 1);
    next_word(line);  // "12:"
    if (next_word(line) != "FLOCK") continue;
    next_word(line);
    next_word(line);
    const auto word = next_word(line);
    std::int32_t pid = 0;
    std::from_chars(word.data(), word.data() + word.size(), pid);
    if (pid > 0 && next_word(line) == file) out.push_back(pid);
  }
  return out;
}

std::string data_holder(const context& c, const control::instance_status& unit) {
  if (unit.state != model::unit_state::failed || !unit.exit || unit.exit->cls != "data in use") return {};
  const auto all = config::load(c.dirs);
  const auto found = all.units.find(unit.unit);
  if (found == all.units.end() || unit.instance >= found->second.instances.size()) return {};
  const auto& data = found->second.instances[unit.instance].data;
  auto places = data.also;
  if (!data.dir.empty()) places.insert(places.begin(), data.dir);
  const auto locks = base::read_small_file("/proc/locks", most_bytes);
  if (!locks) return {};
  for (const auto& place : places) {
    struct stat st {};
    if (::stat(place.c_str(), &st) != 0) continue;
    for (const auto pid : flock_holders(*locks, major(st.st_dev), minor(st.st_dev), st.st_ino)) {
      const auto who = whom_to_ask(pid);
      const auto command = command_of(who);
      const auto name = control::display_name(unit);
      const bool node = name_of(who) == "hasup-shim";
      return fmt::format("{} is held by `{}` (pid {}): {}; then `hasup start {}`", place,
                         shorten(command.empty() ? name_of(who) : command, 160), who,
                         node ? "a node of another hasup, or of another unit, runs on it; stop that one there"
                              : fmt::format("wait for it, or end it with `kill {}`", who),
                         name);
    }
  }
  return {};
}

}  // namespace hasup::cli
