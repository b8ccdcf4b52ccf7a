// Looks at what the run has written since the last look.
#include "probe/check_run.hpp"

namespace hasup::probe {
namespace {

class log_check final : public check_run {
 public:
  using check_run::check_run;

 private:
  void ask() override {
    if (!whom().output) return finish(outcome::unknown, "there is no run here whose output could be read");
    auto& seen = memory().log;
    const auto piece = whom().output(seen.next);
    if (!piece) return finish(outcome::unknown, "its output cannot be read: " + piece.error().message);
    const auto now = std::chrono::steady_clock::now();
    seen.next = piece->next;
    take_lines(check(), seen, piece->text, now);
    finish(judge_lines(check(), seen, now, std::chrono::system_clock::now()));
  }

  void abandon() override {}
  check_result late(const std::string& limit) override {
    return result_of(outcome::unknown, "its output was not read within " + limit);
  }
};

}  // namespace

std::shared_ptr<check_run> make_log_check(check_order order, check_run::done_handler done) {
  return std::make_shared<log_check>(std::move(order), std::move(done));
}

}  // namespace hasup::probe
