#include "probe/log_lines.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "probe/answer.hpp"

namespace hasup::probe {
namespace {

using std::chrono::duration_cast;

std::string short_text(base::duration d) {
  return base::format_duration_short(std::max(d, base::duration{0}));
}

struct groups {
  std::optional<std::string> head, time;
};

std::optional<groups> match(const re2::RE2& pattern, std::string_view line) {
  constexpr int most = 10;
  const auto& names = pattern.NamedCapturingGroups();
  int needed = 0;
  for (const auto& [name, index] : names)
    if (name == "head" || name == "time") needed = std::max(needed, index);
  if (needed >= most) return std::nullopt;
  std::array<re2::StringPiece, most> found;
  if (!pattern.Match({line.data(), line.size()}, 0, line.size(), RE2::UNANCHORED, found.data(), needed + 1))
    return std::nullopt;
  const auto group = [&](const char* name) -> std::optional<std::string> {
    const auto it = names.find(name);
    if (it == names.end()) return std::nullopt;
    return found[static_cast<std::size_t>(it->second)].as_string();
  };
  return groups{group("head"), group("time")};
}

void remember(const model::check& c, log_memory& memory, std::string_view line, const groups& g) {
  memory.line = std::string(line.substr(0, 4096));
  memory.unreadable.clear();
  model::head head;
  if (g.head) {
    if (const auto n = decimal::parse(*g.head)) head.number = n->to_uint64();
    if (!head.number) memory.unreadable = "head is " + excerpt(*g.head) + ", not a block number";
  }
  if (g.time) {
    head.time = read_time(*g.time, c.head.format);
    if (!head.time)
      memory.unreadable = "time is " + excerpt(*g.time) + ", not a time (" +
                          std::string(model::time_format_names.text(c.head.format)) + ")";
  }
  memory.head = head == model::head{} ? std::nullopt : std::optional(head);
}

condition_result judge_age(base::duration limit, const log_memory& memory, base::mono_time now,
                           base::wall_time wall_now) {
  using seconds = std::chrono::duration<double>;
  const auto limited = " (limit " + base::format_duration(limit) + ")";
  if (!memory.line) {
    const auto looked = duration_cast<base::duration>(now - memory.since.value_or(now));
    return {looked > limit ? outcome::failed : outcome::unknown,
            "no line has matched for " + short_text(looked) + limited, true};
  }
  if (memory.head && memory.head->time) {
    const seconds age = seconds(wall_now.time_since_epoch()) - seconds(memory.head->time->time_since_epoch());
    const auto text = [](seconds s) { return short_text(duration_cast<base::duration>(std::min(s, seconds(1e9)))); };
    if (-age > std::max<base::duration>(limit, std::chrono::minutes{1}))
      return {outcome::unknown,
              "the newest match is " + text(-age) + " ahead of this machine's clock; check its time synchronisation",
              true};
    return {age > limit ? outcome::failed : outcome::passed, "the newest match is " + text(age) + " old" + limited,
            true};
  }
  const auto age = duration_cast<base::duration>(now - memory.seen);
  if (age > limit) return {outcome::failed, "no line has matched for " + short_text(age) + limited, true};
  if (memory.older)
    return {outcome::unknown, "the newest match was there before it was looked for: its age is not known yet", true};
  return {outcome::passed, "the newest match came " + short_text(age) + " ago" + limited, true};
}

}  // namespace

void take_lines(const model::check& c, log_memory& memory, std::string_view lines, base::mono_time now) {
  const bool first = !memory.since;
  if (first) memory.since = now;
  if (!memory.pattern) memory.pattern = std::make_shared<const re2::RE2>(c.pattern, RE2::Quiet);
  if (!memory.pattern->ok()) return;
  while (!lines.empty()) {
    if (lines.back() == '\n') lines.remove_suffix(1);
    const auto before = lines.rfind('\n');
    auto line = before == std::string_view::npos ? lines : lines.substr(before + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (const auto found = match(*memory.pattern, line)) {
      remember(c, memory, line, *found);
      memory.seen = now;
      memory.older = first;
      return;
    }
    lines = before == std::string_view::npos ? std::string_view() : lines.substr(0, before + 1);
  }
}

check_result judge_lines(const model::check& c, const log_memory& memory, base::mono_time now,
                         base::wall_time wall_now) {
  check_result r;
  r.out = outcome::passed;
  r.reason = "passed";
  r.answered = memory.line.has_value();
  if (memory.pattern && !memory.pattern->ok()) {
    r.conditions.push_back(
        {outcome::unknown, "bad pattern " + excerpt(c.pattern) + ": " + memory.pattern->error(), false});
  } else if (memory.line && memory.unreadable.empty()) {
    r.conditions.push_back({outcome::passed, "the newest match is " + excerpt(*memory.line, 160), false});
  } else if (memory.line) {
    r.conditions.push_back({outcome::failed, memory.unreadable, false});
    r.answered = false;
  } else {
    r.conditions.push_back(
        {outcome::unknown, "no line of this run has matched " + excerpt(c.pattern) + " yet", false});
  }
  if (c.max_age) r.conditions.push_back(judge_age(*c.max_age, memory, now, wall_now));
  for (const auto& one : r.conditions) {
    const bool worse = (one.out == outcome::failed && r.out != outcome::failed) ||
                       (one.out == outcome::unknown && r.out == outcome::passed);
    if (!worse) continue;
    r.out = one.out;
    r.reason = one.text;
  }
  r.head = memory.head;
  return r;
}

}  // namespace hasup::probe
