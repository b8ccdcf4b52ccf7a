#include "recovery/pace.hpp"

#include <algorithm>
#include <limits>

#include "base/time_text.hpp"

namespace hasup::recovery {
namespace {

// At the same pace. Sizes come from other hosts: what would take longer than a year is not told apart.
base::duration time_for(std::uint64_t bytes, const pace& p) {
  constexpr double longest = 365.0 * 24 * 3600 * 1000;
  const auto ms = static_cast<double>(bytes) * static_cast<double>(p.took.count()) / static_cast<double>(p.bytes);
  return base::duration{static_cast<std::int64_t>(std::min(ms, longest))};
}

std::uint64_t size_of(const ports::candidate& c) {
  std::uint64_t all = 0;
  for (const auto& s : c.snapshots) {
    const auto size = s.size.value_or(0);
    all = all > std::numeric_limits<std::uint64_t>::max() - size ? std::numeric_limits<std::uint64_t>::max()
                                                                 : all + size;
  }
  return all;
}

void used(time_estimate& e, const pace& p) {
  e.measured_at = e.measured_at ? std::min(*e.measured_at, p.at) : p.at;
}

std::string about(const std::optional<base::duration>& d, const std::string& what) {
  if (!d) return "an unknown time to " + what;
  return "about " + base::format_duration_rounded(*d) + " to " + what;
}

}  // namespace

void note_pace(paces& known, ports::worker_mode mode, const ports::worker_result& r, base::wall_time now) {
  if (!r.ok() || r.work_bytes < least_measured || r.work_ms == 0) return;
  const pace seen{r.work_bytes, base::duration{static_cast<std::int64_t>(r.work_ms)},
                  std::chrono::floor<base::duration>(now), r.unpacked_ahead};
  if (mode == ports::worker_mode::fetch) known.fetch = seen;
  if (mode == ports::worker_mode::unpack) known.unpack = seen;
}

time_estimate estimate_time(const paces& known, const ports::candidate& c, const space_decision& way, bool at_hand) {
  time_estimate e;
  constexpr base::duration none{0};
  if (at_hand) {
    e.at_hand = true;
    e.fetch = e.unpack = none;
    return e;
  }
  e.no_size = way.need.unknown;
  if (e.no_size) return e;
  const auto to_fetch = way.need.to_fetch();
  if (to_fetch == 0) {
    e.fetch = none;
  } else if (known.fetch) {
    e.fetch = time_for(to_fetch, *known.fetch);
    used(e, *known.fetch);
    e.unpacked_meanwhile = known.fetch->unpacked && !way.in_place;
  }
  if (e.unpacked_meanwhile) {
    e.unpack = none;
  } else if (known.unpack) {
    e.unpack = time_for(size_of(c), *known.unpack);
    used(e, *known.unpack);
  }
  return e;
}

std::string text_of(const time_estimate& e, bool in_place, bool node_runs, bool imports) {
  std::string out;
  if (e.at_hand) {
    out = "a rename: it is fetched and unpacked already";
  } else if (e.no_size) {
    out = "unknown, its source does not say how large it is";
  } else if (!e.fetch && !e.unpack) {
    out = "unknown, not measured yet: a first recovery or prefetch of this unit does";
  } else {
    out = e.fetch == base::duration{0} ? "nothing to fetch" : about(e.fetch, "fetch");
    out += e.unpacked_meanwhile ? ", unpacked meanwhile" : ", " + about(e.unpack, "unpack");
    if (e.measured_at) out += ", as measured " + base::format_time(*e.measured_at);
  }
  const std::string before_start = imports ? "for the import, " : "";
  if (in_place)
    return out + (node_runs ? "; the node is stopped once all is fetched, and down while it is unpacked" +
                                  std::string(imports ? ", imported" : "") + " and starts on it"
                            : "; the node is down all that time, " + before_start + "and until it has started on it");
  if (node_runs)
    return out + "; the node runs on until then, and is down for a rename" + (imports ? ", the import" : "") +
           " and its own start";
  if (e.at_hand)
    return out + (imports ? "; then it is imported, and the node starts on it" : "; then the node starts on it");
  return out + "; the node is down all that time, for a rename, " + before_start + "and until it has started on it";
}

}  // namespace hasup::recovery
