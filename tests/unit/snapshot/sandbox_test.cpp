// What a worker that has gone astray can still do: the code that reads what others wrote runs in these bounds.
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "snapshot/create/create.hpp"
#include "snapshot/fetch/expected_digest.hpp"
#include "snapshot/fetch/fetch_bounds.hpp"
#include "snapshot/fetch/local_reader.hpp"
#include "snapshot/sandbox.hpp"
#include "snapshot/send/send.hpp"
#include "temp_tree.hpp"

using namespace hasup;
using namespace hasup::test;
using snapshot::bounds;

namespace {

bool no_landlock() {
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 3) return false;
  WARN("no Landlock of ABI 3 here: not tested");
  return true;
}

int error_of(long result) {
  return result < 0 ? errno : 0;
}
int read_of(const std::string& path) {
  return error_of(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}
int write_of(const std::string& path) {
  return error_of(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}
int rename_of(const std::string& from, const std::string& to) {
  return error_of(::rename(from.c_str(), to.c_str()));
}

// A node's directory with what it must not lose, a key elsewhere, and a process of ours in the bounds of a worker.
class node {
 public:
  node() {
    fs::create_directories(root_ / "node/.hasup/cache");
    fs::create_directories(root_ / "node/.hasup/staging/ahead");
    fs::create_directories(root_ / "node/.hasup/warm");
    put(root_ / "node/.hasup/lock", "");
    put(root_ / "node/.hasup/swap.json", "record");
    put(root_ / "node/.hasup/aside/state/db", "old state");
    fs::create_directories(root_ / "answer");
    put(root_ / "node/.hasup/cache/a", "archive");
    put(root_ / "node/state/db", "state");
    put(root_ / "node/keep/wallet", "secret");
    put(root_ / "keys/id", "key");
    put(root_ / "backup/snap-1", "archive");
    put(root_ / "elsewhere/file", "x");
    job.data_dir = root_ / "node";
    job.result_path = root_ / "answer/result.json";
    job.progress_path = root_ / "answer/progress.json";
  }
  std::string operator/(const std::string& name) const { return root_ / name; }

  // The errors of these attempts, made one after the other in a process with these bounds.
  static std::vector<int> in(const bounds& b, const std::vector<std::function<int()>>& attempts,
                             long newest_landlock = std::numeric_limits<long>::max()) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      std::vector<int> errors;
      if (!snapshot::enter_sandbox(b, newest_landlock)) ::_exit(3);
      for (const auto& attempt : attempts) errors.push_back(attempt());
      const auto n = ::write(ends[1], errors.data(), errors.size() * sizeof(int));
      ::_exit(n == static_cast<ssize_t>(errors.size() * sizeof(int)) ? 0 : 4);
    }
    ::close(ends[1]);
    std::vector<int> errors(attempts.size());
    const auto n = ::read(ends[0], errors.data(), errors.size() * sizeof(int));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(status == 0);
    REQUIRE(n == static_cast<ssize_t>(errors.size() * sizeof(int)));
    return errors;
  }

  ports::worker_job job;

 private:
  temp_tree root_;
};

#if !defined(__SANITIZE_ADDRESS__)
// Bytes, as RLIMIT_DATA counts them.
std::size_t data_of_this_process() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (std::size_t kib = 0; word == "VmData:" && status >> kib) return kib << 10;
  return 0;
}
#endif

