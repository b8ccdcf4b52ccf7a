// `hasup status`: the table, the details, the JSON, and the view that goes on.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/diagnostic.hpp"
#include "cli/selection.hpp"
#include "cli/status_table.hpp"
#include "cli/verbs.hpp"

namespace hasup::cli {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

std::string problems_text(const context& c, const control::host_status& s) {
  if (s.diagnostics.empty()) return {};
  std::string text = "\n";
  constexpr std::size_t shown = 5;
  for (std::size_t i = 0; i < std::min(shown, s.diagnostics.size()); ++i) {
    const auto& d = s.diagnostics[i];
    text += paint(printable(base::headline(d)), d.level == base::severity::error ? style::red : style::yellow,
                  c.out.colour) +
            "\n";
  }
  if (s.diagnostics.size() > shown) text += fmt::format("and {} more; ", s.diagnostics.size() - shown);
  return text + "`hasup check` shows them in full\n";
}

// The table, or the details of the named units.
std::string picture(const context& c, const control::host_status& all,
                    const std::vector<control::instance_status>& chosen) {
  if (!c.call.targets.empty() && !c.call.watch) {
    std::string text;
    for (const auto& u : chosen) text += (text.empty() ? "" : "\n") + render_details(u, system_clock::now(), c.out);
    return text;
  }
  std::string text;
  if (chosen.empty())
    text = "No units. Write one into " + c.dirs.config + "/units, then `hasup apply`.\n";
  else
    text = render_table(chosen, system_clock::now(), c.out);
  return text + problems_text(c, all);
}

struct view {
  exit_code code = exit_code::done;
  std::string text;
};

view look(const context& c, const control::host_status& all) {
  std::vector<std::string> unknown;
  const auto groups = groups_for(c.call.targets, c.dirs);
  const auto chosen = c.call.targets.empty() ? all.units : select(all.units, c.call.targets, unknown, groups);
  view v;
  for (const auto& u : unknown) {
    complain(c, unknown_unit(u, unit_names(all.units), groups));
    v.code = exit_code::no_such_unit;
  }
  if (c.call.json) {
    auto filtered = all;
    filtered.units = chosen;
    v.text = control::encode(filtered) + "\n";
  } else {
    v.text = picture(c, all, chosen);
  }
  if (v.code == exit_code::done && !c.call.targets.empty() && !std::all_of(chosen.begin(), chosen.end(), is_fine))
    v.code = exit_code::not_healthy;
  return v;
}

std::string at_most_lines(const std::string& text, std::size_t lines) {
  std::size_t at = 0;
  for (std::size_t n = 0; n < lines && at != std::string::npos; ++n) {
    at = text.find('\n', at);
    if (at != std::string::npos) ++at;
  }
  return at == std::string::npos ? text : text.substr(0, at);
}

void pause(control::client_result<control::event_stream>& stream, base::duration longest) {
  const auto deadline = steady_clock::now() + longest;
  control::event ignored;
  if (stream && stream->next(ignored, deadline) != control::event_stream::outcome::closed) return;
  // Without a stream (the daemon is away) only the time counts.
  stream = control::client_error{};
  for (auto left = deadline - steady_clock::now(); left > left.zero() && !interrupted();
       left = deadline - steady_clock::now())
    ::usleep(static_cast<useconds_t>(
        std::min<std::int64_t>(50'000, std::chrono::duration_cast<std::chrono::microseconds>(left).count())));
}

exit_code watch(const context& before) {
  context c = before;
  catch_interrupts();
  std::string last;
  control::client_result<control::event_stream> stream = control::client_error{};
  while (!interrupted()) {
    const auto s = c.daemon.status();
    c.out = describe_terminal(STDOUT_FILENO);
    view v;
    if (s)
      v = look(c, *s);
    else
      v.text = s.error().message + "\n";
    if (v.code == exit_code::no_such_unit) return v.code;
    if (c.out.interactive && !c.call.json) {
      const auto heading = s ? fmt::format("{}  hasupd {}  (Ctrl-C ends this view)\n\n", s->host, s->version) : "";
      print("\x1b[H\x1b[J" + at_most_lines(heading + v.text, std::max<std::size_t>(c.out.height, 2) - 1));
    } else if (v.text != last) {
      print(c.call.json || last.empty() ? v.text : "\n" + v.text);
    }
    last = v.text;
    if (!stream) stream = c.daemon.follow(std::nullopt, "");
    pause(stream, base::duration{1'000});
  }
  return exit_code::done;
}

}  // namespace

exit_code run_status(const context& c) {
  if (c.call.watch) return watch(c);
  if (c.call.json && c.call.targets.empty()) {  // exactly what the daemon says
    const auto r = c.daemon.get("/v1/status");
    if (!r) return fail(c, r.error());
    print(r->body + "\n");
    return exit_code::done;
  }
  const auto s = c.daemon.status();
  if (!s) return fail(c, s.error());
  const auto v = look(c, *s);
  print(v.text);
  return v.code;
}

}  // namespace hasup::cli
