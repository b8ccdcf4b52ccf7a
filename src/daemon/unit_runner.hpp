// Carries out what the unit machine decides for one instance, and brings back what happens as events.
//
//   events ──> queue ──> unit::next ──> actions ──> shim, probes, worker, recovery ──> events
//
// Everything runs on the loop. Events are queued and handled one after the other from the loop, never from inside the
// call that brought them: whoever calls dispatch() finds the runner as it was.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "control/status.hpp"
#include "control/why.hpp"
#include "daemon/intent.hpp"
#include "daemon/launch.hpp"
#include "daemon/node_logs.hpp"
#include "daemon/outsider.hpp"
#include "daemon/probe_loop.hpp"
#include "daemon/recovery_host.hpp"
#include "daemon/recovery_runner.hpp"
#include "daemon/unit_host.hpp"
#include "daemon/worker_runner.hpp"
#include "health/answer.hpp"
#include "journal/file_journal.hpp"
#include "process/process_tree.hpp"
#include "process/spawner.hpp"
#include "recovery/machine.hpp"
#include "recovery/milestones.hpp"
#include "unit/machine.hpp"
#include "unit/memory_guard.hpp"
#include "unit/space_guard.hpp"
#include "upstream/server_list.hpp"

namespace hasup::probe {
class lane;
}

namespace hasup::daemon {

class hook_run;
class reference_watch;

class unit_runner : public std::enable_shared_from_this<unit_runner>, private recovery_host {
 public:
  unit_runner(unit_host& host, daemon_services& services, model::unit unit, std::optional<model::recipe> recipe,
              std::string effective_toml);
  ~unit_runner() override;

  // Before anything else: what the intent file said, and the journal of a recovery that was under way.
  void restore(instance_intent intent, base::result<std::vector<std::string>> journal);
  // A shim of this instance is alive: takes its process over as it is.
  void adopt();
  // Of all the claims that are held, those of hooks of this instance: they are waited for before anything is started.
  void await_earlier_hooks(const std::set<std::string>& claims);
  // A worker of an earlier hasupd is there: it is ended, unless a recovery goes on with it.
  void clear_left_worker() {
    if (!parked_ || journal_is_damaged()) worker_.clear_left();
  }
  // As far as the intent file knows; its shim may have died since.
  bool was_running() const { return running_fingerprint_ != 0; }
  bool undecided() const { return undecided_; }
  health::instance_view health_view() const;
  bool recovery_serves() const { return recovery_active() && !beside_ && recovery_->serves(); }

  void dispatch(unit::event e);
  // A recovery asked for by a person, with its options.
  void recover(std::string why, recovery_options options);
  // unit_group.cpp: what is restored as one set. As far as it is, for the others of its group.
  recovery::member_view group_view() const;
  // Begins to be restored from backup `set` with `leader`, or notes why it cannot be, which may be `instead`.
  void follow(const std::string& leader, const std::string& set, const std::string& instead);
  // That it could not be is no answer to who asks anew.
  void forget_giving_up();
  void on_group();
  // A first start waits for what the unit requires; something of that may be there now.
  void look_at_requirements();
  void cancel_recovery();
  // What to do instead, of one that has replaced the state already; "" = it is not too late, or there is none.
  std::string too_late_to_cancel() const;
  void approve_recovery();  // of one that asks
  // It is prepared, and a person must say yes; the node may still run.
  bool asks() const;
  std::string how_to_answer() const;  // where it asks
  // After the swap of a recovery that runs or is parked. False: no old state is there to come back.
  bool roll_back();
  // What it waits for that a roll back needs too; "" = nothing.
  [[nodiscard]] std::string why_no_roll_back() const;
  // Its node is down, and a recovery is at work, or will be by itself, that has not touched the data yet.
  bool is_about_to_recover() const;
  // A recovery has deleted the old state and is not confirmed: there is no way back.
  bool wiped() const;
  // A new spec for the next start; probes, limits of time and policies apply at once. During a recovery: after it.
  // `all_probes`: also those that say the same begin anew.
  void replace_spec(model::unit unit, std::optional<model::recipe> recipe, std::string effective_toml,
                    bool all_probes = true);

