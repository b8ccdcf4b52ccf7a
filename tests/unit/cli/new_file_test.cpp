// Files written by the command line: whole, with the mode that was asked for, and never over another by accident.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/new_file.hpp"
#include "cli/pm2_source.hpp"
#include "show_result.hpp"
#include "unit/control/server_harness.hpp"

using namespace hasup::cli;
using hasup::control::testing::temporary_directory;

namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
unsigned mode_of(const std::string& path) {
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  return st.st_mode & 07777U;
}
std::size_t entries_of(const std::string& directory) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(directory), std::filesystem::directory_iterator()));
}

}  // namespace

TEST_CASE("a file that is there stays, unless overwriting is asked for, and nothing else is left behind") {
  const temporary_directory at;
  const auto path = at.path + "/web.toml";
  REQUIRE(write_new_file(path, "one", 0600, false));
  CHECK(mode_of(path) == 0600);
  const auto again = write_new_file(path, "two", 0644, false);
  REQUIRE(!again);
  CHECK(again.error().code == EEXIST);
  CHECK(again.error().message.find(path) != std::string::npos);
  CHECK(text_of(path) == "one");
  REQUIRE(write_new_file(path, "three", 0644, true));
  CHECK(text_of(path) == "three");
  CHECK(mode_of(path) == 0644);
  CHECK(!write_new_file(at.path + "/none/web.toml", "x", 0644, false));
  CHECK(entries_of(at.path) == 1);
}

TEST_CASE("a program is found in the first directory that has an executable file of its name") {
  const temporary_directory at;
  for (const char* d : {"/a", "/b", "/c"}) std::filesystem::create_directory(at.path + d);
  std::filesystem::create_directory(at.path + "/a/node");  // a directory is no program
  REQUIRE(write_new_file(at.path + "/b/node", "", 0644, false));
  REQUIRE(write_new_file(at.path + "/c/node", "", 0755, false));
  const auto path = "::" + at.path + "/a:" + at.path + "/b:" + at.path + "/c:";
  CHECK(find_program("node", path) == at.path + "/c/node");
  CHECK(!find_program("node", at.path + "/a"));
  CHECK(!find_program("node", ""));
}
