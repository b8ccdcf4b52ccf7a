// What an index of chunks costs who loads an archive by it: processor time and memory to read it and to know what is
// missing. A program of its own, since hasup never does it without a download:
//
//   measure_chunk_index make FILE [CHUNKS]   a synthetic index; without a number of as many chunks as one may have
//   measure_chunk_index read FILE
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

#include "snapshot/delta/missing_chunks.hpp"

using namespace hasup::snapshot;

namespace {

constexpr double mib = 1048576;

chunk_digest some_digest(std::mt19937_64& random) {
  chunk_digest out{};
  for (auto& byte : out) byte = static_cast<unsigned char>(random());
  return out;
}

int make(const char* file, std::size_t chunks) {
  std::mt19937_64 random(1);
  chunk_index index;
  index.archive = some_digest(random);
  for (std::size_t i = 0; i < chunks; ++i)
    index.chunks.push_back({1'000'000 + random() % 1'000'000, 2'000'000 + random() % 1'000'000, some_digest(random),
                            some_digest(random)});
  std::ofstream out(file, std::ios::binary);
  out << write_chunk_index(index);
  return out.flush() ? 0 : 1;
}

double mib_of(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (double value = 0; word == name && status >> value) return value / 1024;
  return 0;
}

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

int read(const char* file) {
  const auto before = mib_of("VmRSS:");
  std::string text;
  {
    std::ifstream in(file, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto size = static_cast<double>(text.size()) / mib;
  const auto begun = processor_seconds();
  auto index = read_chunk_index(text);
  const auto is_read = processor_seconds();
  if (!index) {
    std::printf("%.1f MiB: refused after %.2f s: %s\n", size, is_read - begun, index.error().message.c_str());
    return 0;
  }
  std::string().swap(text);
  const auto chunks = index->chunks.size();
  const missing_chunks missing(std::move(*index), byte_spans{});
  const auto known = processor_seconds();
  constexpr int questions = 1'000'000;
  std::mt19937_64 random(2);
  std::size_t found = 0;
  for (int i = 0; i < questions; ++i)
    found += missing.with_content(2'000'000 + random() % 1'000'000, some_digest(random)).size();
  const auto asked = processor_seconds();
  std::printf(
      "%zu chunks of %.0f GiB, %.1f MiB: read in %.2f s, what is missing known after %.2f s more, a question %.2f us "
      "(%zu "
      "found); %.0f MiB more memory than before at most\n",
      chunks, static_cast<double>(missing.total()) / mib / 1024, size, is_read - begun, known - is_read,
      (asked - known) * 1e6 / questions, found, mib_of("VmHWM:") - before);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 2 ? argv[1] : "";
  if (what == "make") return make(argv[2], argc > 3 ? std::strtoul(argv[3], nullptr, 10) : most_chunks);
  if (what == "read") return read(argv[2]);
  std::fprintf(stderr, "usage: %s make FILE [CHUNKS] | read FILE\n", argv[0]);
  return 2;
}