  // Of the DNS names of its upstreams. What it runs with stays as it is.
  void know_addresses(const model::address_book& known);

  // A person has mended what was wrong: start limit, failed starts, recovery budget and bad snapshots are forgotten.
  void reset();

  // start --adopt: finds the process that somebody else started on this unit's data. False: busy with a check.
  bool find_outsider(std::function<void(base::result<outsider>)> then);
  // And takes it over as it is.
  void adopt_outsider(outsider who);

  // For the next run only: arguments behind the command, and whether it may begin without its state, which a person
  // says.
  void for_next_run(std::vector<std::string> arguments, bool from_nothing) {
    once_ = std::move(arguments);
    from_nothing_ = from_nothing;
  }
  void forget_once() { for_next_run({}, false); }
  // Checks the configuration with check_command and sends reload_signal. `done` gets "" or why it was not sent.
  void reload(std::function<void(std::string)> done);
  // unit_proxy.cpp: the endpoints of [proxy] upstream as they are now.
  void look_at_servers(const model::upstream& role, const std::vector<upstream::server_view>& all,
                       const std::string& chosen);
  // Why a start waits for its list; "" = it need not.
  [[nodiscard]] std::string why_no_list() const;
  // unit_endpoints.cpp: which endpoint of its upstreams it uses, by the word behind "upstream.".
  [[nodiscard]] std::string endpoint_for_start(const std::string& word) const;
  [[nodiscard]] std::string endpoint_for_run(const std::string& word) const;
  [[nodiscard]] upstream::own_memory own_endpoints(const std::string& word) const;
  // A run with the endpoint that the role has chosen is a follower, one that the role goes back from is apart:
  // whether that changed.
  bool follow_choices();
  // To the main process; false when there is none.
  bool send_signal(int number);

  const model::unit& spec() const { return unit_; }
  bool runs_on(const std::string& effective_toml, const std::optional<model::recipe>& recipe) const {
    return effective_toml_ == effective_toml && recipe_ == recipe && !pending_spec_;
  }
  const std::optional<model::recipe>& recovery_recipe() const { return recipe_; }
  const unit::memory& memory() const { return memory_; }
  instance_intent intent() const;
  // Of one that is not configured any more.
  instance_intent what_stays() const;
  model::unit_state state() const { return unit::name_of(memory_.now); }
  bool at_rest() const;  // nothing of it runs or is being started, no hook of an earlier hasupd either
  // Not even a shim or a worker is left.
  bool gone() const { return at_rest() && (!shim_ || !shim_->connected()) && !worker_.busy(); }
  // The host hears of a change then.
  void tell_when_worker_ends();
  bool recovery_active() const;
  // A recovery goes on with what it began with, and one that is parked in the directory where it began: that spec
  // applies when it is over.
  bool recovers_before(const model::unit& next) const;
  // What its recovery will still write, and where.
  std::optional<recovery::room_promised> promised_room() const;
  // A recovery that is not going on was left beyond its swap: nobody may open the data.
  bool half_restored() const;
  // Its journal is there and cannot be read or understood.
  bool journal_is_damaged() const { return parked_ && !journaled(); }
  // And the node runs: what is wrong, that it is left running, and what to do; "" = nothing is.
  std::string journal_trouble() const;
  // The last recovery deleted the old state and found no other; until a recovery or a person puts one there.
  bool emptied() const { return emptied_; }
  // What a recovery would do, after asking the sources; false when a recovery or a check is under way.
  using dry_run_answer = std::function<void(base::result<recovery::plan_description>)>;
  bool dry_run(recovery_options options, dry_run_answer then);
  bool wants_restart_for_spec() const {
    return pending_spec_ || (running_fingerprint_ != 0 && running_fingerprint_ != unit_.fingerprint);
  }
  // It does only because names of its upstreams have other addresses.
  bool lists_other_addresses() const {
    return !pending_spec_ && running_fingerprint_ != 0 && running_fingerprint_ != unit_.fingerprint &&
           running_by_names_ != 0 && running_by_names_ == unit_.by_names;
  }
  // The names of upstreams that have; or of those only that it is to be restarted for.
  std::vector<std::string> names_that_changed(bool to_restart_for = false) const;
  std::vector<std::int32_t> pids() const;
  std::uint64_t run_number() const { return run_; }
  std::int32_t main_pid() const { return pid_; }  // 0: none
  bool drains() const;  // load balancers are told that it will stop; it was not asked to yet
  bool restart_seen() const { return queue_.empty(); }  // nothing that was asked for is still on its way
  // Health, memory, requirements and schedules do nothing to what runs while it is on, no recovery begins, and nobody
  // is alerted.
  void set_maintenance(bool on);
  // Wanted up again after a reboot, although it is stopped now: the machine goes down.
  void return_after_boot() { back_after_boot_ = memory_.desired == model::desired::up || back_after_boot_; }
  bool watches_memory() const;  // memory_restart is set and it runs
  void sample_memory();
  bool watches_space() const;  // data.min_free is set and it runs
  // Nothing: the file system does not answer.
  // One of unit::watched_dirs.
  void on_space(const std::string& dir, const base::result<unit::room_left>& room);
  std::string taken_down_by;  // the unit whose stop took this one down; "" = none

