// The probes of a running instance, and those of a node in its first start after a restore.
#include <fmt/format.h>

#include "base/duration.hpp"
#include "daemon/unit_runner.hpp"
#include "start/probe_programs.hpp"

namespace hasup::daemon {
namespace {

std::size_t slot(model::probe_role role) {
  return static_cast<std::size_t>(role);
}

bool only_startup_tells_head(const model::unit& u) {
  const bool later = (u.readiness && u.readiness->tells_head()) || (u.liveness && u.liveness->tells_head());
  return !later && u.tells_head();
}

}  // namespace

probe::target unit_runner::probe_target() const {
  probe::target t = launch_ ? start::probe_target_of(unit_, *launch_) : probe::target{};
  t.main_pid = pid_;
  t.directory = unit_.run.directory;
  if (run_ > 0)
    t.output = [dirs = services_.shim, name = to_text(unit_.id), run = run_](std::uint64_t from) {
      auto piece = process::read_output(dirs, name, run, from);
      if (!piece) return base::result<probe::output_piece>(piece.error());
      return base::result<probe::output_piece>(boost::system::in_place_value,
                                               probe::output_piece{std::move(piece->text), piece->next});
    };
  t.through = [weak = weak_from_this()](const std::string& unit) {
    const auto self = weak.lock();
    return self ? self->host_.stand_in_of(*self, unit) : probe::stand_in{"not known any more"};
  };
  return t;
}

void unit_runner::start_probe(model::probe_role role) {
  const auto& what = role == model::probe_role::startup     ? unit_.startup
                     : role == model::probe_role::readiness ? unit_.readiness
                                                            : unit_.liveness;
  probes_[slot(role)].reset();
  probes_held_[slot(role)].clear();
  if (!what) return;
  probe_loop::holder held;
  if (!what->needs.empty()) held = [this, needs = what->needs] { return host_.needs_lacking(*this, needs); };
  std::shared_ptr<const reference_heads> others;
  if (what->reference) others = services_.references->watch(services_.loop, services_.prober, *what->reference);
  probes_[slot(role)] = std::make_unique<probe_loop>(
      services_.loop, services_.prober, *what, probe_target(), [this, role](const auto& a) { on_probe(role, a); },
      std::move(held), std::move(others));
}

void unit_runner::on(const unit::start_startup_probe&) {
  start_probe(model::probe_role::startup);
}

void unit_runner::on(const unit::start_steady_probes&) {
  probes_[slot(model::probe_role::startup)].reset();
  liveness_held_.clear();  // by a probe that is asked anew, or no more
  start_probe(model::probe_role::readiness);
  start_probe(model::probe_role::liveness);
}

void unit_runner::on(const unit::stop_probes&) {
  for (auto& p : probes_) p.reset();
  for (auto& why : probes_held_) why.clear();
  liveness_held_.clear();
  head_.reset();
}

void unit_runner::start_recovery_probes() {
  if (recovery_->imports()) return;
  recovery_node_started_ = false;
  watch_first_start();
  start_probe(model::probe_role::startup);
  start_probe(model::probe_role::readiness);
  // It restarts nothing here: it is asked for the head alone.
  if (unit_.liveness && unit_.liveness->tells_head()) start_probe(model::probe_role::liveness);
  if (!unit_.startup && !unit_.readiness) recovery_node_has_started();
  if (!unit_.readiness) recovery_->on_health(model::health::healthy);
}

void unit_runner::recovery_node_has_started() {
  recovery_node_started_ = true;
  recovery_->on_startup_passed();
}

// It may load its snapshot for hours, but not when its own output says that it will never be there.
void unit_runner::watch_first_start() {
  first_start_timer_.expires_after(unit_.run.start_timeout);
  first_start_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
    const auto self = weak.lock();
    if (!ec && self && self->first_start_timer_.expiry() <= self->now()) self->look_at_first_start();
  });
}

void unit_runner::look_at_first_start() {
  if (!shim_ || pid_ == 0 || !recovery_has_node() || recovery_node_started_ || recovery_node_ending_) return;
  const auto ring = process::read_evidence(services_.shim, to_text(unit_.id), run_);
  const auto found = unit::why_never_started(recipe_ ? &*recipe_ : nullptr, ring ? *ring : std::string());
  if (!found) return watch_first_start();
  publish("start_in_vain", fmt::format("not started within {}, and it says why: {} ({}); stopping it",
                                       base::format_duration(unit_.run.start_timeout), found->name, found->evidence));
  stop_node();
}

// Who takes a run over does not know what it did unwatched: only that it has started is certain from then on.
std::optional<bool> unit_runner::startup_seen() const {
  if (recovery_has_node() ? recovery_node_started_ : memory_.startup_passed) return true;
  if (!unit_.startup && !unit_.readiness) return true;
  return watched_from_start_ ? std::optional(false) : std::nullopt;
}

std::optional<bool> unit_runner::readiness_seen() const {
  const auto& asked = probes_[slot(model::probe_role::readiness)];
  if (!asked || asked->verdict() == unit::verdict::undecided) return std::nullopt;
  return asked->verdict() == unit::verdict::good;
}

void unit_runner::on_probe(model::probe_role role, const probe_loop::answer& a) {
  if (a.head) {
    const auto peers = head_ ? head_->peers : std::nullopt;
    head_ = a.head;
    if (!head_->peers) head_->peers = peers;  // only one of its probes may ask for them
  }
  probes_held_[slot(role)] = a.held.empty() ? a.alone : a.held;
  if (a.head && (role == model::probe_role::liveness || recovery_has_node())) own_head_seen(*a.head);
  const bool good = a.verdict.value == unit::verdict::good;
  const bool bad = a.verdict.value == unit::verdict::bad;
  if (recovery_has_node()) {
    show_progress();
    if (a.head) recovery_->on_head(*a.head);
    if (reference_) follow_reference();  // it may have moved
    if (a.changed && role == model::probe_role::startup && good) {
      if (!only_startup_tells_head(unit_)) probes_[slot(role)].reset();
      return recovery_node_has_started();
    }
    if (role == model::probe_role::readiness && a.answered && !unit_.startup) recovery_node_has_started();
    if (a.changed && role == model::probe_role::readiness)
      recovery_->on_health(good ? model::health::healthy : bad ? model::health::unhealthy : model::health::unknown);
    return;
  }
  if (role == model::probe_role::startup) {
    if (good)
      dispatch(unit::startup_passed{});
    else
      memory_.reason = "starting: " + a.verdict.reason;
    return;
  }
  // Without a [startup] the first answer says that the node has started, however far behind it is.
  if (role == model::probe_role::readiness && a.answered && !memory_.startup_passed) dispatch(unit::startup_passed{});
  if (!a.changed) return;
  if (role == model::probe_role::liveness) {
    if (bad) return liveness_has_failed(a);
    liveness_held_.clear();
    return;
  }
  dispatch(unit::health_changed{good  ? model::health::healthy
                                : bad ? model::health::unhealthy
                                      : model::health::unknown,
                                good  ? "readiness passed"
                                : bad ? "readiness failed: " + a.verdict.reason
                                      : "no verdict of readiness: " + a.verdict.reason});
}

}  // namespace hasup::daemon
