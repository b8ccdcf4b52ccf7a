// Listing real sources: nginx with autoindex, python's http.server, directories; and hosts that are down.
#include "snapshot/fetch/select.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <ctime>

#include "base/time_text.hpp"
#include "block_logs.hpp"
#include "raw_server.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;

namespace {

model::archive_spec any_snapshot(model::archive_order order = model::archive_order::time) {
  return {"snap-*", "", order, model::unpack_mode::archive, "", ".", true};
}

class selecting {
 public:
  selecting() {
    model::recovery_plan plan;
    plan.name = "p";
    plan.archives = {any_snapshot()};
    job.plans = {plan};
    soon.attempts = 2;
    soon.first_delay = std::chrono::milliseconds(1);
    soon.max_delay = std::chrono::milliseconds(2);
  }
  std::vector<std::string> names(std::vector<std::string> sources) {
    job.sources.assign(sources.begin(), sources.end());
    out = snapshot::select(job, control, soon);
    std::vector<std::string> all;
    for (const auto& c : out.candidates) all.push_back(c.snapshots[0].name);
    return all;
  }
  ports::worker_job job;
  ports::worker_result out;
  snapshot::job_control control;
  snapshot::patience soon;
};

using strings = std::vector<std::string>;

// Three snapshots within one minute, the newest neither first nor last by name, and everything that must be ignored.
void fill(const std::string& dir) {
  put(dir + "/snap-b.tar", "1");
  put(dir + "/snap-c.tar", "22");
  put(dir + "/snap-a.tar", "333");
  for (const auto* other : {"snap-x.tar.part", "snap-b.tar.sha256", "snap-empty.tar", "snap-dir/x", "readme"})
    put(dir + "/" + other, std::string(other) == "snap-empty.tar" ? "" : "y");
  run("cd '" + dir +
      "' && touch -d 2026-11-21T01:02:01Z snap-b.tar && touch -d 2026-11-21T01:02:03Z snap-c.tar && "
      "touch -d 2026-11-21T01:02:02Z snap-a.tar");
}

// A server that says on which port it listens by accepting there; killed by pid.
class child {
 public:
  explicit child(std::vector<std::string> arguments) {
    pid_ = ::fork();
    if (pid_ == 0) {
      const int null = ::open("/dev/null", O_RDWR);
      ::dup2(null, 1);
      ::dup2(null, 2);
      std::vector<char*> argv;
      for (auto& a : arguments) argv.push_back(a.data());
      argv.push_back(nullptr);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] bool alive() const { return ::waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  pid_t pid_ = -1;
};

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

bool accepts(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool yes = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return yes;
}

// Starts what `make` says for a port until it listens: somebody else may take a free port first.
template <class Make>
std::pair<std::unique_ptr<child>, int> start_server(Make make) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    const int port = free_port();
    auto server = std::make_unique<child>(make(port));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (server->alive() && std::chrono::steady_clock::now() < deadline) {
      if (accepts(port)) return {std::move(server), port};
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  FAIL("the server does not come up; is it installed?");
  return {};
}

std::pair<std::unique_ptr<child>, int> start_nginx(const std::string& home, const std::string& root) {
  return start_server([&](int port) {
    put(home + "/nginx.conf",
        "daemon off; master_process off; pid " + home + "/pid; error_log " + home + "/error.log;\n" +
            (::geteuid() == 0 ? "user root;\n" : "") + "events {}\nhttp { access_log off; client_body_temp_path " +
            home + "/t1; proxy_temp_path " + home + "/t2; fastcgi_temp_path " + home + "/t3; uwsgi_temp_path " +
            home + "/t4; scgi_temp_path " + home + "/t5;\nserver { listen 127.0.0.1:" + std::to_string(port) +
            "; root " + root + "; location / { autoindex on; }\nlocation /json/ { alias " + root +
            "/; autoindex on; autoindex_format json; }\nlocation /hidden/ { alias " + root +
            "/; }\nlocation = /latest { return 302 /snap-a.tar; } } }\n");
    return std::vector<std::string>{"nginx", "-p", home, "-c", home + "/nginx.conf", "-e", home + "/error.log"};
  });
}

}  // namespace

TEST_CASE("a host names what it sends, also where a HEAD says nothing of its size", "[select]") {
  const std::string archive(9000, 'a');
  raw_server host([&](const raw_request& r) {
    const std::string name = "Content-Disposition: attachment; filename*=UTF-8''snap-9.tar\r\n";
    if (r.path == "/download") return answer_200(archive, name, r.method != "HEAD");
    if (r.path != "/latest") return answer_status(404);
    if (r.method == "HEAD") return std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return answer_200(archive, "");
  });
  selecting s;
  CHECK(s.names({host.url() + "download"}) == strings{"snap-9.tar"});
  CHECK(s.out.candidates[0].snapshots[0].size == archive.size());
  s.names({host.url() + "latest"});
  INFO(s.out.error);
  CHECK(s.out.ok());
}

TEST_CASE("a host without HEAD, and an address that lets in to a GET alone, are read and pinned", "[select]") {
  const std::string archive(9000, 'a');
  const std::string stamp = "Last-Modified: Sat, 21 Nov 2026 01:02:03 GMT\r\n";
  for (const int refused : {405, 501}) {
    INFO(refused);
    raw_server host([&](const raw_request& r) {
      if (r.path == "/signed/snap-9.tar?sig=1")
        return r.method == "HEAD" ? answer_status(403) : answer_200(archive, stamp);
      if (r.method == "HEAD") return answer_status(refused);
      if (r.path == "/latest")
        return std::string(
            "HTTP/1.1 302 Found\r\nLocation: /signed/snap-9.tar?sig=1\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n");
      if (r.path == "/snap-8.tar") return answer_200(archive, stamp);
      if (r.path == "/dir" || r.path == "/dir/")
        return answer_200("<a href=\"/dir/snap-7.tar\">snap-7.tar</a>", "Content-Type: text/html\r\n");
      if (r.path == "/dir/snap-7.tar") return answer_200(archive, stamp);
      return answer_status(404);
    });
    selecting s;
    CHECK(s.names({host.url() + "latest"}) == strings{"snap-9.tar"});
    INFO(s.out.error);
    REQUIRE(s.out.candidates.size() == 1);
    const auto& found = s.out.candidates[0].snapshots[0];
    CHECK(found.url == host.url() + "signed/snap-9.tar?sig=1");
    CHECK(found.size == archive.size());
    CHECK(base::format_time(*found.time) == "2026-11-21T01:02:03Z");
    CHECK(s.names({host.url() + "snap-8.tar"}) == strings{"snap-8.tar"});
    CHECK(s.names({host.url() + "dir"}) == strings{"snap-7.tar"});
    CHECK(s.out.candidates[0].snapshots[0].size == archive.size());
    CHECK(s.names({host.url() + "nothing"}).empty());
    CHECK(s.out.failure == worker_failure::unreachable);
    CHECK(s.out.error.find("HTTP status 404: the file is not there") != std::string::npos);
  }
}

TEST_CASE("nginx's listings, HTML and JSON, give the newest first to the second", "[select]") {
  temp_tree files;
  temp_tree home;
  fill(files.path());
  ::chmod(files.path().c_str(), 0755);
  const auto [nginx, port] = start_nginx(home.path(), files.path());
  const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/";
  selecting s;
  for (const auto& source : {url, url + "json/"}) {
    INFO(source);
    CHECK(s.names({source}) == strings{"snap-c.tar", "snap-a.tar", "snap-b.tar"});
    REQUIRE_FALSE(s.out.candidates.empty());
    const auto& newest = s.out.candidates[0].snapshots[0];
    CHECK(newest.size == 2U);
    CHECK(base::format_time(*newest.time) == "2026-11-21T01:02:03Z");
    CHECK(newest.source == source);
  }
  put(files / "leap/snap-1.tar", "x");
  CHECK(s.names({url + "leap"}) == strings{"snap-1.tar"});  // a directory, though nobody wrote its slash
  CHECK(s.names({url + "latest"}) == strings{"snap-a.tar"});
  CHECK(s.out.candidates[0].snapshots[0].url == url + "snap-a.tar");  // pinned
  CHECK(s.names({url + "snap-b.tar"}) == strings{"snap-b.tar"});
  put(files / "leap/latest", "snap-1.tar\n");
  CHECK(s.names({url + "leap/latest"}) == strings{"snap-1.tar"});
  CHECK(s.out.candidates[0].snapshots[0].url == url + "leap/snap-1.tar");
  CHECK(s.out.candidates[0].snapshots[0].size == 1U);
  put(files / "leap/latest", "latest\n");  // a text that names itself is no snapshot, and no endless walk
  CHECK(s.names({url + "leap/latest"}).empty());
  put(files / "leap/latest", "<not a name>\n");
  CHECK(s.names({url + "leap/latest"}).empty());
  CHECK(s.out.error.find("names no file") != std::string::npos);
  // Without a listing there is no candidate until a manifest says what is there.
  CHECK(s.names({url + "hidden/"}).empty());
  CHECK(s.out.failure == worker_failure::unreachable);
  put(files / "manifest.json",
      "{\"snapshots\":[{\"name\":\"snap-b.tar\",\"sha256\":\"" + std::string(64, 'c') + "\"}]}");
  CHECK(s.names({url + "hidden/"}) == strings{"snap-b.tar"});
  CHECK(s.out.candidates[0].snapshots[0].sha256 == std::string(64, 'c'));
  CHECK(s.names({url}) == strings{"snap-c.tar", "snap-a.tar", "snap-b.tar"});
  CHECK(s.out.candidates[2].snapshots[0].sha256 == std::string(64, 'c'));
}

TEST_CASE("python's plain listing is completed by HEAD requests", "[select]") {
  temp_tree files;
  fill(files.path());
  const auto [server, port] = start_server([&](int p) {
    return strings{"/usr/bin/python3", "-m", "http.server", "--bind",
                   "127.0.0.1",        "-d", files.path(),  std::to_string(p)};
  });
  selecting s;
  CHECK(s.names({"http://127.0.0.1:" + std::to_string(port) + "/"}) ==
        strings{"snap-c.tar", "snap-a.tar", "snap-b.tar"});
}

TEST_CASE("a directory is a source, with or without file://, and its manifest's digests count", "[select]") {
  temp_tree files;
  fill(files / "with blank");
  put(files / "with blank/manifest.json", "{\"snapshots\":[{\"name\":\"snap-a.tar\",\"sha256\":\"" +
                                              std::string(64, 'D') + "\"},{\"name\":\"snap-gone.tar\"}]}");
  selecting s;
  const strings wanted{"snap-c.tar", "snap-a.tar", "snap-b.tar"};
  CHECK(s.names({files / "with blank"}) == wanted);
  CHECK(s.names({"file://" + (files / "with%20blank/")}) == wanted);
  CHECK(s.out.candidates[1].snapshots[0].sha256 == std::string(64, 'd'));
  CHECK(s.out.candidates[0].snapshots[0].url == "file://" + (files / "with%20blank/snap-c.tar"));
  CHECK(s.names({files / "with blank/snap-b.tar"}) == strings{"snap-b.tar"});
}

TEST_CASE("a source that is down is a note, and all down is a failure with every reason", "[select]") {
  temp_tree files;
  fill(files.path());
  const std::string down = "http://127.0.0.1:1/";
  selecting s;
  CHECK(s.names({down, files.path()}) == strings{"snap-c.tar", "snap-a.tar", "snap-b.tar"});
  CHECK(s.out.ok());
  REQUIRE(s.out.notes.size() == 1);
  CHECK(s.out.notes[0].find("127.0.0.1:1") != std::string::npos);

  CHECK(s.names({down, files / "absent", "ftp://x/"}).empty());
  CHECK(s.out.failure == worker_failure::unreachable);
  for (const auto* part : {"127.0.0.1:1", "absent", "ftp://x/"}) CHECK(s.out.error.find(part) != std::string::npos);

  CHECK(s.names({}).empty());
  CHECK(s.out.failure == worker_failure::refused);

  raw_server broken([](const raw_request&) { return answer_status(500); });
  CHECK(s.names({broken.url()}).empty());
  CHECK(s.out.failure == worker_failure::unreachable);
  raw_server empty([](const raw_request&) { return answer_200("<html></html>"); });
  CHECK(s.names({empty.url()}).empty());
  CHECK(s.out.ok());
  CHECK_FALSE(s.out.notes.empty());
}

TEST_CASE("several sources are merged newest first, and snapshots that are too old are left out", "[select]") {
  temp_tree one;
  temp_tree two;
  put(one / "snap-1.tar", "x");
  put(two / "snap-2.tar", "x");
  put(one / "snap-3.tar", "x");
  run("touch -d '-3 days' " + (one / "snap-1.tar") + " && touch -d '-2 days' " + (two / "snap-2.tar") +
      " && touch -d '-1 days' " + (one / "snap-3.tar"));
  selecting s;
  CHECK(s.names({one.path(), two.path()}) == strings{"snap-3.tar", "snap-2.tar", "snap-1.tar"});
  s.job.max_age = std::chrono::hours(60);
  CHECK(s.names({one.path(), two.path()}) == strings{"snap-3.tar", "snap-2.tar"});
  CHECK(s.out.notes.size() == 1);
}

namespace {

// A host whose listing has names alone, with one snapshot a day: snap-112 of 20 days ago, snap-111 of 21, and so on.
std::string names_alone(const raw_request& r, int first, int last, int age_of_last) {
  if (r.path == "/") {
    std::string rows;
    for (int n = first; n <= last; ++n) {
      const auto name = "snap-" + std::to_string(n) + ".bin";
      rows += "<a href=\"" + name + "\">" + name + "</a>\n";
    }
    return answer_200(rows, "Content-Type: text/html\r\n");
  }
  if (!r.path.starts_with("/snap-") || !r.path.ends_with(".bin")) return answer_status(404);
  const auto days = age_of_last + last - std::stoi(r.path.substr(6));
  const auto at =
      std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() - std::chrono::hours(24 * days));
  std::tm parts{};
  ::gmtime_r(&at, &parts);
  std::array<char, 64> text{};
  (void)std::strftime(text.data(), text.size(), "Last-Modified: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  return answer_200("archive", text.data(), r.method != "HEAD");
}

std::size_t heads(const raw_server& host) {
  std::size_t n = 0;
  for (const auto& r : host.requests()) n += r.method == "HEAD" && r.path != "/" ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("a listing without times does not let by what is too old", "[select]") {
  selecting s;
  s.job.max_age = std::chrono::hours(72);
  s.job.explain = GENERATE(false, true);
  INFO(s.job.explain);
  for (const auto order : {model::archive_order::block, model::archive_order::name, model::archive_order::time}) {
    s.job.plans[0].archives = {any_snapshot(order)};
    raw_server old([](const raw_request& r) { return names_alone(r, 101, 112, 20); });
    CHECK(s.names({old.url()}).empty());
    CHECK(s.out.ok());
    CHECK(heads(old) == 12);
  }
  // The newest by block are young; a recovery asks for no more times than it needs.
  s.job.plans[0].archives = {any_snapshot(model::archive_order::block)};
  s.job.max_age = std::chrono::hours(24 * 10 + 12);
  raw_server young([](const raw_request& r) { return names_alone(r, 101, 130, 0); });
  CHECK(s.names({young.url()}).size() == (s.job.explain ? 11 : 8));
  CHECK(s.out.candidates.front().snapshots[0].name == "snap-130.bin");
  CHECK(heads(young) == (s.job.explain ? 30 : 8));
}

TEST_CASE("the newest by time is found where the listing has no times, whatever it is called", "[select]") {
  // The last ones by name are the oldest.
  const auto age = [](const raw_request& r) { return r.path == "/" ? 0 : 2 * (std::stoi(r.path.substr(6)) - 101); };
  raw_server host([&](const raw_request& r) { return names_alone(r, 101, 130, age(r)); });
  selecting s;
  const auto found = s.names({host.url()});
  REQUIRE(found.size() == 30);
  CHECK(found.front() == "snap-101.bin");
  CHECK(found.back() == "snap-130.bin");
  CHECK(heads(host) == 30);
  CHECK(s.out.notes.empty());
}

TEST_CASE("of very many files without a time not all are asked for theirs, and that is told", "[select]") {
  raw_server host([&](const raw_request& r) { return names_alone(r, 101, 603, 0); });
  selecting s;
  CHECK(s.names({host.url()}).size() == 503);
  CHECK(s.out.candidates.back().snapshots[0].name == "snap-101.bin");
  CHECK(heads(host) == 500);
  const auto told = host.url() + " lists no times: it was asked for those of 500 files, and not of 3 more";
  CHECK(s.out.notes == strings{told});
  s.job.max_age = std::chrono::hours(24 * 1000);
  CHECK(s.names({host.url()}).size() == 500);
  CHECK(s.out.notes == strings{told + ", which are passed over as they may be too old"});
}

TEST_CASE("a size that an index announces stays, whatever the host says now", "[select]") {
  const std::string index = R"({"snapshots":[{"name":"snap-1.tar","size":6},{"name":"snap-2.tar"}]})";
  raw_server host([&](const raw_request& r) {
    if (r.path == "/index.json" || r.path == "/with/manifest.json") return answer_200(index);
    if (r.path == "/with/")
      return answer_200("<a href=\"snap-1.tar\">x</a><a href=\"snap-2.tar\">x</a><a href=\"manifest.json\">x</a>",
                        "Content-Type: text/html\r\n");
    return answer_200("cut", "Last-Modified: Sat, 21 Nov 2026 01:02:03 GMT\r\n", r.method != "HEAD");
  });
  selecting s;
  for (const auto* place : {"index.json", "with/"}) {
    INFO(place);
    CHECK(s.names({host.url() + place}) == strings{"snap-2.tar", "snap-1.tar"});
    CHECK(s.out.candidates[0].snapshots[0].size == 3U);
    CHECK(s.out.candidates[1].snapshots[0].size == 6U);
    CHECK(s.out.candidates[1].snapshots[0].time.has_value());
  }
}

TEST_CASE("an empty file of whose length a HEAD says nothing is no snapshot", "[select]") {
  raw_server host([](const raw_request& r) {
    const auto number = r.path == "/" ? 0 : std::stoi(r.path.substr(6));
    if (number < 103) return names_alone(r, 101, 111, 0);
    if (r.method == "HEAD") return std::string("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");  // Apache's
    return answer_200("");
  });
  selecting s;
  for (const auto order : {model::archive_order::time, model::archive_order::block}) {
    s.job.plans[0].archives = {any_snapshot(order)};
    CHECK(s.names({host.url()}) == strings{"snap-102.bin", "snap-101.bin"});
    REQUIRE_FALSE(s.out.candidates.empty());
    CHECK(s.out.candidates[0].snapshots[0].size == 7U);
  }
}

TEST_CASE("a host that tells no times is not asked on and on, and nothing of it is called too old", "[select]") {
  raw_server host([](const raw_request& r) {
    return r.path == "/" ? names_alone(r, 101, 130, 0) : answer_200("archive", "", r.method != "HEAD");
  });
  selecting s;
  s.job.max_age = std::chrono::hours(72);
  CHECK(s.names({host.url()}).size() == 30);
  CHECK(heads(host) == 8);
}

TEST_CASE("what a recipe requires is held against manifest and blocks log, and said of each that is passed over",
          "[select]") {
  temp_tree files;
  temp_tree data;
  const std::string ours(64, 'a');
  for (const auto* name : {"snap-900.tar", "snap-1000.tar", "snap-1200.tar", "snap-1300.tar", "snap-1400.tar"})
    put(files / name, "x");
  put(files / "manifest.json", R"({"snapshots":[{"name":"snap-1400.tar","block":1400,"chain_id":")" +
                                   std::string(64, 'b') +
                                   R"("},{"name":"snap-1300.tar","node_version":"v6.0.1","chain_id":")" + ours +
                                   R"("},{"name":"snap-1000.tar","block":1000,"node_version":"v5.0.2"}]})");
  put(data / "blocks/blocks.log", block_log_bytes(100, 1100));
  selecting s;
  auto& plan = s.job.plans[0];
  plan.archives = {any_snapshot(model::archive_order::block)};
  plan.require.chain_id = ours;
  plan.require.node_version = ">=5.0 <6";
  plan.require.block_within = "blocks/blocks.log";
  auto other = plan;
  other.name = "full set";
  other.require.block_within.clear();
  s.job.data_dir = data.path();

