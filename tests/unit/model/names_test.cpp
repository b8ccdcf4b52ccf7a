// Names of units, signals and exits, as people type and read them.
#include <catch2/catch.hpp>
#include <csignal>

#include "model/exit_status.hpp"
#include "model/state.hpp"
#include "model/unit.hpp"
#include "model/unit_name.hpp"

using namespace hasup::model;

TEST_CASE("a unit name is safe as a file name") {
  for (const std::string good : {"leap", "eos-evm-node", "a", "0", "x.y_z-1"}) CHECK(is_unit_name(good));
  CHECK(is_unit_name(std::string(64, 'a')));
  for (const std::string bad : {"", "Leap", "-x", ".x", "_x", "a/b", "a b", "a@1", "é", ".."})
    CHECK_FALSE(is_unit_name(bad));
  CHECK_FALSE(is_unit_name(std::string(65, 'a')));
}

TEST_CASE("a reference addresses a unit or one instance") {
  CHECK(parse_unit_reference("miner")->unit == "miner");
  CHECK_FALSE(parse_unit_reference("miner")->index);
  CHECK(parse_unit_reference("miner@2")->index == 2U);
  for (const std::string bad :
       {"", "@", "@1", "miner@", "miner@x", "miner@-1", "miner@1x", "miner@99999999999", "Miner"})
    CHECK_FALSE(parse_unit_reference(bad));
  CHECK(to_text(instance_id{"miner", 2}) == "miner@2");
}

TEST_CASE("logs of several instances are told apart") {
  unit u;
  u.id = {"miner", 1};
  CHECK(log_file_name(u) == "miner.log");
  u.instances = 2;
  CHECK(log_file_name(u) == "miner@1.log");
}

TEST_CASE("signals are read by name, with SIG, and by number") {
  CHECK(parse_signal("TERM") == SIGTERM);
  CHECK(parse_signal("SIGINT") == SIGINT);
  CHECK(parse_signal("9") == SIGKILL);
  CHECK(parse_signal("RTMIN+3") == SIGRTMIN + 3);
  for (const std::string bad : {"", "FOO", "0", "-1", "999", "term", "SIG"}) CHECK_FALSE(parse_signal(bad));
  for (int i = 1; i < 32; ++i) CHECK(parse_signal(signal_name(i)) == i);
}

TEST_CASE("an exit is described; unknown is lost and no success") {
  CHECK(to_text(exit_status{2, {}, false}) == "code 2");
  CHECK(to_text(exit_status{{}, SIGKILL, false}) == "signal 9 (KILL)");
  CHECK(to_text(exit_status{}) == "status lost");
  CHECK(exit_status{}.lost());
  CHECK_FALSE(exit_status{0, {}, false}.lost());
}

TEST_CASE("every state and health has a name that reads back") {
  for (const auto& [state, text] : unit_state_names.rows) CHECK(unit_state_names.parse(text) == state);
  for (const auto& [h, text] : health_names.rows) CHECK(health_names.parse(text) == h);
}