  struct held_back {
    std::string then;  // what happens to it when maintenance ends; "" = nothing
    std::string why;
  };
  held_back held_by_maintenance() const;
  // The file system that a recovery is at work on; 0: none, or it is not known.
  std::uint64_t recovers_on() const { return recovery_active() && !asks() ? device_ : 0; }
  std::uint64_t device() const { return device_; }
  // Others have begun, or ended, a recovery.
  void disks_changed() { follow_prefetch(); }
  control::instance_status status();
  control::instance_story story(const std::vector<control::event>& events);

 private:
  // recovery_host
  const model::unit& unit() const override { return unit_; }
  const model::recipe& recipe() const override { return *recipe_; }
  void run_worker(ports::worker_job job) override;
  std::function<std::shared_ptr<unit_runner>()> for_this_recovery();
  void take_up_worker(ports::candidate of) override;
  void cancel_worker() override;
  void quiesce(bool readers) override;
  void release_readers() override;
  void start_node(std::vector<std::string> append, std::vector<std::string> instead) override;
  void stop_node() override;
  void not_spawned();
  std::vector<std::string> group_members() const override { return host_.group_members(*this); }
  void begin_group() override { host_.begin_group(*this); }
  bool group_asks() const override { return host_.group_asks(*this); }
  void call_group(const std::vector<std::string>& members, const std::string& set) override;
  std::vector<recovery::member_view> group_views() const override { return host_.group_views(*this); }
  void group_moved() override { host_.group_moved(*this); }
  void journal(std::string record, std::function<void()> then) override;
  void journal_clear(std::function<void()> then) override;
  bool count_recovery();
  void report(std::string kind, std::string reason) override;
  void show_progress() override;
  recovery::others_seen others() override;
  void discard_archives(std::vector<std::string> names, std::vector<std::string> sha256) override;
  void finished(recovery_outcome outcome, std::string reason) override;
  base::mono_time now() const override;
  base::wall_time wall_now() const override;
  void start_timer(base::duration after) override;
  void cancel_timer() override;

  bool is_down() const;
  void note_what_waits(instance_intent& out) const;
  void drain();
  void perform(const unit::action& a);
  void on(const unit::prepare&);
  void on(const unit::cancel_prepare&);
  void on(const unit::spawn&);
  void on(const unit::send_stop&);
  void on(const unit::send_signal&);
  void on(const unit::term_tree&);
  void on(const unit::kill_tree&);
  void on(const unit::start_timer&);
  void on(const unit::cancel_timers&);
  void on(const unit::start_startup_probe&);
  void on(const unit::start_steady_probes&);
  void on(const unit::stop_probes&);
  void on(const unit::begin_recovery&);
  void on(const unit::prepare_recovery&);
  void on(const unit::resume_recovery&);
  void on(const unit::stop_recovery&);
  void on(const unit::approve_recovery&);
  void on(const unit::leave_endpoint&);
  void on(const unit::emit&);