  CHECK(s.names({files.path()}) == strings{"snap-1000.tar", "snap-900.tar"});
  CHECK(s.out.candidates[0].snapshots[0].block == 1000U);
  CHECK(s.out.candidates[0].snapshots[0].node_version == "v5.0.2");
  CHECK(s.out.notes == strings{"snap-1400.tar: is of chain bbbbbbbbbbbb…, not of aaaaaaaaaaaa…",
                               "snap-1300.tar: was made by node version v6.0.1, which is not \">=5.0 <6\"",
                               "snap-1200.tar: block 1200 is newer than blocks/blocks.log (head 1100)"});

  s.job.plans.push_back(other);
  s.job.explain = true;
  CHECK(s.names({files.path()}) ==
        strings{"snap-1000.tar", "snap-900.tar", "snap-1200.tar", "snap-1000.tar", "snap-900.tar"});
  strings why;
  for (const auto& p : s.out.passed)
    if (p.file.name == "snap-1200.tar") why.push_back(p.why);
  CHECK(why == strings{"block 1200 is newer than blocks/blocks.log (head 1100); so it is not for plan \"p\""});
  s.job.plans.pop_back();
  s.job.explain = false;

  s.job.plans[0].require.strict = true;
  CHECK(s.names({files.path()}).empty());
  s.job.plans[0].require.strict = false;

