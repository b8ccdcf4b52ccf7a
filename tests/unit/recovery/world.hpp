// A small model of one machine with one node, one data directory and one backup host, which carries out what the
// recovery machine asks for, can be cut off after every step, and complains about every broken promise.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "recovery/machine.hpp"

namespace hasup::tests {

// How a node on a candidate behaves.
enum class node_kind {
  good,        // starts, and its head advances
  refuses,     // exits 0 with a line that its plan's refused_by matches
  breaks,      // exits by itself with an unexplained class
  killed_once  // killed from outside in its first start, good afterwards
};

struct story {
  std::string name;
  std::vector<bool> archive_is_damaged;  // one a candidate
  std::vector<node_kind> node;           // one a candidate
  bool into = false;                     // the archive replaces the state itself instead of being loaded by argument
  std::size_t stop_after = 0;            // a person says stop after this many steps; 0 = never
  std::size_t back_after = 0;            // a person wants the old state back after this many steps; 0 = never
  std::vector<bool> too_large;           // one a candidate: there is no room for it; empty = room for all
  bool beside = false;                   // begun by hand while the node ran
  bool by_itself = false;                // or by nobody's hand, because its head stood still
  std::size_t advances_after = 0;        // by_itself: its head does advance after this many steps; 0 = never
  std::size_t node_dies_after = 0;       // that node ends by itself after this many steps; 0 = never
  bool warm = false;                     // the first was fetched beforehand
  bool host_down = false;                // no source can be reached
  unsigned swap_refuses = 0;             // so many swaps are refused before anything is renamed
  bool in_place = false;                 // the old state is deleted before the new one is unpacked
  unsigned wipe_refuses = 0;             // so many deletions are refused before anything is touched
  unsigned wipe_dies = 0;                // so many workers die in the middle of the deletion
  bool import = false;                   // a run of its own makes the state of the archive
  bool cut_twice = false;                // also in the test of pairs of cuts
  unsigned volume_late = 0;              // so many looks after a boot beyond the swap find no volume
  unsigned stranger = 0;                 // so many find that another supervisor has started the node
  std::vector<std::string> set{};        // one a candidate: of which backup it is; "-" = the host does not have it
  // One a candidate: the node on it with a second plan, which replaces the blocks, too; empty = there is one plan.
  std::vector<node_kind> with_blocks{};
  bool asks = false;    // mode ask, and a person says yes
  unsigned budget = 0;  // swaps; 0 = no limit
};

// Of a group that is restored as one set (group_world.hpp).
struct membership {
  std::string unit = "leap";
  std::vector<std::string> others{};
  std::function<void(const recovery::call_group&)> call{};
  std::function<void()> tick{};         // counts for all, and may cut all off
  std::function<bool()> worker_dies{};  // the same of workers: this one, here?
  std::function<std::vector<recovery::member_view>()> look{};
};

// Who dies, of hasupd, its worker and the node.
enum class cut {
  daemon,   // hasupd alone: node and worker run on
  worker,   // where it is, before it began, or when all was done but nobody was told; hasupd lives on
  both,     // hasupd, and the worker where it is
  machine,  // all of them: power is gone
};

inline std::string_view name_of(cut kind) {
  switch (kind) {
    case cut::daemon:
      return "hasupd";
    case cut::worker:
      return "the worker";
    case cut::both:
      return "both";
    case cut::machine:
      return "the machine";
  }
  return "";
}

class world {
 public:
  explicit world(const story& s, membership m = {}) : story_(s), membership_(std::move(m)) {
    node_running = s.beside;
  }

  enum class place { old_state, half, gone, fresh, half_imported, imported, used, loaded };

