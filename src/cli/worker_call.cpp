#include "cli/worker_call.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "base/byte_size.hpp"
#include "base/small_file.hpp"
#include "base/unique_fd.hpp"
#include "cli/status_table.hpp"

namespace hasup::cli {
namespace {

constexpr int look_every_ms = 200;
constexpr std::size_t answer_limit = 64U << 20;

// Of job and answers; gone when the call is over, or when another one finds that who made it was killed.
class scratch {
 public:
  scratch() {
    const char* where = std::getenv("TMPDIR");
    const std::string directory = where != nullptr && *where == '/' ? where : "/tmp";
    remove_leftovers(directory);
    path_ = directory + "/" + std::string(lead) + "XXXXXX";
    made_ = ::mkdtemp(path_.data()) != nullptr;
    error_ = errno;
    if (!made_) return;
    lock_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (lock_) ::flock(lock_.get(), LOCK_EX | LOCK_NB);
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() {
    std::error_code ignored;
    if (made_) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string problem() const {
    return made_ ? "" : base::errno_error("make " + path_, error_).message + "; TMPDIR names another place";
  }
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  static constexpr std::string_view lead = "hasup-snapshot-";

  // Of this user, not locked by anybody, and old enough that nobody is about to lock it.
  static void remove_leftovers(const std::string& directory) {
    namespace fs = std::filesystem;
    constexpr auto about_to = 60;  // seconds
    std::error_code failed;
    for (fs::directory_iterator at(directory, failed), end; !failed && at != end; at.increment(failed)) {
      if (!at->path().filename().string().starts_with(lead)) continue;
      const base::unique_fd fd(::open(at->path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      struct stat st {};
      if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_uid != ::geteuid() || ::time(nullptr) - st.st_mtime < about_to)
        continue;
      std::error_code ignored;
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) fs::remove_all(at->path(), ignored);
    }
  }

  std::string path_;
  base::unique_fd lock_;
  bool made_ = false;
  int error_ = 0;
};

std::string worker_program() {
  std::array<char, PATH_MAX> self{};
  const auto n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  std::string path(self.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  path.resize(path.rfind('/') + 1);
  return path + "hasup-worker";
}

// In the child. A group of its own: Ctrl-C is this program's to pass on. It ends in order when this program is
// killed.
[[noreturn]] void become_worker(const std::string& program, const std::string& job, const std::string& complaints,
                                const std::string& home, int input, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  if (!home.empty()) ::setenv("HOME", home.c_str(), 1);
  const int null = input >= 0 ? input : ::open("/dev/null", O_RDONLY);
  const int said = ::open(complaints.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::dup2(null, STDIN_FILENO);
  ::dup2(said, STDOUT_FILENO);
  ::dup2(said, STDERR_FILENO);
  ::close_range(3, ~0U, 0);
  std::array<char*, 3> words{const_cast<char*>(program.c_str()), const_cast<char*>(job.c_str()), nullptr};
  ::execv(program.c_str(), words.data());
  const auto why = base::errno_error("start " + program).message + "; install it beside hasup\n";
  write_all(STDERR_FILENO, why);
  ::_exit(127);
}

class progress_view {
 public:
  explicit progress_view(const context& c) : c_(c) {}
  ~progress_view() {
    if (drawn_) write_all(STDERR_FILENO, "\r\x1b[K");
  }
  progress_view(const progress_view&) = delete;
  progress_view& operator=(const progress_view&) = delete;

  void show(const ports::worker_progress& p) {
    if (c_.err.interactive) {
      auto line = progress_line(p, c_.err);
      const auto width = c_.err.width > 1 ? c_.err.width - 1 : 1;
      terminal plain = c_.err;
      plain.colour = false;
      if (const auto bare = progress_line(p, plain); display_width(bare) > width) line = shorten(bare, width);
      write_all(STDERR_FILENO, "\r\x1b[K" + line);
      drawn_ = true;
      return;
    }
    if (c_.call.json) return;
    const auto line = phase_line(p);
    if (line.empty() || line == last_) return;
    last_ = line;
    write_all(STDERR_FILENO, line + "\n");
  }

 private:
  const context& c_;
  std::string last_;
  bool drawn_ = false;
};

int wait_for(pid_t child, const std::function<void()>& look) {
  const base::unique_fd handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  unsigned passed_on = 0;
  int status = 0;
  while (true) {
    pollfd waiting{handle.get(), POLLIN, 0};
    ::poll(&waiting, handle ? 1 : 0, look_every_ms);
    const auto ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) return status;
    if (const auto wanted = interruptions(); wanted > passed_on) {
      ::kill(child, passed_on == 0 ? SIGTERM : SIGKILL);
      ++passed_on;
    }
    look();
  }
}

}  // namespace

std::string progress_line(const ports::worker_progress& p, const terminal& t) {
  control::recovery_status r;
  r.phase = p.phase;
  r.snapshot = p.snapshot.empty() ? p.source : p.snapshot;
  r.bytes_done = p.bytes_done;
  r.bytes_total = p.bytes_total;
  r.bytes_per_s = p.bytes_per_s;
  if (p.bytes_total && p.bytes_per_s > 0 && *p.bytes_total > p.bytes_done)
    r.eta_s = (*p.bytes_total - p.bytes_done) / p.bytes_per_s;
  return render_progress(r, {}, t);
}

std::string phase_line(const ports::worker_progress& p) {
  const auto size = p.bytes_total ? fmt::format(" ({})", base::format_byte_size(*p.bytes_total)) : std::string();
  if (p.phase == "fetch")
    return fmt::format("fetching {}{} from {}", printable(p.snapshot), size, printable(p.source));
  if (p.phase == "seed")
    return fmt::format("looking for parts of {} in what is at hand{}", printable(p.snapshot), size);
  if (p.phase == "verify") return fmt::format("verifying {}{}", printable(p.snapshot), size);
  if (p.phase == "create") return fmt::format("packing {}{} to {}", printable(p.snapshot), size, printable(p.source));
  if (p.phase == "wait")
    return fmt::format("waiting for another run to let go of {}{}", printable(p.source), printable(p.snapshot));
  if (p.phase == "examine") return fmt::format("reading {}{}", printable(p.snapshot), size);
  return {};
}

worker_answer call_worker(const context& c, ports::worker_job job, const std::string& home,
                          const std::string& secret) {
  worker_answer out;
  catch_interrupts();  // first: nobody removes what was made before
  const scratch place;
  if (const auto problem = place.problem(); !problem.empty()) {
    out.result = ports::internal_failure(problem);
    return out;
  }
  const auto job_file = place.file("job.json");
  const auto complaints = place.file("stderr");
  job.result_path = place.file("result.json");
  job.progress_path = place.file("progress.json");
  {
    const auto text = ports::encode(job);
    const base::unique_fd fd(::open(job_file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd || !write_all(fd.get(), text)) {
      out.result = ports::internal_failure(base::errno_error("write " + job_file).message);
      return out;
    }
  }
  // The pipe holds it all: nobody has to wait for the other.
  std::array<int, 2> ends{-1, -1};
  if (!secret.empty() && ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    out.result = ports::internal_failure(base::errno_error("pipe").message);
    return out;
  }
  const base::unique_fd input(ends[0]);
  {
    const base::unique_fd write_end(ends[1]);
    if (write_end) write_all(write_end.get(), secret);
  }
  const auto program = worker_program();
  const auto self = ::getpid();
  const auto child = ::fork();
  if (child < 0) {
    out.result = ports::internal_failure(base::errno_error("fork").message);
    return out;
  }
  if (child == 0) become_worker(program, job_file, complaints, home, input.get(), self);
  int status = 0;
  {
    progress_view view(c);
    status = wait_for(child, [&] {
      const auto text = base::read_small_file(job.progress_path, answer_limit);
      if (!text) return;
      auto p = ports::decode_progress(*text);
      if (!p) return;
      view.show(*p);
      out.last = std::move(*p);
    });
  }
  out.interrupted = interrupted();
  const auto text = base::read_small_file(job.result_path, answer_limit);
  if (text) {
    auto result = ports::decode_result(*text);
    out.result = result ? std::move(*result) : ports::internal_failure("hasup-worker: " + result.error().message);
    return out;
  }
  auto why = WIFSIGNALED(status) ? fmt::format("it was killed by signal {}", WTERMSIG(status))
                                 : fmt::format("it exited with {}", WEXITSTATUS(status));
  if (const auto said = base::read_small_file(complaints, 1U << 20); said && !said->empty())
    why += ": " + said->substr(0, said->find('\n'));
  out.result = ports::internal_failure("hasup-worker gave no answer: " + why);
  return out;
}

}  // namespace hasup::cli
