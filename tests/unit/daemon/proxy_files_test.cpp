// What of a [proxy] lies on the disk at each step, and what says that the proxy may not know of its list.
#include "daemon/proxy_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "show_result.hpp"

using namespace hasup;
namespace fs = std::filesystem;

namespace {

struct place {
  fs::path dir;
  model::proxy_policy proxy;
  const config::directories dirs{"/none/etc", {}, "/none/lib", "/none/log", "/none/run"};
  const std::vector<model::upstream_endpoint> servers{{"one", {{"host", "10.0.0.1:80"}}, {}},
                                                      {"two", {{"host", "10.0.0.2:80"}}, {}}};

  place() {
    std::string name = (fs::temp_directory_path() / "hasup-proxy-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    dir = name;
    proxy.template_file = dir / "template";
    proxy.output = dir / "list";
  }
  ~place() { fs::remove_all(dir); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(dir / name) << text; }
  std::string read(const std::string& name) const {
    std::ifstream in(dir / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  auto made() const { return daemon::make_candidate(dirs, proxy, servers); }
};

}  // namespace

TEST_CASE("a candidate is made beside what is in use, and stays until the proxy was told") {
  const place p;
  p.write("template", "server ${endpoint.host};\n");
  CHECK_FALSE(daemon::look_at_output(p.proxy).has_output);
  const auto first = p.made();
  REQUIRE(first);
  CHECK(first->differs);
  CHECK(first->text == "server 10.0.0.1:80;\nserver 10.0.0.2:80;\n");
  CHECK(p.read("list.candidate") == first->text);
  CHECK_FALSE(fs::exists(p.dir / "list"));
  REQUIRE(daemon::put_in_use(p.proxy, first->text));
  CHECK(p.read("list") == first->text);
  struct stat st {};
  REQUIRE(::stat(p.proxy.output.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777U) == 0644U);
  CHECK(daemon::look_at_output(p.proxy).untold);
  daemon::drop_candidate(p.proxy);
  CHECK(daemon::look_at_output(p.proxy).has_output);
  CHECK_FALSE(daemon::look_at_output(p.proxy).untold);

  const auto again = p.made();
  REQUIRE(again);
  CHECK_FALSE(again->differs);
  CHECK_FALSE(fs::exists(p.dir / "list.candidate"));
}

TEST_CASE("a candidate that was not taken says nothing of what is in use") {
  const place p;
  p.write("template", "server ${endpoint.host};\n");
  p.write("list", "server 10.0.0.1:80;\n");
  REQUIRE(p.made());
  CHECK_FALSE(daemon::look_at_output(p.proxy).untold);
  CHECK(p.read("list") == "server 10.0.0.1:80;\n");
}

TEST_CASE("without a template or a directory there is no candidate, and it is told why") {
  const place p;
  CHECK(p.made().error().message.find((p.dir / "template").string()) != std::string::npos);
  p.write("template", "server ${endpoint.prot};\n");
  CHECK(p.made().error().message ==
        (p.dir / "template").string() + ": line 1: the endpoints have no \"prot\", only host");
  p.write("template", "server ${endpoint.host};\n");
  auto elsewhere = p.proxy;
  elsewhere.output = p.dir / "none/list";
  CHECK_FALSE(daemon::make_candidate(p.dirs, elsewhere, p.servers));
}

TEST_CASE("a hasupd of root's makes no list where others can write, nor of what others wrote") {
  if (::geteuid() != 0) return;
  const place p;
  p.write("template", "server ${endpoint.host};\n");
  fs::permissions(p.dir / "template", fs::perms::others_write, fs::perm_options::add);
  CHECK(p.made().error().message.find("anybody can write to " + (p.dir / "template").string()) != std::string::npos);
  fs::permissions(p.dir / "template", fs::perms::others_write, fs::perm_options::remove);
  REQUIRE(p.made());
  fs::permissions(p.dir, fs::perms::others_write, fs::perm_options::add);
  CHECK(p.made().error().message.find("anybody can write to " + p.dir.string()) != std::string::npos);
}
