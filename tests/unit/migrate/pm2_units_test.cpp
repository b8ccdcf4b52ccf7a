// Lists as pm2 6 and 7 write them -> unit files, held against golden texts (HASUP_UPDATE_GOLDEN=1 writes them anew).
// Each text is also read back as hasup reads unit files.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "config/unit_file.hpp"
#include "migrate/pm2_units.hpp"
#include "show_result.hpp"

using namespace hasup;
using namespace hasup::migrate;

namespace {

std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string golden(const std::string& name) {
  return std::string(HASUP_SOURCE_DIR) + "/tests/unit/migrate/golden/" + name;
}

pm2_surroundings machine() {
  pm2_surroundings around;
  around.shell = {{"EDITOR_THEME", "dark"}, {"PORT", "21801"}};
  around.user = "root";
  around.root = true;
  around.directory = "/etc/hasup/units";
  around.default_stop_timeout = "10m";
  around.accepts = [](std::string_view) { return false; };
  around.find_program = [](const std::string& name, const std::string& path) -> std::optional<std::string> {
    const bool nvm = path.find("/.nvm/") != std::string::npos;
    if ((name == "node" || name == "npm") && nvm) return "/home/u/.nvm/v20/bin/" + name;
    if (name == "python3") return "/usr/bin/python3";
    return std::nullopt;
  };
  return around;
}

pm2_import import_file(const std::string& name, const pm2_surroundings& around) {
  const auto list = parse_pm2_list(file_text(golden(name + ".json")));
  INFO(name);
  REQUIRE(list);
  return import_pm2(*list, around);
}

config::unit_entry read_back(const imported_unit& u) {
  config::file_context context;
  context.units = context.presets =
      context.recipes = [](std::string_view) { return std::vector<config::source_file>{}; };
  return config::parse_unit_text(u.name, u.name + ".toml", u.text, context);
}

std::string all_text(const pm2_import& import) {
  std::string text;
  for (const auto& u : import.units) {
    text += "==== " + u.name + ".toml" + (u.is_secret ? " (0600)" : "") + (u.enabled ? "" : " (not enabled)") + "\n";
    text += u.text;
    if (!u.env_text.empty()) text += "==== " + u.name + ".env\n" + u.env_text;
    for (const auto& r : u.remarks) text += "-- " + r + "\n";
  }
  for (const auto& r : import.remarks) text += "== " + r + "\n";
  return text;
}

}  // namespace

TEST_CASE("a list becomes the unit files that were agreed on, and hasup reads them without complaint") {
  for (const std::string name : {"fork", "cluster", "cluster_without_port", "instances", "shell_line", "python",
                                 "secrets", "names", "restart", "nvm"}) {
    auto around = machine();
    if (name == "nvm" || name == "fork") around.shell["PORT"] = "9";
    if (name != "nvm")
      around.find_program = [](const std::string& program, const std::string&) {
        return std::optional("/usr/bin/" + program);
      };
    const auto import = import_file(name, around);
    const auto text = all_text(import);
    if (std::getenv("HASUP_UPDATE_GOLDEN") != nullptr) std::ofstream(golden(name + ".txt")) << text;
    INFO(name);
    CHECK(text == file_text(golden(name + ".txt")));
    for (const auto& u : import.units) {
      const auto entry = read_back(u);
      for (const auto& d : entry.problems) UNSCOPED_INFO(base::render(d, false));
      CHECK(entry.valid);
      CHECK(entry.problems.empty());
      CHECK(entry.instances.size() == u.instances);
    }
  }
}

TEST_CASE("what hasup runs is what pm2 ran, whatever signs it holds") {
  const auto import = import_file("secrets", machine());
  const auto entry = read_back(import.units.at(0));
  REQUIRE(entry.valid);
  const auto& run = entry.instances[0].run;
  CHECK(run.env.at("HTML") == "$$$${x} $${y} $z \"q\" \\");  // as fill_secrets reads it: $${x} ${y} $z
  CHECK(run.env.at("NOTE") == " blanks ");
  CHECK(run.command.back() == "plain$");
  CHECK(run.command.at(2) == "--token");
  CHECK(run.command.at(3) == "${secret:ARG_TOKEN}");
}

TEST_CASE("no secret is shown, and none stands in a file that others can read") {
  const auto import = import_file("secrets", machine());
  for (const std::string secret :
       {"sk-live-0123", "hunter2", "abc123", "MIIB", "5KQwrPbwdL6Ph", "hunter3", "quoted"}) {
    INFO(secret);
    for (const auto& u : import.units) {
      CHECK(u.shown_text.find(secret) == std::string::npos);
      CHECK(u.shown_env_text.find(secret) == std::string::npos);
      for (const auto& r : u.remarks) CHECK(r.find(secret) == std::string::npos);
      if (!u.is_secret) CHECK(u.text.find(secret) == std::string::npos);
    }
  }
}

TEST_CASE("keys that hasup has already are written, others are comments") {
  auto around = machine();
  around.accepts = [](std::string_view key) {
    return key == "run.limits.memory_restart" || key == "schedule.restart";
  };
  const auto text = import_file("fork", around).units.at(0).text;
  CHECK(text.find("\nmemory_restart = \"300MiB\"\n") != std::string::npos);
  CHECK(text.find("[schedule]\nrestart = \"0 4 * * *\"\n") != std::string::npos);
  const auto without = import_file("fork", machine()).units.at(0).text;
  CHECK(without.find("\nmemory_restart") == std::string::npos);
  CHECK(without.find("\n[schedule]") == std::string::npos);
  CHECK(without.find("# Not available in this version of hasup yet: [schedule] restart = \"0 4 * * *\"") !=
        std::string::npos);
}

TEST_CASE("another user is named only where hasupd can change to it") {
  auto around = machine();
  around.user = "ops";
  around.root = false;
  const auto text = import_file("fork", around).units.at(0).text;
  CHECK(text.find("\nuser = ") == std::string::npos);
  CHECK(text.find("It ran as user root; only a hasupd that runs as root can do that") != std::string::npos);
  around.root = true;
  CHECK(import_file("fork", around).units.at(0).text.find("\nuser = \"root\"\n") != std::string::npos);
}

TEST_CASE("names become names of units") {
  CHECK(unit_name_for("web") == "web");
  CHECK(unit_name_for("Web Shop (eu)") == "web-shop-eu");
  CHECK(unit_name_for("@scope/app") == "scope-app");
  CHECK(unit_name_for("_x") == "x");
  CHECK(unit_name_for("") == "app");
  CHECK(unit_name_for("日本") == "app");
  CHECK(unit_name_for(std::string(200, 'a')).size() <= 64);
  CHECK(unit_name_for("../../etc/passwd") == "etc-passwd");
}