  // What is on disk.
  place data = place::old_state;
  bool old_aside = false;
  bool marker = false;           // swap.json
  bool in_swap = false;          // it is about a swap
  bool wiped_mark = false;       // it says that the old state is being deleted, or gone
  std::set<std::size_t> cached;  // whole, verified
  bool confirmed_mark = false;   // swap.json says that the old state may go
  bool staged = false;
  std::vector<std::string> journal;
  bool journal_says_confirmed = false;
  bool journal_says_wiping = false;
  bool journal_says_approved = false;
  // What runs.
  bool node_running = false;
  bool node_was_stopped = false;  // by the recovery
  std::string complaints;
  std::size_t selects = 0;   // so often the sources were asked
  std::size_t taken_up = 0;  // so often a new hasupd went on with a worker's job
  std::size_t steps = 0;     // worker sub-steps and actions so far
  std::size_t cut_at = 0;    // 0 = never
  cut kind = cut::daemon;
  bool was_cut = false;
  std::vector<recovery::outcome> outcomes;
  std::string data_set;        // of what stands in the place of the old state
  bool new_blocks = false;     // stand in the place of the old ones
  std::size_t swap_count = 0;  // swaps that were begun, by whatever hasupd
  std::size_t asked = 0;       // so often a person was asked

  recovery::frozen plan() const {
    recovery::frozen f;
    f.unit = membership_.unit;
    if (grouped()) f.group = "evm";
    if (grouped()) f.members = membership_.others;
    f.why = "database dirty";
    f.recipe.name = "nodeos";
    f.recipe.confirm = model::confirm_when::advancing;
    f.recipe.confirm_within = std::chrono::minutes(30);
    f.recipe.confirm_advancing_for = std::chrono::minutes(2);
    (story_.import ? f.recipe.import_command : f.recipe.first_start_append) = {"--snapshot",
                                                                               "${archive.snapshot.path}"};
    f.budget_count = story_.budget;
    if (story_.asks) f.mode = model::recovery_mode::ask;
    f.sources = {model::source("file:///")};
    f.asked.by_hand = story_.beside && !story_.by_itself;
    if (story_.by_itself) f.asked.newer_than = 50;
    f.asked.beside = story_.beside && node_running;  // as hasupd does
    f.asked.yes = f.asked.by_hand;
    if (story_.in_place) f.space = model::space_policy::in_place;
    model::recovery_plan p;
    p.name = "state only";
    p.wipe = {"state"};
    p.refused_by = {"refused"};
    p.archives.resize(1);
    (story_.into ? p.archives[0].into : p.archives[0].as) = "snapshot";
    f.recipe.plans = {p};
    if (story_.with_blocks.empty()) return f;
    f.recipe.plans[0].shared = {"blocks"};
    p.name = "full set";
    p.wipe = {"state", "blocks"};
    f.recipe.plans.push_back(p);
    return f;
  }

  // From the journal, or from the beginning when `fresh`; until nothing more happens or the cut.
  void live(bool fresh) {
    wake(fresh);
    try {
      while (step_once()) {
      }
    } catch (const cut_off&) {
      was_cut = true;
      if (kind == cut::machine) lose_node();
    }
  }

  void wake(bool fresh) {
    state_ = recovery::state{};
    readers_held_ = false;
    began_without_journal_ = !fresh && journal.empty();
    pending_.clear();
    timer_ = false;
    was_cut = false;
    if (fresh) return pending_.push_back(recovery::begin_wanted{plan()});
    auto done = recovery::replay(journal);
    if (!done) return complain("journal: " + done.error().message);
    if (kind == cut::machine && done->beyond_swap()) {
      volume_late_ = story_.volume_late;
      stranger_ = story_.stranger;
    }
    readers_held_ = done->touched();  // as hasupd does
    const auto candidate = index_of(*done);
    const auto of = kind_on(*done);
    const bool beside = runs_on_old_state();
    pending_.push_back(recovery::resume_wanted{std::move(*done), node_running, beside});
    if (beside && story_.by_itself) pending_.push_back(recovery::head_seen{advances_ ? 51U : 50U});
    if (beside && advances_) pending_.push_back(recovery::stop_wanted{});                 // as the unit does
    if (node_running && !beside) imports() ? watch_import() : watch_node(candidate, of);  // probed again
  }

