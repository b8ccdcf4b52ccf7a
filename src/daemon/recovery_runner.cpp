#include "daemon/recovery_runner.hpp"

#include <algorithm>
#include <deque>
#include <type_traits>
#include <utility>

#include "recovery/candidates.hpp"
#include "recovery/data_look.hpp"
#include "recovery/freeze.hpp"
#include "recovery/machine.hpp"
#include "recovery/next_steps.hpp"

namespace hasup::daemon {
namespace {

recovery_outcome to_daemon(recovery::outcome o) {
  switch (o) {
    case recovery::outcome::recovered:
      return recovery_outcome::recovered;
    case recovery::outcome::rolled_back:
      return recovery_outcome::rolled_back;
    case recovery::outcome::refused:
      return recovery_outcome::refused;
    case recovery::outcome::unavailable:
      return recovery_outcome::unavailable;
    case recovery::outcome::cancelled:
      return recovery_outcome::cancelled;
    case recovery::outcome::parked:
      return recovery_outcome::parked;
    case recovery::outcome::asking:
      return recovery_outcome::asking;
    case recovery::outcome::emptied:
      return recovery_outcome::emptied;
    case recovery::outcome::stuck:
      break;
  }
  return recovery_outcome::stuck;
}

recovery::exit_kind kind_of(unit::exit_action a) {
  switch (a) {
    case unit::exit_action::recover:
      return recovery::exit_kind::recover;
    case unit::exit_action::restart:
    case unit::exit_action::next_endpoint:
      return recovery::exit_kind::environment;
    case unit::exit_action::hold:
      return recovery::exit_kind::hold;
    case unit::exit_action::unexplained:
      break;
  }
  return recovery::exit_kind::unexplained;
}

}  // namespace

class recovery_runner::impl : public std::enable_shared_from_this<impl> {
 public:
  impl(recovery_host& host, recovery_settings settings)
      : host_(&host), changed_(std::move(settings.on_memory_changed)) {
    state_.remembered = std::move(settings.memory);
  }

  void detach() {
    host_ = nullptr;
    events_.clear();
    actions_.clear();
  }

  void take(recovery::event e) {
    events_.push_back(std::move(e));
    drain();
  }

  void take(const ports::worker_progress& progress) {
    view_.progress = progress;
    follow_phase();
    progress_is_new_ = true;
    if (!draining_ && !durable_pending_) tell_progress();
  }

  // The worker knows better whether it fetches (or looks at what is at hand of it), verifies, or unpacks the rest of
  // what it has fetched.
  [[nodiscard]] std::string shown_phase() const {
    const auto& now = view_.progress.phase;
    return view_.phase == "fetch" && (now == "verify" || now == "stage") ? now : view_.phase;
  }

  [[nodiscard]] const recovery::state& state() const { return state_; }
  [[nodiscard]] recovery_host& host() const { return *host_; }

  void stuck(std::string why) {
    const auto self = shared_from_this();  // the host may end the runner from inside the call
    refresh_view();
    host_->finished(recovery_outcome::stuck, std::move(why));
  }

  [[nodiscard]] bool active() const {
    return !events_.empty() || !actions_.empty() || durable_pending_ || !recovery::phase_of(state_).empty();
  }

  [[nodiscard]] bool serves() const {
    const bool written = !durable_pending_ && std::none_of(actions_.begin(), actions_.end(), [](const auto& a) {
      return std::holds_alternative<recovery::write>(a);
    });
    return written && recovery::serves(state_);
  }

  void forget_bad_and_swaps() { recovery::forget_bad_and_swaps(state_.remembered); }

  void forget_giving_up() {
    state_.gave_up_on.clear();
    state_.gave_up_why.clear();
  }

  // Whoever goes back is seen at once, whoever is further when it is written down.
  [[nodiscard]] recovery::member_view group_view() const {
    auto v = recovery::view_of(state_);
    if ((!durable_pending_ && actions_.empty()) || v.at <= shown_.at) return v;
    auto was = shown_;
    was.deciding = v.at == recovery::member_stage::confirmed;
    return was;
  }

  recovery_view view_;

 private:
  // One event at a time; its actions in order; nothing behind a write before it is durable.
  void drain() {
    if (draining_) return;
    draining_ = true;
    const auto self = shared_from_this();
    while (host_ != nullptr && !durable_pending_) {
      if (!actions_.empty()) {
        auto a = std::move(actions_.front());
        actions_.pop_front();
        std::visit([this](auto&& one) { carry_out(std::move(one)); }, std::move(a));
      } else if (!events_.empty()) {
        const auto e = std::move(events_.front());
        events_.pop_front();
        decide(e);
      } else {
        break;
      }
    }
    draining_ = false;
    if (host_ != nullptr && !durable_pending_) show_to_group();
    if (host_ != nullptr && !durable_pending_) tell_progress();
  }