  // A torn log says nothing, so that its plan is tried; one that is not there is begun anew.
  put(data / "blocks/blocks.log", block_log_bytes(100, 1100) + "torn");
  CHECK(s.names({files.path()}) == strings{"snap-1200.tar", "snap-1000.tar", "snap-900.tar"});
  REQUIRE(s.out.notes.size() == 3);
  CHECK(s.out.notes[0] == "which blocks blocks/blocks.log holds is not known: " + (data / "blocks/blocks.log") +
                              " does not end with a whole block; snapshots of any block may be tried");
  fs::remove(data / "blocks/blocks.log");
  CHECK(s.names({files.path()}) == strings{"snap-1200.tar", "snap-1000.tar", "snap-900.tar"});
}

TEST_CASE("many that are passed over are not all told", "[select]") {
  temp_tree files;
  std::string rows;
  for (int n = 10; n < 30; ++n) {
    const auto name = "snap-" + std::to_string(n) + ".tar";
    put(files / name, "x");
    rows += (rows.empty() ? "" : ",") + std::string(R"({"name":")") + name + R"(","chain_id":"other"})";
  }
  put(files / "manifest.json", "{\"snapshots\":[" + rows + "]}");
  selecting s;
  s.job.plans[0].require.chain_id = "ours";
  CHECK(s.names({files.path()}).empty());
  REQUIRE(s.out.notes.size() == 4);
  CHECK(s.out.notes.back() == "plan \"p\" passes over 17 more");
}
