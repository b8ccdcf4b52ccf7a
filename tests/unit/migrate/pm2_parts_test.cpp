// The decisions one by one: which variables are the app's, what is secret, what bash does with a line, when to give
// up, and the commands to go over.
#include <catch2/catch.hpp>

#include "migrate/app_environment.hpp"
#include "migrate/env_file.hpp"
#include "migrate/pm2_command.hpp"
#include "migrate/pm2_policy.hpp"
#include "migrate/pm2_steps.hpp"
#include "migrate/unit_text.hpp"

using namespace hasup::migrate;

TEST_CASE("what the shell had is left out, what the app was given stays") {
  pm2_process p;
  p.env = {{"PATH", "/x"},      {"SSH_TTY", "/dev/pts/1"},  {"JAVA_HOME", "/j"}, {"NODE_ENV", "production"},
           {"GIVEN", "inline"}, {"PM2_USAGE", "CLI"},       {"JAVA_OPTS", "-x"}, {"LANG", "de"},
           {"unique_id", "1"},  {"NODE_APP_INSTANCE", "0"}, {"a=b", "x"}};
  const auto app = app_environment_of(
      p, {{"JAVA_HOME", "/j"}, {"NODE_ENV", "production"}, {"JAVA_OPTS", "-x"}, {"GIVEN", "other"}});
  CHECK(app.kept == std::vector<std::pair<std::string, std::string>>{
                        {"NODE_ENV", "production"}, {"GIVEN", "inline"}, {"JAVA_OPTS", "-x"}});
  CHECK(app.of_shell == std::vector<std::string>{"JAVA_HOME"});
  CHECK(app.of_login == std::vector<std::string>{"PATH", "SSH_TTY", "LANG"});
}

TEST_CASE("secrets are known by their names and by their values") {
  for (const char* name : {"API_KEY", "apikey", "DB_PASSWORD", "DB_PASS", "GITHUB_TOKEN", "MNEMONIC", "jwt_secret",
                           "SLACK_WEBHOOK_URL", "SENTRY_DSN", "--private-key"})
    CHECK(is_secret_name(name));
  for (const char* name : {"PORT", "NODE_ENV", "KEYBOARD", "MONKEY", "HOST", "DB_USER"}) CHECK(!is_secret_name(name));
  for (const char* value :
       {"5KQwrPbwdL6PhXujxW37FSSQZ1JiwsST4cqQzDeyXtP79zkvFD3",
        "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318", "-----BEGIN EC PRIVATE KEY-----\nx",
        "redis://:pw@cache:6379", "eyJhbGciOiJIUzI1NiJ9.e30.x",
        "test test test test test test test test test test test junk", "EOS1=KEY:5K",
        "AbCdXy0123456789AbCdXy0123456789"})
    CHECK(is_secret_value(value));
  for (const char* value : {"", "3000", "production", "/etc/ssl/certs/ca-certificates.crt",
                            "https://example.com/a@b:c", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                            "one two three", "info", "EOS6MRyAjQq8ud7hVNYcfnVPJqcVpscN5So8BhtHuGYqET5GDW5CV"})
    CHECK(!is_secret_value(value));
  CHECK(!looks_secret("API_KEY", ""));
}

TEST_CASE("bash turns into the last program of a plain list, else it stays in between") {
  for (const char* line : {"npm start", "PORT=1 node app.js", "cd /srv && ./run -x", "exec ./run"})
    CHECK(!shell_stays_for(line));
  for (const char* line : {"a | b", "a > /dev/null", "a 2>&1", "while true; do a; done", "a & wait", "(a)", "a || b",
                           "a; if x; then y; fi", "a\nb", "a `b`", "a $(b)"})
    CHECK(shell_stays_for(line));
}

TEST_CASE("the start limit's window holds the runs after which pm2 gave up") {
  pm2_process p;
  CHECK(restart_lines(p).empty());
  p.max_restarts = 10;
  // ten waits of hasup, 1 s doubled up to 1 m, with jitter: more than five minutes.
  CHECK(restart_lines(p) == std::vector<std::string>{"start_limit = { count = 10, within = \"6m\" }"});
  p.restart_delay = 100;
  CHECK(restart_lines(p).back() == "start_limit = { count = 10, within = \"1m\" }");
  p.autorestart = false;
  CHECK(restart_lines(p) == std::vector<std::string>{"policy = \"never\""});
}

