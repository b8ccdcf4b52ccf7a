// Asks what a model::probe says and tells what came back: the one door to the network and exec checks.
//
//   prober::start -> every check at once -> each: passed | failed | unknown -> one probe_result, on the loop
//
// Promises: nothing here blocks the loop (names and owners of ports are looked up on threads of their own); the
// handler is called exactly once, never from inside start(), and at the latest about `timeout` after it; a destroyed
// handle drops the handler; an answer never takes more than 1 MiB.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/duration.hpp"
#include "base/result.hpp"
#include "model/exit_status.hpp"
#include "model/probe.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::probe {

// unknown: it could not be asked (no descriptor left, no permission, the daemon itself was held up) or cannot be told
// yet (a first look cannot see whether a number grows). A refused connection, a timeout and a bad answer are failed.
enum class outcome { passed, failed, unknown };
inline constexpr base::enum_names<outcome, 3> outcome_names{
    {{{outcome::passed, "passed"}, {outcome::failed, "failed"}, {outcome::unknown, "unknown"}}}};

// One condition of a check's `body_matches` or `expect`, for those who explain a probe.
struct condition_result {
  outcome out = outcome::unknown;
  std::string text;        // "head_block_time is 34s old (limit 10s)"
  bool freshness = false;  // it is about how far behind the node is, not about whether it works

  friend bool operator==(const condition_result&, const condition_result&) = default;
};

struct check_result {
  outcome out = outcome::unknown;
  std::string reason;  // "passed", possibly with a note, or why it did not
  std::optional<model::head> head;
  std::chrono::microseconds latency{0};
  std::vector<condition_result>
      conditions;         // that of body_matches first, then those of `expect`; empty when no answer came
  bool answered = false;  // it passed, or what it lacks is only freshness: the node has started, and may be behind
};

// failed when any check failed, else unknown when any is unknown, else passed.
struct probe_result {
  outcome out = outcome::unknown;
  std::string reason;                // of the first check that made it so, or "passed"
  std::optional<model::head> head;   // each part from the first check that found it, also when the probe failed
  std::vector<check_result> checks;  // in the order of the probe
  bool answered = false;             // every check is
};

// What a run wrote from some byte of its output on: whole lines, and where to go on.
struct output_piece {
  std::string text;
  std::uint64_t next = 0;
};

// Who answers for a unit that has no API of its own.
struct stand_in {
  std::string down;  // why it cannot be asked; "" = it runs
  std::int32_t main_pid = 0;
};

// Whom the probe is about.
struct target {
  std::int32_t main_pid = 0;               // 0: nobody; port_owner is not asked
  std::map<std::string, std::string> env;  // the rest is for exec
  std::optional<unsigned> uid, gid;
  std::vector<unsigned> groups;
  std::string directory;
  // For log: reads what is in memory already, so that the loop may. Not set: there is no run.
  std::function<base::result<output_piece>(std::uint64_t from)> output;
  // For `through`: that unit, as it is now. Not set: nobody knows it.
  std::function<stand_in(const std::string& unit)> through;
};

// How an exec check runs its program; the daemon gives the one place that forks. `done` is called from the loop, not
// from inside the runner; the returned function kills the program, and a `done` that still comes after it is ignored.
struct exec_request {
  std::vector<std::string> command;
  std::map<std::string, std::string> env;
  std::optional<unsigned> uid, gid;
  std::vector<unsigned> groups;
  std::string directory;
  base::duration timeout{0};
  std::size_t capture = 64 * 1024;  // bytes of standard output and error to keep
};
struct exec_result {
  std::string start_error;  // the program could not be started at all; "" = it ran
  model::exit_status status;
  std::string output;
  bool timed_out = false;
};
using exec_runner =
    std::function<std::function<void()>(const exec_request& request, std::function<void(exec_result)> done)>;

struct session_state;

// What one probe of one run remembers from one time to the next: kept-alive connections, the numbers that must grow,
// who was seen to own a port. Make one for each role at each start of the process; it ends before the io_context
// does.
class session {
 public:
  session();
  ~session();
  session(session&&) noexcept;
  session& operator=(session&&) noexcept;

 private:
  friend class prober;
  std::shared_ptr<session_state> state_;
};

class prober {
  struct run;

 public:
  // Without a runner exec checks are unknown. The io_context outlives the prober and all handles.
  explicit prober(boost::asio::io_context& io, exec_runner runner = {});
  ~prober();
  prober(const prober&) = delete;
  prober& operator=(const prober&) = delete;

  // Cancels on destruction: connections are closed, programs killed, the handler is dropped.
  class handle {
   public:
    handle() = default;
    handle(handle&&) noexcept = default;
    handle& operator=(handle&& other) noexcept;
    ~handle() { cancel(); }
    void cancel();

   private:
    friend class prober;
    explicit handle(std::shared_ptr<run> r) : run_(std::move(r)) {}
    std::shared_ptr<run> run_;
  };

  using handler = std::function<void(probe_result)>;

  // The session must belong to this very probe; a probe that is still running in it does no harm.
  [[nodiscard]] handle start(const model::probe& probe, const target& whom, session& memory, handler done);
  // Asks once, remembering nothing.
  [[nodiscard]] handle start(const model::probe& probe, const target& whom, handler done);

  // How long one who asks at an interval waits for the first time, more than 0 and at most the interval: so that
  // many who begin together are spread over it evenly.
  [[nodiscard]] base::duration next_phase(base::duration interval);

 private:
  struct shared;
  std::shared_ptr<shared> shared_;
  std::uint32_t phases_ = 0;  // given
};

}  // namespace hasup::probe
