// Where hasup keeps its things.
#include "config/paths.hpp"

#include <set>

#include "unit/config/support.hpp"

using namespace hasup;
using config::find_directories;
using config::surroundings;

namespace {

surroundings around(std::map<std::string, std::string> env, unsigned uid, std::set<std::string> present = {}) {
  surroundings s;
  s.env = [env](const char* name) {
    const auto it = env.find(name);
    return it == env.end() ? std::nullopt : std::optional(it->second);
  };
  s.uid = uid;
  s.program_dir = "/opt/hasup/build/dev/bin";
  s.working_dir = "/work";
  s.is_directory = [present](const std::string& path) { return present.contains(path); };
  return s;
}

}  // namespace

TEST_CASE("root has the system's directories") {
  const auto d = find_directories(around({{"HOME", "/root"}, {"XDG_CONFIG_HOME", "/root/c"}}, 0));
  CHECK(*d == config::directories{"/etc/hasup", {}, "/var/lib/hasup", "/run/hasup", "/var/log/hasup"});
}

TEST_CASE("a user has the XDG directories") {
  const auto d = find_directories(around(
      {{"HOME", "/home/u"}, {"XDG_CONFIG_HOME", "/c"}, {"XDG_STATE_HOME", "/s/"}, {"XDG_RUNTIME_DIR", "/r"}}, 7));
  CHECK(*d == config::directories{"/c/hasup", {}, "/s/hasup", "/r/hasup", "/s/hasup/log"});
}

TEST_CASE("without XDG the usual places below HOME; relative values are ignored") {
  const auto d = find_directories(around({{"HOME", "/home/u"}, {"XDG_CONFIG_HOME", "rel"}}, 7));
  CHECK(d->config == "/home/u/.config/hasup");
  CHECK(d->state == "/home/u/.local/state/hasup");
  CHECK(d->run == "/home/u/.local/state/hasup/run");
  CHECK(find_directories(around({{"HOME", "/home/u"}}, 7, {"/run/user/7"}))->run == "/run/user/7/hasup");
}

TEST_CASE("without a home it says what to set") {
  const auto d = find_directories(around({}, 7));
  REQUIRE(d.has_error());
  CHECK(d.error().message.find("HASUP_HOME") != std::string::npos);
}

TEST_CASE("HASUP_HOME holds everything, for root too, and may be relative") {
  for (const unsigned uid : {0U, 7U}) {
    CHECK(*find_directories(around({{"HASUP_HOME", "/x//h/"}}, uid)) ==
          config::directories{"/x/h/etc", {}, "/x/h/state", "/x/h/run", "/x/h/log"});
  }
  CHECK(find_directories(around({{"HASUP_HOME", "../h"}}, 7))->config == "/h/etc");
}

TEST_CASE("shipped files are beside the installed programs, in the source tree, or where HASUP_SHARE says") {
  auto installed = around({}, 0, {"/usr/share/hasup"});
  installed.program_dir = "/usr/bin";
  CHECK(find_directories(installed)->share == std::vector<std::string>{"/usr/share/hasup"});
  CHECK(find_directories(around({}, 0, {"/opt/hasup/recipes", "/opt/hasup/units"}))->share ==
        std::vector<std::string>{"/opt/hasup"});
  CHECK(find_directories(around({}, 0, {"/opt/hasup/recipes"}))->share.empty());
  CHECK(find_directories(around({{"HASUP_SHARE", "/s"}}, 0, {"/opt/hasup/recipes", "/opt/hasup/units"}))->share ==
        std::vector<std::string>{"/s"});
}

TEST_CASE("two spellings of one path are one path") {
  CHECK(config::normal_path("/a//b/./c/../d/") == "/a/b/d");
  CHECK(config::normal_path("/") == "/");
  CHECK(config::normal_path("//a") == "/a");
  CHECK(config::normal_path("/../a") == "/a");
  CHECK(config::normal_path("/a/..") == "/");
  CHECK(config::normal_path("") == "/");
}

TEST_CASE("this process finds its own directories") {
  const auto d = config::find_directories();
  REQUIRE(d.has_value());
  CHECK(d->config.starts_with("/"));
}
