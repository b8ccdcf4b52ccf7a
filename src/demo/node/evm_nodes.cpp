// The three EVM programs; each runs an event loop until SIGTERM or until it gives up as the real one does.
#include "demo/node/evm_nodes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <optional>
#include <sstream>

#include "base/time_text.hpp"
#include "base/unique_fd.hpp"
#include "demo/node/arguments.hpp"
#include "demo/node/chain_types.hpp"
#include "demo/node/http_poll.hpp"
#include "demo/node/http_service.hpp"
#include "demo/node/node_log.hpp"

namespace hasup::demo {
namespace asio = boost::asio;
namespace json = boost::json;
namespace {

constexpr int initialisation_failed = 255;
constexpr unsigned chain_id = 17777;
constexpr std::chrono::milliseconds poll_interval{200};

json::string hex_number(std::uint64_t n) {
  return json::string(fmt::format("{:#x}", n));
}

// The loop, the signals and the endpoint that all three have.
class evm_program {
 public:
  evm_program() : signals_(io_, SIGTERM, SIGINT), http_(io_.get_executor()) {
    signals_.async_wait([this](boost::system::error_code failed, int) {
      if (!failed) end(0);
    });
  }

  // Serves JSON-RPC until `end`; the exit code of the program.
  int serve(const arguments& options, http_handler handler) {
    const auto where = parse_host_port(options.text("http"));
    if (!where) return refuse("--http: " + where.error().message);
    const auto bound = http_.listen(*where, std::move(handler));
    if (!bound) return refuse(bound.error().message);
    io_.run();
    return code_;
  }

  void end(int code) {
    code_ = code;
    io_.stop();
  }

  // The real programs log a fatal error and exit 0.
  void end_with_system_error(std::string_view what) {
    log_evm("ERROR", fmt::format("System Error: {}", what));
    end(0);
  }

  static int refuse(std::string_view what) {
    log_evm("CRIT", what);
    return initialisation_failed;
  }

  asio::io_context& io() { return io_; }

