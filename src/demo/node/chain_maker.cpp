// The chain is made by the same code that runs it.
#include "demo/node/chain_maker.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "demo/node/nodeos_chain.hpp"
#include "demo/node/nodeos_settings.hpp"
#include "demo/node/snapshot_file.hpp"

namespace hasup::demo {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t day_ms = 86'400'000;
constexpr std::int64_t block_ms = 500;

int fail(std::string_view what) {
  std::cerr << "hasup-demo-node: " << what << '\n';
  return 2;
}

base::result<void> write_sha256_beside(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream whole;
  whole << in.rdbuf();
  const std::string bytes = std::move(whole).str();
  digest sum{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), sum.data());
  std::ofstream out(path + ".sha256");
  out << to_hex(sum) << "  " << fs::path(path).filename().string() << '\n';
  out.close();
  if (!in || !out) return base::error{"cannot write " + path + ".sha256"};
  return {};
}

void set_modification_time(const std::string& path, std::int64_t time_ms) {
  const timespec when{time_ms / 1000, 0};
  const std::array<timespec, 2> times = {when, when};
  ::utimensat(AT_FDCWD, path.c_str(), times.data(), 0);
}

// Into `dir`, named by its block, as backup hosts do.
base::result<void> publish_snapshot(const std::string& dir, const snapshot_data& data, std::int64_t made_ms) {
  const std::string path = fmt::format("{}/snapshot-{:010}.bin", dir, data.head.number);
  if (auto written = write_snapshot(path, data); !written) return written;
  if (auto written = write_sha256_beside(path); !written) return written;
  set_modification_time(path, made_ms);
  set_modification_time(path + ".sha256", made_ms);
  return {};
}

struct chain_order {
  nodeos_settings settings;
  std::uint32_t blocks = 0;
  std::set<std::uint64_t> snapshots_at;
  std::string snapshots_dir;
};

base::result<void> make_chain(const chain_order& order) {
  nodeos_chain chain(order.settings);
  if (const auto refused = chain.open()) return base::error{refused->message};
  const std::int64_t begin = now_ms() - std::int64_t{order.blocks} * block_ms;
  auto age_in_days = static_cast<std::int64_t>(order.snapshots_at.size());
  while (chain.head().number < order.blocks) {
    if (const auto end = chain.produce(begin + chain.head().number * block_ms)) return base::error{end->message};
    if (!order.snapshots_at.contains(chain.head().number)) continue;
    const snapshot_data data{chain.chain(), chain.head(),
                             filler(chain.chain(), chain.head().number, order.settings.content_size)};
    if (auto done = publish_snapshot(order.snapshots_dir, data, now_ms() - --age_in_days * day_ms); !done)
      return done;
  }
  chain.close();
  return {};
}

}  // namespace

int run_make_snapshot(std::span<const std::string> words) {
  constexpr std::array known = {option{"out"}, option{"block"}, option{"chain-id"}, option{"state-size"}};
  const auto options = arguments::parse(words, known);
  if (!options) return fail(options.error().message);
  const auto number = options->number("block", 1);
  const auto size = options->number("state-size", 0);
  if (!number || *number > UINT32_MAX) return fail("--block is not a block number");
  if (!size) return fail(size.error().message);
  const std::string out = options->text("out");
  if (out.empty()) return fail("the option '--out' is required");
  digest chain = default_chain();
  if (options->has("chain-id")) {
    const auto parsed = parse_hex(options->text("chain-id"));
    if (!parsed) return fail("--chain-id is not 64 hexadecimal digits");
    chain = *parsed;
  }
  const auto block_number = static_cast<std::uint32_t>(*number);
  auto written = write_snapshot(out, {chain, {block_number, now_ms()}, filler(chain, block_number, *size)});
  if (written) written = write_sha256_beside(out);
  return written ? 0 : fail(written.error().message);
}

int run_make_chain(std::span<const std::string> words) {
  constexpr std::array known = {option{"data-dir"}, option{"blocks"}, option{"state-size"}, option{"snapshot-at"},
                                option{"snapshots"}};
  const auto options = arguments::parse(words, known);
  if (!options) return fail(options.error().message);
  const auto blocks = options->number("blocks", 1);
  const auto size = options->number("state-size", 0);
  if (!blocks || *blocks > UINT32_MAX) return fail("--blocks is not a block number");
  if (!size) return fail(size.error().message);
  chain_order order;
  order.settings.data_dir = options->text("data-dir");
  if (order.settings.data_dir.empty()) return fail("the option '--data-dir' is required");
  order.settings.chain = default_chain();
  order.settings.content_size = *size;
  order.blocks = static_cast<std::uint32_t>(*blocks);
  order.snapshots_dir = options->text("snapshots", ".");
  for (const auto& at : options->all("snapshot-at"))
    order.snapshots_at.insert(std::strtoull(at.c_str(), nullptr, 10));
  const auto made = make_chain(order);
  return made ? 0 : fail(made.error().message);
}

}  // namespace hasup::demo
