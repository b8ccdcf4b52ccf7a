// Broken unit files and exactly what is said about them: golden/NAME.toml -> golden/NAME.expected.
// With HASUP_WRITE_GOLDEN=1 the expected texts are written instead; read the difference before keeping it.
#include <cstdlib>

#include "unit/config/support.hpp"

using namespace hasup;
namespace fs = std::filesystem;

namespace {

const test::files beside{
    .units = {},
    .presets = {{"antelope", "[params]\nurl = \"http://h\"\n[[check]]\nkind = \"http\"\nurl = \"${url}/x\"\n"}},
    .recipes = {{"tiny", "[data]\nwipe = [\"x\"]\n[snapshot]\nmatch = \"*\"\ninto = \".\"\n"}},
    .root = true};

}  // namespace

TEST_CASE("what is said about a broken unit file is exactly what stands beside it") {
  const fs::path folder = fs::path(HASUP_SOURCE_DIR) / "tests/unit/config/golden";
  unsigned seen = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    ++seen;
    const auto name = entry.path().stem().string();
    CAPTURE(name);
    const auto parsed = config::parse_unit_text("x", name + ".toml", test::read_file(entry.path()), beside.context());
    CHECK_FALSE(parsed.valid);
    CHECK(parsed.instances.empty());
    auto expected = entry.path();
    expected.replace_extension(".expected");
    const auto text = test::rendered(parsed.problems);
    if (std::getenv("HASUP_WRITE_GOLDEN") != nullptr) std::ofstream(expected, std::ios::binary) << text;
    CHECK(text == test::read_file(expected));
  }
  CHECK(seen >= 6);
}
