// How far a recovery is, in words: one text for events, logs and every view of the status.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/byte_size.hpp"
#include "control/status.hpp"

namespace hasup::control {
namespace {

std::string seconds_text(std::uint64_t s) {
  return base::format_duration_short(base::duration{static_cast<std::int64_t>(s) * 1000});
}

std::string between(base::wall_time from, base::wall_time to) {
  return base::format_duration_short(
      std::max(std::chrono::duration_cast<base::duration>(to - from), base::duration{0}));
}

double part(std::uint64_t done, std::uint64_t total) {
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

}  // namespace

std::optional<double> part_done(const recovery_status& r) {
  if (r.bytes_total && *r.bytes_total > 0) return part(r.bytes_done, *r.bytes_total);
  if (r.files_total && *r.files_total > 0) return part(r.files_done, *r.files_total);
  return std::nullopt;
}

std::string progress_text(const recovery_status& r, base::wall_time now, const std::string& bar) {
  std::string out;
  const auto add = [&out](const std::string& more) { out += (out.empty() ? "" : ", ") + more; };
  const auto done = part_done(r);
  const auto percent = done ? std::floor(*done * 100) : 0;
  const auto lead = bar.empty() ? fmt::format("{:.0f}%, ", percent) : fmt::format("{} {:3.0f}%  ", bar, percent);
  const auto* const what = r.phase == "quiesce" ? "looked at" : "deleted";
  if (r.bytes_total && *r.bytes_total > 0)
    add(lead + base::format_byte_size(r.bytes_done) + " of " + base::format_byte_size(*r.bytes_total));
  else if (r.bytes_done > 0)
    add(base::format_byte_size(r.bytes_done));
  else if (done)
    add(fmt::format("{}{} of {} files {}", lead, std::min(r.files_done, *r.files_total), *r.files_total, what));
  else if (r.files_done > 0)
    add(fmt::format("{} files {}", r.files_done, what));
  if (r.bytes_per_s > 0) add(base::format_byte_size(r.bytes_per_s) + "/s");
  if (r.eta_s) add(seconds_text(*r.eta_s) + " left");
  if (r.head) add(fmt::format("head {}", *r.head));
  if (r.confirms_at && *r.confirms_at > now)
    add((r.head ? "confirmed when it advances for " : "confirmed when it stays healthy for ") +
        between(now, *r.confirms_at) + " more");
  if (r.gives_up_at) {
    const auto* unless = r.phase == "import"    ? " unless it ends"
                         : r.phase != "confirm" ? ""
                         : r.head               ? " without an advance"
                                                : " unless it is healthy by then";
    add("gives up in " + between(now, *r.gives_up_at) + unless);
  }
  if (r.phase_since) {
    add(between(*r.phase_since, now) + " so far");
    if (r.began_at && *r.phase_since - *r.began_at >= std::chrono::seconds(1))
      out += " (" + between(*r.began_at, now) + " in all)";
  }
  return out;
}

}  // namespace hasup::control