  // unit_shim.cpp: the process, by way of its shim
  void open_shim();
  void open_shim_later();
  void on_shim(const process::shim_event& e);
  void on(const process::shim_connected&);
  void on(const process::shim_started&);
  void on(const process::shim_exec_failed&);
  void on(const process::shim_main_exited&);
  void on(const process::shim_tree_empty&);
  void on(const process::shim_logs_dropped&);
  void on(const process::shim_not_adjusted&);
  void on(const process::shim_lost&);
  void on(const process::shim_busy&);
  void open_for_run(std::vector<std::string> append);
  void request_run();
  [[nodiscard]] bool may_request_run() const;
  void send_run();
  void replace_shim(std::vector<std::string> append);
  void spawn_refused(int error, const std::string& why);
  std::string program() const;
  model::unit as_import() const;
  void start_refused(unit::classification classified, const std::string& why);
  void mark_node_logs(std::function<void()> then);
  void look_at_room(const process::shim_main_exited& e, const std::string& node_files);
  void exit_explained(const process::shim_main_exited& e, const std::string& node_files);
  std::string evidence_of(const process::shim_main_exited& e, const std::string& node_files) const;
  void main_exited(const process::shim_main_exited& e, const std::string& node_files);
  unit::classification diagnose(const std::string& evidence, const model::exit_status& status);
  void retire_shim();

  // unit_take_over.cpp: what runs already
  bool tells_what_runs(const process::shim_event& e) const;
  void take_over(const process::shim_status& s, std::uint64_t known);
  bool tell_journal_damaged();
  void hold_readers_if_damaged();
  unit::adopted adoption(std::int32_t pid);
  void catch_up(const process::shim_status& s, std::uint64_t asked_for);
  void restart_if_parent_lost();

  // unit_adopt.cpp: a process that somebody else started
  void attach_outsider();
  void outsider_refused(const std::string& why);

  // unit_hooks.cpp: commands around a run
  void spawn_with(std::vector<std::string> append);
  void post_start();
  void end_pre_start(hook_run& hook, std::function<void()> then);
  void signal_stop();
  void send_stop_signal();
  void stop_command_failed(const std::string& why);
  void end_first(std::shared_ptr<hook_run>& hook, std::function<void()> then);
  void earlier_hook_ended(std::string_view name);
  void end_earlier_hook(const std::shared_ptr<hook_run>& hook);
  void when_alone(std::function<void()> then);
  void end_hook(hook_run& hook, std::function<void()> then);
  void after_tree_empty(std::function<void()> then);
  void check_and_reload(std::function<void(std::string)> done);

  // unit_proxy.cpp: the list of servers of [proxy]
  void begin_proxy();
  bool proxy_goes_on(std::uint64_t ticket) const { return proxy_ && proxy_->ticket == ticket; }
  void tell_waiting_start();
  void follow_proxy();
  void write_list();
  void check_list(const std::string& text, const launch& from);
  void list_in_use(bool changed);
  void list_refused(const std::string& text, const std::string& why);
  void answer_proxy(const std::string& why);
  void drop_proxy_candidate();
  void reload_proxy();
  void list_told(const std::string& why_not);
  void send_reload(const std::function<void(std::string)>& done);
  void renew_list(std::function<void(std::string)> then);
  void prepare_list(std::uint64_t ticket);

  // unit_limits.cpp
  void report_limits(bool in_cgroup);
  void renew_limits();
  void adjust_run(const model::unit& was);
  void adjust_what_began_before();
  void drop_leaf();

  // unit_endpoints.cpp
  void take_endpoints();
  [[nodiscard]] std::vector<std::string> words_of(const std::string& upstream) const;
  std::map<std::string, std::string> hosts_of() const;
  void runs_as_configured();
  void runs_unrecorded();
  [[nodiscard]] const model::upstream& role_of(const std::string& word) const;
  [[nodiscard]] std::string after_endpoint(const unit::classification& c) const;
  void forget_left();
  [[nodiscard]] std::string left_story() const;

