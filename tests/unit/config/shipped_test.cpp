// The units, recipes and presets that come with hasup: all valid, and nodeos' failures classified as they must be.
#include <re2/re2.h>

#include <random>

#include "config/unit_dir.hpp"
#include "unit/config/support.hpp"

using namespace hasup;
namespace fs = std::filesystem;

namespace {

const fs::path source = HASUP_SOURCE_DIR;
const config::directories dirs{"/nonexistent", {source.string()}, "", "", ""};

std::vector<fs::path> shipped() {
  std::vector<fs::path> out;
  for (const auto* folder : {"recipes", "recipes/probes"})
    for (const auto& entry : fs::directory_iterator(source / folder))
      if (entry.path().extension() == ".toml") out.push_back(entry.path());
  for (const auto& entry : fs::recursive_directory_iterator(source / "units"))
    if (entry.path().extension() == ".toml") out.push_back(entry.path());
  return out;
}

bool is_unit(const fs::path& path) {
  return path.parent_path().parent_path().filename() == "units";
}

const test::files& shipped_files() {
  static const auto all = [] {
    test::files out;
    for (const auto& entry : fs::directory_iterator(source / "recipes"))
      if (entry.is_regular_file()) out.recipes[entry.path().stem()] = test::read_file(entry.path());
    for (const auto& entry : fs::directory_iterator(source / "recipes/probes"))
      out.presets[entry.path().stem()] = test::read_file(entry.path());
    for (const auto& entry : fs::recursive_directory_iterator(source / "units"))
      if (entry.is_regular_file()) out.units[entry.path().stem()] = test::read_file(entry.path());
    return out;
  }();
  return all;
}

config::unit_entry parse_shipped(const fs::path& path, const std::string& text) {
  const auto stem = path.stem().string();
  const std::string run = "[data]\ndir = \"/d\"\n[run]\ncommand = [\"/bin/x\"]\n";
  if (is_unit(path)) return test::parse(text, shipped_files(), stem);
  test::files beside;
  if (path.parent_path().filename() == "recipes") {
    beside.recipes = {{"x", text}};
    return test::parse(run + "[recovery]\nrecipe = \"x\"\nsource = \"/b\"\n", beside);
  }
  beside.presets = {{"x", text}};
  return test::parse(run + "[readiness]\npreset = \"x\"\n", beside);
}

// The first class that matches, as the recipe's header says; "" = none.
std::string class_of(const model::recipe& r, int code, int signal, const std::string& line) {
  for (const auto& c : r.classes) {
    const bool status = std::find(c.exit_codes.begin(), c.exit_codes.end(), code) != c.exit_codes.end() ||
                        std::find(c.signals.begin(), c.signals.end(), signal) != c.signals.end();
    const bool log = !c.log.empty() && RE2::PartialMatch(line, c.log);
    const bool asks_status = !c.exit_codes.empty() || !c.signals.empty();
    if ((!asks_status || status) && (c.log.empty() || log))
      return std::string(model::class_action_names.text(c.action)) + ": " + c.name;
  }
  return "";
}

std::string action_of(const model::recipe& r, int code, const std::string& line) {
  const auto found = class_of(r, code, 0, line);
  return found.substr(0, found.find(':'));
}

std::string nodeos_line(const std::string& text) {
  return "error 2026-11-21T01:02:03.123 nodeos    main.cpp:153                  main                 ] " + text;
}

}  // namespace

