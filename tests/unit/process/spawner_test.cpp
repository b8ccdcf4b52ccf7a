// Short programs: output, time-outs, cancellation, errors, and no zombie of any of them.
#include "process/spawner.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.hpp"
#include "unit/process/shim_fixture.hpp"

using namespace hasup;
using namespace hasup::process;
using namespace hasup::process::test;

namespace {

const std::map<std::string, std::string> environment = {{"PATH", "/usr/bin:/bin"}, {"A", "b"}};

struct runner {
  boost::asio::io_context io;
  std::optional<program_result> result;
  std::shared_ptr<program> running;

  void start(const std::vector<std::string>& argv, const program_options& options = {}) {
    result.reset();
    running = async_run(io, argv, environment, options, [this](program_result r) { result = std::move(r); });
    CHECK_FALSE(result);  // never from inside the call
  }
  program_result finish() {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!result && std::chrono::steady_clock::now() < until) {
      io.restart();
      io.run_for(std::chrono::milliseconds(100));
    }
    REQUIRE(result);
    return *result;
  }
};

bool has_children() {
  return ::waitpid(-1, nullptr, WNOHANG) >= 0;
}

}  // namespace

TEST_CASE("a short program gives its exit code and its output of both streams") {
  runner r;
  r.start({"sh", "-c", "echo $A; echo err >&2; pwd; exit 7"});
  const auto result = r.finish();
  CHECK(result.exit.code == 7);
  CHECK(result.output == "b\nerr\n/\n");
  CHECK_FALSE(result.succeeded());
  CHECK(result.error.empty());
  r.start({"/bin/true"});
  CHECK(r.finish().succeeded());
  CHECK_FALSE(has_children());
}

TEST_CASE("kill -9 and exit 9 are told apart") {
  runner r;
  r.start({"sh", "-c", "kill -9 $$"});
  CHECK(r.finish().exit.signal == 9);
  r.start({"sh", "-c", "exit 9"});
  CHECK(r.finish().exit.code == 9);
}

TEST_CASE("a program that cannot be started says why and leaves no zombie") {
  runner r;
  r.start({"/nonexistent/probe"});
  const auto result = r.finish();
  CHECK(result.exit.lost());
  CHECK(result.error == "cannot run /nonexistent/probe: No such file or directory");
  r.start({});
  CHECK_FALSE(r.finish().error.empty());
  program_options options;
  options.directory = "/nonexistent";
  r.start({"true"}, options);
  CHECK_FALSE(r.finish().error.empty());
  CHECK_FALSE(has_children());
}

TEST_CASE("a program that runs out of time is killed with its children") {
  runner r;
  program_options options;
  options.timeout = base::duration(100);
  r.start({"sh", "-c", "echo begun; sleep 600 & sleep 600"}, options);
  const auto tree_root = r.running->pid();
  const auto result = r.finish();
  CHECK(result.timed_out);
  CHECK_FALSE(result.succeeded());
  CHECK(result.exit.signal == SIGKILL);
  CHECK(process_tree(tree_root).empty());
}

TEST_CASE("cancelling ends a program; what it wrote is still told") {
  runner r;
  r.start({"sh", "-c", "echo begun; sleep 600"});
  r.running->cancel();
  const auto result = r.finish();
  CHECK(result.cancelled);
  CHECK(result.exit.signal == SIGKILL);
  r.running->cancel();  // harmless afterwards
}

TEST_CASE("a short program does not outlive whoever began it") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const auto parent = ::fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    boost::asio::io_context io;
    const auto running = async_run(io, {"sleep", "600"}, environment, {}, [](const program_result&) {});
    const auto pid = running->pid();
    if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    ::raise(SIGKILL);
  }
  std::int32_t pid = 0;
  REQUIRE(::read(ends[0], &pid, sizeof pid) == sizeof pid);
  base::unique_fd end(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (end) {
    pollfd ended{end.get(), POLLIN, 0};
    CHECK(::poll(&ended, 1, 60'000) == 1);
  } else {
    CHECK(errno == ESRCH);
  }
  ::close(ends[0]);
  ::close(ends[1]);
  REQUIRE(::waitpid(parent, nullptr, 0) == parent);
}

TEST_CASE("only the last bytes of a long output are kept") {
  runner r;
  program_options options;
  options.capture = 1000;
  r.start({"seq", "1", "100000"}, options);
  const auto result = r.finish();
  CHECK(result.output.size() == 1000);
  CHECK(result.output.substr(result.output.size() - 8) == "\n100000\n");
}

TEST_CASE("something that a program leaves behind with its output does not hold up the result") {
  runner r;
  r.start({"sh", "-c", "echo done; (setsid sleep 20 &)"});
  const auto result = r.finish();
  CHECK(result.exit.code == 0);
  CHECK(result.output == "done\n");
}

TEST_CASE("no descriptor of ours and no blocked or ignored signal reaches a program") {
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  runner r;
  r.start({"sh", "-c",
           "ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status; ps -o sid= -o pid= -p $$ | "
           "awk '{print ($1==$2)}'"});
  const auto result = r.finish();
  ::sigaction(SIGPIPE, &before, nullptr);
  CHECK(result.output == "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n1\n");
}

TEST_CASE("as root a program runs as the user it is given", "[root]") {
  if (::geteuid() != 0) return;
  runner r;
  program_options options;
  options.uid = 65534;
  options.gid = 65534;
  r.start({"sh", "-c", "id -u; id -G"}, options);
  CHECK(r.finish().output == "65534\n65534\n");
  CHECK(::geteuid() == 0);
}

TEST_CASE("many programs at once all end") {
  boost::asio::io_context io;
  int ended = 0;
  program_options options;
  for (int i = 0; i < 60; ++i)
    async_run(io, {"sh", "-c", "exit " + std::to_string(i)}, environment, options, [&ended, i](program_result r) {
      CHECK(r.exit.code == i);
      ++ended;
    });
  io.run_for(patience);
  CHECK(ended == 60);
  CHECK_FALSE(has_children());
}

TEST_CASE("a wake-up that was meant for a descriptor closed meanwhile is not taken for the end of a program") {
  runner r;
  const auto dir = std::filesystem::temp_directory_path() / ("hasup-spawner-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  const auto file = (dir / "go-on").string();
  // All become readable in one turn of the loop. The first that is handled closes the others and starts a program,
  // whose descriptors inherit what Asio still has queued for those.
  std::array<base::unique_fd, 3> writers;
  std::vector<std::unique_ptr<boost::asio::posix::stream_descriptor>> readers;
  for (auto& writer : writers) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    writer.reset(ends[1]);
    readers.push_back(std::make_unique<boost::asio::posix::stream_descriptor>(r.io, ends[0]));
  }
  for (auto& reader : readers) {
    reader->async_wait(boost::asio::posix::stream_descriptor::wait_read, [&](const boost::system::error_code& ec) {
      if (ec || r.running) return;
      for (auto& other : readers)
        if (other != reader) other->close();
      r.start({"sh", "-c", "while [ ! -e " + file + " ]; do sleep 0.02; done; exit 7"});
    });
  }
  for (auto& writer : writers) REQUIRE(::write(writer.get(), "x", 1) == 1);
  boost::asio::steady_timer later(r.io, std::chrono::milliseconds(200));
  later.async_wait([&](const boost::system::error_code&) { std::ofstream(file) << "x"; });
  CHECK(r.finish().exit.code == 7);  // a loop that waits for the program never comes to write the file
  std::filesystem::remove_all(dir);
  CHECK_FALSE(has_children());
}