 private:
  asio::io_context io_{1};
  asio::signal_set signals_;
  http_service http_;
  int code_ = 0;
};

struct rpc_call {
  json::value id;
  std::string method;
};

std::optional<rpc_call> parse_call(const std::string& body) {
  boost::system::error_code failed;
  const json::value parsed = json::parse(body, failed);
  if (failed || !parsed.is_object()) return std::nullopt;
  const auto& object = parsed.get_object();
  const auto* method = object.if_contains("method");
  if (!method || !method->is_string()) return std::nullopt;
  const auto* id = object.if_contains("id");
  return rpc_call{id ? *id : json::value(), std::string(method->get_string())};
}

http_answer json_answer(json::object body) {
  return {200, "application/json", {}, json::serialize(std::move(body)), nullptr};
}

http_answer rpc_result(const json::value& id, json::value result) {
  return json_answer({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}});
}

http_answer rpc_error(const json::value& id, int code, std::string_view message) {
  return json_answer({{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", message}}}});
}

// chain-data/chaindata/mdbx.dat: a magic and the head, enough to survive a restart and to be found damaged. Written
// in place and held open, as the real one is.
class chain_data {
 public:
  // False when the file is there and is not one of ours.
  bool open(const std::string& dir) {
    if (dir.empty()) return true;
    std::error_code failed;
    std::filesystem::create_directories(dir + "/chaindata", failed);
    fd_.reset(::open((dir + "/chaindata/mdbx.dat").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    return fd_ && read();
  }

  // False when the file is not one of ours any more.
  bool save(block head) {
    if (fd_ && !read()) return false;
    head_ = head;
    const auto record = fmt::format("MDBX {:>10} {:>20}\n", head.number, head.time_ms);
    return !fd_ || ::pwrite(fd_.get(), record.data(), record.size(), 0) == static_cast<ssize_t>(record.size());
  }

  [[nodiscard]] block head() const { return head_; }

 private:
  bool read() {
    std::array<char, 64> record{};
    const auto size = ::pread(fd_.get(), record.data(), record.size(), 0);
    if (size == 0) return true;  // new
    std::istringstream in(std::string(record.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))));
    std::string magic;
    return in >> magic >> head_.number >> head_.time_ms && magic == "MDBX";
  }

  base::unique_fd fd_;
  block head_;
};

std::optional<block> parse_head(const std::string& get_info) {
  boost::system::error_code failed;
  const json::value info = json::parse(get_info, failed);
  if (failed || !info.is_object()) return std::nullopt;
  const auto* number = info.get_object().if_contains("head_block_num");
  const auto* time = info.get_object().if_contains("head_block_time");
  if (!number || !number->is_number() || !time || !time->is_string()) return std::nullopt;
  const auto when = base::parse_time(std::string_view(time->get_string()));
  if (!when) return std::nullopt;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(when->time_since_epoch()).count();
  return block{number->to_number<std::uint32_t>(), ms};
}

class evm_node {
 public:
  int run(const arguments& options) {
    const auto leap = parse_host_port(options.text("leap"));
    if (!leap) return evm_program::refuse("--leap: " + leap.error().message);
    const auto retries = options.number("ship-max-retry", 0);
    if (!retries) return evm_program::refuse(retries.error().message);
    retries_ = *retries;
    if (!data_.open(options.text("chain-data"))) {
      log_evm("ERROR", "System Error: mdbx::exception: MDBX_INVALID: File is not an MDBX file");
      return 0;
    }
    const http_poll follow(program_.io().get_executor(), {*leap, "/v1/chain/get_info", ""}, poll_interval,
                           [this](const std::optional<std::string>& body) { on_leap(body); });
    return program_.serve(options,
                          [this](const http_request& request, const http_reply& reply) { reply(answer(request)); });
  }

 private:
  void on_leap(const std::optional<std::string>& body) {
    const auto head = body ? parse_head(*body) : std::nullopt;
    if (!head) return on_lost();
    if (failures_ > 0 || !connected_) log_evm("INFO", "Connected to SHiP");
    failures_ = 0;
    connected_ = true;
    if (head->number != data_.head().number && !data_.save(*head))
      program_.end_with_system_error("mdbx::exception: MDBX_CORRUPTED: Database is corrupted");
  }

  void on_lost() {
    log_evm("ERROR", connected_ ? "SHiP read failed" : "SHiP connection failed");
    if (++failures_ > retries_) program_.end_with_system_error(retries_ == 0 ? "SHiP" : "Max retry reached");
  }

  [[nodiscard]] http_answer answer(const http_request& request) const {
    const auto call = parse_call(request.body);
    if (!call) return rpc_error(nullptr, -32700, "parse error");
    const block head = data_.head();
    if (call->method == "eth_blockNumber") return rpc_result(call->id, hex_number(head.number));
    if (call->method == "eth_chainId") return rpc_result(call->id, hex_number(chain_id));
    if (call->method == "eth_gasPrice") return rpc_result(call->id, hex_number(150'000'000'000));
    if (call->method == "eth_syncing") {
      if (connected_) return rpc_result(call->id, false);
      return rpc_result(call->id, json::object{{"currentBlock", hex_number(head.number)}});
    }
    if (call->method == "eth_getBlockByNumber") {
      const auto seconds = static_cast<std::uint64_t>(head.time_ms / 1000);
      return rpc_result(call->id, json::object{{"number", hex_number(head.number)},
                                               {"timestamp", hex_number(seconds)},
                                               {"hash", "0x" + to_hex(block_id({}, head.number))}});
    }
    return rpc_error(call->id, -32601, "method not existent: " + call->method);
  }

  evm_program program_;
  chain_data data_;
  std::uint64_t retries_ = 0;
  std::uint64_t failures_ = 0;
  bool connected_ = false;
};

class miner {
 public:
  int run(const arguments& options) {
    const auto rpc = parse_host_port(options.text("rpc"));
    if (!rpc) return evm_program::refuse("--rpc: " + rpc.error().message);
    const poll_question question{*rpc, "/", R"({"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]})"};
    const http_poll follow(program_.io().get_executor(), question, poll_interval,
                           [this](const std::optional<std::string>& body) { on_price(body); });
    return program_.serve(options,
                          [this](const http_request& request, const http_reply& reply) { reply(answer(request)); });
  }

 private:
  void on_price(const std::optional<std::string>& body) {
    boost::system::error_code failed;
    const json::value parsed = body ? json::parse(*body, failed) : json::value();
    if (failed || !parsed.is_object()) return;
    if (const auto* price = parsed.get_object().if_contains("result"); price && price->is_string())
      price_ = price->get_string();
  }

  [[nodiscard]] http_answer answer(const http_request& request) const {
    const auto call = parse_call(request.body);
    if (!call) return rpc_error(nullptr, -32700, "parse error");
    if (call->method != "eth_gasPrice") return rpc_error(call->id, -32601, "method not found");
    if (price_.empty()) return rpc_error(call->id, -32000, "gas price not known yet");
    return rpc_result(call->id, json::string(price_));
  }

  evm_program program_;
  std::string price_;  // cached: it outlives the rpc that told it
};

int run_evm_rpc_on(const arguments& options) {
  const auto behind = parse_host_port(options.text("evm-node"));
  if (!behind) return evm_program::refuse("--evm-node: " + behind.error().message);
  // It reads the database of the node beside it, for as long as it runs.
  base::unique_fd database;
  if (options.has("chaindata")) {
    const auto path = options.text("chaindata") + "/chaindata/mdbx.dat";
    database.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!database) return evm_program::refuse("mdbx::exception: cannot open " + path);
  }
  evm_program program;
  return program.serve(options, [&](const http_request& request, const http_reply& reply) {
    const auto call = parse_call(request.body);
    if (!call) return reply(rpc_error(nullptr, -32700, "parse error"));
    ask_http(program.io().get_executor(), {*behind, "/", request.body},
             [reply, id = call->id](std::optional<std::string> body) {
               if (body)
                 reply({200, "application/json", {}, std::move(*body), nullptr});
               else
                 reply(rpc_error(id, -32000, "the evm node does not answer"));
             });
  });
}

template <class Run>
int with_options(std::span<const std::string> words, std::span<const option> known, Run run) {
  const auto options = arguments::parse(words, known);
  if (!options) return evm_program::refuse(options.error().message);
  return run(*options);
}

}  // namespace

int run_evm_node(std::span<const std::string> words) {
  constexpr std::array known = {option{"leap"}, option{"http"}, option{"chain-data"}, option{"ship-max-retry"}};
  return with_options(words, known, [](const arguments& options) { return evm_node().run(options); });
}

int run_evm_rpc(std::span<const std::string> words) {
  constexpr std::array known = {option{"evm-node"}, option{"http"}, option{"chaindata"}};
  return with_options(words, known, [](const arguments& options) { return run_evm_rpc_on(options); });
}

int run_miner(std::span<const std::string> words) {
  constexpr std::array known = {option{"rpc"}, option{"http"}};
  return with_options(words, known, [](const arguments& options) { return miner().run(options); });
}

}  // namespace hasup::demo