TEST_CASE("all shipped units, recipes and presets pass the check") {
  // eos-evm-node-leaps takes the place of eos-evm-node, and its data: never both on one machine.
  std::vector<std::string> paths{(source / "recipes").string()};
  for (const auto& path : shipped())
    if (is_unit(path) && path.stem() != "eos-evm-node-leaps") paths.push_back(path.string());
  const auto all = config::load_files(paths, dirs);
  INFO(test::rendered(all.problems));
  CHECK(all.problems.empty());
  CHECK(all.units.size() >= 27);
  for (const auto* name : {"leap", "eos-evm-node", "eos-evm-rpc", "eos-evm-miner", "eos-evm-miner-leaps",
                           "eos-evm-ws-proxy", "tx-proxy"}) {
    CAPTURE(name);
    REQUIRE(all.units.contains(name));
    CHECK(all.units.at(name).valid);
  }
  CHECK(all.units.at("eos-evm-miner").instances.size() == 4);
  CHECK(all.units.at("eos-evm-miner").instances[3].run.env.at("PORT") == "50308");
  CHECK(all.units.at("eos-evm-miner-leaps").instances.size() == 4);
  for (const auto* name : {"nodeos", "eos-evm-node", "redis", "anvil"})
    CHECK(config::resolve_recipe(name, {}, dirs).has_value());
  for (const auto* name : {"antelope", "evm", "evm-chain"}) CHECK(config::resolve_preset(name, {}, dirs).has_value());
  const auto follows = config::resolve_preset("evm-follows", {{"reference_url", "http://vm11:8888"}}, dirs);
  REQUIRE(follows.has_value());
  CHECK(follows->reference->nodes.at(0).name == "http://vm11:8888");
  CHECK(follows->max_behind == std::chrono::seconds{30});
  const auto cluster = config::resolve_preset("solana-cluster", {{"max_blocks_behind", "300"}}, dirs);
  REQUIRE(cluster.has_value());
  CHECK(cluster->reference->nodes.at(0).name == "https://api.mainnet-beta.solana.com");
  CHECK(cluster->max_blocks_behind == 300U);
  CHECK(config::resolve_preset("antelope", {}, dirs)->checks.at(0).head.chain == "/chain_id");
  CHECK(config::resolve_preset("evm-chain", {}, dirs)->checks.at(1).head.chain == "/result");
}

TEST_CASE("an EVM node without a leap of its own reads from the chosen one of several") {
  const auto entry = test::parse(test::read_file(source / "units/eos-evm/eos-evm-node-leaps.toml"), shipped_files(),
                                 "eos-evm-node-leaps");
  INFO(test::rendered(entry.problems));
  REQUIRE(entry.valid);
  const auto& u = entry.instances.at(0);
  CHECK(u.choices.all->roles.at("leap").endpoints.size() == 2);
  CHECK(u.requires_units.empty());
  CHECK(entry.effective_toml.find("through = \"eos-evm-rpc\"") != std::string::npos);
}

TEST_CASE("the units of proxies pass the check, and their templates have what their endpoints have") {
  for (const auto* name : {"nginx", "haproxy"}) {
    const auto path = source / "units/proxy" / (std::string(name) + ".toml");
    const auto entry = test::parse(test::read_file(path), shipped_files(), name);
    INFO(test::rendered(entry.problems));
    REQUIRE(entry.valid);
    CHECK(entry.problems.empty());
    const auto& u = entry.instances.at(0);
    REQUIRE(u.proxy);
    const auto text = test::read_file(source / "units/proxy" / (std::string(name) + ".template"));
    const auto& values = u.choices.all->roles.at("node").endpoints.at(0).values;
    unsigned named = 0;
    for (auto at = text.find("${endpoint."); at != std::string::npos; at = text.find("${endpoint.", at + 1), ++named)
      CHECK(values.contains(text.substr(at + 11, text.find('}', at) - at - 11)));
    CHECK(named >= 2);
  }
}

TEST_CASE("the effective form of each shipped unit reads back to the same unit") {
  for (const auto& path : shipped()) {
    if (!is_unit(path)) continue;
    CAPTURE(path.string());
    const auto entry = parse_shipped(path, test::read_file(path));
    REQUIRE(entry.valid);
    const auto again = parse_shipped(path, entry.effective_toml);
    INFO(entry.effective_toml << test::rendered(again.problems));
    REQUIRE(again.valid);
    CHECK(again.instances == entry.instances);
    CHECK(again.recipe == entry.recipe);
  }
}

