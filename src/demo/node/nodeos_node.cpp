// start -> settings -> chain opens -> ports -> blocks until a signal -> orderly close.
#include "demo/node/nodeos_node.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <csignal>
#include <filesystem>
#include <vector>

#include "demo/node/http_service.hpp"
#include "demo/node/node_log.hpp"
#include "demo/node/nodeos_chain.hpp"
#include "demo/node/nodeos_settings.hpp"

namespace hasup::demo {
namespace asio = boost::asio;
namespace json = boost::json;
using boost::system::error_code;

namespace {

constexpr log_origin main_function{"main.cpp:153", "main"};
constexpr log_origin http_plugin{"http_plugin.cpp:310", "plugin_startup"};
constexpr log_origin net_plugin{"net_plugin.cpp:4041", "plugin_startup"};
constexpr log_origin history_plugin{"state_history_plugin.cpp:689", "plugin_startup"};
constexpr log_origin producer{"producer_plugin.cpp:2450", "produce_block"};
constexpr std::string_view node_version = "v4.0.6";

json::object failure(unsigned code, std::string_view what) {
  return {{"code", code}, {"message", what}, {"error", {{"what", what}}}};
}

class nodeos_node {
 public:
  explicit nodeos_node(nodeos_settings settings)
      : settings_(std::move(settings)),
        chain_(settings_),
        http_(io_.get_executor()),
        timer_(io_),
        signals_(io_, SIGTERM, SIGINT, SIGHUP) {}

  int run() {
    signals_.async_wait([this](error_code e, int number) { on_signal(e, number); });
    if (!load()) return finish({254, "Database load aborted"});
    if (const auto end = chain_.open()) return finish(*end);
    log_info({"controller.cpp:641", "startup"}, "Blockchain started; head block is #" +
                                                    std::to_string(chain_.head().number) +
                                                    ", genesis timestamp "
                                                    "2018-06-08T08:08:08.888");
    if (const auto end = bind_fixed_ports()) return finish(*end);
    if (const auto end = chain_.check_space()) return finish(*end);
    start_http();
    schedule_block();
    if (!told_to_stop_) io_.run();
    return finish(end_);
  }

