// `hasup why`: what happened, the evidence, what was tried, what comes next, what a person can do.
#include "cli/data_holder.hpp"
#include "cli/event_text.hpp"
#include "cli/selection.hpp"
#include "cli/status_table.hpp"
#include "cli/story.hpp"
#include "cli/verbs.hpp"

namespace hasup::cli {
namespace {

void section(std::string& out, const terminal& t, std::string_view title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out += "\n" + paint(title, style::bold, t.colour) + "\n";
  for (const auto& l : lines) out += "  " + printable(l) + "\n";
}

}  // namespace

std::string render_story(const control::why_report& w, base::wall_time now, const terminal& t) {
  std::string out;
  for (const auto& s : w.instances) {
    if (!out.empty()) out += "\n";
    out += render_details(s.status, now, t);
    section(out, t, "The log lines that decided", s.evidence);
    if (!s.grounds.empty()) section(out, t, s.evidence.empty() ? "What decided" : "What else decided", {s.grounds});
    if (!s.advice.empty()) section(out, t, "Advice", {s.advice});
    section(out, t, "What was tried", s.tried);
    if (!s.next.empty()) section(out, t, "What comes next", {s.next});
    section(out, t, "What you can do", s.actions);
    if (s.events.empty()) continue;
    out += "\n" + paint("What happened", style::bold, t.colour) + "\n";
    event_layout columns;
    columns.name_width = display_width(control::display_name(s.status));
    if (s.status.instances > 1) columns.several.insert(s.status.unit);
    for (const auto& e : s.events) columns.fit(e);
    for (const auto& e : s.events) {
      auto line = render_event(e, t, columns);
      line.pop_back();
      // Cut only where there are no colour sequences in the way: the reason stands at the end.
      out += "  " + (t.width > 6 && !t.colour ? shorten(line, t.width - 2) : line) + "\n";
    }
  }
  return out;
}

exit_code run_why(const context& c) {
  control::command command;
  command.verb = "why";
  command.targets = c.call.targets;
  const auto reply = c.daemon.execute(command);
  if (!reply) return fail(c, reply.error());
  if (reply->code != exit_code::done) {
    complain(c, reply->message);
    return reply->code;
  }
  if (c.call.json) {
    print(reply->body + "\n");
    return exit_code::done;
  }
  const auto story = control::decode_why(reply->body);
  if (!story) {
    complain(c, story.error().message);
    return exit_code::failed;
  }
  print(render_story(*story, std::chrono::system_clock::now(), c.out));
  for (const auto& one : story->instances)
    if (const auto holder = data_holder(c, one.status); !holder.empty()) print("\n" + printable(holder) + "\n");
  return exit_code::done;
}

}  // namespace hasup::cli