  // unit_start.cpp: may it be started?
  void prepare(std::uint64_t ticket);
  void prepare_data(std::uint64_t ticket);
  bool comes_back() const;
  void check_data(std::uint64_t ticket);
  void prepare_ended();
  void make_directories(std::uint64_t ticket);
  void inspected(std::uint64_t ticket, const ports::worker_result& r);
  unit::prepared judge(const ports::worker_result& r) const;
  bool waits_for_data(const ports::worker_result& r);
  void clean_up_confirmed(std::uint64_t ticket);
  ports::worker_job inspect_job() const;
  void save_spec();
  void apply_pending_spec();
  void probe_as_now_configured(const model::unit& was, bool all);
  bool parked_elsewhere(const std::string& data_dir) const;

  // unit_probes.cpp
  probe::target probe_target() const;
  void start_probe(model::probe_role role);
  void on_probe(model::probe_role role, const probe_loop::answer& a);
  std::optional<bool> startup_seen() const;
  std::optional<bool> readiness_seen() const;

  // unit_stuck_head.cpp
  bool counts_stuck_restarts() const;
  void liveness_has_failed(const probe_loop::answer& a);
  void tell_liveness_failed(unit::liveness_failed e);
  void look_for_holds(std::function<void(std::string)> then);
  void take_down();
  void own_head_seen(const model::head& head);
  unit::own_head own_head() const;
  bool asks_reference() const;
  bool restored_head_stands() const;  // of a node that a recovery started, for longer than the recipe allows
  void follow_reference();
  unit::others heard_of_others() const;
  std::vector<std::string> stuck_head_story() const;

  void start_recovery_probes();
  void recovery_node_has_started();
  void watch_first_start();
  void look_at_first_start();

  std::string cannot_follow() const;
  void look_before_first_start();
  void looked_before_first_start(const ports::worker_result& r);
  void first_start(const std::vector<std::string>& append);
  void make_recovery();
  void look_for_mount();
  void resume_recovery_now();
  // How far the recovery is that the journal tells of.
  base::result<recovery::progress> journaled() const;
  void read_journal_again();
  void begin_without_journal(recovery_options options);
  bool has_journal() const { return !journal_records_.empty() || !journal_error_.empty(); }
  // The node is started, watched and stopped by the recovery, not by the unit machine.
  bool recovery_has_node() const { return recovery_active() && !beside_; }
  void begin_beside(std::string why, recovery_options options);
  // Would a recovery that a person asks for now be prepared beside the node?
  [[nodiscard]] bool goes_beside() const;
  bool go_on_beside(std::int32_t pid);
  void call_off(const std::string& why);
  void tell_outcome(recovery_outcome outcome, const std::string& reason);
  void tell_late_exit();
  void ended_beside(recovery_outcome outcome, const std::string& reason);
  void await_node_end(base::duration patience, bool asked);
  void node_end_overdue(bool asked);
  void add_room(const recovery::frozen& plan, std::vector<ports::candidate> candidates,
                recovery::plan_description described, dry_run_answer then);
  void start_worker(ports::worker_job job, bool as_daemon,
                    std::function<void(const ports::worker_progress&)> progress,
                    std::function<void(ports::worker_result)> done, std::function<bool()> still_wanted = {});
  // unit_prefetch.cpp: what is fetched before it is needed
  bool may_prefetch() const;
  bool busy_with_others() const;  // the worker, with something that a person or a start waits for
  void follow_prefetch();
  void prefetch_in(base::duration after);
  void look_for_snapshots();
  void choose_prefetch(const recovery::frozen& plan, const ports::worker_result& measured,
                       const ports::worker_result& listed);
  void put_prefetch_off();
  std::optional<recovery::room_promised> prefetch_takes() const;
  void prefetch_ended(const ports::worker_job& job, const ports::worker_result& r);
  void run_prefetch(ports::worker_job job, std::function<void(const ports::worker_result&)> then);
  void prefetch_problem(std::string why);
  bool drop_prefetched(const std::string& why);
  std::optional<control::prefetch_status> prefetch_view() const;
  control::recovery_status recovery_progress() const;
  [[nodiscard]] std::string way_out_of_recovery() const;
  [[nodiscard]] bool starts_after_failure() const;
  void retry_journal(const base::error& e, std::function<void()> again);
  void end_without_journal();
  void abandon_recovery();

