// Whose files decide: owners of directories and of links.
#include "cli/acting_user.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

namespace hasup::cli {
namespace {

namespace fs = std::filesystem;

std::string owner_in(const std::vector<owned_path>& all, unsigned caller) {
  const auto found = foreign_owner(all, caller);
  if (!found) return found.error().message;
  return *found ? (*found)->path : "";
}

TEST_CASE("what belongs to root or the caller is obeyed, and what belongs to one other is his") {
  CHECK(owner_in({}, 0).empty());
  CHECK(owner_in({{"/a", 0}, {"/b", 0}}, 0).empty());
  CHECK(owner_in({{"/a", 0}, {"/b", 7}}, 7).empty());
  CHECK(owner_in({{"/a", 0}, {"/b", 7}, {"/c", 7}}, 0) == "/b");
  CHECK(owner_in({{"/a", 8}, {"/b", 7}}, 7) == "/a");
}

TEST_CASE("two others are refused, and both places are named") {
  const auto said = owner_in({{"/a", 8}, {"/b", 7}}, 0);
  CHECK_THAT(said, Catch::Contains("/a and /b belong to different users"));
}

TEST_CASE("the directories, what they stand in, and every link on the way have a say") {
  char name[] = "/tmp/hasup-acting-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::string at = name;
  fs::create_directories(at + "/real/etc/units");
  fs::create_directories(at + "/elsewhere/state");
  fs::create_symlink("real", at + "/home");
  fs::create_symlink("../elsewhere/state", at + "/real/state");
  config::directories dirs;
  dirs.config = at + "/home/etc";
  dirs.state = at + "/home/state";
  std::vector<std::string> found;
  for (const auto& one : deciding_paths(dirs)) {
    CHECK(one.uid == ::getuid());
    found.push_back(one.path.substr(at.size()));
  }
  std::sort(found.begin(), found.end());
  CHECK(found == std::vector<std::string>{"/elsewhere/state", "/home", "/real", "/real/etc", "/real/etc/units",
                                          "/real/state"});
  fs::remove_all(at);
}

TEST_CASE("a link that leads to itself ends the walk") {
  char name[] = "/tmp/hasup-acting-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  const std::string at = name;
  fs::create_symlink("state", at + "/state");
  config::directories dirs;
  dirs.config = at + "/etc";
  dirs.state = at + "/state";
  CHECK(deciding_paths(dirs).size() == 2);
  fs::remove_all(at);
}

}  // namespace
}  // namespace hasup::cli
