// Reading pm2's list: both forms, greetings before it, and what is no list.
#include <catch2/catch.hpp>

#include "migrate/pm2_list.hpp"
#include "show_result.hpp"

using namespace hasup::migrate;

TEST_CASE("an empty list is a list") {
  const auto list = parse_pm2_list("[]");
  REQUIRE(list);
  CHECK(list->empty());
}

TEST_CASE("what pm2 prints before the list does not matter") {
  const auto list = parse_pm2_list(
      "\x1b[32m[PM2] \x1b[39mSpawning PM2 daemon\n>>>> In-memory PM2 is out-of-date, do:\n"
      R"([{"pid":1,"name":"a","pm2_env":{"pm_exec_path":"/a","name":"a"}}])");
  REQUIRE(list);
  REQUIRE(list->size() == 1);
  CHECK(list->at(0).name == "a");
  CHECK(list->at(0).script == "/a");
  CHECK(parse_pm2_list("Runtime Edition\n\n[]")->empty());
}

TEST_CASE("what is no list is refused with what is expected") {
  for (const char* text :
       {"", "{", "[", "{}", "7", "[1]", "[{\"name\":\"a\"}]", "[{\"pm_exec_path\":\"/a\"", "\xff"}) {
    INFO(text);
    const auto list = parse_pm2_list(text);
    REQUIRE(!list);
    CHECK(list.error().message.find("pm2 jlist") != std::string::npos);
  }
  CHECK(parse_pm2_list("[{\"pm_exec_path\":\"/a\"}, {\"name\":\"b\"}]")
            .error()
            .message.starts_with("process 2 has no pm_exec_path"));
}

TEST_CASE("values are read as pm2 writes them: numbers in quotes, arguments in one text, one code") {
  const auto list = parse_pm2_list(R"([{"name": "a", "pm_exec_path": "/a", "args": "-x 'two words' \"\" y",
    "node_args": "--inspect", "kill_timeout": "5000", "max_restarts": null, "stop_exit_codes": 0, "restart_delay": "soon",
    "autorestart": "false", "watch": ["src"], "env": {"N": 1.0, "F": 1.5, "T": true, "Z": null, "O": {}, "a": {}},
    "cron_restart": 0}])");
  REQUIRE(list);
  const auto& p = list->at(0);
  CHECK(p.arguments == std::vector<std::string>{"-x", "two words", "", "y"});
  CHECK(p.interpreter_arguments == std::vector<std::string>{"--inspect"});
  CHECK(p.kill_timeout == 5000);
  CHECK(!p.max_restarts);
  CHECK(!p.restart_delay);
  CHECK(p.stop_exit_codes == std::vector<int>{0});
  CHECK(!p.autorestart);
  CHECK(p.autostart);
  CHECK(p.watch);
  CHECK(p.cron.empty());
  CHECK(*p.variable("N") == "1");
  CHECK(*p.variable("T") == "true");
  CHECK(*p.variable("Z") == "null");
  CHECK(p.env_without_text == std::vector<std::string>{"O"});  // and not the module's place "a"
}
