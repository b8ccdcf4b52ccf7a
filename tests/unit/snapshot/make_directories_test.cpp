// Directories for a unit: made as asked, never through a door that somebody else holds, never in the place of data.
#include "snapshot/make_directories.hpp"

#include "unit/snapshot/temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;

namespace {

constexpr unsigned nobody = 65534;
constexpr unsigned stranger = 65533;

ports::worker_job job_for(std::vector<model::wanted_directory> wanted) {
  ports::worker_job job;
  job.mode = ports::worker_mode::make_directories;
  job.directories = std::move(wanted);
  job.uid = ::geteuid() == 0 ? nobody : ::geteuid();
  job.gid = ::geteuid() == 0 ? nobody : ::getegid();
  job.user = "nobody";
  job.may_make_data = true;
  return job;
}

struct stat stat_of(const std::string& path) {
  struct stat st {};
  REQUIRE(::lstat(path.c_str(), &st) == 0);
  return st;
}

bool is_root() {
  if (::geteuid() == 0) return true;
  WARN("needs root, to make directories for another user");
  return false;
}

void give(const std::string& path, unsigned uid, unsigned gid, mode_t mode) {
  REQUIRE(::chown(path.c_str(), uid, gid) == 0);
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

}  // namespace

TEST_CASE("a missing directory is made with its parents, mode and owner; an existing one stays as it is") {
  temp_tree t;
  ::chmod(t.path().c_str(), 0755);
  fs::create_directory(t / "there");
  ::chmod((t / "there").c_str(), 0711);
  const auto job = job_for({{t / "a/b/c", 02750}, {t / "d", 0755}, {t / "there", 0700}});
  const auto r = snapshot::make_directories(job);
  REQUIRE(r.error.empty());
  CHECK(r.made == std::vector<std::string>{t / "a/b/c", t / "d"});
  CHECK((stat_of(t / "a/b/c").st_mode & 07777) == 02750);
  CHECK(stat_of(t / "a/b/c").st_uid == job.uid);
  CHECK(stat_of(t / "a/b/c").st_gid == job.gid);
  CHECK(stat_of(t / "a/b").st_uid == ::geteuid());  // as `install -d`: only the last one is given away
  CHECK((stat_of(t / "a/b").st_mode & 07777) == 0755);
  CHECK(stat_of(t / "d").st_uid == job.uid);
  CHECK((stat_of(t / "there").st_mode & 07777) == 0711);
  CHECK(stat_of(t / "there").st_uid == ::geteuid());
  CHECK(snapshot::make_directories(job).made.empty());
  CHECK(::geteuid() == stat_of(t.path()).st_uid);
}

TEST_CASE("what is there but no directory is refused") {
  temp_tree t;
  put(t / "file", "x");
  CHECK(snapshot::make_directories(job_for({{t / "file", 0755}})).error.find("no directory") != std::string::npos);
  CHECK(snapshot::make_directories(job_for({{t / "file/below", 0755}})).error.find("no directory") !=
        std::string::npos);
}

TEST_CASE("below a directory of the user's own the user makes it, with his rights only") {
  if (!is_root()) return;
  temp_tree t;
  ::chmod(t.path().c_str(), 0755);
  fs::create_directory(t / "home");
  give(t / "home", nobody, nobody, 0755);
  REQUIRE(snapshot::make_directories(job_for({{t / "home/x/y", 0700}})).error.empty());
  CHECK(stat_of(t / "home/x").st_uid == nobody);
  CHECK(stat_of(t / "home/x/y").st_uid == nobody);
  // A link there leads only where the user may go himself.
  fs::create_directory(t / "roots");
  fs::create_directory_symlink(t / "roots", t / "home/link");
  const auto r = snapshot::make_directories(job_for({{t / "home/link/new", 0755}}));
  CHECK(r.error.find("Permission denied") != std::string::npos);
  CHECK(r.error.find("install -d -o nobody -m 0755 " + (t / "home/link/new")) != std::string::npos);
  CHECK_FALSE(there(t / "roots/new"));
  CHECK(::geteuid() == 0);
  CHECK(::getegid() == 0);
}

TEST_CASE("nothing is made where somebody else could exchange it") {
  if (!is_root()) return;
  temp_tree t;
  ::chmod(t.path().c_str(), 0755);
  for (const char* name : {"theirs", "open", "group", "sticky"}) fs::create_directory(t / name);
  give(t / "theirs", stranger, stranger, 0755);
  give(t / "open", 0, 0, 0777);
  give(t / "group", 0, stranger, 0775);
  give(t / "sticky", 0, 0, 01777);
  const auto error_of = [&](const std::string& path) {
    return snapshot::make_directories(job_for({{t / path, 0755}})).error;
  };
  CHECK(error_of("theirs/x").find("belongs to user 65533") != std::string::npos);
  CHECK(error_of("open/x").find("can be written by everybody") != std::string::npos);
  CHECK(error_of("group/x").find("can be written by group 65533") != std::string::npos);
  CHECK(error_of("sticky/x/y").empty());
  CHECK(stat_of(t / "sticky/x").st_uid == 0);
  CHECK(stat_of(t / "sticky/x/y").st_uid == nobody);
  fs::create_directory_symlink(t / "theirs", t / "sticky/link");
  CHECK(error_of("sticky/link/x").find("is a link") != std::string::npos);
  fs::create_directory(t / "sticky/planted");
  give(t / "sticky/planted", stranger, stranger, 0755);
  CHECK(error_of("sticky/planted/x").find("belongs to user 65533") != std::string::npos);
  auto member = job_for({{t / "group/x", 0755}});
  member.groups = {stranger};
  CHECK(snapshot::make_directories(member).error.empty());
  CHECK(stat_of(t / "group/x").st_uid == nobody);
}

TEST_CASE("a link that only root could make is followed, a ring of links is not") {
  temp_tree t;
  ::chmod(t.path().c_str(), 0755);
  fs::create_directory(t / "real");
  fs::create_directory_symlink("real", t / "relative");
  fs::create_directory_symlink(t / "relative", t / "absolute");
  REQUIRE(snapshot::make_directories(job_for({{t / "absolute/x", 0755}})).error.empty());
  CHECK(fs::is_directory(t / "real/x"));
  fs::create_symlink(t / "b", t / "a");
  fs::create_symlink(t / "a", t / "b");
  CHECK(snapshot::make_directories(job_for({{t / "a/x", 0755}})).error.find("symbolic links") != std::string::npos);
}

TEST_CASE("the data directory of a unit that has run before is never made anew") {
  temp_tree t;
  ::chmod(t.path().c_str(), 0755);
  auto job = job_for({{t / "data", 0755}});
  job.data_dir = t / "data";
  job.also = {t / "more"};
  REQUIRE(snapshot::make_directories(job).error.empty());
  CHECK(there(t / "data"));
  job.may_make_data = false;
  job.directories = {{t / "data/inside", 0755}, {t / "database", 0755}};
  REQUIRE(snapshot::make_directories(job).error.empty());
  fs::remove_all(t / "data");
  for (const char* wanted : {"data", "data/inside", "more"}) {
    job.directories = {{t / wanted, 0755}};
    CHECK(snapshot::make_directories(job).error.find("has run before") != std::string::npos);
    CHECK_FALSE(there(t / wanted));
  }
  CHECK_FALSE(there(t / "data"));
}

TEST_CASE("nothing is made while the volume is not mounted") {
  temp_tree t;
  auto job = job_for({{t / "volume/data", 0755}});
  fs::create_directory(t / "volume");
  job.mounts = {t / "volume"};
  const auto r = snapshot::make_directories(job);
  CHECK_FALSE(r.mounted);
  CHECK(r.unmounted == t / "volume");
  CHECK_FALSE(there(t / "volume/data"));
}