 private:
  // Reads the whole state. A signal meanwhile aborts that in the heap mode alone; else it counts once all has
  // started.
  bool load() {
    if (settings_.load_time.count() == 0 || !chain_.has_state()) return true;
    log_info({"pinnable_mapped_file.cpp:238", "load_database_file"},
             "CHAINBASE: Preloading \"state\" database file, this could take a moment...");
    const auto end = std::chrono::steady_clock::now() + settings_.load_time;
    while (std::chrono::steady_clock::now() < end && !(told_to_stop_ && settings_.heap)) {
      io_.run_until(std::min(end, std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
      io_.restart();
    }
    return !(told_to_stop_ && settings_.heap);
  }

  int finish(const node_end& end) {
    chain_.close();
    std::signal(SIGPIPE, SIG_DFL);  // what it wrote to nobody while it ran, it dies of now
    if (!end.message.empty()) log_error(main_function, end.message);
    if (end.code == 0) log_info(main_function, "nodeos successfully exiting");
    return end.code;
  }

  // p2p and state history: without their port nodeos quits, with exit code 0.
  std::optional<node_end> bind_fixed_ports() {
    if (settings_.p2p) {
      auto port = occupy_port(*settings_.p2p);
      if (!port) {
        log_error(net_plugin, "net_plugin::plugin_startup failed to bind to port " +
                                  std::to_string(settings_.p2p->port) + ", " + port.error().message);
        return node_end{};
      }
      ports_.push_back(std::move(*port));
    }
    if (settings_.history) {
      auto port = occupy_port(*settings_.history);
      if (!port) {
        log_error(history_plugin, port.error().message);
        return node_end{};
      }
      ports_.push_back(std::move(*port));
    }
    return std::nullopt;
  }

  // Without its HTTP port nodeos only says so and runs on.
  void start_http() {
    if (!settings_.http) return;
    const auto bound = http_.listen(
        *settings_.http, [this](const http_request& request, http_reply reply) { serve(request, std::move(reply)); });
    if (bound) {
      log_info(http_plugin, "start listening for http requests");
      return;
    }
    log_error(http_plugin, "http service failed to start: " + bound.error().message);
    log_info(http_plugin, "closing port " + std::to_string(settings_.http->port));
  }

  void schedule_block() {
    timer_.expires_after(settings_.block_interval);
    timer_.async_wait([this](error_code failed) {
      if (failed) return;
      const bool stuck = settings_.stuck_at > 0 && chain_.head().number == settings_.stuck_at;
      if (!paused_ && !stuck) produce();
      schedule_block();
    });
  }

  void produce() {
    const std::int64_t slot = now_ms() / 100 * 100;
    auto end = chain_.produce(slot);
    if (!end) end = chain_.check_space();
    if (end) {
      end_ = *end;
      io_.stop();
      return;
    }
    log_info(producer, "Produced block " + to_hex(block_id(chain_.chain(), chain_.head().number)).substr(8, 16) +
                           "... #" + std::to_string(chain_.head().number) + " @ " +
                           block_time_text(chain_.head().time_ms) +
                           " signed by eosio [trxs: 0, lib: " + std::to_string(irreversible()) + ", confirmed: 0]");
    for (const auto& reply : std::exchange(waiting_for_block_, {})) answer_snapshot(reply);
  }

  void serve(const http_request& request, http_reply reply) {
    if (request.path == "/v1/chain/get_info") return reply(ok(get_info()));
    if (request.path == "/v1/producer/pause" || request.path == "/v1/producer/resume") {
      paused_ = request.path.ends_with("pause");
      if (!paused_) settings_.stuck_at = 0;  // somebody has the next block after all
      return reply({201, "application/json", {}, R"({"result":"ok"})", nullptr});
    }
    if (request.path == "/v1/producer/paused")
      return reply({201, "application/json", {}, paused_ ? "true" : "false", nullptr});
    // As nodeos does, it answers once a further block made this one irreversible: never while production is paused.
    if (request.path == "/v1/producer/create_snapshot") return waiting_for_block_.push_back(std::move(reply));
    if (request.path == "/v1/db_size/get")
      return reply(
          ok({{"free_bytes", 1'000'000'000}, {"used_bytes", 5'500'000}, {"size", settings_.database_mb << 20}}));
    reply({404, "application/json", {}, json::serialize(failure(404, "Not Found")), nullptr});
  }

  static http_answer ok(const json::object& body) {
    return {200, "application/json", {}, json::serialize(body), nullptr};
  }

  void answer_snapshot(const http_reply& reply) {
    const auto path = chain_.write_snapshot_of_head();
    if (!path) {
      return reply({500, "application/json", {}, json::serialize(failure(500, path.error().message)), nullptr});
    }
    const block head = chain_.head();
    reply({201,
           "application/json",
           {},
           json::serialize(json::object{{"head_block_id", to_hex(block_id(chain_.chain(), head.number))},
                                        {"head_block_num", head.number},
                                        {"head_block_time", block_time_text(head.time_ms)},
                                        {"version", 6},
                                        {"snapshot_name", *path}}),
           nullptr});
  }

  [[nodiscard]] std::uint32_t irreversible() const { return std::max<std::uint32_t>(chain_.head().number, 2) - 1; }

  [[nodiscard]] json::object get_info() const {
    const block head = chain_.head();
    const std::string id = to_hex(block_id(chain_.chain(), head.number));
    const std::int64_t irreversible_time = head.time_ms - settings_.block_interval.count();
    return {{"server_version", "fa5dd79a"},
            {"chain_id", to_hex(chain_.chain())},
            {"head_block_num", head.number},
            {"last_irreversible_block_num", irreversible()},
            {"last_irreversible_block_id", to_hex(block_id(chain_.chain(), irreversible()))},
            {"head_block_id", id},
            {"head_block_time", block_time_text(head.time_ms)},
            {"head_block_producer", "eosio"},
            {"virtual_block_cpu_limit", 200'000},
            {"virtual_block_net_limit", 1'048'576'000},
            {"block_cpu_limit", 200'000},
            {"block_net_limit", 1'048'576},
            {"server_version_string", node_version},
            {"fork_db_head_block_num", head.number},
            {"fork_db_head_block_id", id},
            {"server_full_version_string", std::string(node_version) + "-hasup-demo-node"},
            {"total_cpu_weight", "0"},
            {"total_net_weight", "0"},
            {"earliest_available_block_num", chain_.first_block()},
            {"last_irreversible_block_time", block_time_text(irreversible_time)}};
  }

  void on_signal(error_code failed, int number) {
    if (failed) return;
    if (number == SIGHUP) {
      log_info(main_function, "Received HUP. Reloading logging configuration.");
      signals_.async_wait([this](error_code e, int n) { on_signal(e, n); });
      return;
    }
    told_to_stop_ = true;
    io_.stop();
  }

  nodeos_settings settings_;
  asio::io_context io_{1};
  nodeos_chain chain_;
  http_service http_;
  asio::steady_timer timer_;
  asio::signal_set signals_;
  std::vector<base::unique_fd> ports_;
  std::vector<http_reply> waiting_for_block_;
  node_end end_;
  bool paused_ = false;
  bool told_to_stop_ = false;
};

}  // namespace

int run_nodeos(std::span<const std::string> words) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGBUS, SIG_DFL);  // a sanitizer would make an exit of it
  auto settings = read_nodeos_settings(words);
  if (!settings) {
    log_error(main_function, settings.error().message);
    return settings.error().code;
  }
  log_info({"main.cpp:127", "main"}, "nodeos version " + std::string(node_version) + " (hasup-demo-node)");
  log_info({"main.cpp:133", "main"}, "nodeos data directory is " + settings->data_dir);
  nodeos_node node(std::move(*settings));
  return node.run();
}

}  // namespace hasup::demo