  // For group_world, which lets several take turns.
  void follow(const std::string& leader, const std::string& set) {
    auto f = plan();
    f.members.clear();
    f.asked.leader = leader;
    f.asked.set = set;
    f.asked.yes = true;
    f.asked.by_hand = false;
    pending_.push_back(recovery::begin_wanted{std::move(f)});
  }
  void hear(recovery::event e) { pending_.push_back(std::move(e)); }
  [[nodiscard]] bool is_called() const {
    return std::any_of(pending_.begin(), pending_.end(),
                       [](const auto& e) { return std::holds_alternative<recovery::begin_wanted>(e); });
  }
  [[nodiscard]] bool has_events() const { return !pending_.empty(); }
  [[nodiscard]] std::optional<base::duration> due() const {
    return timer_ ? std::optional(set_at_ + due_) : std::nullopt;
  }
  [[nodiscard]] base::duration clock() const { return now_; }
  [[nodiscard]] const recovery::state& machine() const { return state_; }
  // The machine is gone, and with it what nobody wrote down.
  void die() {
    state_ = recovery::state{};
    pending_.clear();
    timer_ = false;
    if (kind == cut::machine) lose_node();
  }
  bool take_turn() { return step_once(); }

  // Nothing goes on: is everything as it must be?
  void check_end() {
    if (outcomes.empty()) return complain("no outcome");
    const auto how = outcomes.back();
    if (how == recovery::outcome::stuck) complain("stuck");
    if (how == recovery::outcome::asking) complain("asking without mode ask");
    if (how == recovery::outcome::parked) {
      if (node_running) complain("parked with a running node");
      return;
    }
    if (!journal.empty()) complain("the journal is left behind");
    if (readers_held_ && how != recovery::outcome::emptied) complain("readers are left down");
    const bool gone_for_good = how == recovery::outcome::emptied || (began_without_journal_ && data == place::gone);
    if (gone_for_good) {
      if (!story_.in_place) complain("the old state is deleted without being asked to");
      if (data != place::gone) complain("emptied, but something is there");
      if (!marker || !wiped_mark || in_swap) complain("nothing forbids a start from nothing");
      if (cached.empty()) complain("the verified archive is not kept");
      if (node_running) complain("a node runs on nothing");
      return;
    }
    if (marker) complain("the marker is left behind");
    if (old_aside) complain("the old state is left aside");
    if (how == recovery::outcome::recovered && (data != place::loaded || !node_running)) complain("not recovered");
    if (data == place::old_state && new_blocks) complain("the old blocks are not back");
    // Cut between the last record's deletion and the outcome, "cancelled" only says that nothing is left to do.
    if (how == recovery::outcome::cancelled && data == place::loaded) return;
    if (how != recovery::outcome::recovered && data != place::old_state) complain("the old state is not back");
    if (story_.beside && !node_was_stopped && story_.node_dies_after == 0 && !node_was_lost_ && !node_running)
      complain("the node is down, and nobody stopped it");
  }

 private:
  struct cut_off : std::runtime_error {
    cut_off() : std::runtime_error("cut") {}
  };
  struct worker_died {};

  static bool prepares(const ports::worker_job& job) {
    return job.mode == ports::worker_mode::fetch || job.mode == ports::worker_mode::unpack;
  }

  void complain(const std::string& what) { complaints += what + " at step " + std::to_string(steps) + "; "; }

  // One more thing has happened; perhaps the last.
  void tick() {
    ++steps;
    if (membership_.tick) membership_.tick();
    if (kind != cut::worker && cut_at != 0 && steps == cut_at) throw cut_off();
  }

  void lose_node() { node_was_lost_ = std::exchange(node_running, false) || node_was_lost_; }

  // Not a node of the recovery's.
  [[nodiscard]] bool runs_on_old_state() const { return node_running && data == place::old_state; }
  [[nodiscard]] bool old_exists() const { return data == place::old_state || old_aside; }

