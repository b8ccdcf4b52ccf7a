// The daemon's hand on one shim: finds or starts it, sends it commands, tells what happens. Everything runs on the
// event loop and nothing blocks; events are never delivered from inside a call into the client, and none after
// close() or destruction. A shim outlives its client: destruction only lets go of it.
//
//   open() -> shim_connected -> run() -> shim_started -> shim_main_exited -> shim_tree_empty -> run() …
//                                     -> shim_exec_failed
//   at any time: shim_lost (open() again starts a new shim; when its status says `orphaned`, attach() takes over)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/duration.hpp"
#include "base/enum_names.hpp"
#include "base/result.hpp"
#include "model/exit_status.hpp"
#include "process/shim_protocol.hpp"
#include "process/shim_record.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::process {

inline constexpr base::enum_names<shim_phase, 7> shim_phase_names{{{{shim_phase::idle, "idle"},
                                                                    {shim_phase::spawning, "spawning"},
                                                                    {shim_phase::running, "running"},
                                                                    {shim_phase::exited, "exited"},
                                                                    {shim_phase::tree_empty, "tree_empty"},
                                                                    {shim_phase::exec_failed, "exec_failed"},
                                                                    {shim_phase::orphaned, "orphaned"}}}};

struct directories {
  std::string state;          // absolute, may be longer than a socket address
  std::string run;            // absolute
  std::string shim_program;   // absolute path of hasup-shim
  std::string shim_cgroup{};  // where shims go; "" = they stay where the daemon is
};

struct rlimit_value {
  int resource = 0;  // RLIMIT_…
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

struct log_settings {
  std::string path;            // absolute; "" = keep only the evidence
  std::uint64_t max_size = 0;  // 0 = never rotate
  unsigned max_files = 0;
  bool daily = false;

  friend bool operator==(const log_settings&, const log_settings&) = default;
};

struct run_request {
  std::uint64_t run = 0;  // never 0, greater than the last one: status.run + 1 will do
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string directory = "/";
  std::optional<unsigned> uid;  // none of the three: the daemon's own
  std::optional<unsigned> gid;
  std::vector<unsigned> groups;
  int umask = 022;
  std::optional<int> nice;
  int oom_score_adjust = 0;
  std::vector<rlimit_value> limits;
  log_settings log;
  std::uint64_t capabilities = 0;      // a bit each; as another user than root only these
  std::string cgroup;                  // of the node; "" = that of its shim
  std::vector<std::string> data_dirs;  // nobody else may run on them
};

// For a run that goes on, and all processes of its tree. Only what it names is changed.
struct adjustment {
  std::vector<rlimit_value> limits;
  std::optional<int> nice;
  std::optional<int> oom_score_adjust;
  std::optional<log_settings> log;  // its path stays what it is

  [[nodiscard]] bool empty() const { return limits.empty() && !nice && !oom_score_adjust && !log; }
};

struct shim_status {
  shim_phase phase = shim_phase::idle;
  std::uint64_t run = 0;
  std::int32_t shim_pid = 0;
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;
  model::exit_status exit;    // meaningful from `exited` on; lost = unknown
  bool tree_alive = false;    // spawning, running, exited or orphaned
  bool attached = false;      // the shim is not the parent: the exit will be `lost`
  bool from_outside = false;  // the run never was a child of any shim
  bool lease_expired = false;
  bool in_cgroup = false;  // the node runs in the cgroup of its request
  // By the kernel on the whole machine while it ran, see shim_record; nothing: not known, or it has not ended.
  std::optional<unsigned> machine_oom_kills;
  bool kill_sent = false;               // SIGKILL went to it by way of its shim
  unsigned oom_kills = 0;               // of this run
  std::optional<base::duration> lived;  // from its start to its end; nothing: it runs, or nobody saw it end
  std::uint64_t logs_dropped = 0;       // lines of this run
  std::optional<base::wall_time> started_at;
  std::optional<base::wall_time> exited_at;
  std::optional<base::wall_time> tree_empty_at;
  std::string exec_error;  // of exec_failed
};

// Also the answer to a run() that came while another run was alive: that one goes on, nothing was started.
struct shim_connected {
  shim_status status;
};
struct shim_started {
  std::uint64_t run;
  std::int32_t pid;
  std::uint64_t start_time;
};
struct shim_exec_failed {  // the run did not begin; nothing of it is alive
  std::uint64_t run;
  std::string message;  // with the remedy
  int code;             // errno, or 0
};
struct shim_main_exited {
  std::uint64_t run;
  model::exit_status exit;
  base::wall_time at;
};
struct shim_tree_empty {
  std::uint64_t run;
  std::uint64_t logs_dropped;
};
struct shim_logs_dropped {  // so many of this run; said again when there are more
  std::uint64_t run;
  std::uint64_t lines;
};
struct shim_not_adjusted {  // part or all of it; the next run will have it
  std::uint64_t run;
  std::string message;
};
struct shim_lost {                  // it died, or could not be started
  std::optional<shim_status> last;  // from its record
  std::string message;
};
struct shim_busy {  // somebody holds the claim, but does not answer
  std::string message;
};
using shim_event = std::variant<shim_connected, shim_started, shim_exec_failed, shim_main_exited, shim_tree_empty,
                                shim_logs_dropped, shim_not_adjusted, shim_lost, shim_busy>;

class shim_client {
 public:
  // name: "UNIT@N", also the file name of claim, record, evidence and socket
  shim_client(boost::asio::io_context& io, directories dirs, std::string name,
              std::function<void(const shim_event&)> on_event);
  ~shim_client();
  shim_client(const shim_client&) = delete;
  shim_client& operator=(const shim_client&) = delete;