  // Nobody may act on what a crash could take back.
  void show_to_group() {
    const bool alone = state_.done.plan.group.empty() && state_.gave_up_on.empty();
    auto view = alone ? recovery::member_view{} : recovery::view_of(state_);
    if (view == shown_) return;
    shown_ = std::move(view);
    host_->group_moved();
  }

  void decide(const recovery::event& e) {
    const auto remembered = state_.remembered;
    recovery::actions out;
    const recovery::instant now{host_->now(), host_->wall_now()};
    // What it does next may be decided already, by the group.
    if (!state_.done.plan.group.empty() && state_.done.at == recovery::mark::loaded)
      recovery::next(state_, recovery::group_seen{host_->group_views()}, now, out);
    recovery::next(state_, e, now, out);
    for (auto& a : out) actions_.push_back(std::move(a));
    refresh_view();
    if (changed_ && remembered != state_.remembered) changed_();
  }

  void refresh_view() {
    const std::string phase(recovery::phase_of(state_));
    const bool moved = phase != view_.phase;
    if (moved && view_.phase.empty()) view_.began_at = host_->wall_now();
    view_.phase = phase;
    const auto* c = state_.done.chosen();
    const auto* p = state_.done.chosen_plan();
    view_.plan = phase.empty() || !p ? "" : p->name;
    view_.snapshot = phase.empty() || !c || c->snapshots.empty() ? "" : c->snapshots.front().name;
    view_.source = phase.empty() || !c || c->snapshots.empty() ? "" : model::shown_url(c->snapshots.front().source);
    view_.outlook = recovery::outlook_of(state_);
    if (moved) view_.progress = {};
    follow_phase();
    progress_is_new_ = progress_is_new_ || moved;
  }

  // What stands in the journal before it is told first.
  void tell_progress() {
    if (!std::exchange(progress_is_new_, false) || host_ == nullptr || view_.phase.empty()) return;
    host_->show_progress();
  }

  std::function<void()> when_durable() {
    durable_pending_ = true;
    return [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->host_ == nullptr) return;
      self->durable_pending_ = false;
      self->drain();
    };
  }

  void carry_out(recovery::write a) { host_->journal(recovery::encode(a.what), when_durable()); }
  void carry_out(recovery::clear_journal) { host_->journal_clear(when_durable()); }
  void carry_out(recovery::run_worker a) { host_->run_worker(std::move(a.job)); }
  void carry_out(recovery::take_up_worker a) { host_->take_up_worker(std::move(a.of)); }
  void carry_out(recovery::cancel_worker) { host_->cancel_worker(); }
  void carry_out(recovery::quiesce a) { host_->quiesce(a.readers); }
  void carry_out(recovery::release_readers) { host_->release_readers(); }
  void carry_out(recovery::start_node a) { host_->start_node(std::move(a.append), std::move(a.instead)); }
  void carry_out(recovery::stop_node) { host_->stop_node(); }
  void carry_out(recovery::start_timer a) { host_->start_timer(a.after); }
  void carry_out(recovery::cancel_timer) { host_->cancel_timer(); }
  void carry_out(recovery::report a) {
    view_.reason = a.why;
    host_->report(std::move(a.kind), std::move(a.why));
  }
  void carry_out(recovery::call_group a) { host_->call_group(a.members, a.set); }
  void carry_out(recovery::finish a) {
    // Whatever else came meanwhile is about a recovery that is over: the host must see that it is.
    if (recovery::phase_of(state_).empty()) events_.clear();
    if (!a.useless.empty()) host_->discard_archives(std::move(a.useless), recovery::bad_digests(state_.remembered));
    host_->finished(to_daemon(a.how), std::move(a.why));
  }

  void follow_phase() {
    if (auto shown = shown_phase(); shown != shown_phase_) {
      shown_phase_ = std::move(shown);
      view_.phase_since = host_->wall_now();
    }
  }

  recovery_host* host_;
  std::function<void()> changed_;
  recovery::state state_;
  std::deque<recovery::event> events_;
  std::deque<recovery::action> actions_;
  bool draining_ = false;
  bool durable_pending_ = false;  // a write is on its way to the disk
  recovery::member_view shown_;
  bool progress_is_new_ = false;  // and nobody was told yet
  std::string shown_phase_;
};

recovery_runner::recovery_runner(recovery_host& host, recovery_settings settings)
    : impl_(std::make_shared<impl>(host, std::move(settings))) {}

recovery_runner::~recovery_runner() {
  impl_->detach();
}

void recovery_runner::begin(std::string why, recovery_options options) {
  auto& host = impl_->host();
  auto plan = recovery::freeze(host.unit(), host.recipe(), std::move(why), std::move(options));
  if (plan.asked.leader.empty()) {
    host.begin_group();
    plan.members = host.group_members();
    if (host.group_asks()) plan.mode = model::recovery_mode::ask;
  }
  impl_->take(recovery::begin_wanted{std::move(plan)});
}

