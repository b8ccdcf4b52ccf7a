// Runs a program: exit 0 passes, and its output is the answer when something is expected of it.
#include "probe/check_run.hpp"

namespace hasup::probe {
namespace {

// The last line that says something.
std::string last_line(std::string_view output) {
  while (!output.empty() && static_cast<unsigned char>(output.back()) <= ' ') output.remove_suffix(1);
  const auto start = output.rfind('\n');
  if (start != std::string_view::npos) output.remove_prefix(start + 1);
  return excerpt(output, 160);
}

class exec_check final : public check_run {
 public:
  using check_run::check_run;

 private:
  void ask() override {
    if (!tools().runner) return finish(outcome::unknown, "exec checks cannot be run here");
    if (check().command.empty()) return finish(outcome::unknown, "the check has no command");
    exec_request request;
    request.command = check().command;
    request.env = whom().env;
    request.uid = whom().uid;
    request.gid = whom().gid;
    request.groups = whom().groups;
    request.directory = whom().directory;
    request.timeout = timeout();
    std::weak_ptr<check_run> weak = weak_from_this();
    kill_ = tools().runner(request, [weak](exec_result r) {
      if (const auto self = weak.lock()) static_cast<exec_check&>(*self).on_end(std::move(r));
    });
  }

  void abandon() override {
    if (const auto kill = std::exchange(kill_, {})) kill();
  }

  check_result late(const std::string& limit) override {
    return result_of(outcome::failed, name() + " did not end within " + limit);
  }

  void on_end(exec_result r) {
    if (ended()) return;
    kill_ = {};
    if (!r.start_error.empty()) return finish(outcome::unknown, name() + " could not be started: " + r.start_error);
    if (r.timed_out) return finish(late(base::format_duration(timeout())));
    if (r.status.lost()) return finish(outcome::unknown, name() + " ended, its status is lost");
    if (r.status.code != 0) {
      const std::string said = last_line(r.output);
      return finish(outcome::failed,
                    name() + " ended with " + model::to_text(r.status) + (said.empty() ? "" : ": " + said));
    }
    judge_and_finish(r.output, {});
  }

  [[nodiscard]] std::string name() const { return excerpt(check().command.front()); }

  std::function<void()> kill_;
};

}  // namespace

std::shared_ptr<check_run> make_exec_check(check_order order, check_run::done_handler done) {
  return std::make_shared<exec_check>(std::move(order), std::move(done));
}

}  // namespace hasup::probe
