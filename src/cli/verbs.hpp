// The verbs, one function each. Add a verb: a row in verb_table.cpp (its options in command_line.cpp), a function
// here, a line in run.cpp, a paragraph in docs/man/hasup.1.
#pragma once

#include "cli/context.hpp"

namespace hasup::cli {

// Runs the program: parses, sets up the context, calls the verb. Returns the exit code.
int run(const std::vector<std::string>& arguments);

exit_code run_status(const context& c);
exit_code run_command(const context& c);  // start, stop, restart, recover
exit_code run_apply(const context& c);
exit_code run_setting(const context& c);
exit_code run_wait(const context& c);
exit_code run_why(const context& c);
exit_code run_events(const context& c);
exit_code run_logs(const context& c);
exit_code run_check(const context& c);
exit_code run_graph(const context& c);
exit_code run_cat(const context& c);
exit_code run_probe(const context& c);
exit_code run_classify(const context& c);
exit_code run_import(const context& c);
exit_code run_init(const context& c);
exit_code run_demo(const context& c);
exit_code run_completion(const context& c);
exit_code run_exec(const context& c);
exit_code run_daemon(const context& c);
exit_code run_upstream(const context& c);
exit_code run_snapshot(const context& c);
exit_code run_version(const context& c);

}  // namespace hasup::cli
