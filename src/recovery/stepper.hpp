// The decisions of the recovery machine, step by step; only recovery/*.cpp see it. Before and after the swap are
// files of their own: on this side nothing is lost by giving up, on that side there is always a way back to be kept.
#pragma once

#include <string>

#include "recovery/machine.hpp"

namespace hasup::recovery {

inline bool takes_a_begin(const state& s) {
  return is<idle>(s) || is<ended>(s);
}

struct stepper {
  state& s;
  instant now;
  actions& out;

  // machine.cpp: what all steps use.
  void start_over(progress done);
  void commit(const record& r);
  void say(std::string kind, std::string why);
  void run(ports::worker_mode mode);
  void end(outcome how, std::string why);
  void pause_before(step then, unsigned tries, const std::string& why);
  void remember_bad();
  [[nodiscard]] bool is_remembered_bad(const std::string& key) const;
  [[nodiscard]] std::string chosen_name() const;
  [[nodiscard]] std::string unit_name() const { return s.done.plan.unit; }
  void begin(const begin_wanted& e);
  void stop(bool force);
  void end_as_stopped();
  void approve();
  void cancel();
  void roll_back_by_hand();
  void on_timer(const others_seen& others);
  void on_worker_done(const ports::worker_result& r);
  void on_quiesced();
  void go_on_quiesced();

  // take_up.cpp
  void resume(const resume_wanted& e);
  void remember_what_the_journal_knows();
  void take_up(bool beside);
  void on_taken_up(const taken_up& e);

  // quiesce.cpp. `readers`: the units that read the data are taken down, too, and kept down until release().
  void quiesce_first(bool readers = true);
  void release();
  void release_before_swap();
  void on_head_beside(std::uint64_t number);
  void on_node_given();
  void head_is_settled();
  // Within the time that a head may take.
  void on_head_unheard();
  void inspect();
  void on_inspected(const ports::worker_result& r);
  void on_leftover_undone(const ports::worker_result& r);

  // before_swap.cpp
  void go_on_before_swap();
  void select();
  void look_for_warm();
  void take_warm(const ports::warm_set& warm, std::vector<ports::candidate> candidates);
  void give_up(outcome how, const std::string& why);
  void on_selected(const ports::worker_result& r);
  std::string not_beyond(const std::vector<ports::candidate>& all) const;
  void take_candidates(const std::vector<ports::candidate>& all, const std::vector<std::string>& notes);
  [[nodiscard]] std::string without_a_set(const std::vector<ports::candidate>& all) const;
  void try_next();
  void try_candidate(std::size_t index);
  void make_sure_of_room();
  void on_measured(const ports::worker_result& r);
  void weigh_room();
  void fetch();
  void on_fetched(const ports::worker_result& r);
  void unpack();
  void on_unpacked(const ports::worker_result& r);
  void drop(fate of, const std::string& why);
  void end_without_room(const std::string& error);
  void retry_source(step then, const ports::worker_result& r);
  void retry_worker(step then, const ports::worker_result& r);
  void stage_is_ready();
  void ask();
  void begin_swap();
  [[nodiscard]] bool must_ask() const;
  [[nodiscard]] bool budget_left() const;
  [[nodiscard]] outcome not_now() const;
  [[nodiscard]] std::string budget_text() const;

  // confirmed.cpp
  void on_confirmed();
  void clean_up(bool node_up);
  void on_cleaned(const ports::worker_result& r);
  void settle_clean_up();

  // group.cpp
  [[nodiscard]] bool is_grouped() const;
  [[nodiscard]] bool follows() const;
  [[nodiscard]] std::string group_set() const;
  [[nodiscard]] const member_view* member(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> behind(member_stage at) const;
  [[nodiscard]] bool leader_says(member_stage at) const;
  bool gather();
  void call_members();
  void on_group(const group_seen& e);
  [[nodiscard]] std::string group_trouble() const;
  [[nodiscard]] std::string leader_left() const;
  void lead();
  void follow();
  void abandon(const std::string& why);
  void undo_for_group(const std::string& why);
  [[nodiscard]] bool group_confirms() const;
  [[nodiscard]] bool group_may_need_us() const;
  [[nodiscard]] bool is_with_us(const member_view& v) const;
  [[nodiscard]] bool group_has_confirmed() const;
  [[nodiscard]] bool group_keeps() const;
  void keep_with_the_group(bool node_up, const std::string& why);

  // in_place.cpp
  void archive_is_ready();
  void look_before_wipe();
  void weigh_before_wipe(const ports::worker_result& r);
  void begin_wipe();
  void wipe();
  void on_wiped(const ports::worker_result& r);
  [[nodiscard]] std::string untouched() const;
  [[nodiscard]] std::string what_is_left() const;

  // data_look.cpp
  void look();
  void on_looked(const ports::worker_result& r);
  void go_on_after_look();

  // after_swap.cpp
  void swap();
  void on_swapped(const ports::worker_result& r);
  void prepare_first_start();
  void rewipe();
  void on_rewiped(const ports::worker_result& r);
  void launch();
  void import();
  void on_import_ended();
  void launch_again();
  void on_start_waited(base::duration length);
  void on_node_started();
  void on_node_exited(const node_exited& e);
  void on_startup_passed();
  void on_head(const head_seen& e);
  void on_health(model::health health);
  void check_running();
  void arm_running_timer();
  void on_running_timer(const others_seen& others);
  [[nodiscard]] bool only_stands_still(const running& r) const;
  void wait_for_the_chain(const std::string& why, const others_seen& others);
  void on_loaded();
  void stop_running_node(bool park);
  void judge_exit(const node_exited& e);
  void retry_start(const node_exited& e, const std::string& what);
  void roll_back(after_roll_back then, const std::string& why, bool renamed_nothing = false);
  void undo();
  void run_roll_back();
  void on_rolled_back(const ports::worker_result& r);
  [[nodiscard]] std::string old_state_is_back() const;
  void after_rolled_back();
  [[nodiscard]] std::vector<std::string> extra_arguments() const;
  [[nodiscard]] std::vector<std::string> import_words() const;
  [[nodiscard]] bool has_imported() const;
  [[nodiscard]] bool keeps_its_state() const;
  [[nodiscard]] bool may_load(const running& r) const;
  [[nodiscard]] base::duration limit_of(const running& r) const;
  [[nodiscard]] bool is_loaded(const running& r) const;
  [[nodiscard]] bool is_confirmed(const running& r) const;
  [[nodiscard]] bool stop_must_wait() const;
  void say_stop_waits();
};

}  // namespace hasup::recovery
