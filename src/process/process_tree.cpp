// Reads /proc for trees, ages and use.
#include "process/process_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "base/unique_fd.hpp"

namespace hasup::process {

namespace {

std::string read_text(const std::string& path) {
  std::string text;
  const base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return text;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = ::read(fd.get(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  return text;
}

// The kernel makes stat and status as a whole: what there is comes with one read.
std::string read_record(const std::string& path) {
  std::array<char, 8192> buffer;
  const base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t got = fd ? ::read(fd.get(), buffer.data(), buffer.size()) : 0;
  return {buffer.data(), static_cast<std::size_t>(got > 0 ? got : 0)};
}

std::string proc(std::int32_t pid, const char* rest) {
  return "/proc/" + std::to_string(pid) + rest;
}

struct stat_fields {
  char state = '?';
  std::int32_t ppid = 0;
  std::int32_t session = 0;
  std::uint64_t cpu_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_time = 0;
};

std::optional<stat_fields> read_stat(std::int32_t pid) {
  const std::string text = read_record(proc(pid, "/stat"));
  // The program's name stands in parentheses and may hold anything, so the fields begin after the last one.
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return std::nullopt;
  stat_fields fields;
  fields.state = text[name_end + 2];
  const char* at = text.c_str() + name_end + 3;
  for (int number = 4; number <= 22; ++number) {
    char* end = nullptr;
    const unsigned long long value = std::strtoull(at, &end, 10);
    if (end == at) return std::nullopt;
    at = end;
    if (number == 4) fields.ppid = static_cast<std::int32_t>(value);
    if (number == 6) fields.session = static_cast<std::int32_t>(value);
    if (number == 14 || number == 15) fields.cpu_ticks += value;
    if (number == 20) fields.threads = value;
    if (number == 22) fields.start_time = value;
  }
  return fields;
}

// A process whose main thread alone has ended looks like a zombie, but its other threads run on.
bool counts(const stat_fields& fields) {
  return (fields.state != 'Z' && fields.state != 'X') || fields.threads > 1;
}

// Calls each(number) for every entry of a directory that is a number.
template <class Each>
void each_number(const std::string& path, Each each) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(path.c_str()), &::closedir);
  if (!listing) return;
  while (const dirent* entry = ::readdir(listing.get())) {
    char* end = nullptr;
    const long number = std::strtol(entry->d_name, &end, 10);
    if (number > 0 && *end == 0) each(static_cast<std::int32_t>(number));
  }
}

std::vector<std::int32_t> children_of(std::int32_t pid, std::uint64_t threads) {
  std::vector<std::int32_t> children;
  const std::string tasks = proc(pid, "/task");
  const auto of_thread = [&](std::int32_t task) {
    const std::string text = read_text(tasks + "/" + std::to_string(task) + "/children");
    const char* at = text.c_str();
    for (char* end = nullptr;; at = end) {
      const long child = std::strtol(at, &end, 10);
      if (end == at) break;
      children.push_back(static_cast<std::int32_t>(child));
    }
  };
  if (threads == 1)
    of_thread(pid);
  else
    each_number(tasks, of_thread);
  return children;
}

// For kernels without the children file: one look at every process of the machine.
std::vector<std::pair<std::int32_t, std::int32_t>> parents() {
  std::vector<std::pair<std::int32_t, std::int32_t>> all;
  each_number("/proc", [&](std::int32_t pid) {
    if (const auto fields = read_stat(pid)) all.emplace_back(pid, fields->ppid);
  });
  return all;
}

bool has_children_file() {
  static const bool has = [] {
    const std::string path = proc(::getpid(), "/task/") + std::to_string(::getpid()) + "/children";
    return ::access(path.c_str(), R_OK) == 0;
  }();
  return has;
}

// Pages of a field like "Rss:   12 kB" in bytes.
std::optional<std::uint64_t> kilobytes(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  return std::strtoull(text.data() + at + key.size(), nullptr, 10) * 1024;
}

}  // namespace

const std::string& boot_id() {
  static const std::string id = [] {
    std::string text = read_text("/proc/sys/kernel/random/boot_id");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }();
  return id;
}

std::optional<std::uint64_t> process_start_time(std::int32_t pid) {
  const auto fields = read_stat(pid);
  if (!fields || !counts(*fields)) return std::nullopt;
  return fields->start_time;
}

bool is_alive(const process_id& id) {
  return id.pid > 0 && process_start_time(id.pid) == id.start_time;
}

std::vector<process_id> process_tree(std::int32_t root, bool with_root) {
  std::vector<process_id> tree;
  std::vector<std::int32_t> to_visit{root};
  std::unordered_set<std::int32_t> seen{root};
  const bool by_file = has_children_file();
  const auto all = by_file ? std::vector<std::pair<std::int32_t, std::int32_t>>{} : parents();
  for (std::size_t i = 0; i < to_visit.size(); ++i) {
    const std::int32_t pid = to_visit[i];
    const auto fields = read_stat(pid);
    if (!fields) continue;
    if (counts(*fields) && (i > 0 || with_root)) tree.push_back({pid, fields->start_time});
    if (by_file) {
      for (const std::int32_t child : children_of(pid, fields->threads))
        if (seen.insert(child).second) to_visit.push_back(child);
    } else {
      for (const auto& [child, parent] : all)
        if (parent == pid && seen.insert(child).second) to_visit.push_back(child);
    }
  }
  return tree;
}

std::vector<std::int32_t> own_children() {
  const auto self = static_cast<std::int32_t>(::getpid());
  if (has_children_file()) return children_of(self, 0);
  std::vector<std::int32_t> children;
  for (const auto& [child, parent] : parents())
    if (parent == self) children.push_back(child);
  return children;
}

std::vector<process_id> unit_processes(const unit_root& root) {
  // The number of a shim that died a moment ago may be somebody else's by now: it is believed for its child.
  const auto main = root.attached || root.main_pid == 0 ? std::nullopt : read_stat(root.main_pid);
  const bool orphaned = main && main->start_time == root.main_start_time && main->ppid != root.shim_pid;
  if (!root.attached && !orphaned) return process_tree(root.shim_pid, false);
  const auto main_pid = root.main_pid;
  if (!is_alive({main_pid, root.main_start_time})) return {};
  // Its orphans went to init, but they are still of its session.
  std::vector<process_id> all = process_tree(main_pid, true);
  if (all.empty()) return all;
  each_number("/proc", [&](std::int32_t pid) {
    const auto fields = read_stat(pid);
    if (!fields || fields->session != main_pid || fields->start_time < root.main_start_time || !counts(*fields))
      return;
    const process_id id{pid, fields->start_time};
    if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
  });
  return all;
}

std::vector<std::int32_t> session_members(std::int32_t session) {
  std::vector<std::int32_t> members;
  each_number("/proc", [&](std::int32_t pid) {
    const auto fields = read_stat(pid);
    if (fields && fields->session == session && counts(*fields)) members.push_back(pid);
  });
  return members;
}

process_usage usage_of(std::span<const process_id> processes) {
  process_usage usage;
  static const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  for (const process_id& id : processes) {
    const auto fields = read_stat(id.pid);
    if (!fields || fields->start_time != id.start_time || !counts(*fields)) continue;
    ++usage.processes;
    usage.cpu += std::chrono::milliseconds(fields->cpu_ticks * 1000 / ticks);
    const std::string status = read_record(proc(id.pid, "/status"));
    usage.memory += kilobytes(status, "RssAnon:").value_or(0) + kilobytes(status, "RssShmem:").value_or(0);
    usage.mapped += kilobytes(status, "RssFile:").value_or(0);
  }
  return usage;
}

std::optional<std::uint64_t> proportional_memory(std::int32_t pid) {
  return kilobytes(read_text(proc(pid, "/smaps_rollup")), "\nPss:");
}

}  // namespace hasup::process
