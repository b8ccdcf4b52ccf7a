#include "daemon/event_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>

#include "base/unique_fd.hpp"
#include "daemon/disk_thread.hpp"

namespace hasup::daemon {
namespace {

constexpr std::size_t kept_in_memory = 2000;
constexpr off_t rotate_at = 16 << 20;  // bytes; one older file is kept

std::string read_tail(const std::string& path, off_t at_most) {
  const base::unique_fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return {};
  const off_t from = st.st_size > at_most ? st.st_size - at_most : 0;
  std::string text(static_cast<std::size_t>(st.st_size - from), '\0');
  const auto n = ::pread(fd.get(), text.data(), text.size(), from);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

// Appends whole lines with one write; the file is opened each time, so that a removed or rotated file does no harm.
void append_line(const std::string& path, const std::string& line) {
  base::unique_fd fd{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640)};
  struct stat st {};
  if (fd && ::fstat(fd.get(), &st) == 0 && st.st_size > rotate_at) {
    ::rename(path.c_str(), (path + ".1").c_str());
    fd.reset(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  }
  if (fd && ::write(fd.get(), line.data(), line.size()) < 0) return;  // a full disk loses the line, not the daemon
}

bool is_of(const control::event& e, const std::string& unit, unsigned instance) {
  return e.unit == unit && e.instance.value_or(0) == instance;
}

template <class Events, class Wanted>
std::vector<control::event> last_of(const Events& all, std::size_t max, const Wanted& wanted) {
  std::vector<control::event> out;
  for (auto it = all.rbegin(); it != all.rend() && out.size() < max; ++it)
    if (wanted(*it)) out.push_back(*it);
  std::reverse(out.begin(), out.end());
  return out;
}

// The run before it told of its end in these.
bool leads_to_recovery(const control::event& e) {
  static constexpr std::string_view others[] = {"started", "running", "adopted", "became_healthy", "recovery_ended"};
  return std::find(std::begin(others), std::end(others), e.kind) == std::end(others);
}

std::size_t story_begin(const std::vector<control::event>& all, std::size_t max) {
  constexpr std::size_t most_that_led_to_it = 8;
  const auto newest = all.size() - std::min(max, all.size());
  const auto is = [](std::string_view kind) { return [kind](const control::event& e) { return e.kind == kind; }; };
  const auto began = std::find_if(all.rbegin(), all.rend(), is("recovery_began"));
  if (began == all.rend()) return newest;
  auto first = static_cast<std::size_t>(all.rend() - began) - 1;
  const auto end = std::find_if(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(), is("recovery_ended"));
  if (end != all.end() && static_cast<std::size_t>(end - all.begin()) < newest) return newest;
  for (std::size_t n = 0; n < most_that_led_to_it && first > 0 && leads_to_recovery(all[first - 1]); ++n) --first;
  return std::min(first, newest);
}

}  // namespace

event_log::event_log(disk_thread& writer, std::string directory)
    : writer_(writer), path_(std::move(directory)), written_(std::make_shared<std::atomic<std::uint64_t>>(0)) {
  std::error_code ignored;
  std::filesystem::create_directories(path_, ignored);
  path_ += "/events.jsonl";
  std::string text = read_tail(path_, 1 << 20);
  if (text.empty()) text = read_tail(path_ + ".1", 1 << 20);
  std::size_t begin = 0;
  while (begin < text.size()) {
    const auto end = text.find('\n', begin);
    if (end == std::string::npos) {  // torn: the next line must not be glued to it
      append_line(path_, "\n");
      break;
    }
    if (auto e = control::decode_event(std::string_view(text).substr(begin, end - begin))) {
      next_seq_ = std::max(next_seq_, e->seq + 1);
      remember(std::move(*e));
    }
    begin = end + 1;
  }
  written_->store(newest());
}

void event_log::append(control::event e, base::wall_time now) {
  e.seq = next_seq_++;
  e.at = std::chrono::floor<std::chrono::milliseconds>(now);
  writer_.run([path = path_, line = control::encode(e) + "\n", written = written_, seq = e.seq] {
    append_line(path, line);
    written->store(seq, std::memory_order_release);
  });
  remember(e);
  if (listener_) listener_(e);
}

void event_log::remember(control::event e) {
  if (!e.unit.empty() && !e.state.empty()) last_states_[{e.unit, e.instance.value_or(0)}] = e.state;
  recent_.push_back(std::move(e));
  if (recent_.size() > kept_in_memory) recent_.pop_front();
}

std::string event_log::last_state(const std::string& unit, unsigned instance) const {
  const auto it = last_states_.find({unit, instance});
  return it == last_states_.end() ? "" : it->second;
}

void event_log::when_written(std::uint64_t seq, std::function<void()> then) {
  if (written_->load(std::memory_order_acquire) >= seq) return then();
  writer_.run([] {}, std::move(then));
}

std::vector<control::event> event_log::since(std::uint64_t seq, std::size_t max) const {
  std::vector<control::event> out;
  for (const auto& e : recent_)
    if (e.seq > seq) out.push_back(e);
  if (out.size() > max) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(max));
  return out;
}

std::vector<control::event> event_log::of(const std::string& unit, unsigned instance, std::size_t max) const {
  return last_of(recent_, max, [&](const control::event& e) { return is_of(e, unit, instance); });
}

std::vector<control::event> event_log::story_of(const std::string& unit, unsigned instance, std::size_t max) const {
  const auto all = last_of(recent_, kept_in_memory, [&](const control::event& e) {
    return is_of(e, unit, instance) && e.kind != "recovery_progress";
  });
  return {all.begin() + static_cast<std::ptrdiff_t>(story_begin(all, max)), all.end()};
}

}  // namespace hasup::daemon
