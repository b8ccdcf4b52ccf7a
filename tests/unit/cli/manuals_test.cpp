// The manual pages that are made from the tables of keys, and their examples, which must load.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/manuals.hpp"
#include "config/schema.hpp"
#include "config/unit_dir.hpp"
#include "unit/control/server_harness.hpp"

using namespace hasup;
using control::testing::temporary_directory;

namespace {

namespace fs = std::filesystem;

std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// The files between .nf and .fi: their first line is a comment with their path.
std::vector<std::pair<std::string, std::string>> examples_in(const std::string& page) {
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t at = 0; (at = page.find("\n.nf\n", at)) != std::string::npos;) {
    at += 5;
    auto text = page.substr(at, page.find(".fi\n", at) - at);
    replace_all(text, "\\-", "-");
    replace_all(text, "\\&", "");
    replace_all(text, "\\e", "\\");
    if (text.starts_with("# ")) out.emplace_back(text.substr(2, text.find('\n') - 2), text);
  }
  return out;
}

config::directories write_all(const std::string& root, const std::string& page) {
  for (const auto& [path, text] : examples_in(page)) {
    const auto at = root + "/" + path;
    fs::create_directories(fs::path(at).parent_path());
    std::ofstream(at, std::ios::binary) << text;
  }
  config::directories dirs;
  dirs.config = root;
  return dirs;
}

}  // namespace

TEST_CASE("the manual pages of files are the tables of keys") {
  for (const auto& [name, text] : {std::pair{"unit", cli::unit_manual()},
                                   {"upstream", cli::upstream_manual()},
                                   {"recipe", cli::recipe_manual()},
                                   {"probe", cli::probe_manual()}}) {
    const auto path = std::string(HASUP_SOURCE_DIR) + "/docs/man/hasup-" + name + ".5";
    if (std::getenv("HASUP_UPDATE_GOLDEN")) std::ofstream(path, std::ios::binary) << text;
    INFO(name << ": HASUP_UPDATE_GOLDEN=1 test_cli writes it anew");
    CHECK((file_text(path) == text));
  }
}

TEST_CASE("the examples of hasup-recipe load, and mean what the page says") {
  const temporary_directory root;
  const auto dirs = write_all(root.path, cli::recipe_manual());
  for (const auto& d : config::load(dirs).problems)
    if (d.level == base::severity::error) FAIL_CHECK(base::render(d, false));
  const auto small = config::resolve_recipe("mysrv", {{"match", "other-*"}}, dirs);
  REQUIRE(small.has_value());
  REQUIRE(small->plans.size() == 1);
  CHECK(small->plans[0].wipe == std::vector<std::string>{"store.db", "journal"});
  CHECK(small->plans[0].archives[0].match == "other-*");
  CHECK_FALSE(config::resolve_recipe("mychain", {}, dirs).has_value());
  const auto chain = config::resolve_recipe("mychain", {{"binary", "state.bin"}}, dirs);
  REQUIRE(chain.has_value());
  CHECK(chain->plans.size() == 2);
  CHECK(chain->plans[0].refused_by == std::vector<std::string>{R"(^error: no block \d+ for this state)"});
  CHECK(config::load(dirs).units.at("mysrv").valid);
}

TEST_CASE("the examples of hasup-probe load, and mean what the page says") {
  const temporary_directory root;
  const auto dirs = write_all(root.path, cli::probe_manual());
  for (const auto& d : config::load(dirs).problems)
    if (d.level == base::severity::error) FAIL_CHECK(base::render(d, false));
  const auto preset = config::resolve_preset("mychain", {{"url", "http://127.0.0.1:1"}}, dirs);
  REQUIRE(preset.has_value());
  CHECK(preset->checks[0].url == "http://127.0.0.1:1/status");
  const auto& units = config::load(dirs).units;
  REQUIRE(units.at("mychain").valid);
  CHECK(units.at("mychain").instances[0].liveness->advances_within == std::chrono::minutes(5));
}

TEST_CASE("the examples of hasup-upstream load, and mean what the page says") {
  const temporary_directory root;
  const auto dirs = write_all(root.path, cli::upstream_manual());
  for (const auto& d : config::load(dirs).problems)
    if (d.level == base::severity::error) FAIL_CHECK(base::render(d, false));
  const auto loaded = config::load(dirs);
  const auto& unit = loaded.units.at("eos-evm-node");
  REQUIRE(unit.valid);
  CHECK(unit.instances[0].run.command.back() == "vm11:8999");
  CHECK(unit.instances[0].choices.all->variants.at(1).run.command.back() == "vm12:8999");
}

TEST_CASE("every key of a page stands in it") {
  for (const auto& [page, keys] : {std::pair{cli::recipe_manual(), config::recipe_keys()},
                                   {cli::probe_manual(), config::preset_keys()},
                                   {cli::upstream_manual(), config::upstream_keys()}})
    for (const auto& k : keys) {
      INFO(k.path);
      auto plain = page;
      replace_all(plain, "\\-", "-");
      CHECK(plain.find(k.path) != std::string::npos);
    }
}
