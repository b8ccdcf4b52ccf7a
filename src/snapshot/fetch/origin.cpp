#include "snapshot/fetch/origin.hpp"

#include <algorithm>

#include "base/byte_size.hpp"
#include "base/duration.hpp"

namespace hasup::snapshot {
namespace {

constexpr unsigned most_whole_starts = 6;  // of a host that brings bytes each time, but never all
constexpr unsigned most_changes = 2;
constexpr std::uint64_t another_connection_after = 256U << 20;  // bytes over fewer

}  // namespace

void origin::begin() {
  patience_left_ = patience_.longest;
  silent_for_ = {};
}

void origin::waited(std::chrono::steady_clock::duration how_long) {
  patience_left_ -= how_long;
  silent_for_ += how_long;
}

void origin::brought(std::size_t bytes) {
  const std::chrono::duration<double> worth(static_cast<double>(bytes) / static_cast<double>(patience_.lowest_rate));
  const std::chrono::duration<double> missing = patience_.longest - patience_left_;
  patience_left_ += std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::min(worth, missing));
  silent_for_ = {};
  since_failure_ += bytes;
  since_fewer_ += bytes;
  if (allowed_ < connections_ && since_fewer_ >= another_connection_after) {
    ++allowed_;
    since_fewer_ = 0;
  }
}

void origin::failed(time now, std::string why, bool brought_something, unsigned others,
                    const std::function<std::chrono::milliseconds(unsigned)>& pause) {
  last_error_ = std::move(why);
  if (others > 0 && !brought_something) {
    allowed_ = std::min(allowed_, others);
    since_fewer_ = 0;
    return;
  }
  // Several that break off at once are one failure.
  fruitless_ = brought_something || since_failure_ > 0 ? 1 : fruitless_ + 1;
  since_failure_ = 0;
  not_before_ = now + pause(fruitless_);
  if (fruitless_ >= patience_.attempts || whole_starts_ >= std::min(patience_.attempts, most_whole_starts))
    given_up_ = true;
  check();
}

void origin::starts_whole(const std::string& why) {
  if (whole_starts_++ > 0 && !why.empty()) last_error_ = why;
}

void origin::changed(const std::string& why) {
  last_error_ = why;
  if (++changes_ > most_changes) bears_ranges = ranges::no;
  if (++whole_starts_ > most_whole_starts) given_up_ = true;
}

void origin::give_up(std::string why) {
  last_error_ = std::move(why);
  given_up_ = true;
}

void origin::check() {
  if (given_up_ || patience_left_.count() > 0) return;
  if (silent_for_ < patience_.longest)
    last_error_ = "it brings less than " + base::format_byte_size(patience_.lowest_rate) +
                  " a second, longer than its patience of " + base::format_duration(patience_.longest) +
                  (last_error_.empty() ? "" : " (" + last_error_ + ")");
  else if (last_error_.empty())
    last_error_ = silent_;
  given_up_ = true;
}

}  // namespace hasup::snapshot