  void find_device();
  void note_device(const ports::worker_result& r);
  void publish(const std::string& kind, const std::string& why, std::map<std::string, std::string> detail = {});
  void publish(control::event e);

  unit_host& host_;
  daemon_services& services_;
  model::unit unit_;
  std::optional<model::recipe> recipe_;
  std::string effective_toml_;
  std::string saved_toml_;
  struct spec_change {
    model::unit unit;
    std::optional<model::recipe> recipe;
    std::string effective_toml;
  };
  std::optional<spec_change> pending_spec_;

  unit::memory memory_;
  std::deque<unit::event> queue_;
  bool drain_posted_ = false;
  base::wall_time since_;         // its state is so
  base::wall_time health_since_;  // and its health
  std::vector<std::string> waiting_for_;
  std::minstd_rand random_;

  boost::asio::steady_timer timer_;
  std::uint64_t timer_set_ = 0;  // so many times, or cancelled
  std::optional<base::wall_time> next_attempt_at_;
  std::optional<base::wall_time> stop_ends_at_;   // the stop_timeout that runs
  std::optional<base::wall_time> drain_ends_at_;  // the drain_time that runs
  std::uint64_t prepare_ticket_ = 0;              // an answer to an older question is dropped
  bool stop_waits_for_prepare_ = false;
  std::optional<launch> launch_;
  bool ever_started_ = false;

  std::unique_ptr<process::shim_client> shim_;
  std::optional<std::vector<std::string>> pending_run_;  // append words of a run that waits for the shim
  std::vector<std::string> import_command_;              // what a recovery runs in the node's place; empty = the node
  std::uint64_t run_ = 0;
  std::uint64_t exit_told_of_ = 0;  // the run
  unsigned uncounted_starts_ = 0;   // found with an adoption
  unsigned uncounted_restarts_ = 0;
  bool start_was_counted_ = false;  // among the restarts, by the last daemon, without a run that it knew
  std::uint64_t running_fingerprint_ = 0;
  std::uint64_t running_settings_ = 0;
  std::uint64_t running_by_names_ = 0;                // see model::unit
  std::map<std::string, std::string> running_hosts_;  // as hosts_of() was
  std::uint64_t untold_fingerprint_ = 0;  // of a run whose end waits in queue_: not over yet for the intent file
  std::int32_t pid_ = 0;
  std::optional<base::wall_time> started_at_;
  bool watched_from_start_ = false;  // this run was begun here
  struct probes_said {
    std::optional<bool> startup;
    std::optional<bool> readiness;
  };
  probes_said said_at_exit_;  // they go on while the files of [log] follow are read
  bool adopting_ = false;
  // Adopting, and nobody knows yet what runs: what is asked for waits, or it would be decided for a stopped unit.
  bool undecided_ = false;
  std::deque<unit::event> until_decided_;
  bool shim_replaced_ = false;            // for the run that is about to be asked for
  bool retiring_ = false;                 // exit_shim was asked for
  std::shared_ptr<hook_run> hook_;        // pre_start, post_stop or a late stop_command: what comes next waits for it
  std::shared_ptr<hook_run> post_start_;  // beside the run
  std::shared_ptr<hook_run> stop_hook_;   // stop_command
  std::vector<std::shared_ptr<hook_run>> earlier_hooks_;  // begun by a hasupd that was killed
  std::function<void()> once_alone_;                      // what waits for their end
  bool asked_by_command_ = false;                         // by stop_command; stop_signal has not been sent yet
  std::uint64_t post_started_run_ = 0;
  model::exit_status ended_with_;  // the last run
  bool maintenance_ = false;
  std::string liveness_held_;  // what it would have restarted for
  bool back_after_boot_ = false;
  std::optional<outsider> outsider_;           // until its shim has it
  std::optional<unit::stopping> interrupted_;  // a stop that the last daemon had begun, until its run is found
  std::vector<std::string> once_;              // arguments of the next run, until it has begun
  bool from_nothing_ = false;                  // likewise, whether that may begin without its state
  std::uint64_t tells_of_end_ = 0;             // the event; what came after it says only what is done about it
  base::mono_time drops_reported_at_{};

