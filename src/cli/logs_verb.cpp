// `hasup logs`: straight from the log files, several units put together by time.
#include <fmt/format.h>
#include <poll.h>
#include <re2/re2.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>

#include "base/time_text.hpp"
#include "base/unique_fd.hpp"
#include "cli/selection.hpp"
#include "cli/stored_events.hpp"
#include "cli/verbs.hpp"
#include "logs/cri_line.hpp"
#include "logs/log_reader.hpp"
#include "model/unit_name.hpp"

namespace hasup::cli {
namespace {

constexpr std::int64_t beginning = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t end_of_time = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t all_lines = std::numeric_limits<std::size_t>::max();

// One log that is read, with the line that comes next.
struct source {
  std::string name;
  logs::log_reader reader;
  std::int64_t from = beginning;  // lines before this are left out
  std::int64_t until = end_of_time;
  std::optional<logs::log_line> next{};
  std::int64_t last_time = 0;  // for lines that carry none
};

struct filter {
  std::unique_ptr<RE2> pattern;

  [[nodiscard]] bool wants(const source& s, const logs::log_line& line) const {
    if (line.time_ns < s.from || line.time_ns >= s.until) return false;
    return !pattern || RE2::PartialMatch(line.text, *pattern);
  }
};

void advance(source& s, const filter& f) {
  while ((s.next = s.reader.next())) {
    if (s.next->time.empty()) s.next->time_ns = s.last_time;
    s.last_time = s.next->time_ns;
    if (f.wants(s, *s.next)) return;
  }
}

// The logs that the targets mean: files that are there, and units that have none yet.
base::result<std::vector<std::string>> names_of(const context& c) {
  const auto present = logs::list_logs(c.dirs.log);
  if (c.call.targets.empty()) return {boost::system::in_place_value, present};
  std::vector<std::string> names;
  for (const auto& target : c.call.targets) {
    const auto r = model::parse_unit_reference(target);
    const auto before = names.size();
    for (const auto& p : present) {
      const auto log = model::parse_unit_reference(p);
      if (r && log && log->unit == r->unit && (!r->index || r->index == log->index.value_or(0))) names.push_back(p);
    }
    if (names.size() > before) continue;
    struct stat s {};
    const bool known = r && ::stat((c.dirs.config + "/units/" + r->unit + ".toml").c_str(), &s) == 0;
    if (!known) return base::error{unknown_unit(target, present), ENOENT};
    names.push_back(target);
  }
  return {boost::system::in_place_value, std::move(names)};
}

base::result<std::int64_t> parse_since(const std::string& text) {
  if (text.empty()) return beginning;
  if (const auto age = base::parse_duration(text))
    return logs::to_nanoseconds(std::chrono::system_clock::now() - *age);
  if (const auto time = base::parse_time(text)) return logs::to_nanoseconds(*time);
  return base::error{"--since takes an age such as 10m or a time such as 2026-11-21T01:02:03Z, not \"" + text + "\""};
}

// The run before the last one. A run's first lines may be older than its `started` event by a moment, so a run is
// taken to begin where the one before it ended.
base::result<void> limit_to_previous(const context& c, source& s) {
  auto events = c.daemon.events(0, 10'000, s.name);
  if (!events) {
    auto stored = stored_events(c.dirs.state, 100'000, s.name);
    if (!stored) return stored.error();
    events = std::move(*stored);
  }
  struct run {
    base::wall_time began;
    std::optional<base::wall_time> ended;
  };
  std::vector<run> runs;
  for (const auto& e : *events) {
    if (e.kind == "started") runs.push_back({e.at, {}});
    if (e.kind == "exited" && !runs.empty()) runs.back().ended = e.at;
  }
  const auto n = runs.size();
  if (n < 2) return base::error{"no earlier run of " + s.name + " is known"};
  const auto& wanted = runs[n - 2];
  const bool known = n >= 3 && runs[n - 3].ended;
  s.from = logs::to_nanoseconds(known ? *runs[n - 3].ended : wanted.began - std::chrono::seconds(1));
  s.until = logs::to_nanoseconds(wanted.ended.value_or(runs[n - 1].began));
  return {};
}

class printer {
 public:
  printer(const context& c, const std::vector<source>& sources) : c_(c), named_(sources.size() > 1) {
    for (const auto& s : sources) width_ = std::max(width_, s.name.size());
  }

  void operator()(const std::string& name, const logs::log_line& line) {
    std::string out;
    if (named_) out += paint(pad(name, width_), style::blue, c_.out.colour) + " | ";
    if (c_.call.timestamps && !line.time.empty()) out += paint(line.time, style::dim, c_.out.colour) + " ";
    out += c_.out.interactive ? printable(line.text, c_.out.colour) : line.text;
    pending_ += out + "\n";
    if (pending_.size() > 64 * 1024) flush();
  }
  void flush() {
    if (!pending_.empty()) print(std::exchange(pending_, {}));
  }

 private:
  const context& c_;
  bool named_;
  std::size_t width_ = 0;
  std::string pending_;
};

// The line with the earliest time of all sources; null when none has one.
source* earliest(std::vector<source>& all) {
  source* first = nullptr;
  for (auto& s : all)
    if (s.next && (!first || s.next->time_ns < first->next->time_ns)) first = &s;
  return first;
}

void show_all(std::vector<source>& all, const filter& f, std::size_t lines, printer& out) {
  std::deque<std::pair<std::string, logs::log_line>> last;
  for (auto& s : all) advance(s, f);
  while (auto* s = earliest(all)) {
    if (lines == all_lines) {
      out(s->name, *s->next);
    } else {
      last.emplace_back(s->name, std::move(*s->next));
      if (last.size() > lines) last.pop_front();
    }
    advance(*s, f);
  }
  for (const auto& [name, line] : last) out(name, line);
  out.flush();
}

exit_code follow(const context& c, std::vector<source>& all, const filter& f, printer& out) {
  catch_interrupts();
  base::unique_fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (watch) ::inotify_add_watch(watch.get(), c.dirs.log.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  while (!interrupted()) {
    show_all(all, f, all_lines, out);
    pollfd p{watch.get(), POLLIN, 0};
    ::poll(&p, watch ? 1 : 0, 1000);  // without inotify, and for a directory that comes later, a look each second
    char ignored[4096];
    while (watch && ::read(watch.get(), ignored, sizeof ignored) > 0) {
    }
  }
  return exit_code::done;
}

}  // namespace

exit_code run_logs(const context& c) {
  const auto names = names_of(c);
  if (!names) {
    complain(c, names.error().message);
    return exit_code::no_such_unit;
  }
  const auto since = parse_since(c.call.since);
  if (!since) {
    complain(c, since.error().message);
    return exit_code::usage;
  }
  filter f;
  if (!c.call.grep.empty()) {
    f.pattern = std::make_unique<RE2>(c.call.grep, RE2::Quiet);
    if (!f.pattern->ok()) {
      complain(c, "--grep: " + f.pattern->error());
      return exit_code::usage;
    }
  }
  const bool whole = !c.call.since.empty() || !c.call.grep.empty() || c.call.previous;
  const auto lines = c.call.lines.value_or(whole ? all_lines : 100);
  std::vector<source> all;
  for (const auto& name : *names) {
    source s{name, logs::log_reader(c.dirs.log + "/" + name + ".log")};
    s.from = *since;
    if (c.call.previous)
      if (const auto limited = limit_to_previous(c, s); !limited) {
        complain(c, limited.error().message);
        return exit_code::failed;
      }
    const auto opened = whole || lines == all_lines ? s.reader.open(s.from) : s.reader.open_tail(lines);
    if (!opened) {
      complain(c, opened.error().message);
      return opened.error().code == EACCES ? exit_code::permission_denied : exit_code::failed;
    }
    all.push_back(std::move(s));
  }
  const bool nothing = std::all_of(all.begin(), all.end(), [](const source& s) { return s.reader.missing(); });
  if (nothing && !c.call.follow) complain(c, "nothing was written yet (" + c.dirs.log + ")");
  printer out(c, all);
  show_all(all, f, lines, out);
  return c.call.follow && !c.call.previous ? follow(c, all, f, out) : exit_code::done;
}

}  // namespace hasup::cli