  bool step_once() {
    if (story_.stop_after != 0 && steps >= story_.stop_after && !stop_said_) {
      stop_said_ = true;
      pending_.push_front(recovery::stop_wanted{});
    }
    if (story_.back_after != 0 && steps >= story_.back_after && !back_said_) {
      back_said_ = true;
      pending_.push_front(recovery::roll_back_wanted{});
    }
    if (story_.advances_after != 0 && steps >= story_.advances_after && runs_on_old_state() && !advances_ &&
        !std::holds_alternative<recovery::idle>(state_.now)) {
      advances_ = true;
      pending_.push_front(recovery::stop_wanted{});  // as the unit does
    }
    if (story_.node_dies_after != 0 && steps >= story_.node_dies_after && runs_on_old_state()) node_running = false;
    if (pending_.empty()) {
      if (!timer_) return false;
      timer_ = false;
      // It waits for its group, but does not stand still.
      if (state_.confirmed_by_itself && node_running && state_.done.at == recovery::mark::loaded) {
        pending_.push_back(recovery::head_seen{++head_});
      } else {
        now_ = grouped() ? std::max(now_, set_at_ + due_) : now_ + due_;
        pending_.push_back(recovery::timer_fired{});
      }
    }
    if (std::holds_alternative<recovery::worker_done>(pending_.front())) tick();  // it has ended, and nobody heard it
    const auto e = pending_.front();
    pending_.pop_front();
    if (std::holds_alternative<recovery::worker_done>(e)) left_.reset();
    if (++events_ > 2000) {
      complain("no end");
      return false;
    }
    recovery::actions out;
    happen(e);
    if (membership_.look && state_.done.at == recovery::mark::loaded)  // as the runner of hasupd does
      recovery::next(state_, recovery::group_seen{membership_.look()}, {base::mono_time(now_), base::wall_time(now_)},
                     out);
    recovery::next(state_, e, {base::mono_time(now_), base::wall_time(now_)}, out);
    for (auto& a : out) {
      tick();
      std::visit([this](auto& one) { carry_out(one); }, a);
      const bool may_be_gone = journal_says_confirmed || ever_recovered_ || (wiped_mark && !cached.empty());
      if (!old_exists() && !may_be_gone) complain("the old state is gone too early");
    }
    return true;
  }

  void carry_out(recovery::write& a) {
    journal.push_back(recovery::encode(a.what));
    if (std::holds_alternative<recovery::wiping>(a.what)) journal_says_wiping = true;
    if (std::holds_alternative<recovery::confirmed>(a.what)) journal_says_confirmed = ever_recovered_ = true;
    if (std::holds_alternative<recovery::approved>(a.what)) journal_says_approved = true;
    if (std::holds_alternative<recovery::swapping>(a.what) && ++swap_count > story_.budget && story_.budget != 0)
      complain("a swap beyond the budget");
  }
  void carry_out(recovery::clear_journal&) {
    journal.clear();
    journal_says_confirmed = journal_says_wiping = journal_says_approved = false;
  }
  void carry_out(recovery::report&) {}
  void carry_out(recovery::finish& a) {
    outcomes.push_back(a.how);
    if (a.how != recovery::outcome::asking) return;
    if (!story_.asks || journal_says_approved) complain("asked for nothing");
    ++asked;
    pending_.push_back(recovery::approve_wanted{});
  }
  void carry_out(recovery::release_readers&) {
    const bool is_half = data == place::half || data == place::gone || data == place::half_imported;
    // Cut between the journal's deletion and the outcome, it only says that nothing is left to do.
    if (is_half && !began_without_journal_) complain("readers are let to what is half there");
    readers_held_ = false;
  }
  void carry_out(recovery::call_group& a) {
    if (!membership_.call) return complain("called a group that it is not in");
    membership_.call(a);
  }
  void carry_out(recovery::start_timer& a) {
    timer_ = true;
    set_at_ = now_;
    due_ = a.after;
  }
  void carry_out(recovery::cancel_timer&) { timer_ = false; }
  void carry_out(recovery::cancel_worker&) {}  // the worker was quicker: its answer is on its way
  void carry_out(recovery::quiesce& a) {
    readers_held_ = readers_held_ || a.readers;
    if (advances_ && runs_on_old_state()) complain("a node whose head advances is stopped");
    if (node_running) node_was_stopped = true;
    kill_node();
    pending_.push_back(recovery::quiesced{});
  }
  void carry_out(recovery::stop_node&) {
    if (!node_running) return;
    kill_node();
    recovery::node_exited e;
    e.status.code = 0;
    e.kind = recovery::exit_kind::environment;
    pending_.push_back(std::move(e));
  }
  void carry_out(recovery::run_worker& a) {
    try {
      if (worker_dies()) throw worker_died{};
      if (left_ && !state_.stop && prepares(left_->first) && state_.done.at == recovery::mark::trying &&
          state_.done.chosen() != nullptr && left_->first.chosen == *state_.done.chosen())
        complain("what a worker has done for it meanwhile is thrown away");
      left_.reset();
      auto result = work(a.job);
      left_.emplace(a.job, result);
      if (worker_dies()) throw worker_died{};
      pending_.push_back(recovery::worker_done{std::move(result)});
    } catch (const worker_died&) {
      was_cut = true;
      left_.reset();
      pending_.push_back(recovery::worker_done{ports::internal_failure("killed by signal 9")});
    }
  }
  // A worker outlives hasupd, and what it had to say is found later, after a loss of power, too.
  void carry_out(recovery::take_up_worker& a) {
    recovery::taken_up e;
    if (left_ && prepares(left_->first) && left_->first.chosen == a.of) {
      e.what = left_->first.mode;
      e.result = left_->second;
      ++taken_up;
    }
    left_.reset();
    pending_.push_back(std::move(e));
  }
  void carry_out(recovery::start_node& a) {
    if (a.instead.empty()) return start_node(!a.append.empty());
    if (node_running || stranger_ > 0) complain("an import beside a node");
    if (volume_late_ > 0) complain("an import into a volume that is not there");
    if (data != place::fresh) complain("an import into what is not fresh");
    data = place::half_imported;
    node_running = true;
    pending_.push_back(recovery::node_started{});
    watch_import();
  }

