// `hasup logs`: straight from the log files, several units put together by time.
#include <poll.h>
#include <re2/re2.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <memory>
#include <set>

#include "base/time_text.hpp"
#include "base/unique_fd.hpp"
#include "cli/log_printer.hpp"
#include "cli/log_sources.hpp"
#include "cli/stored_events.hpp"
#include "cli/verbs.hpp"
#include "logs/cri_line.hpp"

namespace hasup::cli {
namespace {

constexpr std::int64_t beginning = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t end_of_time = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t all_lines = std::numeric_limits<std::size_t>::max();

// One log that is read, with the line that comes next.
struct source {
  log_source log;
  logs::log_reader reader;
  std::int64_t from = beginning;  // lines before this are left out
  std::int64_t until = end_of_time;
  std::optional<logs::log_line> next{};
  bool unfinished_too = false;  // nobody waits for the ends of lines
};

struct filter {
  std::unique_ptr<RE2> pattern;

  [[nodiscard]] bool wants(const source& s, const logs::log_line& line) const {
    if (line.time_ns < s.from || line.time_ns >= s.until) return false;
    return !pattern || RE2::PartialMatch(line.text, *pattern);
  }
};

void advance(source& s, const filter& f) {
  for (;;) {
    s.next = s.reader.next();
    if (!s.next && s.unfinished_too) s.next = s.reader.next_unfinished();
    if (!s.next || f.wants(s, *s.next)) return;
  }
}

base::result<std::int64_t> parse_since(const std::string& text) {
  if (text.empty()) return beginning;
  const auto now = std::chrono::system_clock::now();
  if (const auto age = base::parse_duration(text)) return logs::to_nanoseconds(now - *age);
  const auto today = base::format_time(now).substr(0, 10);
  if (text == "today") return logs::to_nanoseconds(*base::parse_time(today + "T00:00:00Z"));
  if (text == "yesterday")
    return logs::to_nanoseconds(*base::parse_time(today + "T00:00:00Z") - std::chrono::hours(24));
  // 2026-11-21T01:02:03Z, 2026-11-21 01:02, 2026-11-21, 01:02:03, 01:02; as the lines themselves in UTC.
  for (const auto& whole : {text, text + ":00", text + "T00:00:00", today + "T" + text, today + "T" + text + ":00"})
    if (const auto time = base::parse_time(whole)) return logs::to_nanoseconds(*time);
  return base::error{
      "--since takes an age such as 10m, or a time in UTC such as 2026-11-21T01:02:03Z, 2026-11-21 or "
      "01:02, not \"" +
      text + "\""};
}

// The run before the last one. A run's first lines may be older than its `started` event by a moment, so a run is
// taken to begin where the one before it ended.
base::result<void> limit_to_previous(const context& c, source& s) {
  const auto& name = s.log.instance_name;
  auto events = c.daemon.events(0, 10'000, name);
  if (!events) {
    auto stored = stored_events(c.dirs.state, 100'000, name);
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
  if (n < 2) return base::error{"no earlier run of " + name + " is known"};
  const auto& wanted = runs[n - 2];
  const bool known = n >= 3 && runs[n - 3].ended;
  s.from = logs::to_nanoseconds(known ? *runs[n - 3].ended : wanted.began - std::chrono::seconds(1));
  s.until = logs::to_nanoseconds(wanted.ended.value_or(runs[n - 1].began));
  return {};
}

// The line with the earliest time of all sources; null when none has one.
source* earliest(std::vector<source>& all) {
  source* first = nullptr;
  for (auto& s : all)
    if (s.next && (!first || s.next->time_ns < first->next->time_ns)) first = &s;
  return first;
}

void show_all(std::vector<source>& all, const filter& f, std::size_t lines, log_printer& out) {
  std::deque<std::pair<const log_source*, logs::log_line>> last;
  for (auto& s : all) advance(s, f);
  while (auto* s = earliest(all)) {
    if (lines == all_lines) {
      out.add(s->log, *s->next);
    } else {
      last.emplace_back(&s->log, std::move(*s->next));
      if (last.size() > lines) last.pop_front();
    }
    advance(*s, f);
  }
  for (const auto& [log, line] : last) out.add(*log, line);
  out.flush();
}

// A recovery is silent in its node's log for hours: what hasupd tells of it stands between the lines, on stderr.
// Without a hasupd only the log is shown.
class recovery_news {
 public:
  recovery_news(const context& c, const std::vector<source>& all)
      : c_(c), stream_(c.daemon.follow(std::nullopt, "")) {
    for (const auto& s : all) units_.insert(s.log.instance_name);
  }

  void show() {
    using outcome = control::event_stream::outcome;
    control::event e;
    for (auto is = outcome::event; stream_ && is == outcome::event;) {
      is = stream_->next(e, std::chrono::steady_clock::now());
      if (is == outcome::closed) stream_ = c_.daemon.follow(std::nullopt, "");
      if (is != outcome::event || !e.kind.starts_with("recovery_")) continue;
      const auto concerned = [&](const std::string& name) { return control::concerns(e, name); };
      if (const auto who = std::find_if(units_.begin(), units_.end(), concerned); who != units_.end())
        complain(c_, *who + " " + printable(e.kind + ": " + e.reason));
    }
  }

 private:
  const context& c_;
  control::client_result<control::event_stream> stream_;
  std::set<std::string> units_;
};

exit_code follow(const context& c, std::vector<source>& all, const filter& f, log_printer& out) {
  recovery_news news(c, all);
  const base::unique_fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  std::set<std::string> directories;
  for (const auto& s : all) directories.insert(s.log.path.substr(0, s.log.path.rfind('/') + 1));
  for (const auto& d : directories)
    if (watch) ::inotify_add_watch(watch.get(), d.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  while (!interrupted()) {
    show_all(all, f, all_lines, out);
    if (!f.pattern) news.show();
    pollfd p{watch.get(), POLLIN, 0};
    ::poll(&p, watch ? 1 : 0, 1000);  // without inotify, and for a directory that comes later, a look each second
    char ignored[4096];
    while (watch && ::read(watch.get(), ignored, sizeof ignored) > 0) {
    }
  }
  return exit_code::done;
}

struct failure {
  exit_code code;
  std::string message;
};

// Opens what can be read. A node's own file that must not be read is left out with a word; a log of hasup's is not.
std::optional<failure> open_sources(const context& c, std::vector<log_source> found, std::int64_t since,
                                    std::size_t lines, bool whole, std::vector<source>& all) {
  for (auto& log : found) {
    source s{std::move(log), logs::log_reader({}), since};
    s.reader = logs::log_reader(s.log.path, s.log.form);
    s.unfinished_too = !c.call.follow || c.call.previous;
    if (c.call.previous)
      if (const auto limited = limit_to_previous(c, s); !limited)
        return failure{exit_code::failed, limited.error().message};
    const auto opened = whole || lines == all_lines ? s.reader.open(s.from) : s.reader.open_tail(lines);
    if (!opened && s.log.form == logs::log_form::plain && found.size() > 1) {
      complain(c, opened.error().message + "; left out");
      continue;
    }
    if (!opened)
      return failure{opened.error().code == EACCES ? exit_code::permission_denied : exit_code::failed,
                     opened.error().message};
    all.push_back(std::move(s));
  }
  return std::nullopt;
}

}  // namespace

exit_code run_logs(const context& c) {
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
  auto found = find_logs(c.dirs, c.call.targets);
  if (!found) {
    complain(c, found.error().message);
    return exit_code::no_such_unit;
  }
  const bool whole = !c.call.since.empty() || !c.call.grep.empty() || c.call.previous;
  const auto lines = c.call.lines.value_or(whole ? all_lines : 100);
  std::vector<source> all;
  if (const auto failed = open_sources(c, std::move(*found), *since, lines, whole, all)) {
    complain(c, failed->message);
    return failed->code;
  }
  const bool nothing = std::all_of(all.begin(), all.end(), [](const source& s) { return s.reader.missing(); });
  if (nothing && !c.call.follow) complain(c, "nothing was written yet (" + c.dirs.log + ")");
  std::vector<log_source> shown;
  for (const auto& s : all) shown.push_back(s.log);
  log_printer out(c, shown);
  if (c.call.follow) catch_interrupts();
  show_all(all, f, lines, out);
  for (const auto& s : all)
    if (!s.reader.damaged().empty()) complain(c, s.reader.damaged());
  return c.call.follow && !c.call.previous ? follow(c, all, f, out) : exit_code::done;
}

}  // namespace hasup::cli
