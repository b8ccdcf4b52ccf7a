// Reading and writing of binary snapshots.
#include "demo/node/snapshot_file.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <sstream>
#include <string_view>

namespace hasup::demo {
namespace {

constexpr std::uint32_t magic = 0x30510550;
constexpr std::uint32_t version = 1;
constexpr std::uint64_t end_marker = std::numeric_limits<std::uint64_t>::max();
constexpr std::string_view header_section = "eosio::chain::chain_snapshot_header";
constexpr std::string_view head_section = "eosio::chain::block_state";
constexpr std::string_view chain_section = "eosio::chain::global_property_object";
constexpr std::string_view tables_section = "contract_tables";

template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

void put_section(std::ostream& out, std::string_view name, std::uint64_t rows, std::string_view data) {
  out << bytes_of(std::uint64_t{sizeof rows + name.size() + 1 + data.size()}) << bytes_of(rows) << name << '\0'
      << data;
}

// Takes bytes from the front of a file image; an image that is too short is an error, never a wild read.
class reader {
 public:
  explicit reader(std::string_view image) : rest_(image) {}

  template <class T>
  base::result<T> take() {
    if (rest_.size() < sizeof(T)) return base::error{"unexpected end of file"};
    T value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }

  base::result<std::string_view> take(std::uint64_t size) {
    if (size > rest_.size()) return base::error{"unexpected end of file"};
    const auto part = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return part;
  }

 private:
  std::string_view rest_;
};

struct section {
  std::string_view name;
  std::string_view data;
};

base::result<section> split_section(std::string_view body) {
  if (body.size() < sizeof(std::uint64_t)) return base::error{"section too small"};
  body.remove_prefix(sizeof(std::uint64_t));
  const auto end = body.find('\0');
  if (end == std::string_view::npos) return base::error{"section without a name"};
  return section{body.substr(0, end), body.substr(end + 1)};
}

// Returns whether the section was one that a node needs.
base::result<bool> load_section(const section& s, snapshot_data& into) {
  reader in(s.data);
  if (s.name == header_section) return true;
  if (s.name == head_section) {
    const auto number = in.take<std::uint32_t>();
    const auto time = in.take<std::int64_t>();
    if (!number || !time) return base::error{"block_state too small"};
    into.head = {*number, *time};
    return true;
  }
  if (s.name == chain_section) {
    const auto chain = in.take<digest>();
    if (!chain) return chain.error();
    into.chain = *chain;
    return true;
  }
  if (s.name == tables_section) {
    into.content = s.data;
    return true;
  }
  return base::error{"unknown section"};
}

}  // namespace

base::result<void> write_snapshot(const std::string& path, const snapshot_data& data) {
  const std::filesystem::path target(path);
  const auto unfinished = target.parent_path() / (".incomplete-" + target.filename().string());
  std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
  out << bytes_of(magic) << bytes_of(version);
  put_section(out, header_section, 1, bytes_of(std::uint32_t{6}));
  put_section(out, head_section, 1, bytes_of(data.head.number) + bytes_of(data.head.time_ms));
  put_section(out, chain_section, 1, bytes_of(data.chain));
  put_section(out, tables_section, data.content.size() / 64, data.content);
  out << bytes_of(end_marker);
  out.close();
  if (!out) return base::error{"cannot write " + unfinished.string()};
  std::error_code failed;
  std::filesystem::rename(unfinished, target, failed);
  if (failed) return base::error{"rename " + unfinished.string() + ": " + failed.message(), failed.value()};
  return {};
}

base::result<snapshot_data> read_snapshot(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return base::errno_error("open " + path);
  std::ostringstream whole;
  whole << in.rdbuf();
  const std::string image = std::move(whole).str();
  reader bytes(image);
  const auto found_magic = bytes.take<std::uint32_t>();
  const auto found_version = bytes.take<std::uint32_t>();
  if (!found_magic || *found_magic != magic) return base::error{"Binary snapshot has unexpected magic number!"};
  if (!found_version || *found_version != version) return base::error{"Binary snapshot is an unsuppored version."};
  snapshot_data data;
  unsigned needed = 4;
  while (true) {
    const auto size = bytes.take<std::uint64_t>();
    if (!size) return size.error();
    if (*size == end_marker) break;
    const auto body = bytes.take(*size);
    if (!body) return body.error();
    const auto parts = split_section(*body);
    if (!parts) return parts.error();
    const auto loaded = load_section(*parts, data);
    if (!loaded) return loaded.error();
    if (needed > 0) --needed;
  }
  if (needed > 0) return base::error{"Binary snapshot has no section that the chain needs"};
  return data;
}

std::string filler(const digest& chain, std::uint32_t number, std::size_t size) {
  std::uint64_t seed = number;
  std::memcpy(&seed, chain.data(), 4);
  std::mt19937_64 random(seed ^ (static_cast<std::uint64_t>(number) << 32));
  std::string content(size, '\0');
  for (std::size_t i = 0; i < size; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(content.data() + i, &word, std::min(sizeof word, size - i));
  }
  return content;
}

}  // namespace hasup::demo