  // What the node would still have said is lost with it.
  void kill_node() {
    node_running = false;
    std::erase_if(pending_, [](const recovery::event& e) {
      return std::holds_alternative<recovery::node_started>(e) || std::holds_alternative<recovery::node_exited>(e) ||
             std::holds_alternative<recovery::startup_passed>(e) || std::holds_alternative<recovery::head_seen>(e);
    });
  }

  ports::worker_result work(const ports::worker_job& job) {
    if (job.chosen && job.plan.name != (job.chosen->plan == 1 ? "full set" : "state only"))
      complain("a job with another plan than its candidate's");
    const bool prepares = job.mode == ports::worker_mode::fetch || job.mode == ports::worker_mode::unpack;
    const bool looks = job.mode == ports::worker_mode::select || job.mode == ports::worker_mode::measure;
    if (!looks && job.mode != ports::worker_mode::clean_up && node_running && !(prepares && runs_on_old_state()))
      complain("a worker beside the running node");
    const bool room_for_both = !story_.in_place || wiped_mark;
    if (job.unpack_ahead != (job.mode == ports::worker_mode::fetch && room_for_both))
      complain("unpacked ahead in another mode than fetch, or where there is no room");
    if (job.unpack_ahead && (!job.chosen || job.chosen->snapshots.size() != job.plan.archives.size()))
      complain("nothing says how to unpack what is fetched");
    const bool touches = job.mode == ports::worker_mode::wipe || job.mode == ports::worker_mode::swap ||
                         job.mode == ports::worker_mode::rewipe || job.mode == ports::worker_mode::roll_back;
    if (touches && !readers_held_) complain("the data is touched under its readers");
    const bool takes_long = prepares || job.mode == ports::worker_mode::select;
    if (takes_long && readers_held_ && data == place::old_state && !wiped_mark)
      complain("readers are down for what takes hours");
    ports::worker_result r;
    if (job.mode != ports::worker_mode::inspect && (volume_late_ > 0 || stranger_ > 0))
      complain("a worker at what is not there, or another's");
    switch (job.mode) {
      case ports::worker_mode::inspect:
        if (volume_late_ > 0) {
          --volume_late_;
          r.data_dir_exists = true;
          break;
        }
        r.data_dir_exists = r.has_own_dir = true;
        r.data_dir_empty = false;
        if (stranger_ > 0) {
          --stranger_;
          r.failure = ports::worker_failure::writer;
          r.writer = ports::writer_info{};
        }
        r.half_swapped = marker;
        if (marker) r.swap_phase = says();
        if (job.look_for_warm && story_.warm) r.warm = prefetched();
        r.wiped = wiped_mark;
        break;
      case ports::worker_mode::make_directories:
        complain("directories made in a recovery");
        break;
      case ports::worker_mode::discard:
      case ports::worker_mode::drop_warm:
        complain("what was prefetched is dropped in a recovery");
        break;
      case ports::worker_mode::verify:
      case ports::worker_mode::examine:
      case ports::worker_mode::create:
        complain("what only a person asks for is done in a recovery");
        break;
      case ports::worker_mode::select:
        ++selects;
        if (story_.host_down)
          r.failure = ports::worker_failure::unreachable;
        else
          r.candidates = listing();
        break;
      case ports::worker_mode::measure:
        if (job.look_for_warm && story_.warm) r.warm = prefetched();
        r.room.emplace();
        r.room->free_bytes = 100;
        r.room->state = r.room->freed = {data == place::old_state ? 50U : 0U};
        break;
      case ports::worker_mode::fetch:
        if (!story_.too_large.empty() && story_.too_large[index_of(job)]) {
          if (kind != cut::worker) complain("fetched what there is no room for");
          r.failure = ports::worker_failure::no_space;  // who measures may have died
          break;
        }
        if (!job.settled.empty() && index_of(job) != 0) complain("another archive taken for the prefetched one");
        r.verified = true;
        r.sha256 = {"aa" + std::to_string(index_of(job))};
        if (story_.archive_is_damaged[index_of(job)])
          r.failure = ports::worker_failure::bad_snapshot;
        else
          cached.insert(index_of(job));
        break;
      case ports::worker_mode::unpack:
        unpack(r);
        break;
      case ports::worker_mode::wipe:
        wipe(job, r);
        break;
      case ports::worker_mode::swap:
        data_set = job.chosen->snapshots[0].set;
        if (story_.asks && !journal_says_approved) complain("swapped, and nobody said yes");
        swap(r);
        if (r.ok() && job.chosen->plan == 1) new_blocks = true;
        break;
      case ports::worker_mode::rewipe:
        rewipe();
        break;
      case ports::worker_mode::roll_back:
        roll_back(r);
        break;
      case ports::worker_mode::clean_up:
        clean_up();
        break;
    }
    return r;
  }

