#include "snapshot/unpack/arrivals.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace hasup::snapshot {
namespace {

using kind = ahead_message::kind;

failure no_more() {
  return {ports::worker_failure::internal, "the download was given up, or begins anew"};
}

}  // namespace

arrivals::arrivals(const ahead_link& link, const ports::candidate& chosen) : link_(link) {
  for (const auto& s : chosen.snapshots) all_.push_back({s.size});
}

outcome<std::unique_ptr<arrivals>> arrivals::start(const ahead_link& link, const ports::candidate& chosen) {
  std::unique_ptr<arrivals> out(new arrivals(link, chosen));
  auto thread = helper_thread::start("listen", [self = out.get()] { self->listen(); });
  if (!thread) return failure{ports::worker_failure::internal, thread.error().message};
  out->thread_ = std::move(*thread);
  return out;
}

arrivals::~arrivals() {
  link_.close_both_ways();
}

void arrivals::listen() {
  while (auto r = link_.receive()) take(std::move(*r));
  const std::lock_guard lock(mutex_);
  closed_ = true;
  moved_.notify_all();
}

void arrivals::take(ahead_link::received r) {
  const std::lock_guard lock(mutex_);
  const auto& m = r.message;
  if (m.archive >= all_.size()) return;
  auto& a = all_[m.archive];
  switch (m.what) {
    case kind::in_cache:
      a.fd.reset();
      a.whole = true;
      break;
    case kind::begins:
      if (a.fd) ++generation_;
      a = {a.announced};
      a.fd = std::make_shared<base::unique_fd>(std::move(r.carried));
      break;
    case kind::reached:
      a.reached = std::max(a.reached, m.bytes);
      break;
    case kind::given_up:
      ++generation_;
      a.reached = 0;
      a.size.reset();
      a.whole = false;
      break;
    case kind::ended:
      a.reached = m.bytes;
      a.size = m.bytes;
      break;
    case kind::whole:
      a.whole = true;
      break;
    case kind::lock:
    case kind::progress:
      break;
  }
  moved_.notify_all();
}

arrivals::generation arrivals::now() const {
  const std::lock_guard lock(mutex_);
  return generation_;
}

bool arrivals::is_over(generation g) const {
  const std::lock_guard lock(mutex_);
  return closed_ || generation_ != g;
}

bool arrivals::wait_for_another(generation g) {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [&] {
    return closed_ || generation_ != g || std::all_of(all_.begin(), all_.end(), [](const one& a) { return a.whole; });
  });
  return !closed_ && generation_ != g;
}

template <class Ready>
outcome<void> arrivals::wait(generation g, const std::stop_token& stop, Ready ready) {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, stop, [&] { return closed_ || generation_ != g || ready(); });
  if (generation_ == g && ready()) return {};  // maybe it said so before it went
  return no_more();
}

outcome<arrivals::coming> arrivals::wait_for_begin(std::size_t archive, generation g) {
  const auto& a = all_[archive];
  if (auto there = wait(g, {}, [&a] { return a.fd != nullptr || a.whole; }); !there) return there.error();
  const std::lock_guard lock(mutex_);
  return coming{a.fd};
}

outcome<std::uint64_t> arrivals::wait_for(std::size_t archive, generation g, std::uint64_t end,
                                          const std::stop_token& stop) {
  const auto& a = all_[archive];
  if (auto there = wait(g, stop, [&] { return a.size || a.reached >= end; }); !there) return there.error();
  const std::lock_guard lock(mutex_);
  return a.reached;
}

outcome<void> arrivals::wait_until_whole(std::size_t archive, generation g) {
  return wait(g, {}, [&a = all_[archive]] { return a.whole; });
}

std::uint64_t arrivals::still_to_come() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t out = 0;
  for (const auto& a : all_) {
    if (a.whole || a.size || !a.announced) continue;
    struct stat st {};
    const auto here = a.fd && ::fstat(a.fd->get(), &st) == 0 ? static_cast<std::uint64_t>(st.st_blocks) * 512U : 0U;
    if (*a.announced > here) out += *a.announced - here;
  }
  return out;
}

class from_arrivals::arriving : public arrival {
 public:
  arriving(arrivals& all, arrivals::generation g, std::size_t archive, arrivals::coming c)
      : all_(all), g_(g), archive_(archive), coming_(std::move(c)) {}

  outcome<std::uint64_t> wait_for(std::uint64_t end, const std::stop_token& stop) override {
    return all_.wait_for(archive_, g_, end, stop);
  }
  outcome<void> wait_for_all() override { return all_.wait_until_whole(archive_, g_); }
  [[nodiscard]] int fd() const { return coming_.fd->get(); }

 private:
  arrivals& all_;
  arrivals::generation g_;
  std::size_t archive_;
  arrivals::coming coming_;
};

from_arrivals::from_arrivals(arrivals& all, arrivals::generation g, const data_tree& tree)
    : all_(all), g_(g), cache_(tree) {}

from_arrivals::~from_arrivals() = default;

outcome<archive_supply::given> from_arrivals::open(std::size_t index, const model::snapshot& s) {
  auto begun = all_.wait_for_begin(index, g_);
  if (!begun) return begun.error();
  opened_.resize(index + 1);
  if (!begun->fd) return cache_.open(index, s);
  opened_[index] = std::make_unique<arriving>(all_, g_, index, std::move(*begun));
  return given{archive_file(opened_[index]->fd(), *opened_[index]), s.size.value_or(0)};
}

int from_arrivals::fd_of(std::size_t index) const {
  return opened_[index] ? opened_[index]->fd() : -1;
}

}  // namespace hasup::snapshot
