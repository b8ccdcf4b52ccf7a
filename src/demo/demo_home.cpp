// Templates of the demonstration's unit files and everything else that stands on disk before it begins.
#include "demo/demo_home.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.hpp"
#include "demo/child_program.hpp"

namespace hasup::demo {
namespace fs = std::filesystem;
namespace {

constexpr unsigned ports_needed = 6;
constexpr int highest_port = 60'000;

// @NAME@ is filled in; ${…} is hasup's own.
constexpr std::string_view leap_unit =
    R"(description = "Leap node, restored from the backup host when its database breaks"

[data]
dir = "@leap_data@"

[run]
command = ["@demo_node@", "nodeos", "--data-dir", "${data.dir}", "--http", "127.0.0.1:@leap_port@",
           "--block-interval", "200ms", "--disable-replay-opts"]
stop_timeout = "10s"

[startup]
preset = "antelope"
url = "http://127.0.0.1:@leap_port@"
interval = "100ms"

[readiness]
preset = "antelope"
url = "http://127.0.0.1:@leap_port@"
max_head_age = "5s"
interval = "200ms"

[restart]
backoff = { initial = "300ms", max = "2s" }

[recovery]
recipe = "nodeos"
source = "http://127.0.0.1:@backup_port@/"
checksum = "required"

[recovery.params]
advancing_for = "1s"
)";

constexpr std::string_view evm_node_unit = R"(description = "EVM node that follows leap"

[data]
dir = "@home@/evm-node"

[run]
command = ["@demo_node@", "evm-node", "--leap", "127.0.0.1:@leap_port@", "--http", "127.0.0.1:@evm_node_port@",
           "--chain-data", "${data.dir}", "--ship-max-retry", "1000"]

[readiness]
preset = "evm"
url = "http://127.0.0.1:@evm_node_port@"
max_head_age = "5s"
interval = "200ms"

[restart]
backoff = { initial = "300ms", max = "2s" }

[[requires]]
unit = "leap"
condition = "healthy"
on_loss = "restart"
)";

constexpr std::string_view evm_rpc_unit = R"(description = "JSON-RPC for users"

[run]
command = ["@demo_node@", "evm-rpc", "--evm-node", "127.0.0.1:@evm_node_port@", "--http", "127.0.0.1:@evm_rpc_port@"]

[readiness]
preset = "evm"
url = "http://127.0.0.1:@evm_rpc_port@"
max_head_age = "5s"
interval = "200ms"

[restart]
backoff = { initial = "300ms", max = "2s" }

[[requires]]
unit = "evm-node"
condition = "healthy"
on_loss = "restart"
)";

constexpr std::string_view miner_unit = R"(description = "Miners, one port each"

[run]
command = ["@demo_node@", "miner", "--rpc", "127.0.0.1:@evm_rpc_port@", "--http", "127.0.0.1:${@miner_port@ + instance}"]
instances = 2

[readiness]
kind = "jsonrpc"
url = "http://127.0.0.1:${@miner_port@ + instance}"
method = "eth_gasPrice"
interval = "200ms"

[restart]
backoff = { initial = "300ms", max = "2s" }

[[requires]]
unit = "evm-rpc"
condition = "healthy"
on_loss = "restart"
)";

std::string filled_in(std::string_view unit, const demo_home& home) {
  const std::array<std::pair<std::string_view, std::string>, 8> values = {{
      {"@home@", home.path},
      {"@leap_data@", home.leap_data()},
      {"@demo_node@", home.demo_node()},
      {"@leap_port@", std::to_string(home.leap_port)},
      {"@evm_node_port@", std::to_string(home.evm_node_port)},
      {"@evm_rpc_port@", std::to_string(home.evm_rpc_port)},
      {"@miner_port@", std::to_string(home.miner_port)},
      {"@backup_port@", std::to_string(home.backup_port)},
  }};
  std::string text(unit);
  for (const auto& [name, value] : values)
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size()))
      text.replace(at, name.size(), value);
  return text;
}

