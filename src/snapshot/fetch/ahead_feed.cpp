#include "snapshot/fetch/ahead_feed.hpp"

#include <fcntl.h>

#include <utility>

#include "snapshot/ahead_mark.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

using kind = ahead_message::kind;

constexpr std::uint64_t step = 1U << 20;  // a message for each network packet would cost more than it brings
constexpr std::chrono::milliseconds cancellation_pause{100};

}  // namespace

void ahead_feed::send(kind what, std::uint64_t bytes, int carried) {
  if (!link_.is_open() || mute_ || link_.send({what, archive_, bytes}, carried)) return;
  mute_ = true;
  link_.hang_up();
}

void ahead_feed::turn_to(std::size_t archive) {
  archive_ = static_cast<std::uint32_t>(archive);
  begun_ = false;
}

void ahead_feed::in_cache() {
  if (used_)
    send(kind::in_cache);
  else
    cached_.push_back(archive_);
}

outcome<void> ahead_feed::make_room(const job_control& control) {
  if (used_) return {};
  return remove_ahead(tree_.own(), disk_, [&control] { return control.cancelled(); });
}

// What it is told before all else.
void ahead_feed::introduce() {
  if (std::exchange(used_, true)) return;
  send(kind::lock, 0, tree_.lock());
  const auto archive = archive_;
  for (const auto index : cached_) {
    archive_ = index;
    send(kind::in_cache);
  }
  archive_ = archive;
}

void ahead_feed::begins(const std::string& path) {
  if (!link_.is_open() || mute_) return;
  const auto fd = open_beneath(tree_.own(), path, O_RDONLY);
  if (!fd) return;
  introduce();
  send(kind::begins, 0, fd->get());
  begun_ = true;
  told_ = 0;
}

void ahead_feed::reached(std::uint64_t end) {
  if (!begun_ || mute_ || end < told_ + step) return;
  told_ = end;
  link_.tell({kind::reached, archive_, end});
}

void ahead_feed::given_up() {
  if (begun_) send(kind::given_up);
  told_ = 0;
}

void ahead_feed::ended(std::uint64_t size) {
  if (begun_) send(kind::ended, size);
}

void ahead_feed::whole() {
  if (begun_) send(kind::whole);
}

outcome<void> ahead_feed::wait_for_the_rest(const ports::candidate& chosen, job_control& control) {
  if (!used_ || mute_ || !link_.is_open()) return {};
  std::optional<std::uint32_t> shown;
  while (true) {
    if (control.cancelled()) return cancelled();
    if (!link_.wait(cancellation_pause)) continue;
    const auto got = link_.receive();
    if (!got) return {};
    const auto index = got->message.archive;
    if (got->message.what != kind::progress || index >= chosen.snapshots.size()) continue;
    const auto& s = chosen.snapshots[index];
    if (std::exchange(shown, index) != index)
      control.begin("stage", s.name, without_password(s.source), s.size, got->message.bytes);
    else
      control.advance(got->message.bytes);
  }
}

outcome<void> ahead_feed::drop(const job_control& control) {
  if (!may_have_written()) return {};
  dropped_ = true;
  link_.hang_up();
  while (link_.is_open()) {
    if (control.cancelled()) return cancelled();
    if (link_.wait(cancellation_pause) && !link_.receive()) link_ = ahead_link();
  }
  begun_ = false;
  return remove_ahead(tree_.own(), disk_, [&control] { return control.cancelled(); });
}

}  // namespace hasup::snapshot
