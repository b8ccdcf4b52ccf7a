// Where a stream is cut: the same places for ever, however it is handed over, and again the same after a change.
#include "snapshot/delta/content_chunker.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace hasup::snapshot;

namespace {

// The same on every machine: only the engine is used, whose numbers the standard says.
std::string random_bytes(std::size_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::string out(size, '\0');
  for (auto& c : out) c = static_cast<char>(engine() & 0xffU);
  return out;
}

std::vector<std::size_t> sizes_of(const std::string& data, std::size_t step, unsigned doublings = 0) {
  content_chunker chunker(doublings);
  std::vector<std::size_t> out{0};
  for (std::size_t at = 0; at < data.size();) {
    const auto taken = chunker.take(data.data() + at, std::min(step, data.size() - at));
    at += taken.bytes;
    out.back() += taken.bytes;
    if (taken.ends) out.push_back(0);
  }
  if (out.back() == 0) out.pop_back();
  return out;
}

// Where it ends, as the header says it, byte for byte.
std::vector<std::size_t> sizes_by_the_header(const std::string& data, unsigned doublings = 0) {
  std::vector<std::uint64_t> table(256);
  std::uint64_t state = 0;
  for (auto& number : table) {
    state += 0x9e3779b97f4a7c15U;
    auto z = state;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    number = z ^ (z >> 31U);
  }
  std::vector<std::size_t> out;
  std::size_t n = 0;
  std::uint64_t hash = 0;
  for (const char c : data) {
    ++n;
    const std::size_t unit = std::size_t{65'536} << doublings;
    if (n > unit - 64) hash = 2 * hash + table[static_cast<unsigned char>(c)];
    const bool ends = (n >= unit && n < 4 * unit && hash < (std::uint64_t{1} << (44U - doublings))) ||
                      (n >= 4 * unit && hash < (std::uint64_t{1} << (48U - doublings))) || n == 16 * unit;
    if (!ends) continue;
    out.push_back(n);
    n = 0;
    hash = 0;
  }
  if (n > 0) out.push_back(n);
  return out;
}

std::set<std::string> chunks_of(const std::string& data) {
  std::set<std::string> out;
  std::size_t at = 0;
  for (const auto n : sizes_of(data, data.size())) {
    out.insert(data.substr(at, n));
    at += n;
  }
  return out;
}

}  // namespace

TEST_CASE("content is cut at the places where it was always cut") {
  // Golden: when this fails, every archive and every host is cut anew. Never change the numbers.
  const auto data = random_bytes(3U << 20U, 1);
  const auto sizes = sizes_of(data, data.size());
  CHECK(sizes == std::vector<std::size_t>{245084, 310349, 358921, 285384, 341897, 315704, 281923, 230552, 106696,
                                          294136, 297555, 77527});
  CHECK(sizes == sizes_by_the_header(data));
}

TEST_CASE("of large archives the chunks are larger, by the same rule") {
  const auto data = random_bytes(40U << 20U, 5);
  std::size_t before = 1'000'000;
  for (unsigned d = 0; d <= content_chunker::most_doublings; ++d) {
    const auto sizes = sizes_of(data, 1U << 20U, d);
    CHECK(sizes == sizes_by_the_header(data, d));
    CHECK(sizes.size() < before);
    before = sizes.size();
    CHECK(sizes_of(std::string(17U << 20U, '\0'), 4096, d).front() == content_chunker::most << d);
  }
  constexpr std::uint64_t gib = 1U << 30U;
  CHECK(content_chunker::doublings_for(0) == 0);
  CHECK(content_chunker::doublings_for(32 * gib) == 0);
  CHECK(content_chunker::doublings_for(32 * gib + 1) == 1);
  CHECK(content_chunker::doublings_for(128 * gib) == 2);
  CHECK(content_chunker::doublings_for(200 * gib) == 3);
  CHECK(content_chunker::doublings_for(5000 * gib) == 3);
}

TEST_CASE("how the content is handed over does not matter") {
  const auto data = random_bytes(5U << 20U, 2);
  const auto whole = sizes_of(data, data.size());
  CHECK(whole.size() > 8);
  for (const std::size_t step : {1U, 63U, 4096U, 65'535U, 65'536U, 1'000'000U}) CHECK(sizes_of(data, step) == whole);
}

TEST_CASE("no chunk but the last is smaller than the least, none larger than the most") {
  for (const auto& data : {random_bytes(20U << 20U, 3), std::string(5U << 20U, '\0'), std::string(100, 'x')}) {
    const auto sizes = sizes_of(data, 1U << 20U);
    CHECK(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}) == data.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      CHECK(sizes[i] <= content_chunker::most);
      if (i + 1 < sizes.size()) CHECK(sizes[i] >= content_chunker::least);
    }
  }
  CHECK(sizes_of(std::string(5U << 20U, '\0'), 4096) == std::vector<std::size_t>(5, content_chunker::most));
}

TEST_CASE("a changed, inserted or removed byte changes the chunk that it is in, and few others") {
  const auto data = random_bytes(20U << 20U, 4);
  const auto before = chunks_of(data);
  const auto common = [&](const std::string& changed) {
    const auto after = chunks_of(changed);
    return static_cast<std::size_t>(
        std::count_if(after.begin(), after.end(), [&](const auto& c) { return before.contains(c); }));
  };
  auto changed = data;
  changed[10U << 20U] ^= 1;
  CHECK(common(changed) + 4 >= before.size());
  CHECK(common(data.substr(0, 10U << 20U) + "x" + data.substr(10U << 20U)) + 6 >= before.size());
  CHECK(common(data.substr(1)) + 6 >= before.size());
  CHECK(common(data.substr(0, data.size() - 5)) + 1 >= before.size());
}

TEST_CASE("a cut begins anew: what stood before has no say") {
  const auto data = random_bytes(4U << 20U, 5);
  content_chunker chunker;
  const auto before = random_bytes(100'000, 6);
  CHECK(chunker.take(before.data(), before.size()) == content_chunker::taken{before.size(), false});
  CHECK(chunker.size() == before.size());
  chunker.cut();
  CHECK(chunker.size() == 0);
  const auto first = sizes_of(data, data.size()).front();
  CHECK(chunker.take(data.data(), data.size()) == content_chunker::taken{first, true});
}