  std::size_t index_of(const ports::worker_job& job) const {
    return static_cast<std::size_t>(std::stoul(job.chosen->snapshots.at(0).name));
  }

  // In the story: a list may leave out some.
  static std::size_t index_of(const recovery::progress& p) {
    return p.chosen() == nullptr ? 0 : static_cast<std::size_t>(std::stoul(p.chosen()->snapshots.at(0).name));
  }

  std::vector<ports::candidate> listing() const {
    std::vector<ports::candidate> all;
    for (std::size_t i = 0; i < story_.node.size(); ++i) {
      if (!story_.set.empty() && story_.set[i] == "-") continue;
      ports::candidate c;
      c.snapshots.resize(1);
      c.snapshots[0].name = std::to_string(i);
      c.snapshots[0].source = "file:///";
      c.snapshots[0].url = "file:///" + std::to_string(i);
      c.snapshots[0].block = 100 - i;
      if (!story_.set.empty()) c.snapshots[0].set = story_.set[i];
      c.snapshots[0].size = !story_.too_large.empty() && story_.too_large[i] ? 101 : 10;
      all.push_back(c);
      c.plan = 1;
      if (!story_.with_blocks.empty()) all.push_back(std::move(c));
    }
    return all;
  }

  ports::warm_set prefetched() const {
    ports::warm_set w;
    w.recipe = ports::encode(plan().recipe);
    w.candidates = {listing().front()};
    w.sha256 = {"0a"};
    w.unpacked = true;
    return w;
  }