  // Connects to the living shim, else starts one. Ends in shim_connected, shim_lost or shim_busy.
  void open();
  // From shim_connected on, until the connection is lost.
  [[nodiscard]] bool connected() const;
  // Somebody holds the claim: a shim is alive, even if it does not answer.
  [[nodiscard]] bool claimed() const;
  // The latest that was heard; asked anew by refresh_status().
  [[nodiscard]] const shim_status& status() const;

  // Whether this shim, which may be of an older version, heeds everything that the request says. When not, it must
  // make way for a new one before (exit_shim, open): it would leave out the rest without a word.
  [[nodiscard]] bool heeds(const run_request& request) const;

  // Commands. When they cannot be carried out because the shim is gone, shim_lost says so.
  // A request that this shim has carried out before is answered with the events that followed, not repeated.
  void run(const run_request& request);
  // To the main process, or to every process of the tree. Of the run that the client knows, never of a later one.
  // SIGKILL to the tree is repeated by the shim until the tree is empty. What a shim did not live to answer is sent
  // again once the next one has attached: rather twice than not at all.
  void signal(int number, bool whole_tree);
  // Of the run that the client knows. Says nothing when it is done, shim_not_adjusted otherwise.
  void adjust(const adjustment& to);
  // A new shim takes over the process of a dead one. Ends in shim_started, or in main_exited{lost} and tree_empty.
  // data_dirs as in run_request; a lock that cannot be had is no reason to leave the process alone.
  // log: of a process that was under no shim before, as far as its output can be had.
  void attach(std::int32_t pid, std::uint64_t start_time, std::uint64_t run,
              const std::vector<std::string>& data_dirs = {}, const log_settings& log = {});
  // The dead-man timer: unless renewed by valid_until_boot_ms (CLOCK_BOOTTIME), the shim itself acts. 0: no lease.
  void lease(std::uint64_t valid_until_boot_ms, lease_action action, int signal_number);
  void refresh_status(std::function<void(const shim_status&)> then);
  // The shim writes its logs out and ends (shim_lost follows); it refuses while a tree is alive.
  void exit_shim();
  // Lets go; the shim and its node live on.
  void close();

 private:
  class state;
  std::shared_ptr<state> state_;
};

// The record of a shim, alive or not.
std::optional<shim_status> read_record(const directories& dirs, const std::string& name);
std::optional<shim_record> read_raw_record(const directories& dirs, const std::string& name);
bool is_claimed(const directories& dirs, const std::string& name);
// Record and evidence of an instance that nobody will ask about again, and those of its hooks and its worker. The
// claims stay: a lock on a file that has lost its name would hold nobody off. False: a shim of it is alive, ask
// again.
bool remove_shim_files(const directories& dirs, const std::string& name);
// Names whose claim is held: what a new daemon adopts.
std::vector<std::string> claimed_instances(const directories& dirs);
// What shims have left behind, by name, from one walk over claims and records.
struct shim_traces {
  // Whose claim is held, and the dead whose record says that their run was not over, in this boot: part of its tree
  // may live on, which only a new shim can find out.
  std::set<std::string> unfinished;
  std::map<std::string, std::uint64_t> last_runs;  // that any shim was asked for in this boot
  std::set<std::string> ever_ran;                  // in whatever boot
};
shim_traces find_traces(const directories& dirs);
// What the run wrote last, oldest first, beginning with a whole line.
base::result<std::string> read_evidence(const directories& dirs, const std::string& name, std::uint64_t run);

// The whole lines that a run wrote from byte `from` on, counted from its beginning; of more than 64 KiB the last
// ones.
struct output_piece {
  std::string text;
  std::uint64_t next = 0;  // where to go on
};
// `run` 0: whichever was the last one.
base::result<output_piece> read_output(const directories& dirs, const std::string& name, std::uint64_t run,
                                       std::uint64_t from);

}  // namespace hasup::process
