// All units together: loads the files, keeps the intent, carries out commands, tells units about each other.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/unit_dir.hpp"
#include "control/server.hpp"
#include "control/service.hpp"
#include "control/upstream_status.hpp"
#include "daemon/address_watch.hpp"
#include "daemon/disk_thread.hpp"
#include "daemon/event_log.hpp"
#include "daemon/health_desk.hpp"
#include "daemon/intent.hpp"
#include "daemon/log_keeper.hpp"
#include "daemon/memory_watch.hpp"
#include "daemon/schedule.hpp"
#include "daemon/space_watch.hpp"
#include "daemon/unit_host.hpp"
#include "daemon/unit_runner.hpp"
#include "daemon/upgrade.hpp"
#include "graph/dependency_graph.hpp"

namespace hasup::daemon {

class upstream_watch;

class supervisor : public control::service, private unit_host {
 public:
  supervisor(daemon_services& services, event_log& events, intent_file& intent);
  ~supervisor() override;

  // Loads the unit files, takes over what runs, starts what is wanted. `was`: what the last daemon left.
  void boot(intent was);
  // Where events go besides the log: the followers of the control API.
  // The daemon leaves: saves the intent as it is now. Nothing is stopped.
  void leave() { intent_file_.write_last(encode_intent()); }
  void set_server(control::server* server) {
    server_ = server;
    upgrade_.set_server(server);
  }
  // What concerns the daemon itself.
  void announce(std::string kind, std::string why, std::map<std::string, std::string> detail = {});
  // Asked to make way for another program of this name, which has passed its self-check.
  void on_upgrade(std::function<void(const std::string& program)> go) { upgrade_.on_go = std::move(go); }
  // Of every instance, and of units whose file is broken: for load balancers.
  std::vector<health::instance_view> health_views() const;
  // For the log keeper, as configured now.
  std::vector<kept_log> kept_logs() const;

  // control::service
  control::host_status status() override;
  std::string unit_json(std::string_view name) override;
  control::command_reply execute(const control::command& c, const control::peer& who) override;
  void execute_async(const control::command& c, const control::peer& who,
                     std::function<void(control::command_reply)> done) override;
  std::vector<control::event> events_since(std::uint64_t seq, std::size_t max) override;
  void read_log(const control::log_request& r, std::function<void(control::log_reply)> done) override;

 private:
  using runner_ptr = std::shared_ptr<unit_runner>;
  using runners = std::vector<runner_ptr>;

  // unit_host
  bool requirements_met(const unit_runner& who, std::vector<std::string>& waiting_for) override;
  std::string needs_lacking(const unit_runner& who, const std::vector<std::string>& needs) const override;
  probe::stand_in stand_in_of(const unit_runner& who, const std::string& unit) const override;
  upstream::role_view endpoints_of(const unit_runner& who, const std::string& word) const override;
  bool data_recovers(const unit_runner& who) override;
  std::vector<unit::requirement_lost> lost_requirements(const unit_runner& who) override;
  void changed(unit_runner& who) override;
  void publish(control::event e) override;
  void when_saved(std::function<void()> then) override {
    save_intent([then = std::move(then)](const base::result<void>&) { then(); });
  }
  std::uint64_t newest_event() const override { return events_.newest(); }
  void when_told(std::uint64_t event, std::function<void()> then) override {
    events_.when_written(event, std::move(then));
  }
  void stop_readers(const model::instance_id& of, std::function<void()> then) override;
  void release_readers(const model::instance_id& of) override;
  void add_promised(const model::instance_id& to, ports::room_found& room) override;
  std::vector<std::string> group_members(const unit_runner& who) const override;
  bool group_asks(const unit_runner& who) const override;
  void begin_group(const unit_runner& leader) override;
  void call_group(const unit_runner& leader, const std::vector<std::string>& members,
                  const std::string& set) override;
  std::vector<recovery::member_view> group_views(const unit_runner& who) const override;
  void group_moved(const unit_runner& who) override;
  void group_changed(const std::string& left, const std::string& joined) override {
    tell_group_soon(left);
    tell_group_soon(joined);
  }
  std::string disk_taken_by(const unit_runner& who) const override;
  std::vector<std::int32_t> reader_pids(const model::instance_id& of) override;