  // A step of a worker. When hasupd alone dies the worker runs on, and its answer is taken up.
  void worker_step() {
    if (kind == cut::machine || kind == cut::both) tick();
    if (worker_dies()) throw worker_died{};
  }

  bool worker_dies() {
    if (kind != cut::worker) return false;
    return membership_.worker_dies ? membership_.worker_dies() : ++worker_steps_ == cut_at;
  }

  void unpack(ports::worker_result& r) {
    if (in_swap) complain("unpacking over a swap");
    if (wiped_mark && data != place::gone) complain("unpacking beside what is half deleted");
    staged = false;
    worker_step();
    staged = true;
    if (!story_.into) r.archive_paths["snapshot"] = "/staging/archives/snapshot/s.bin";
  }

  void wipe(const ports::worker_job& job, ports::worker_result& r) {
    if (!story_.in_place) complain("the old state is deleted without being asked to");
    if (!journal_says_wiping) complain("deleted before the journal says so");
    if (!cached.contains(index_of(job))) complain("deleted before the archive is whole");
    if (in_swap) complain("deleted in a swap");
    r.wiped = wiped_mark;
    if (!wiped_mark && story_.wipe_refuses > 0) {
      --story_.wipe_refuses;
      r.failure = ports::worker_failure::writer;
      r.error = "process 7 has it open";
      return;
    }
    marker = wiped_mark = r.wiped = true;
    staged = false;
    worker_step();
    data = place::half;
    worker_step();
    if (story_.wipe_dies > 0) {
      --story_.wipe_dies;
      r = ports::internal_failure("killed by signal 9");
      return;
    }
    data = place::gone;
  }

  void swap(ports::worker_result& r) {
    if (advances_) complain("a state whose head advanced is replaced");
    if (!in_swap && story_.swap_refuses > 0) {
      --story_.swap_refuses;
      r.failure = ports::worker_failure::writer;
      r.error = "process 7 has it open";
      return;
    }
    if (in_swap && data == place::fresh) return;  // done before
    if (!staged) complain("a swap without a staged replacement");
    marker = in_swap = true;
    worker_step();
    old_aside = old_aside || data == place::old_state;
    data = place::half;
    worker_step();
    data = place::fresh;
    if (story_.into) staged = false;
  }

  void rewipe() {
    if (!in_swap) complain("a rewipe without a swap");
    if (story_.into) return;  // what came from the archive stays as the node left it
    worker_step();
    data = place::fresh;
  }

  void roll_back(ports::worker_result& r) {
    if (!marker) return;
    if (confirmed_mark) {
      r.failure = ports::worker_failure::refused;
      r.error = "it was confirmed";
      return complain("roll back of a confirmed swap");
    }
    if (old_aside) {
      data = place::half;
      worker_step();
      data = place::old_state;
      new_blocks = false;
      old_aside = false;
      worker_step();
    } else if (wiped_mark) {
      data = place::half;
      worker_step();
      data = place::gone;
    }
    staged = in_swap = false;
    marker = r.wiped = wiped_mark;
  }

  void clean_up() {
    const bool is_leftover = !journal_says_confirmed;
    if (is_leftover && !confirmed_mark) complain("clean_up before confirmed");
    if (!marker) return;
    confirmed_mark = true;
    worker_step();
    old_aside = false;
    worker_step();
    staged = false;
    marker = confirmed_mark = in_swap = wiped_mark = false;
    if (is_leftover) data = place::old_state;  // for the recovery that goes on
  }

  // What swap.json says.
  [[nodiscard]] std::string says() const {
    if (confirmed_mark) return "confirmed";
    if (!in_swap) return "wiped";
    return data == place::old_state || data == place::half || data == place::gone ? "intent" : "swapped";
  }

