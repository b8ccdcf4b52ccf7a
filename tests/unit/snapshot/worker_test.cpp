// The worker programs themselves, as hasupd starts them: a whole recovery of a directory, and SIGTERM.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "ports/worker_job.hpp"
#include "raw_server.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using ports::worker_failure;
using ports::worker_mode;

namespace {

class working {
 public:
  working() {
    fs::create_directories(root_ / "run");
    fs::create_directories(root_ / "node");
    job.data_dir = root_ / "node";
    job.result_path = root_ / "run/result.json";
    job.progress_path = root_ / "run/progress.json";
    job.plan.name = "p";
    job.plan.wipe = {"state"};
    job.plan.archives = {{"snap-*", "", model::archive_order::name, model::unpack_mode::archive, "", ".", true}};
    job.plans = {job.plan};
    job.sources = {root_ / "backup"};
    put(root_ / "node/state/db", "broken");
  }

  pid_t start(worker_mode mode) {
    job.mode = mode;
    fs::remove(job.result_path);
    put(root_ / "run/job.json", ports::encode(job));
    const auto program = std::string(HASUP_BIN_DIR) + "/hasup-worker";
    const auto file = root_ / "run/job.json";
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::dup2(::open("/dev/null", O_WRONLY), 2);
      ::execl(program.c_str(), "hasup-worker", file.c_str(), nullptr);
      ::_exit(127);
    }
    return pid;
  }
  ports::worker_result finish(pid_t pid) {
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    auto result = ports::decode_result(get(job.result_path));
    REQUIRE(result.has_value());
    CHECK(WEXITSTATUS(status) == (result->ok() ? 0 : 1));
    INFO(result->error);
    return *result;
  }
  ports::worker_result operator()(worker_mode mode) { return finish(start(mode)); }
  std::string operator/(const std::string& name) const { return root_ / name; }

  ports::worker_job job;

 private:
  temp_tree root_;
};

}  // namespace

TEST_CASE("the programs take a directory from broken to restored and clean", "[worker]") {
  working w;
  put(w / "pack/state/db", "good");
  fs::create_directories(w / "backup");
  run("cd " + (w / "pack") +
      " && tar -cf - state | zstd -q > ../backup/snap-1.tar.zst && cd ../backup && sha256sum "
      "snap-1.tar.zst > snap-1.tar.zst.sha256");
  w.job.checksum = model::checksum_policy::required;
  auto out = w(worker_mode::inspect);
  CHECK(out.ok());
  CHECK(out.data_dir_exists);
  out = w(worker_mode::select);
  REQUIRE(out.candidates.size() == 1);
  w.job.chosen = out.candidates[0];
  out = w(worker_mode::fetch);
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(out.verified);
  out = w(worker_mode::unpack);
  INFO(out.error);
  REQUIRE(out.ok());
  CHECK(get(w / "node/state/db") == "broken");
  REQUIRE(w(worker_mode::swap).ok());
  CHECK(get(w / "node/state/db") == "good");
  CHECK(w(worker_mode::inspect).half_swapped);
  REQUIRE(w(worker_mode::rewipe).ok());
  CHECK(get(w / "node/state/db") == "good");
  REQUIRE(w(worker_mode::roll_back).ok());
  CHECK(get(w / "node/state/db") == "broken");
  REQUIRE(w(worker_mode::unpack).ok());
  REQUIRE(w(worker_mode::swap).ok());
  REQUIRE(w(worker_mode::clean_up).ok());
  CHECK(get(w / "node/state/db") == "good");
  CHECK_FALSE(w(worker_mode::inspect).half_swapped);
  CHECK(there(w / "node/.hasup/cache/snap-1.tar.zst"));
  CHECK(ports::decode_progress(get(w.job.progress_path)).has_value());
}

TEST_CASE("a swap is refused while a process has the data open", "[worker]") {
  working w;
  w.job.plan.archives.clear();
  const int held = ::open((w / "node/state/db").c_str(), O_RDWR);  // not close-on-exec: a sleeper inherits it
  const pid_t sleeper = ::fork();
  if (sleeper == 0) {
    ::execlp("sleep", "sleep", "600", nullptr);
    ::_exit(127);
  }
  ::close(held);
  const auto out = w(worker_mode::swap);
  ::kill(sleeper, SIGKILL);
  ::waitpid(sleeper, nullptr, 0);
  CHECK(out.failure == worker_failure::writer);
  CHECK(out.error.find(std::to_string(sleeper)) != std::string::npos);
  CHECK(get(w / "node/state/db") == "broken");
  CHECK(w(worker_mode::swap).ok());
  CHECK_FALSE(there(w / "node/state"));
}

TEST_CASE("SIGTERM cancels a fetch cleanly", "[worker]") {
  std::atomic<bool> sending{false};
  std::atomic<bool> stop{false};
  raw_server host([&](const raw_request& r) {
    if (r.path != "/snap-1.tar.zst") return answer_status(404);
    sending = true;
    while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return answer_status(500);
  });
  working w;
  w.job.chosen = ports::candidate{0, {{"snap-1.tar.zst", host.url() + "snap-1.tar.zst", "", {}, {}, {}, ""}}};
  const pid_t pid = w.start(worker_mode::fetch);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!sending && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(pid, SIGTERM);
  const auto out = w.finish(pid);
  stop = true;
  CHECK(out.failure == worker_failure::internal);
  CHECK(out.error == "cancelled");
}

TEST_CASE("a job that cannot be read is exit code 2 and touches nothing", "[worker]") {
  working w;
  put(w / "run/bad.json", "{\"mode\":\"swap\"}");
  const auto code = [](const std::string& arguments) {
    return WEXITSTATUS(
        std::system((std::string(HASUP_BIN_DIR) + "/hasup-worker " + arguments + " 2>/dev/null").c_str()));
  };
  CHECK(code(w / "run/bad.json") == 2);
  CHECK(code(w / "run/absent.json") == 2);
  CHECK(code("") == 2);
  CHECK(get(w / "node/state/db") == "broken");
}

TEST_CASE("the worker that renames and deletes links neither libcurl nor libarchive", "[worker]") {
  const auto links = [](const std::string& program, const std::string& library) {
    return std::system(("ldd " + std::string(HASUP_BIN_DIR) + "/" + program + " | grep -q " + library).c_str()) == 0;
  };
  CHECK_FALSE(links("hasup-worker", "libcurl"));
  CHECK_FALSE(links("hasup-worker", "libarchive"));
  CHECK_FALSE(links("hasup-worker-unpack", "libcurl"));
  CHECK_FALSE(links("hasup-worker-fetch", "libarchive"));
}
