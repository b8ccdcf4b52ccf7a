// Which files of a node a recipe has at hand.
#include "snapshot/at_hand.hpp"

#include <fcntl.h>

#include "base/unique_fd.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using names = std::vector<std::string>;

TEST_CASE("globs name files below the data directory, each once, and no links", "[delta]") {
  temp_tree root;
  for (const char* file : {"blocks/blocks.log", "blocks/blocks.index", "blocks/.hidden.log", "blocks/old/blocks.log",
                           "state-history/a.log", "state-history/b.log", "keep/a.log", "note", ".hasup/cache/a.log"})
    put(root / file, "x");
  fs::create_directories(root / "blocks/directory.log");
  fs::create_symlink("blocks.index", root / "blocks/link.log");
  fs::create_directory_symlink("keep", root / "kept");
  const base::unique_fd fd(::open(root.path().c_str(), O_PATH | O_DIRECTORY));
  const auto found = [&](const names& globs, const names& keep = {"keep"}) {
    return snapshot::files_at_hand(fd.get(), globs, keep);
  };
  CHECK(found({}).empty());
  CHECK(found({"blocks/blocks.log"}) == names{"blocks/blocks.log"});
  CHECK(found({"blocks/*.log", "blocks/blocks.*"}) == names{"blocks/blocks.log", "blocks/blocks.index"});
  CHECK(found({"state-history/*.log"}) == names{"state-history/a.log", "state-history/b.log"});
  CHECK(found({"*/*/*.log"}) == names{"blocks/old/blocks.log"});
  CHECK(found({"*"}) == names{"note"});
  CHECK(found({"*/a.log"}) == names{"state-history/a.log"});
  CHECK(found({"*/a.log"}, {"state-history/a.log"}) == names{"keep/a.log"});
  CHECK(found({"kept/*", "blocks/link.log", "nothing/*", "../*", "/etc/passwd", "", "blocks//blocks.log"}).empty());
  CHECK(found({".hasup/cache/*", ".*/*/*"}).empty());
}
