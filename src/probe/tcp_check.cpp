// Passes when somebody (by default: the unit) takes a connection.
#include "probe/network_check.hpp"

namespace hasup::probe {
namespace {

class tcp_check final : public network_check {
 public:
  using network_check::network_check;

 private:
  void ask() override {
    auto to = parse_address(check().address);
    if (!to) return finish(outcome::unknown, to.error().message);
    aim(std::move(*to));
    connect();
  }
  void connected(std::unique_ptr<connection> c) override {
    finish(outcome::passed, c->note.empty() ? "passed" : "passed; " + c->note);
  }
};

}  // namespace

std::shared_ptr<check_run> make_tcp_check(check_order order, check_run::done_handler done) {
  return std::make_shared<tcp_check>(std::move(order), std::move(done));
}

}  // namespace hasup::probe
