// Without libFuzzer: every file of a corpus directory, each cut off at every place, and with every byte changed.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
    return 2;
  }
  std::size_t inputs = 0;
  const auto run = [&inputs](const std::vector<std::uint8_t>& bytes, std::size_t size) {
    // A copy of just this size: a read past its end is seen.
    const std::vector<std::uint8_t> exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
    ++inputs;
  };
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream in(entry.path(), std::ios::binary);
    std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    for (std::size_t size = 0; size <= bytes.size(); ++size) run(bytes, size);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto was = bytes[i];
      for (const int other : {0, int{'\n'}, int{'/'}, int{'<'}, int{'"'}, 0xff, was ^ 1}) {
        bytes[i] = static_cast<std::uint8_t>(other);
        run(bytes, bytes.size());
      }
      bytes[i] = was;
    }
  }
  std::printf("%zu inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