void recovery_runner::resume(const std::vector<std::string>& journal_records, bool node_running, bool beside) {
  auto done = recovery::replay(journal_records);
  if (!done)
    return impl_->stuck("the journal of the recovery cannot be understood: " + done.error().message +
                        "; nothing was touched and nothing is started, `hasup recover` begins anew");
  // The unit file may have been changed while nobody looked; the node would start beside what was restored.
  if (done->at != recovery::mark::none && done->plan.data_dir != impl_->host().unit().data.dir)
    return impl_->stuck("its recovery was under way in " + done->plan.data_dir + ", but its unit file now says " +
                        impl_->host().unit().data.dir + "; put data.dir back, then `hasup apply` and `hasup start " +
                        done->plan.unit + "`");
  impl_->take(recovery::resume_wanted{std::move(*done), node_running, beside});
}

void recovery_runner::on_worker_done(const ports::worker_result& result) {
  impl_->take(recovery::worker_done{result});
}

void recovery_runner::on_taken_up(std::optional<ports::worker_mode> what, const ports::worker_result& result) {
  impl_->take(recovery::taken_up{what, result});
}

void recovery_runner::on_worker_progress(const ports::worker_progress& progress) {
  if (active()) impl_->take(progress);
}

void recovery_runner::on_quiesced() {
  impl_->take(recovery::quiesced{});
}

void recovery_runner::on_start_waited(base::duration length) {
  impl_->take(recovery::start_waited{length});
}

void recovery_runner::on_node_started() {
  impl_->take(recovery::node_started{});
}

void recovery_runner::on_node_exited(const model::exit_status& status, const unit::classification& class_of,
                                     std::string_view evidence) {
  recovery::node_exited e;
  e.status = status;
  e.kind = kind_of(class_of.action);
  e.class_name = class_of.name;
  e.evidence = class_of.evidence;
  if (const auto* plan = impl_->state().done.chosen_plan())
    e.refused_line = unit::matching_line(plan->refused_by, evidence.empty() ? class_of.evidence : evidence);
  impl_->take(std::move(e));
}

void recovery_runner::on_node_given() {
  impl_->take(recovery::node_given{});
}
void recovery_runner::on_startup_passed() {
  impl_->take(recovery::startup_passed{});
}
void recovery_runner::on_head(const model::head& head) {
  impl_->take(recovery::head_seen{head.number});
}
void recovery_runner::on_health(model::health health) {
  impl_->take(recovery::health_seen{health});
}
void recovery_runner::on_timer() {
  impl_->take(recovery::timer_fired{impl_->host().others()});
}
void recovery_runner::on_group() {
  impl_->take(recovery::group_seen{impl_->host().group_views()});
}
void recovery_runner::stop(bool force) {
  impl_->take(recovery::stop_wanted{force});
}
void recovery_runner::approve() {
  impl_->take(recovery::approve_wanted{});
}
void recovery_runner::cancel() {
  impl_->take(recovery::cancel_wanted{});
}

void recovery_runner::roll_back() {
  impl_->take(recovery::roll_back_wanted{});
}

bool recovery_runner::runs_on_only_copy() const {
  return impl_->state().done.runs_on_only_copy();
}

std::string recovery_runner::why_start_waits(const ports::worker_result& seen, std::uint64_t room) const {
  return recovery::why_start_waits(impl_->state().done, seen, room);
}

bool recovery_runner::can_roll_back() const {
  return impl_->state().done.can_roll_back();
}

bool recovery_runner::touched() const {
  return !recovery::before_swap(impl_->state());
}

bool recovery_runner::is_approved() const {
  return impl_->state().done.is_approved || impl_->state().done.approved_in_place;
}

bool recovery_runner::imports() const {
  return impl_->state().done.at == recovery::mark::importing;
}

bool recovery_runner::wiped() const {
  return impl_->state().done.no_way_back();
}

bool recovery_runner::serves() const {
  return impl_->serves();
}

bool recovery_runner::active() const {
  return impl_->active();
}

recovery_view recovery_runner::view() const {
  auto v = impl_->view_;
  v.phase = impl_->shown_phase();
  return v;
}

std::optional<recovery::room_promised> recovery_runner::promised_room() const {
  return recovery::promised_room(impl_->state(), impl_->view_.progress);
}

void recovery_runner::forget_giving_up() {
  impl_->forget_giving_up();
}

recovery::member_view recovery_runner::group_view() const {
  return impl_->group_view();
}

std::string recovery_runner::what_comes_next(bool returns) const {
  return recovery::what_comes_next(impl_->state(), returns);
}

void recovery_runner::forget_bad_and_swaps() {
  impl_->forget_bad_and_swaps();
}

const recovery_memory& recovery_runner::memory() const {
  return impl_->state().remembered;
}

}  // namespace hasup::daemon