TEST_CASE("every way in which nodeos was seen to end is classified") {
  const auto r = *config::resolve_recipe("nodeos", {}, dirs);
  struct row {
    int code;
    std::string text;
    std::string action;
  };
  const std::vector<row> rows{
      {2, "database dirty flag set (likely due to unclean shutdown): replay required", "recover"},
      {255, "database dirty flag set (likely due to unclean shutdown): replay required", "recover"},
      {255, "Failed to initialize: database dirty flag set", "recover"},
      {1, "bad alloc", "hold"},
      {1, "database memory exhausted: increase chain-state-db-size-mb", "hold"},
      {254, "std::bad_alloc - memory exhausted", "hold"},
      {254, "Failed to mlock database \"state\"", "hold"},
      {254, "Could not gain write access to the shared memory file", "restart"},
      {0, "bind: Address already in use", "restart"},
      {0, "db storage not configured to have enough storage for the provided snapshot", "hold"},
      {0, "Database has reached an unsafe level of usage, shutting down to avoid corrupting the database.", "hold"},
      {0, "Gracefully shutting down, exceeded file system configured threshold.", "hold"},
      {0, "missed a block in trace_history.log", "recover"},
      {254, "missed a block in chain_state_history.log", "recover"},
      {254, "state database version pre-dates versioning, please restore from a compatible snapshot or replay!",
       "recover"},
      {254, "No existing fork database despite existing chain state. Replay required.", "recover"},
      {254, "Existing ship log with 39 blocks when starting from genesis block 2", "recover"},
      {254, "Genesis state is necessary to initialize fresh blockchain state but genesis state could not be found",
       "recover"},
      {254, "Unknown option 'x' inside the config file /etc/leap/config.ini", "hold"},
      {254, "unrecognised option '--foo'", "hold"},
      {254, "the argument ('abc') for option '--p2p-max-nodes-per-host' is invalid", "hold"},
      {254, "the options configuration file contains an invalid line 'http-server-address'", "hold"},
      {254, "too many positional options have been specified on the command line", "hold"},
      {254, "option '--data-dir' cannot be specified more than once", "hold"},
      {254, "option '--data-dir' only takes a single argument", "hold"},
      {254, "option '--p2p' is ambiguous and matches '--p2p-peer-address'", "hold"},
      {254, "3110006 plugin_config_exception: Incorrect plugin configuration", "hold"},
      {254,
       "3110006 plugin_config_exception: Incorrect plugin configuration\nGenesis state is necessary to initialize "
       "fresh "
       "blockchain state",
       "recover"},
      {255, "Config file /etc/leap/config.ini missing.", "hold"},
      {255, "anything", "hold"},
      {254, "create_directories: Permission denied", "hold"},
      {254, "Failed to read DB header.", "hold"},
      {254, "cfile unable to open: /var/lib/leap", "hold"},
      {254, "Snapshot can only be used to initialize an empty database.", "hold"},
      {254, "snapshot chain ID (aa) does not match the chain ID (bb) in the block log", "recover"},
      {254,
       "Block log is provided with snapshot but does not contain the head block from the snapshot nor a block right "
       "after it",
       "recover"},
      {254, "Binary snapshot validation threw IO exception", "recover"},
      {254, "Database load aborted", "restart"},
      {254, "something nobody has seen", ""},
      {0, "nodeos successfully exiting", "restart"},
      {141, "nodeos successfully exiting", "restart"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.code, row.text);
    CHECK(action_of(r, row.code, nodeos_line(row.text)) == row.action);
    CHECK(action_of(r, row.code, row.text) == row.action);  // exceptions are logged over several lines
  }
  CHECK(class_of(r, -1, 7, "").starts_with("hold: "));
  CHECK(class_of(r, -1, 13, "").starts_with("restart: "));
}

