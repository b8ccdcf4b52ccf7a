// Whom a hasupd of root's obeys: nobody but root may be able to write what decides.
#include "start/trust.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace hasup;
using Catch::Matchers::Contains;
using start::deciding_path;
using kind = deciding_path::kind;

namespace {

const start::names names{[](unsigned uid) { return "user-" + std::to_string(uid); },
                         [](unsigned gid) { return "group-" + std::to_string(gid); }};

std::string judge(kind is, unsigned uid, unsigned gid, unsigned mode, bool above = false, bool has_acl = false) {
  return start::why_distrusted({"/x/y", is, uid, gid, mode, has_acl, above}, names);
}

struct home {
  home() {
    char name[] = "/tmp/hasup-trust-XXXXXX";
    path = ::mkdtemp(name);
    std::filesystem::create_directories(path + "/etc/units");
    std::filesystem::create_directories(path + "/state/specs");
    std::filesystem::create_directories(path + "/log");
  }
  ~home() { std::filesystem::remove_all(path); }
  home(const home&) = delete;
  home& operator=(const home&) = delete;
  config::directories dirs() const { return {path + "/etc", {}, path + "/state", path + "/run", path + "/log"}; }
  std::string path;
};

const deciding_path* find(const std::vector<deciding_path>& all, const std::string& path) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.path == path; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace

TEST_CASE("what belongs to root and only root can write to is obeyed", "[trust]") {
  CHECK(judge(kind::file, 0, 0, 0644) == "");
  CHECK(judge(kind::file, 0, 1000, 0640) == "");
  CHECK(judge(kind::directory, 0, 0, 0755) == "");
  CHECK(judge(kind::directory, 0, 0, 0775) == "");  // root's own group
  CHECK(judge(kind::link, 0, 0, 0777) == "");       // nobody writes to a link
  CHECK(judge(kind::directory, 0, 0, 01777, true) == "");
}

TEST_CASE("what another owns is not obeyed, and the remedy fits the place", "[trust]") {
  CHECK(judge(kind::file, 1000, 0, 0644) ==
        "/x/y belongs to user-1000, and it has a say in what this hasupd runs as root; start hasupd as user-1000, or "
        "give it to root: chown root: /x/y");
  CHECK_THAT(judge(kind::link, 1000, 0, 0777), Contains("belongs to user-1000"));
  CHECK_THAT(judge(kind::directory, 1000, 0, 01777, true), Contains("belongs to user-1000"));
  const auto above = judge(kind::directory, 1000, 0, 0755, true);
  CHECK_THAT(above, Contains("could put other files of hasup in place"));
  CHECK_THAT(above, !Contains("chown"));
}

TEST_CASE("what others can write to is not obeyed", "[trust]") {
  CHECK_THAT(judge(kind::file, 0, 0, 0646), Contains("anybody can write to /x/y") && Contains("chmod o-w /x/y"));
  CHECK_THAT(judge(kind::directory, 0, 5, 0775),
             Contains("group group-5 can write to") && Contains("chmod g-w /x/y"));
  CHECK_THAT(judge(kind::directory, 0, 5, 0775, true), Contains("group group-5 can write to"));
  CHECK_THAT(judge(kind::directory, 0, 0, 0775, false, true), Contains("setfacl -b /x/y"));
  // The sticky bit keeps root's entries, but not others from adding a unit file.
  CHECK_THAT(judge(kind::directory, 0, 0, 01777), Contains("anybody can write to"));
}

TEST_CASE("all that decides is looked at: directories from the root down, files, and where links lead", "[trust]") {
  home h;
  std::ofstream(h.path + "/etc/units/one.toml") << "";
  std::ofstream(h.path + "/etc/units/README") << "";
  std::ofstream(h.path + "/elsewhere.toml") << "";
  std::filesystem::create_symlink("../../elsewhere.toml", h.path + "/etc/units/two.toml");
  std::ofstream(h.path + "/state/specs/one.toml") << "";
  ::chmod((h.path + "/etc/units/one.toml").c_str(), 0666);
  auto all = start::deciding_paths(h.dirs());
  // What decides about one unit is that unit's matter, and no reason to do without all of them.
  CHECK(find(all, h.path + "/etc/units/one.toml") == nullptr);
  for (const auto* file : {"/etc/units/one.toml", "/etc/units/two.toml"})
    for (auto& p : start::deciding_paths(h.dirs(), h.path + file)) all.push_back(std::move(p));
  for (const auto* p : {"", "/etc", "/etc/units", "/etc/units/one.toml", "/etc/units/two.toml", "/elsewhere.toml",
                        "/state", "/state/specs", "/state/specs/one.toml"}) {
    INFO(p);
    const auto* found = find(all, h.path + p);
    REQUIRE(found != nullptr);
    CHECK_FALSE(found->above);
    CHECK(found->uid == ::geteuid());
  }
  CHECK(find(all, "/tmp")->above);
  CHECK(find(all, h.path + "/log")->above);                   // a file system of its own may have the sticky bit
  CHECK(find(all, h.path + "/etc/units/README") == nullptr);  // nobody reads it
  CHECK(find(all, h.path + "/run") == nullptr);               // not there yet
  CHECK(find(all, h.path + "/etc/units/one.toml")->mode == 0666);
  CHECK(find(all, h.path + "/etc/units/two.toml")->is == kind::link);
  CHECK(find(all, h.path + "/elsewhere.toml")->is == kind::file);
  // A loop of links ends.
  std::filesystem::create_symlink("three.toml", h.path + "/etc/units/three.toml");
  const auto loop = h.path + "/etc/units/three.toml";
  CHECK(find(start::deciding_paths(h.dirs(), loop), loop) != nullptr);
}

TEST_CASE("only a hasupd of root's is particular", "[trust]") {
  home h;
  ::chmod((h.path + "/etc/units").c_str(), 0777);
  const auto trusted = start::check_trust(h.dirs());
  CHECK(trusted.has_value() == (::geteuid() != 0));
  ::chmod((h.path + "/etc/units").c_str(), 0755);
  CHECK(start::check_trust(h.dirs()).has_value());
}
