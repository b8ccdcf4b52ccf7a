// The worker programs themselves, as hasupd starts them: a whole recovery of a directory, and SIGTERM.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "ports/worker_job.hpp"
#include "raw_server.hpp"
#include "temp_tree.hpp"
#include "zstd_packing.hpp"

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

TEST_CASE("SIGTERM cancels an unpacking whose threads are busy, each of them confined", "[worker]") {
  working w;
  // Zeros without end, as far as this test goes: 400 GiB that become one hole.
  const auto zeros = zstd_frame(std::string(4U << 20U, '\0'));
  std::string packed;
  for (int i = 0; i < 100'000; ++i) packed += zeros;
  put(w / "backup/snap-1.zst", packed);
  w.job.plan.archives[0].unpack = model::unpack_mode::decompress;
  w.job.plan.archives[0].into = "state";
  w.job.plans = {w.job.plan};
  auto out = w(worker_mode::select);
  REQUIRE(out.candidates.size() == 1);
  w.job.chosen = out.candidates[0];
  REQUIRE(w(worker_mode::fetch).ok());
  const pid_t pid = w.start(worker_mode::unpack);
  // Two threads at least beside the first: who reads, and who decompresses.
  const auto tasks = "/proc/" + std::to_string(pid) + "/task";
  const auto look = [&] {
    std::vector<std::string> stats;
    std::error_code gone;
    for (auto it = fs::directory_iterator(tasks, gone); it != fs::directory_iterator(); it.increment(gone))
      stats.push_back(get(it->path() / "status"));
    return stats;
  };
  const auto staged = w / "node/.hasup/staging/new/state";
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while ((look().size() < 3 || !there(staged)) && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  const auto stats = look();  // anew: what was seen above may be from before all of it began
  CHECK(stats.size() >= 3);
  for (const auto& stat : stats) {
    INFO(stat);
    CHECK(stat.find("\nSeccomp:\t2\n") != std::string::npos);
    CHECK(stat.find("\nNoNewPrivs:\t1\n") != std::string::npos);
  }
  ::kill(pid, SIGTERM);
  out = w.finish(pid);
  CHECK(out.failure == worker_failure::internal);
  CHECK(out.error == "cancelled");
  CHECK_FALSE(there(w / "node/.hasup/staging/staged.json"));
  CHECK(get(w / "node/state/db") == "broken");
}

TEST_CASE("unpacking stays below 64 MiB, whatever the frames of the archive", "[worker]") {
  const auto text = noise(4U << 20U) + std::string(4U << 20U, 'x');  // 8 MiB a frame, as pzstd makes them
  const bool many = GENERATE(true, false);
  working w;
  std::string packed;
  const auto frame = zstd_frame(text, 1, 0, false);
  if (many)
    for (int i = 0; i < 20; ++i) packed += frame;
  else
    packed = zstd_frame(text + text + text + text + text + text + text + text + text + text);
  put(w / "backup/snap-1.zst", packed);
  w.job.plan.archives[0].unpack = model::unpack_mode::decompress;
  w.job.plan.archives[0].into = "state";
  w.job.plans = {w.job.plan};
  w.job.chosen = w(worker_mode::select).candidates.at(0);
  REQUIRE(w(worker_mode::fetch).ok());
  // By way of a small program: what this one has in memory would count as that of its child.
  w.job.mode = worker_mode::unpack;
  put(w / "run/job.json", ports::encode(w.job));
  run("python3 -c 'import resource as r, subprocess, sys; subprocess.run(sys.argv[2:], check=True); "
      "open(sys.argv[1], \"w\").write(str(r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss))' " +
      (w / "run/kib ") + HASUP_BIN_DIR + "/hasup-worker " + (w / "run/job.json"));
  CHECK(fs::file_size(w / "node/.hasup/staging/new/state") == (many ? 20 : 10) * text.size());
  CHECK(std::stoul(get(w / "run/kib")) > 1024);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(std::stoul(get(w / "run/kib")) < 64 << 10);
#endif
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
  CHECK_FALSE(links("hasup-worker-pack", "libcurl"));
  CHECK_FALSE(links("hasup-worker-fetch", "libarchive"));
}