  // Files of [log] follow. While they are read after an exit, or the disk is asked, what the shim says waits its
  // turn.
  std::shared_ptr<node_logs> node_logs_;
  bool node_logs_marked_ = false;  // for the run that is about to be asked for
  bool explaining_exit_ = false;
  bool full_at_exit_ = false;  // nothing was free where its data is
  std::vector<process::shim_event> held_events_;
  bool shim_answered_ = false;
  std::string shim_silence_;              // why the shim that keeps the unit cannot be asked; "" = it can
  boost::asio::steady_timer shim_timer_;  // before the next attempt, when a shim cannot even be started

  std::map<std::string, upstream::own_memory> own_endpoints_;  // by word

  std::unique_ptr<probe_loop> probes_[3];
  std::string probes_held_[3];  // why their answers do not count, or come to nothing
  std::optional<model::head> head_;
  std::string own_chain_;  // as the node named it last; "" = it never did
  std::unique_ptr<reference_watch> reference_;

  worker_runner worker_;
  bool dry_running_ = false;                // worker_ asks the sources for it
  std::unique_ptr<probe::lane> file_lane_;  // looks at the data directory, whose mount may hang
  std::unique_ptr<probe::lane> room_lane_;  // the same after an exit, until it has answered
  boost::asio::steady_timer room_timer_;    // or has not
  std::vector<std::string> seen_free_;  // the data directories; forgotten when the unit comes to rest or is recovered
  std::unique_ptr<recovery_runner> recovery_;
  recovery_memory recovery_memory_;
  std::optional<recovery_options> recovery_options_;
  recovery::member_view group_refusal_;                  // it was called and cannot follow: gave_up_on and why
  std::optional<std::vector<std::string>> first_start_;  // its extra arguments, while it waits for what is required
  base::mono_time first_start_asked_at_{};
  std::vector<std::string> first_start_waits_for_;  // as told
  std::uint64_t start_look_ = 0;                    // the look at the data that it waits for; 0 = none
  std::uint64_t start_looks_ = 0;                   // so many there were
  bool data_seen_free_ = false;  // by the last look of this recovery: what has run since is its own
  std::unique_ptr<journal::file_journal> journal_;
  std::vector<std::string> journal_records_;  // what it holds, durably
  std::string journal_error_;                 // why nobody knows what it holds; "" = it could be read
  bool awaits_journal_ = false;               // to be read or set aside, before the recovery is gone on with
  std::function<void()> journal_retry_;       // what could not be written, while it waits
  std::string journal_told_;                  // why, as told
  bool ends_without_journal_ = false;         // a person wants it to end: what cannot be written is not waited for
  std::optional<base::wall_time> counted_;    // see instance_intent
  bool ends_counted_ = false;                 // this recovery is, before its end
  bool journal_anew_ = false;                 // what it holds is replaced by the next record
  bool parked_ = false;
  bool waits_for_mount_ = false;  // before the parked recovery is gone on with
  bool beside_ = false;           // the recovery is prepared while the unit machine still has the node
  bool take_down_ = false;        // and waits for its end, which was asked for
  std::string question_;          // and waits for a yes
  bool emptied_ = false;
  bool roll_back_next_ = false;  // when the parked recovery is taken up
  boost::asio::steady_timer recovery_timer_;
  boost::asio::steady_timer node_timer_;  // stop_timeout of a recovery's node, and what it leaves behind
  boost::asio::steady_timer first_start_timer_;
  boost::asio::steady_timer journal_timer_;
  struct node_end {
    model::exit_status status;
    unit::classification class_of;
    std::string evidence;
    bool told = false;
  };
  std::optional<node_end> node_exit_;  // until the next start; told to the recovery once the tree is empty
  bool recovery_node_started_ = false;
  bool recovery_node_ending_ = false;  // was asked to, or has: since it was started last
  bool quiescing_ = false;
  bool quiesces_readers_ = false;  // with it
  bool recovery_no_kill_ = false;  // a person said: never SIGKILL
  bool recovery_stops_ = false;
  // It is for a head that stands still here: the node ran before it, on a state that is as good as it was.
  std::optional<std::uint64_t> stands_at_;
  std::string called_off_;    // why, while it is on its way to its end
  bool told_to_end_ = false;  // beside the node, by a person or for called_off_; else its end has a reason of its own
  recovery::milestones milestones_{std::chrono::minutes(1)};
  std::uint64_t device_ = 0;           // the file system of data.dir, as seen last; 0 = not yet
  std::uint64_t data_device_ = 0;      // the same, at its last start: outlives hasupd and the boot
  bool data_missing_ = false;          // told
  std::uint64_t recovery_ticket_ = 0;  // an answer to an older recovery is dropped

