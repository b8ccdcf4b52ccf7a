// From the command line to the verb.
#include <unistd.h>

#include <csignal>
#include <exception>

#include "cli/recipe_help.hpp"
#include "cli/verbs.hpp"
#include "demo/demo_scenario.hpp"
#include "hasup/version.hpp"

namespace hasup::cli {
namespace {

using verb_function = exit_code (*)(const context&);

constexpr std::pair<std::string_view, verb_function> table[]{
    {"status", run_status},     {"start", run_command},
    {"stop", run_command},      {"restart", run_command},
    {"recover", run_command},   {"apply", run_apply},
    {"reset", run_setting},     {"wait", run_wait},
    {"why", run_why},           {"events", run_events},
    {"logs", run_logs},         {"check", run_check},
    {"graph", run_graph},       {"cat", run_cat},
    {"probe", run_probe},       {"classify", run_classify},
    {"demo", run_demo},         {"completion", run_completion},
    {"version", run_version},   {"import", run_import},
    {"reload", run_command},    {"signal", run_setting},
    {"enable", run_setting},    {"disable", run_setting},
    {"scale", run_command},     {"maintenance", run_setting},
    {"daemon", run_daemon},     {"exec", run_exec},
    {"snapshot", run_snapshot}, {"upstream", run_upstream},
    {"init", run_init}};

exit_code answer_with(const answer& a) {
  if (a.code == exit_code::done) {
    print(a.text);
    return a.code;
  }
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, a.text.data(), a.text.size());
  return a.code;
}

exit_code run_verb(const std::vector<std::string>& arguments) {
  auto parsed = parse_command_line(arguments);
  auto dirs = config::find_directories();
  if (auto* a = std::get_if<answer>(&parsed)) {
    if (const auto recipe = dirs ? one_recipe(arguments, *dirs) : std::nullopt)
      return answer_with({exit_code::done, *recipe});
    if (dirs && a->code == exit_code::done) a->text += recipes_text(arguments, *dirs);
    return answer_with(*a);
  }
  auto& call = std::get<invocation>(parsed);
  if (!dirs) return answer_with({exit_code::failed, "hasup: " + dirs.error().message + "\n"});
  const auto run_directory = dirs->run;
  const context c{std::move(call),
                  std::move(*dirs),
                  describe_terminal(STDOUT_FILENO),
                  describe_terminal(STDERR_FILENO),
                  control::client(run_directory),
                  arguments};
  for (const auto& [verb, function] : table)
    if (verb == c.call.verb) return function(c);
  return exit_code::usage;
}

}  // namespace

exit_code run_demo(const context& c) {
  return static_cast<exit_code>(demo::run_demo({c.call.json, c.call.keep, c.out.colour}));
}

exit_code run_version(const context& c) {
  if (c.call.json)
    print(std::string("{\"version\":\"") + version + "\"}\n");
  else
    print(std::string("hasup ") + version + "\n");
  return exit_code::done;
}

int run(const std::vector<std::string>& arguments) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return static_cast<int>(run_verb(arguments));
  } catch (const std::exception& e) {
    const std::string text = std::string("hasup: internal error: ") + e.what() + "\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
    return static_cast<int>(exit_code::failed);
  }
}

}  // namespace hasup::cli