int start_a_program() {
  return error_of(::execl("/bin/true", "true", nullptr));
}
int open_a_socket() {
  return error_of(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

}  // namespace

TEST_CASE("reading an archive takes no more memory than its window may need") {
#if defined(__SANITIZE_ADDRESS__)
  WARN("the address sanitizer takes terabytes of addresses for itself: not tested");
#else
  constexpr std::size_t window = 64U << 20;
  node n;
  n.job.max_window = window + data_of_this_process();  // the cases before this one have left some
  const auto take = [](std::size_t bytes) {
    void* got = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return got == MAP_FAILED ? errno : 0;
  };
  const auto limit = snapshot::memory_to_unpack(n.job.max_window);
  const std::vector<std::function<int()>> attempts{[&] { return take(limit); }, [&] { return take(window); }};
  CHECK(node::in(snapshot::unpack_bounds(n.job), attempts) == std::vector{ENOMEM, 0});
  n.job.max_window = 0;
  CHECK(node::in(snapshot::unpack_bounds(n.job), attempts) == std::vector{0, 0});
#endif
}

TEST_CASE("unpacking has no network, starts no program, writes in staging alone and reads no file of the node") {
  if (no_landlock()) return;
  node n;
  const auto b = snapshot::unpack_bounds(n.job);
  const auto errors =
      node::in(b, {
                      [&] { return read_of(n / "node/.hasup/cache/a"); },
                      [&] { return write_of(n / "node/.hasup/staging/new"); },
                      [&] { return rename_of(n / "node/.hasup/staging/new", n / "node/.hasup/staging/ahead/new"); },
                      [&] { return write_of(n / "node/.hasup/lock"); },
                      [&] { return read_of(n / "node/.hasup/swap.json"); },
                      [&] { return write_of(n / "answer/result.json"); },
                      [&] { return error_of(::open((n / "node").c_str(), O_RDONLY | O_DIRECTORY)); },
                  });
  CHECK(errors == std::vector<int>(7, 0));
  const auto refused =
      node::in(b, {
                      [&] { return write_of(n / "node/state/db"); },
                      [&] { return write_of(n / "node/new"); },
                      [&] { return write_of(n / "elsewhere/file"); },
                      [&] { return read_of(n / "node/keep/wallet"); },
                      [&] { return read_of(n / "keys/id"); },
                      [&] { return error_of(::unlink((n / "node/keep/wallet").c_str())); },
                      [&] { return rename_of(n / "node/keep/wallet", n / "node/.hasup/staging/wallet"); },
                      [&] { return error_of(::mkfifo((n / "node/.hasup/staging/pipe").c_str(), 0600)); },
                  });
  CHECK(refused[0] == EACCES);
  CHECK(refused[1] == EACCES);
  CHECK(refused[2] == EACCES);
  CHECK(refused[3] == EACCES);
  CHECK(refused[4] == EACCES);
  CHECK(refused[5] == EACCES);
  CHECK((refused[6] == EACCES || refused[6] == EXDEV));
  CHECK(refused[7] == EACCES);
  CHECK(get(n / "node/keep/wallet") == "secret");
}

TEST_CASE(
    "no worker in its bounds starts a program, truncates by path or writes a core; two of three have no network") {
  node n;
  n.job.mode = ports::worker_mode::fetch;
  for (const auto& b : {snapshot::unpack_bounds(n.job), snapshot::swap_bounds(), snapshot::fetch_bounds(n.job, "")}) {
    const auto errors =
        node::in(b, {
                        start_a_program,
                        [&] { return error_of(::truncate((n / "node/.hasup/cache/a").c_str(), 0)); },
                        open_a_socket,
                        [] {
                          rlimit core{};
                          return ::getrlimit(RLIMIT_CORE, &core) == 0 ? static_cast<int>(core.rlim_max) : -1;
                        },
                    });
    CHECK(errors == std::vector<int>{EPERM, EPERM, b.network ? 0 : EPERM, 0});
  }
  CHECK(get(n / "node/.hasup/cache/a") == "archive");
}

TEST_CASE("what may only be read is not emptied, with no Landlock of any age, and whatever way it is opened") {
  node n;
  n.job.mode = ports::worker_mode::fetch;
  n.job.seeds = {n / "node/state/db"};
  const auto open = [](const std::string& path, int flags) {
    return error_of(::syscall(SYS_openat, AT_FDCWD, path.c_str(), flags | O_CLOEXEC, 0600));
  };
  const auto seed = n / "node/state/db";
  const auto own = n / "node/.hasup/cache/a";
  const auto openat2 = [&](std::uint64_t flags) {
    open_how how{};
    how.flags = flags;
    return error_of(::syscall(SYS_openat2, AT_FDCWD, seed.c_str(), &how, sizeof how));
  };
  std::vector<unsigned> room((sizeof(file_handle) + MAX_HANDLE_SZ) / sizeof(unsigned));
  auto* handle = reinterpret_cast<file_handle*>(room.data());
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  const bool handles = ::name_to_handle_at(AT_FDCWD, seed.c_str(), handle, &mount, 0) == 0;
  std::vector<std::function<int()>> attempts {
    [&] { return open(seed, O_RDONLY | O_TRUNC); }, [&] { return open(seed, O_RDONLY | O_CREAT | O_TRUNC); },
        [&] { return open(seed, O_ACCMODE | O_TRUNC); },  // for ioctl: neither reading nor writing
        [&] {
          const int here = ::open(seed.c_str(), O_RDONLY | O_CLOEXEC);
          return handles ? error_of(::open_by_handle_at(here, handle, O_RDONLY | O_TRUNC)) : EPERM;
        },
#if defined(__x86_64__)
        [&] { return error_of(::syscall(SYS_open, seed.c_str(), O_RDONLY | O_TRUNC, 0)); },
        [&] { return error_of(::syscall(SYS_open, seed.c_str(), O_ACCMODE | O_TRUNC, 0)); },
#endif
  };
  const std::vector<int> refused(attempts.size(), EPERM);
  const auto b = snapshot::fetch_bounds(n.job, "");
  for (const long abi : {0, 1, 2, 99}) {
    INFO("Landlock ABI " << abi << " at most");
    CHECK(node::in(b, attempts, abi) == refused);
    CHECK(get(seed) == "state");
    if (abi != 0 && !no_landlock()) {
      // By a right to write, which Landlock knows from the first.
      CHECK(node::in(b,
                     {[&] { return open(seed, O_WRONLY | O_TRUNC); }, [&] { return open(seed, O_RDWR | O_TRUNC); }},
                     abi) == std::vector<int>(2, EACCES));
      // Whose flags no filter sees.
      const int unseen = abi < 3 ? ENOSYS : EACCES;
      CHECK(node::in(b, {[&] { return openat2(O_RDONLY | O_TRUNC); }, [&] { return openat2(O_ACCMODE | O_TRUNC); }},
                     abi) == std::vector<int>(2, unseen));
      CHECK(get(seed) == "state");
    }
    put(own, "archive");
    CHECK(node::in(b,
                   {[&] { return open(seed, O_RDONLY); }, [&] { return open(own, O_WRONLY | O_TRUNC); },
                    [&] { return open(own, O_RDWR | O_CREAT | O_TRUNC); }},
                   abi) == std::vector<int>(3, 0));
    CHECK(get(own).empty());
  }
}

TEST_CASE("in .hasup each mode writes what is its own; the record of a swap and the old state are the swap's alone") {
  if (no_landlock()) return;
  node n;
  const auto own = [&](const std::string& name) { return n / ("node/.hasup/" + name); };
  const auto unlink_of = [](const std::string& path) { return error_of(::unlink(path.c_str())); };
  const auto mkdir_of = [](const std::string& path) { return error_of(::mkdir(path.c_str(), 0700)); };
  const auto in_mode = [&](ports::worker_mode mode) {
    auto job = n.job;
    job.mode = mode;
    job.file = n / "backup/snap-1";
    job.create.target = model::source("file://" + (n / "backup"));
    job.sources = {model::source("https://host/dir/")};
    return job;
  };
  auto prefetch = in_mode(ports::worker_mode::fetch);
  prefetch.prefetch.emplace();
  auto linking = in_mode(ports::worker_mode::unpack);
  auto& archive = linking.plan.archives.emplace_back();
  archive.as = "snapshot";
  archive.unpack = model::unpack_mode::none;
  const std::vector<std::pair<std::string, bounds>> modes{
      {"select", snapshot::fetch_bounds(in_mode(ports::worker_mode::select), "")},
      {"verify", snapshot::fetch_bounds(in_mode(ports::worker_mode::verify), "")},
      {"fetch", snapshot::fetch_bounds(in_mode(ports::worker_mode::fetch), "")},
      {"prefetch", snapshot::fetch_bounds(prefetch, "")},
      {"examine", snapshot::examine_bounds(in_mode(ports::worker_mode::examine))},
      {"unpack", snapshot::unpack_bounds(in_mode(ports::worker_mode::unpack))},
      {"unpack, linking", snapshot::unpack_bounds(linking)},
      {"unpack ahead", snapshot::ahead_bounds(in_mode(ports::worker_mode::unpack))},
      {"create", snapshot::create_bounds(in_mode(ports::worker_mode::create))},
      {"send", snapshot::send_bounds(in_mode(ports::worker_mode::create), "")},
  };
  const std::vector<std::function<int()>> forbidden{
      [&] { return write_of(own("swap.json")); },
      [&] { return error_of(::open(own("swap.json").c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC)); },
      [&] { return unlink_of(own("swap.json")); },
      [&] { return write_of(own("swap.json.tmp")); },
      [&] { return write_of(own("aside/state/db")); },
      [&] { return write_of(own("aside/new")); },
      [&] { return unlink_of(own("aside/state/db")); },
      [&] { return mkdir_of(own("new")); },
      [&] {
        return write_of(own("staging/ahead.json")) == 0 && rename_of(own("staging/ahead.json"), own("swap.json")) == 0
                   ? 0
                   : EACCES;
      },
      [&] {
        return write_of(own("cache/new")) == 0 && rename_of(own("cache/new"), own("swap.json")) == 0 ? 0 : EACCES;
      },
      [&] { return rename_of(own("aside"), own("staging/aside")) == 0 ? 0 : EACCES; },
  };
  for (const auto& [name, b] : modes) {
    INFO(name);
    CHECK(node::in(b, forbidden) == std::vector<int>(forbidden.size(), EACCES));
    CHECK(get(own("swap.json")) == "record");
    CHECK(get(own("aside/state/db")) == "old state");
  }
  fs::remove(own("swap.json"));
  for (const auto& [name, b] : modes) {
    INFO(name << ", where there is no record");
    CHECK(node::in(b, {forbidden[0], forbidden[3], forbidden[8], forbidden[9]}) == std::vector<int>(4, EACCES));
    CHECK_FALSE(fs::exists(own("swap.json")));
  }

  // Cache, staging (writing and removing), the mark of a prefetch.
  const std::map<std::string, std::vector<int>> may{
      {"select", {EACCES, EACCES, EACCES, EACCES}},
      {"verify", {EACCES, EACCES, EACCES, EACCES}},
      {"fetch", {0, EACCES, 0, EACCES}},
      {"prefetch", {0, EACCES, 0, 0}},
      {"examine", {EACCES, EACCES, EACCES, EACCES}},
      {"unpack", {EACCES, 0, 0, EACCES}},
      {"unpack, linking", {0, 0, 0, EACCES}},
      {"unpack ahead", {EACCES, 0, 0, EACCES}},
      {"create", {EACCES, EACCES, EACCES, EACCES}},
      {"send", {EACCES, EACCES, EACCES, EACCES}},
  };
  for (const auto& [name, b] : modes) {
    INFO(name);
    put(own("staging/ahead.json"), "mark");
    CHECK(node::in(b, {[&] { return write_of(own("cache/b")); }, [&] { return write_of(own("staging/b")); },
                       [&] { return unlink_of(own("staging/ahead.json")); },
                       [&] { return write_of(own("warm/warm.json.tmp")); }}) == may.at(name));
  }
}

TEST_CASE("unpacking links an archive that only lies beside the data into the staging directory") {
  if (no_landlock()) return;
  node n;
  auto& archive = n.job.plan.archives.emplace_back();
  archive.as = "snapshot";
  archive.unpack = model::unpack_mode::none;
  CHECK(node::in(snapshot::unpack_bounds(n.job), {[&] {
                   return error_of(
                       ::link((n / "node/.hasup/cache/a").c_str(), (n / "node/.hasup/staging/a").c_str()));
                 }}) == std::vector<int>{0});
}

TEST_CASE(
    "fetching reads what its sources name and writes in the cache alone; the node's own files are closed to it") {
  if (no_landlock()) return;
  node n;
  n.job.mode = ports::worker_mode::fetch;
  model::source remote("sftp://host/dir/");
  remote.identity_file = n / "keys/id";
  n.job.sources = {remote, "file://" + (n / "backup")};  // which others read: snapshot/fetch/local_reader.hpp
  const auto b = snapshot::fetch_bounds(n.job, n / "home");
  CHECK(node::in(b, {
                        [&] { return read_of(n / "keys/id"); },
                        [&] { return read_of("/etc/passwd"); },
                        [&] { return write_of(n / "node/.hasup/cache/b"); },
                        [&] { return rename_of(n / "node/.hasup/cache/b", n / "node/.hasup/cache/c"); },
                        [&] { return write_of(n / "answer/progress.json"); },
                    }) == std::vector<int>(5, 0));
  CHECK(node::in(b, {
                        [&] { return read_of(n / "backup/snap-1"); },
                        [&] { return read_of(n / "node/keep/wallet"); },
                        [&] { return read_of(n / "node/state/db"); },
                        [&] { return read_of(n / "elsewhere/file"); },
                        [&] { return write_of(n / "backup/snap-1"); },
                        [&] { return write_of(n / "keys/id"); },
                        [&] { return write_of(n / "node/state/db"); },
                        [&] { return error_of(::unlink((n / "node/keep/wallet").c_str())); },
                    }) == std::vector<int>(8, EACCES));
}

TEST_CASE("of the node fetching reads what the recipe has at hand and the seeds, never what is kept") {
  if (no_landlock()) return;
  node n;
  n.job.mode = ports::worker_mode::fetch;
  put(n / "node/blocks/blocks.log", "blocks");
  put(n / "node/blocks/blocks.index", "index");
  fs::create_symlink(n / "node/keep/wallet", n / "node/blocks/wallet.log");
  fs::create_symlink(n / "node/keep", n / "node/other");
  n.job.keep = {"keep"};
  n.job.plan.archives.emplace_back().at_hand = {"blocks/*.log", "*/wallet", "keep/wallet", "keep"};
  n.job.seeds = {n / "elsewhere/file"};
  const auto b = snapshot::fetch_bounds(n.job, "");
  CHECK(node::in(b, {
                        [&] { return read_of(n / "node/blocks/blocks.log"); },
                        [&] { return read_of(n / "elsewhere/file"); },
                        [&] { return write_of(n / "node/blocks/blocks.log"); },
                        [&] { return write_of(n / "elsewhere/file"); },
                        [&] { return read_of(n / "node/keep/wallet"); },
                        [&] { return read_of(n / "node/blocks/wallet.log"); },
                        [&] { return read_of(n / "node/blocks/blocks.index"); },
                        [&] { return read_of(n / "node/state/db"); },
                    }) == std::vector<int>{0, 0, EACCES, EACCES, EACCES, EACCES, EACCES, EACCES});
}

TEST_CASE("a thread that begins in a sandbox is as confined as the process") {
  if (no_landlock()) return;
  node n;
  const auto in_a_thread = [](const std::function<int()>& attempt) {
    int error = -1;
    std::thread([&] { error = attempt(); }).join();
    return error;
  };
  CHECK(node::in(snapshot::unpack_bounds(n.job),
                 {
                     [&] { return in_a_thread([&] { return write_of(n / "node/.hasup/staging/new"); }); },
                     [&] { return in_a_thread([&] { return write_of(n / "node/state/db"); }); },
                     [&] { return in_a_thread([&] { return read_of(n / "node/keep/wallet"); }); },
                     [&] { return in_a_thread(open_a_socket); },
                     [&] { return in_a_thread(start_a_program); },
                 }) == std::vector<int>{0, EACCES, EACCES, EPERM, EPERM});
}

TEST_CASE("what moves state still sees who has it open") {
  node n;
  const pid_t other = ::fork();
  if (other == 0) {
    ::open((n / "node/state/db").c_str(), O_RDWR);
    for (;;) ::pause();
  }
  const auto files = "/proc/" + std::to_string(other) + "/fd";
  const auto sees = [&] { return error_of(::open(files.c_str(), O_RDONLY | O_DIRECTORY)); };
  CHECK(node::in(snapshot::swap_bounds(), {sees}) == std::vector<int>{0});
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
}

TEST_CASE("the bounds of a fetch come from the configuration, never from what a host says") {
  ports::worker_job job;
  job.mode = ports::worker_mode::fetch;
  job.data_dir = "/d";
  job.result_path = "/work/result.json";
  job.progress_path = "/work/progress.json";
  model::source remote("https://host/dir/");
  remote.ca_file = "/pki/ca.crt";
  remote.header_file = "/pki/token";
  job.sources = {remote};
  model::snapshot hostile;
  hostile.url = "file:///d/keep/wallet";
  hostile.source = remote.url;
  job.chosen.emplace();
  job.chosen->snapshots = {hostile};
  auto b = snapshot::fetch_bounds(job, "/home/u");
  CHECK(b.write == std::vector<std::string>{"/work/", "/d/.hasup/lock", "/d/.hasup/cache"});
  CHECK(b.remove == std::vector<std::string>{"/d/.hasup/staging"});
  CHECK(b.read == std::vector<std::string>{"/pki/ca.crt", "/pki/token"});
  CHECK(b.list == std::vector<std::string>{"/d"});
  CHECK(b.network);

  // Who reads directories of this machine is told of them alone. A directory's file may be a link that leads out of
  // it.
  CHECK(snapshot::local_places(job).empty());
  job.sources = {"file:///backup%20of/"};
  job.chosen->snapshots[0].url = "file:///backup%20of/snap-1";
  job.chosen->snapshots[0].source = "file:///backup%20of/";
  const auto places = snapshot::local_places(job);
  const auto proofs = snapshot::side_file_places("/backup of/snap-1");
  CHECK(std::set<std::string>(proofs.begin(), proofs.end()).contains("/backup of/snap-1.sha256"));
  std::vector<std::string> all{"/backup of/", "/backup of/snap-1"};
  all.insert(all.end(), proofs.begin(), proofs.end());
  CHECK(places == all);
  CHECK(snapshot::fetch_bounds(job, "/home/u").read->empty());

  job.mode = ports::worker_mode::select;
  job.sources = {"sftp://host/dir/", "s3://bucket/"};
  job.chosen.reset();
  ::unsetenv("AWS_SHARED_CREDENTIALS_FILE");
  b = snapshot::fetch_bounds(job, "/home/u");
  CHECK(b.write == std::vector<std::string>{"/work/"});
  CHECK(b.list.empty());
  CHECK(b.read == std::vector<std::string>{"/home/u/.ssh", "/home/u/.aws"});
  ::setenv("AWS_SHARED_CREDENTIALS_FILE", "/pki/aws", 1);
  b = snapshot::fetch_bounds(job, "/home/u");
  CHECK(b.read == std::vector<std::string>{"/home/u/.ssh", "/pki/aws", "/home/u/.aws"});
  ::unsetenv("AWS_SHARED_CREDENTIALS_FILE");
}

TEST_CASE("packing reads the data and the key, writes where the archive goes, and has no network") {
  if (no_landlock()) return;
  node n;
  n.job.mode = ports::worker_mode::create;
  n.job.create.sign_key = n / "keys/id";
  n.job.create.target = model::source("file://" + (n / "backup"));
  const auto b = snapshot::create_bounds(n.job);
  CHECK(node::in(b, {
                        [&] { return read_of(n / "node/state/db"); },
                        [&] { return read_of(n / "keys/id"); },
                        [&] { return write_of(n / "backup/new.part"); },
                        [&] { return rename_of(n / "backup/new.part", n / "backup/new"); },
                        [&] { return write_of(n / "answer/progress.json"); },
                    }) == std::vector<int>(5, 0));
  CHECK(node::in(b, {
                        [&] { return write_of(n / "node/state/db"); },
                        [&] { return error_of(::unlink((n / "node/state/db").c_str())); },
                        [&] { return write_of(n / "keys/id"); },
                        [&] { return read_of(n / "elsewhere/file"); },
                    }) == std::vector<int>(4, EACCES));
  CHECK(node::in(b, {open_a_socket, start_a_program}) == std::vector<int>{EPERM, EPERM});
}

TEST_CASE("sending reads its keys and nothing of the data") {
  if (no_landlock()) return;
  node n;
  n.job.mode = ports::worker_mode::create;
  n.job.create.target = model::source("sftp://host/dir/");
  n.job.create.target.identity_file = n / "keys/id";
  const auto b = snapshot::send_bounds(n.job, n / "home");
  CHECK(node::in(b, {[&] { return read_of(n / "keys/id"); }, open_a_socket}) == std::vector<int>(2, 0));
  CHECK(node::in(b, {
                        [&] { return read_of(n / "node/state/db"); },
                        [&] { return read_of(n / "node/keep/wallet"); },
                        [&] { return write_of(n / "backup/new"); },
                        [&] { return write_of(n / "node/state/db"); },
                    }) == std::vector<int>(4, EACCES));
}