TEST_CASE("cron of pm2 becomes cron of five fields where it can") {
  CHECK(five_field_cron("0 4 * * *") == "0 4 * * *");
  CHECK(five_field_cron(" 0  0 4 * *  1 ") == "0 4 * * 1");
  CHECK(five_field_cron("@daily") == "@daily");
  CHECK(five_field_cron("30 0 4 * * *").empty());
  CHECK(five_field_cron("often").empty());
}

TEST_CASE("an env file's line comes back as it was") {
  CHECK(env_file_line("A", "b c") == "A=b c\n");
  CHECK(env_file_line("A", " b ") == "A=\" b \"\n");
  CHECK(env_file_line("A", "\"b\"") == "A=\"\"b\"\"\n");
  CHECK(env_file_line("A", "") == "A=\n");
  CHECK(!fits_env_file("A", "b\nc"));
  CHECK(!fits_env_file("A B", "c"));
  CHECK(!fits_env_file("#A", "c"));
}

TEST_CASE("texts keep their dollars, quotes and breaks") {
  CHECK(quoted("a") == "\"a\"");
  CHECK(quoted("$a $$ ${b}") == "\"$a $$$$ $${b}\"");
  CHECK(quoted("\"\\\n\t\x01") == "\"\\\"\\\\\\n\\t\\u0001\"");
  CHECK(key_text("A_B-1") == "A_B-1");
  CHECK(key_text("a.b") == "\"a.b\"");
  CHECK(shell_word("it's") == "'it'\\''s'");
  CHECK(shell_word("") == "''");
}

TEST_CASE("the way over stops everything in pm2 before anything starts in hasup") {
  switch_over s;
  imported_unit web;
  web.name = web.pm2_name = "web";
  imported_unit all;
  all.name = "all";
  all.pm2_name = "all";
  imported_unit old;
  old.name = "shop-api";
  old.pm2_name = "Shop API";
  old.enabled = false;
  s.units = {web, web, all, old};
  s.written_to = s.units_directory = "/etc/hasup/units";
  s.hasupd_runs = true;
  const auto text = switch_over_steps(s);
  const auto at = [&](const std::string& line) { return text.find("     " + line + "\n"); };
  REQUIRE(at("pm2 stop web && pm2 delete web") != std::string::npos);
  CHECK(text.find("stop web", at("pm2 stop web && pm2 delete web") + 20) == std::string::npos);  // once
  REQUIRE(at("pm2 stop '/^all$/' && pm2 delete '/^all$/'") != std::string::npos);  // and not every process
  REQUIRE(at("pm2 stop 'Shop API' && pm2 delete 'Shop API'") != std::string::npos);
  REQUIRE(at("pm2 save --force") != std::string::npos);
  REQUIRE(at("hasup apply") != std::string::npos);
  CHECK(at("pm2 stop 'Shop API' && pm2 delete 'Shop API'") < at("pm2 save --force"));
  CHECK(at("pm2 save --force") < at("pm2 kill"));
  CHECK(at("pm2 kill") < at("hasup apply"));
  CHECK(at("hasup start web web all") != std::string::npos);

  SECTION("pm2 goes on where it has more to do") {
    s.whole_list = false;
    CHECK(switch_over_steps(s).find("pm2 kill\n") == std::string::npos);
  }
  SECTION("another user's pm2, with a start script") {
    s.pm2_home = "/home/deploy/.pm2";
    s.pm2_owner = "deploy";
    s.boots = true;
    const auto other = switch_over_steps(s);
    CHECK(other.find("     sudo -u deploy env PM2_HOME=/home/deploy/.pm2 pm2 unstartup\n") != std::string::npos);
    CHECK(other.find("     pm2 ") == std::string::npos);
  }
  SECTION("files written elsewhere are put in place after pm2's end") {
    s.written_to = "/tmp/new units";
    const auto moved = switch_over_steps(s);
    const auto copy = moved.find("mkdir -p /etc/hasup/units && cp -pn '/tmp/new units/web.toml'");
    REQUIRE(copy != std::string::npos);
    CHECK(copy > moved.find("pm2 kill"));
    CHECK(copy < moved.find("hasup apply"));
  }
}