// Consecutive ports of loopback that are free now, below those that the kernel hands out for a moment.
base::result<std::uint16_t> free_ports(unsigned count) {
  const auto is_free = [](int port) {
    const base::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  };
  const int step = static_cast<int>(count);
  const int start = 18'000 + static_cast<int>(::getpid()) % 1'000 * step;
  for (int first = start; first < highest_port; first += step) {
    bool all = true;
    for (int port = first; port < first + step && all; ++port) all = is_free(port);
    if (all) return static_cast<std::uint16_t>(first);
  }
  return base::error{"no free ports on 127.0.0.1"};
}

base::result<void> write_file(const std::string& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return base::error{"cannot write " + path};
  return {};
}

base::result<void> make_chain(const demo_home& home) {
  auto maker = child_program::start(
      {home.demo_node(), "make-chain", "--data-dir", home.leap_data(), "--blocks", "1200", "--state-size", "4000000",
       "--snapshots", home.backup_dir(), "--snapshot-at", "400", "--snapshot-at", "800", "--snapshot-at", "1200"},
      {}, home.path + "/make-chain.log");
  if (!maker) return maker.error();
  const auto code = maker->wait(base::duration{20'000});
  if (!code || *code != 0)
    return base::error{"cannot make the demonstration's chain; see " + home.path + "/make-chain.log"};
  return {};
}

// One altered byte in the data: nodeos would load it without a word. Its checksum stays what it was.
base::result<void> damage(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  constexpr std::streamoff somewhere = 1'000'000;
  file.seekg(somewhere);
  const int byte = file.get();
  file.seekp(somewhere);
  file.put(static_cast<char>(byte ^ 0x20));
  file.close();
  if (!file) return base::error{"cannot alter " + path};
  return {};
}

base::result<void> fill(demo_home& home) {
  std::error_code failed;
  for (const auto& dir : {home.path + "/etc/units", home.backup_dir()}) {
    fs::create_directories(dir, failed);
    if (failed) return base::error{"create " + dir + ": " + failed.message()};
  }
  const auto first_port = free_ports(ports_needed);
  if (!first_port) return first_port.error();
  home.leap_port = *first_port;
  home.evm_node_port = static_cast<std::uint16_t>(*first_port + 1);
  home.evm_rpc_port = static_cast<std::uint16_t>(*first_port + 2);
  home.backup_port = static_cast<std::uint16_t>(*first_port + 3);
  home.miner_port = static_cast<std::uint16_t>(*first_port + 4);
  const std::array<std::pair<std::string_view, std::string_view>, 4> units = {
      {{"leap", leap_unit}, {"evm-node", evm_node_unit}, {"evm-rpc", evm_rpc_unit}, {"miner", miner_unit}}};
  for (const auto& [name, text] : units) {
    const auto written = write_file(fmt::format("{}/etc/units/{}.toml", home.path, name), filled_in(text, home));
    if (!written) return written;
  }
  if (auto made = make_chain(home); !made) return made;
  for (const auto& entry : fs::directory_iterator(home.backup_dir(), failed))
    if (entry.path().extension() == ".bin") home.snapshots.push_back(entry.path().filename().string());
  std::ranges::sort(home.snapshots);
  if (home.snapshots.empty()) return base::error{"no snapshots in " + home.backup_dir()};
  return damage(home.backup_dir() + "/" + home.damaged());
}

}  // namespace

base::result<demo_home> make_demo_home() {
  demo_home home;
  const auto programs = program_directory();
  if (!programs) return programs.error();
  home.program_dir = *programs;
  for (const auto* sibling : {"hasupd", "hasup-demo-node"})
    if (!fs::exists(home.program_dir + "/" + sibling))
      return base::error{"there is no " + std::string(sibling) + " beside this program, in " + home.program_dir};
  std::error_code failed;
  std::string path = (fs::temp_directory_path(failed) / "hasup-demo-XXXXXX").string();
  if (failed || ::mkdtemp(path.data()) == nullptr) return base::errno_error("make a temporary directory " + path);
  home.path = path;
  if (const auto filled = fill(home); !filled) {
    remove_demo_home(home);
    return filled.error();
  }
  return home;
}

void remove_demo_home(const demo_home& home) {
  std::error_code ignored;
  fs::remove_all(home.path, ignored);
}

}  // namespace hasup::demo