  // supervisor_units.cpp: the set of units
  void load_units();
  void begin_boot(const unit_runner& r, bool known, instance_intent& i) const;
  runner_ptr make_runner(const config::unit_entry& entry, const model::unit& unit);
  // Also of instances whose intent file is lost: never a start from nothing.
  struct traces : process::shim_traces {
    // Something of it may run, or has ended and was not told of.
    bool of(const std::string& name, std::uint64_t known_run, bool was_running) const;
  };
  void adopt_strays(const intent& was, const traces& left);
  void drop_what_nobody_needs(const traces& left);
  void forget(const model::instance_id& id, unsigned tries = 50);
  void take_up(const runner_ptr& r, const traces& left);
  // What apply reads from the disk before it decides.
  struct files {
    config::loaded config;
    // By instance: of recoveries that were under way.
    std::map<std::string, base::result<std::vector<std::string>>> journals;
    traces left;
    std::string distrusted;  // why they were not even read; "" = they were
  };
  static files read_files(const daemon_services& services, const std::map<std::string, unsigned>& counts);
  // `only`: of this unit, "" = all.
  control::command_reply apply(files fresh, bool dry_run, const std::string& only = {});
  control::command_reply apply_all(files fresh, bool dry_run);
  void read_and_apply(bool dry_run, std::function<void(control::command_reply)> done, bool learned = false);
  std::vector<std::string> start_order() const;  // unit names, what is required first
  runners instances_of(const std::string& unit) const;
  runner_ptr find(const model::instance_id& id) const;

  // supervisor_groups.cpp: units that are restored as one set
  runners group_of(const unit_runner& who) const;
  void tell_group_soon(const std::string& group);
  void tell_group(const std::string& group);

  // supervisor_upstreams.cpp
  void set_upstreams();
  std::map<std::string, upstream_intent> upstream_intents() const;
  std::string upstream_lacking(const unit_runner& who, const std::string& word) const;
  void upstreams_missing(const unit_runner& who, std::vector<std::string>& waiting_for) const;
  void upstream_changed(const std::string& name, const std::string& kind, const std::string& reason);
  void list_servers(const std::string& name);
  bool may_follow_upstreams(const unit_runner& r) const;
  std::string runs_with_left_endpoint(const unit_runner& r) const;
  void follow_upstreams();
  control::upstream_status upstream_view(const std::string& name, const upstream_watch& watch) const;
  control::command_reply upstream_command(const control::command& c);

  // supervisor_addresses.cpp: the DNS names of upstreams
  static void know_addresses(config::loaded& all, const model::address_book& known);
  std::map<std::string, std::set<std::string>> addresses_to_assume(
      const config::loaded& all,
      const std::function<std::map<std::string, std::string>(const model::instance_id&)>& used_by) const;
  static std::string unknown_name_for(const unit_runner& r, const model::unit& next);
  std::string runs_with_other_list(const unit_runner& r) const;
  std::set<std::string> unknown_names(const config::loaded& all) const;
  void follow_names();
  std::set<std::string> endpoints_in_use() const;
  void addresses_changed(const std::string& name, const upstream::address_change& change);
  void tell_of_addresses(const std::string& name, const upstream::address_change& change);

  // supervisor_commands.cpp
  std::optional<runners> resolve(const control::command& c, control::command_reply& error) const;
  control::command_reply start(const runners& wanted, bool all = false);
  void start_adopt(const control::command& c, std::function<void(control::command_reply)> done);
  control::command_reply start_once(const runners& targets, const std::vector<std::string>& arguments,
                                    bool from_nothing);
  control::command_reply stop(const runners& targets, bool no_kill, bool force,
                              const std::string& why = "stopped by hand");
  control::command_reply stop_for_shutdown(const runners& targets, bool no_kill);
  control::command_reply restart(const runners& targets, const std::string& why);