  void start_node(bool with_arguments) {
    if (node_running || stranger_ > 0) complain("a second node");
    if (volume_late_ > 0) complain("a start on a volume that is not there");
    if (data == place::old_state || data == place::half || data == place::gone || data == place::half_imported)
      complain("a start on what is not the new state");
    if (data == place::used && !story_.into && !story_.import) complain("a start without a rewipe");
    if (data == place::fresh && !with_arguments && !story_.into) complain("a start from nothing");
    if (data == place::loaded && with_arguments) complain("a start with a snapshot on a loaded state");
    if (data == place::fresh || data == place::imported) data = place::used;
    node_running = true;
    pending_.push_back(recovery::node_started{});
    watch_node(index_of(state_.done), kind_on(state_.done));
  }

  [[nodiscard]] bool imports() const { return data == place::half_imported; }

  // In a story of a node that is killed once, the import is, too.
  void watch_import() {
    recovery::node_exited e;
    e.status.code = 0;
    const bool first = story_.node[index_of(state_.done)] == node_kind::killed_once && !import_was_killed_;
    if (first) {
      import_was_killed_ = true;
      e.status.code.reset();
      e.status.signal = 9;
      e.kind = recovery::exit_kind::environment;
    }
    pending_.push_back(std::move(e));
  }

  // How the node is on what it was given.
  [[nodiscard]] node_kind kind_on(const recovery::progress& p) const {
    const bool with_blocks = p.chosen() != nullptr && p.chosen()->plan == 1;
    return (with_blocks ? story_.with_blocks : story_.node).at(index_of(p));
  }

  void watch_node(std::size_t candidate, node_kind of) {
    const bool first = killed_.insert(candidate).second;
    const auto kind_of_node = data == place::loaded ? node_kind::good : of;
    recovery::node_exited e;
    e.status.code = 0;
    if (kind_of_node == node_kind::breaks) e.status.code = 134;
    if (kind_of_node == node_kind::refuses) e.refused_line = "refused";
    if (kind_of_node == node_kind::killed_once && first) {
      e.status.code.reset();
      e.status.signal = 9;
      e.kind = recovery::exit_kind::environment;
    }
    if (kind_of_node == node_kind::good || (kind_of_node == node_kind::killed_once && !first)) {
      pending_.push_back(recovery::startup_passed{});
      pending_.push_back(recovery::head_seen{100 - candidate});
      for (unsigned i = 1; i <= 8; ++i) pending_.push_back(recovery::head_seen{100 - candidate + i});
      return;
    }
    pending_.push_back(std::move(e));
  }

  // What an event means for the world, before the machine sees it.
  void happen(const recovery::event& e) {
    if (const auto* x = std::get_if<recovery::node_exited>(&e)) {
      node_running = false;
      if (imports() && x->status.code == 0 && x->kind != recovery::exit_kind::environment) data = place::imported;
    }
    if (const auto* h = std::get_if<recovery::head_seen>(&e)) {
      now_ += std::chrono::seconds(30);
      if (state_.done.current && *h->number > 100 - index_of(state_.done)) data = place::loaded;
      head_ = std::max(head_, *h->number);
    }
  }

  [[nodiscard]] bool grouped() const { return !membership_.others.empty(); }

  story story_;
  unsigned volume_late_ = 0;
  unsigned stranger_ = 0;
  membership membership_;
  recovery::state state_;
  std::deque<recovery::event> pending_;
  std::optional<std::pair<ports::worker_job, ports::worker_result>> left_;  // the last job, until it is answered
  std::set<std::size_t> killed_;
  base::duration now_{1'000'000};
  base::duration due_{0};
  base::duration set_at_{0};
  std::uint64_t head_ = 0;
  bool timer_ = false;
  bool stop_said_ = false;
  bool back_said_ = false;
  bool import_was_killed_ = false;
  bool advances_ = false;       // the old state's head, and this was seen
  bool readers_held_ = false;   // by hasupd, which forgets it when it dies
  bool node_was_lost_ = false;  // with the machine, at some cut
  bool ever_recovered_ = false;
  bool began_without_journal_ = false;
  std::size_t events_ = 0;
  std::size_t worker_steps_ = 0;
};

}  // namespace hasup::tests
