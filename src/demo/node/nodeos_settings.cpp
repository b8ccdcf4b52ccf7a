// The options of the stand-in nodeos. Known options of nodeos that change nothing here are accepted and ignored.
#include "demo/node/nodeos_settings.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/duration.hpp"

namespace hasup::demo {
namespace {

using settings_result = boost::system::result<nodeos_settings, node_end>;

constexpr int other_exception = 254;
constexpr int initialisation_failed = 255;

// The options that also stand in config.ini.
constexpr std::array config_options = {
    option{"http-server-address", true, "http"},
    option{"p2p-listen-endpoint", true, "p2p"},
    option{"state-history-endpoint", true, "ship"},
    option{"plugin"},
    option{"producer-name"},
    option{"enable-stale-production", false},
    option{"signature-provider"},
    option{"chain-state-db-size-mb"},
    option{"chain-state-db-guard-size-mb"},
    option{"database-map-mode"},
    option{"read-mode"},
    option{"p2p-peer-address"},
    option{"p2p-accept-transactions"},
    option{"api-accept-transactions"},
    option{"max-transaction-time"},
    option{"abi-serializer-max-time-ms"},
    option{"http-validate-host"},
    option{"http-max-response-time-ms"},
    option{"access-control-allow-origin"},
    option{"verbose-http-errors"},
    option{"contracts-console", false},
    option{"trace-history", false},
    option{"chain-state-history", false},
    option{"wasm-runtime"},
    option{"eos-vm-oc-enable"},
    option{"chain-threads"},
    option{"http-threads"},
    option{"net-threads"},
    option{"resource-monitor-space-threshold"},
};

constexpr std::array command_line_only = {
    option{"data-dir"},
    option{"config-dir"},
    option{"config"},
    option{"logconf"},
    option{"snapshot"},
    option{"genesis-json"},
    option{"genesis-timestamp"},
    option{"delete-all-blocks", false},
    option{"disable-replay-opts", false},
    option{"replay-blockchain", false},
    option{"hard-replay-blockchain", false},
    // Of the stand-in alone:
    option{"block-interval"},
    option{"chain-id"},
    option{"state-size"},
    option{"state-growth"},
    option{"load-time"},
    option{"stuck-at"},
};

constexpr std::array known_plugins = {
    "eosio::chain_plugin",        "eosio::chain_api_plugin",
    "eosio::http_plugin",         "eosio::net_plugin",
    "eosio::net_api_plugin",      "eosio::producer_plugin",
    "eosio::producer_api_plugin", "eosio::state_history_plugin",
    "eosio::db_size_api_plugin",  "eosio::resource_monitor_plugin",
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

std::optional<node_end> read_config_file(const std::string& path, bool required, arguments& options) {
  std::ifstream in(path);
  if (!in) {
    if (!required) return std::nullopt;
    return node_end{initialisation_failed, "Config file " + path + " missing."};
  }
  for (std::string raw; std::getline(in, raw);) {
    const std::string_view line = trimmed(std::string_view(raw).substr(0, raw.find('#')));
    if (line.empty()) continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos)
      return node_end{other_exception, "the options configuration file contains an invalid line '" + raw + "'"};
    const std::string name(trimmed(line.substr(0, equals)));
    if (std::ranges::find(config_options, std::string_view(name), &option::name) == config_options.end())
      return node_end{other_exception, "Unknown option '" + name + "' inside the config file " + path};
    options.add_default(name, std::string(trimmed(line.substr(equals + 1))));
  }
  return std::nullopt;
}

std::optional<node_end> take_endpoint(const arguments& options, std::string_view name,
                                      std::optional<host_port>& into) {
  if (!options.has(name) || options.text(name).empty()) return std::nullopt;
  const auto parsed = parse_host_port(options.text(name));
  if (!parsed) return node_end{other_exception, std::string(name) + ": " + parsed.error().message};
  into = *parsed;
  return std::nullopt;
}

std::optional<node_end> take_numbers(const arguments& options, nodeos_settings& s) {
  const auto database = options.number("chain-state-db-size-mb", s.database_mb);
  const auto guard = options.number("chain-state-db-guard-size-mb", s.guard_mb);
  const auto content = options.number("state-size", s.content_size);
  const auto growth = options.number("state-growth", 0);
  const auto threshold = options.number("resource-monitor-space-threshold", 0);
  const auto stuck_at = options.number("stuck-at", 0);
  for (const auto* number : {&database, &guard, &content, &growth, &threshold, &stuck_at})
    if (!*number) return node_end{other_exception, number->error().message};
  s.database_mb = *database;
  s.guard_mb = *guard;
  s.content_size = *content;
  s.state_growth = *growth;
  s.stuck_at = *stuck_at;
  if (options.has("resource-monitor-space-threshold")) s.space_threshold = static_cast<unsigned>(*threshold);
  const auto interval = base::parse_duration(options.text("block-interval", "500ms"));
  if (!interval || interval->count() == 0)
    return node_end{other_exception, "the argument for option '--block-interval' is invalid"};
  s.block_interval = *interval;
  const auto load_time = base::parse_duration(options.text("load-time", "0s"));
  if (!load_time) return node_end{other_exception, "the argument for option '--load-time' is invalid"};
  s.load_time = *load_time;
  s.chain = default_chain();
  if (options.has("chain-id")) {
    const auto chain = parse_hex(options.text("chain-id"));
    if (!chain) return node_end{other_exception, "the argument for option '--chain-id' is invalid"};
    s.chain = *chain;
  }
  return std::nullopt;
}

std::optional<node_end> check_plugins(const arguments& options) {
  for (const auto& plugin : options.all("plugin"))
    if (std::ranges::find(known_plugins, plugin) == known_plugins.end())
      return node_end{other_exception, "unable to find plugin: " + plugin};
  return std::nullopt;
}

}  // namespace

digest default_chain() {
  digest chain{};
  for (std::size_t i = 0; i < chain.size(); ++i) chain[i] = static_cast<std::uint8_t>(0xac ^ (i * 37));
  return chain;
}

settings_result read_nodeos_settings(std::span<const std::string> words) {
  std::vector<option> known(config_options.begin(), config_options.end());
  known.insert(known.end(), command_line_only.begin(), command_line_only.end());
  auto parsed = arguments::parse(words, known);
  if (!parsed) return node_end{other_exception, parsed.error().message};
  arguments& options = *parsed;
  if (!options.has("data-dir")) return node_end{other_exception, "the option '--data-dir' is required"};

  nodeos_settings s;
  s.data_dir = options.text("data-dir");
  const std::string config_dir = options.text("config-dir", s.data_dir + "/config");
  if (auto end =
          read_config_file(config_dir + "/" + options.text("config", "config.ini"), options.has("config"), options))
    return *end;
  if (auto end = check_plugins(options)) return *end;
  if (auto end = take_endpoint(options, "http-server-address", s.http)) return *end;
  if (auto end = take_endpoint(options, "p2p-listen-endpoint", s.p2p)) return *end;
  if (auto end = take_endpoint(options, "state-history-endpoint", s.history)) return *end;
  if (auto end = take_numbers(options, s)) return *end;
  s.snapshot = options.text("snapshot");
  s.delete_all_blocks = options.has("delete-all-blocks");
  s.heap = options.text("database-map-mode") == "heap";
  s.locked = options.text("database-map-mode") == "locked";
  const auto plugins = options.all("plugin");
  s.chain_plugin = plugins.empty() || std::ranges::find(plugins, "eosio::chain_plugin") != plugins.end();
  return s;
}

}  // namespace hasup::demo