  // supervisor_settings.cpp: what a person sets for a unit, and what goes instance by instance
  void reload(const control::command& c, std::function<void(control::command_reply)> done);
  control::command_reply signal(const runners& targets, const std::string& name);
  control::command_reply set_enabled(const runners& targets, std::optional<bool> on);
  control::command_reply set_maintenance(const runners& targets, const std::string& word);
  void scale(const control::command& c, std::function<void(control::command_reply)> done);
  void advance_rolling();
  bool may_go_on(rolling_restart& roll, const unit_runner& r) const;
  void wake_for_rolling();
  void resume_rolling(std::map<std::string, rolling_restart> were, const std::set<std::string>& in_a_stop);
  void set_schedules();
  void scheduled(const std::string& unit);
  bool is_enabled(const model::unit& unit) const;
  std::map<std::string, unsigned> counts_by_hand() const;
  control::command_reply recover(const runners& targets, const control::command& c);
  void dry_run(const control::command& c, std::function<void(control::command_reply)> done);
  bool preflight(const control::command& c, const control::peer& who,
                 std::function<void(control::command_reply)> done);
  control::command_reply reset(const runners& targets);
  control::command_reply why(const runners& targets);
  graph::dependency_graph requirement_graph() const;

  void advance_stops();
  void note_pending_stop(control::instance_status& s) const;
  void note_settings(control::instance_status& s) const;
  void advance_stops_soon();
  void advance_reader_waits();
  void tell_of_disks(unit_runner& who);
  void hold_back(unit_runner& who);
  bool holds_readers(const std::string& owner) const;
  void drop_when_gone(unit_runner& who);
  std::optional<unit::requirement_lost> lost(const model::requirement& need);
  void inform_dependents(const std::string& unit);
  void save_intent(intent_file::write_answer then = {});
  void carry_out(const control::command& c, const control::peer& who,
                 std::function<void(control::command_reply)> done);
  void save_and_reply(control::command_reply reply, std::function<void(control::command_reply)> done);
  std::string encode_intent() const;

  daemon_services& services_;
  event_log& events_;
  intent_file& intent_file_;
  control::server* server_ = nullptr;
  base::wall_time started_at_;
  std::string host_name_;

  config::loaded config_;
  std::map<model::instance_id, runner_ptr> runners_;
  std::map<std::string, instance_intent> carried_;  // of instances that are not configured now

  std::map<model::instance_id, pending_stop> stops_;  // waits until its dependents in the map are down
  std::set<model::instance_id> removed_;              // no longer configured: dropped once stopped
  // The instances of a unit are restarted one after the other, each healthy before the next.
  std::map<std::string, rolling_restart> rolling_;
  boost::asio::steady_timer rolling_timer_;                           // until the first of them goes on
  std::map<std::string, std::unique_ptr<upstream_watch>> upstreams_;  // those that units use, by name
  std::map<std::string, upstream_intent> upstreams_known_;            // of others
  address_watch addresses_;
  unit_settings settings_;
  std::map<model::instance_id, std::function<void()>> reader_waits_;
  std::set<model::instance_id> held_readers_of_;
  std::map<model::instance_id, std::uint64_t> recovers_on_;  // the disks that recoveries were last seen at work on
  memory_watch memory_watch_;
  space_watch space_watch_;
  schedule schedule_;
  upgrade upgrade_;
  health_desk health_desk_;
  std::set<std::string> moved_groups_;  // a telling is posted
  bool save_posted_ = false;
  bool stops_posted_ = false;
  std::vector<intent_file::write_answer> save_then_;
};

}  // namespace hasup::daemon