TEST_CASE("what a peer says in nodeos' log never leads to a wipe") {
  const auto r = *config::resolve_recipe("nodeos", {}, dirs);
  for (const std::string words :
       {"database dirty flag set", "missed a block in trace_history.log", "Binary snapshot validation threw",
        "No existing fork database despite existing chain state", "Genesis state is necessary"}) {
    for (const int code : {0, 2, 254, 255}) {
      const auto line =
          "info  2026-11-21T01:02:03.123 net-0     net_plugin.cpp:3052           operator()           ] [\"" + words +
          " - 1.2.3.4:9876\" - 1 1.2.3.4:9876] " + words;
      CAPTURE(line, code);
      CHECK(action_of(r, code, line) != "recover");
    }
  }
}

TEST_CASE("nodeos is restored with its own blocks first, then with those of a backup, without any only by a person") {
  const auto r = *config::resolve_recipe("nodeos", {{"advancing_for", "1s"}}, dirs);
  REQUIRE(r.plans.size() == 3);
  CHECK(r.plans[0].wipe == std::vector<std::string>{"state"});
  for (const auto i : {1U, 2U})
    CHECK(r.plans[i].wipe == std::vector<std::string>{"state", "blocks", "state-history"});
  CHECK(r.plans[1].same_set);
  REQUIRE(r.plans[1].archives.size() == 3);
  CHECK(r.plans[1].archives[1].into == "blocks");
  CHECK(r.plans[1].archives[2].into == "state-history");
  CHECK(r.plans[1].refused_by == r.plans[0].refused_by);
  CHECK(r.plans[1].use == model::plan_use::always);
  CHECK(r.plans[2].use == model::plan_use::by_hand);
  const auto given_up = *config::resolve_recipe("nodeos", {{"full_set", "always"}}, dirs);
  CHECK(given_up.plans[2].use == model::plan_use::always);
  CHECK(r.first_start_append == std::vector<std::string>{"--snapshot", "${archive.snapshot.path}"});
  CHECK(r.must_exist == std::vector<std::string>{"state/shared_memory.bin"});
  CHECK(r.locks == r.must_exist);
  CHECK(r.bootstrap == model::bootstrap_mode::recover);
  CHECK(r.confirm == model::confirm_when::advancing);
  CHECK(r.confirm_advancing_for == base::duration{1000});
}

TEST_CASE("a nodeos that would clear its blocks at each start is warned of") {
  const auto said = [](const std::string& more) {
    return test::messages(test::parse("[data]\ndir = \"/d\"\n[run]\ncommand = [\"nodeos\"" + more +
                                          "]\n[recovery]\nrecipe = \"nodeos\"\nsource = \"/b\"\n",
                                      shipped_files())
                              .problems);
  };
  CHECK(said(", \"--delete-all-blocks\"").find("warns of --delete-all-blocks") != std::string::npos);
  CHECK(said("").find("--delete-all-blocks") == std::string::npos);
}

TEST_CASE("eos-evm-node: only damage of its own data is restored, whatever leap does") {
  const auto r = *config::resolve_recipe("eos-evm-node", {}, dirs);
  const auto action = [&](const std::string& text) {
    return action_of(r, 0, "  CRIT [11-21|01:02:03.123 UTC] System Error: " + text);
  };
  for (const auto* text :
       {"SHiP connection failed", "SHiP failed handshake", "SHiP initial read failed", "SHiP read failed",
        "Max retry reached", "Block #12 not available in SHiP", "Start block not available in SHiP"})
    CHECK(action(text) == "next_endpoint");
  for (const auto* text :
       {"Unable to find fork block", "Unable to remove transaction(s)", "Unable to set upper bound",
        "mdbx::exception", "Unable to read canonical block", "Unable to read canonical head block"})
    CHECK(action(text) == "recover");
  for (const auto* text :
       {"Genesis state not provided", "Invalid genesis nonce", "Specified genesis file does not exist"})
    CHECK(action(text) == "hold");
  CHECK(action("something else").empty());
  const auto named = [&](const std::string& text) { return class_of(r, 0, 0, "System Error: " + text); };
  CHECK(named("mdbx::exception: MDBX_MAP_FULL: Environment mapsize limit reached") ==
        "hold: database size exhausted");
  CHECK(named("write: No space left on device") == "hold: disk full");
  CHECK(r.failed_starts == 0);
}