  struct prefetching {
    explicit prefetching(boost::asio::io_context& loop) : timer(loop) {}
    // Its job is nobody's any more, whatever it answers. Was there one?
    bool let_go() {
      ++ticket;
      fetching.clear();
      need.reset();
      return std::exchange(busy, false);
    }
    boost::asio::steady_timer timer;  // until the next look
    std::optional<base::wall_time> due;
    std::uint64_t ticket = 0;  // an answer to an older job is dropped
    bool busy = false;         // the worker has a job of it
    std::optional<ports::warm_set> have;
    std::string fetching;
    ports::worker_progress progress;
    std::string problem;
    std::optional<recovery::space_need> need;  // of what is on its way, on `device`
    std::uint64_t device = 0;
    base::mono_time dropping_since;
    bool dropping = false;  // its job deletes all that was fetched
    bool dropped = false;   // for want of space, and nothing was fetched since
  };
  std::unique_ptr<prefetching> prefetch_;

  struct proxying {
    model::proxy_policy policy;
    std::uint64_t ticket = 0;  // an answer to an older policy is dropped
    upstream::list_memory memory;
    std::vector<model::upstream_endpoint> servers;  // as they are to be listed
    std::string left_out;
    bool all_told = false;     // no endpoint that has not answered yet
    bool looked = false;       // what is on the disk is known
    bool in_use = false;       // a list is there, of this hasupd or of before
    bool wanted = false;       // it is to be made of `servers`
    bool busy = false;         // it is being made, or the proxy is being told
    bool reload_due = false;   // the proxy does not know of it yet
    bool lost = false;         // told that none is fit
    std::string refused;       // why, while it is
    std::string refused_text;  // and what; "" = it came to none
    base::mono_time again_at{};
    std::string told;                                       // the last why_no_list()
    std::vector<std::function<void(std::string)>> waiting;  // for the next making
    std::vector<std::function<void(std::string)>> answering;
  };
  std::unique_ptr<proxying> proxy_;
  std::uint64_t proxy_tickets_ = 0;

  std::string limits_told_;
  // running_settings_ of a run whose settings nobody knows: it is given those of the file.
  static constexpr std::uint64_t not_recorded = 1;
  unit::memory_guard memory_guard_;
  std::uint64_t memory_run_ = 0;
  struct watched_space {
    unit::space_guard guard;
    std::uint64_t device = 0;
    bool told = false;  // there is too little, and it is not stopped for that
  };
  std::map<std::string, watched_space> space_;  // one a file system, by the first directory on it; of this run
  bool stopped_for_space_ = false;              // until it is started again

  process::process_usage last_usage_;
  base::mono_time last_usage_at_{};
  std::optional<double> cpu_percent_;
};

}  // namespace hasup::daemon