TEST_CASE("redis: a damaged file is restored, a wrong configuration or a taken port is not") {
  const auto r = *config::resolve_recipe("redis", {}, dirs);
  const std::string at = "31117:M 21 Nov 2026 04:33:42.871 ";
  CHECK(action_of(r, 1, at + "# Wrong signature trying to load DB from file") == "recover");
  CHECK(action_of(r, 1,
                  at + "# Internal error in RDB reading offset 0, function at rdb.c:3249 -> Unexpected EOF reading "
                       "RDB file") == "recover");
  CHECK(action_of(r, 1, at + "# Internal error in RDB reading offset 0, function at rdb.c:3225 -> RDB CRC error") ==
        "recover");
  CHECK(action_of(r, 1, at + "# Wrong RDB checksum expected: (6b48) but got (6bb7). Aborting now.") == "recover");
  CHECK(action_of(r, 1, "*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***") == "hold");
  CHECK(action_of(r, 1, at + "# Fatal error loading the DB: Permission denied. Exiting.") == "hold");
  CHECK(action_of(
            r, 1,
            at + "# Warning: Could not create server TCP listening socket *:17001: bind: Address already in use") ==
        "restart");
  CHECK(r.must_exist == std::vector<std::string>{"dump.rdb"});
  CHECK(config::resolve_recipe("redis", {{"dbfilename", "a.rdb"}}, dirs)->must_exist[0] == "a.rdb");
  CHECK(config::resolve_recipe("redis", {{"bootstrap", "empty"}}, dirs)->bootstrap == model::bootstrap_mode::empty);
  CHECK(config::resolve_recipe("redis", {{"dbfilename", "../a.rdb"}}, dirs).has_error());
}

TEST_CASE("anvil: a truncated state file is restored although it looks like a usage error") {
  const auto r = *config::resolve_recipe("anvil", {}, dirs);
  const std::string truncated =
      "error: invalid value 'st.json' for '--state <PATH>': failed to parse json file: \"st.json\": EOF while "
      "parsing a string";
  CHECK(action_of(r, 2, truncated) == "recover");
  CHECK(action_of(r, 1, truncated).empty());
  CHECK(action_of(r, 2, "error: unexpected argument '--prot' found") == "hold");
  CHECK(action_of(r, 1, "Error: Address already in use (os error 98)") == "restart");
  CHECK(r.must_exist == std::vector<std::string>{"state.json"});
}

TEST_CASE("shipped files cut off at any byte, or with any bytes changed, never crash the parser") {
  for (const auto& path : shipped()) {
    const auto text = test::read_file(path);
    unsigned valid = 0;
    for (std::size_t n = 0; n < text.size(); ++n) valid += parse_shipped(path, text.substr(0, n)).valid ? 1U : 0U;
    CHECK(valid <= text.size());
    std::mt19937 random(20261121);  // NOLINT: the same mutations each time
    for (int round = 0; round < 400; ++round) {
      auto mutated = text;
      for (unsigned flips = 1 + random() % 4; flips > 0; --flips)
        mutated[random() % mutated.size()] = static_cast<char>(random() % 256);
      const auto entry = parse_shipped(path, mutated);
      CHECK(entry.valid == !entry.instances.empty());
      for (const auto& d : entry.problems) CHECK_FALSE(base::render(d, true).empty());
    }
  }
}
