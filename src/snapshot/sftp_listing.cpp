#include "snapshot/sftp_listing.hpp"

#include <re2/re2.h>

#include "snapshot/listing_text.hpp"

namespace hasup::snapshot {
namespace {

// The year is left out of lines of the last six months.
std::optional<base::wall_time> time_of(const std::string& month, int day, const std::string& rest,
                                       base::wall_time now) {
  const auto days = std::chrono::floor<std::chrono::days>(now);
  const int this_year = static_cast<int>(std::chrono::year_month_day(days).year());
  int year = this_year, hour = 0, minute = 0;
  if (!RE2::FullMatch(rest, R"((\d{1,2}):(\d{2}))", &hour, &minute)) {
    if (!RE2::FullMatch(rest, R"((\d{4}))", &year)) return std::nullopt;
    return civil_time(year, month, day, 0, 0, 0);
  }
  auto time = civil_time(year, month, day, hour, minute, 0);
  if (time && *time > now + std::chrono::hours(24)) time = civil_time(year - 1, month, day, hour, minute, 0);
  return time;
}

}  // namespace

base::result<std::vector<listed_file>> parse_sftp_listing(std::string_view lines, const std::string& base,
                                                          base::wall_time now, listed wanted) {
  static const RE2 form(
      R"(([-dlcbps])\S{9,10}\s+\d+\s+\S+\s+\S+\s+(\d+)\s+([A-Z][a-z]{2})\s+(\d{1,2})\s+(\S+)\s(.*))");
  std::vector<listed_file> out;
  bool understood = false;
  bool any = false;
  while (!lines.empty()) {
    const auto end = lines.find('\n');
    const std::string line(lines.substr(0, end));
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
    if (line.empty()) continue;
    any = true;
    std::string kind, month, rest, name;
    std::uint64_t size = 0;
    int day = 0;
    if (!RE2::FullMatch(line, form, &kind, &size, &month, &day, &rest, &name)) continue;
    understood = true;
    if (kind != "-" && kind != "l") continue;
    if (kind == "l") name = name.substr(0, name.find(" -> "));
    if (!is_wanted(name, wanted)) continue;
    if (kind == "-" && size == 0 && wanted == listed::snapshots) continue;
    listed_file file;
    file.name = name;
    file.url = base + percent_encode(name);
    if (kind == "-") file.size = size;
    file.time = time_of(month, day, rest, now);
    out.push_back(std::move(file));
  }
  if (any && !understood) return base::error{"the host lists its files in an unknown form"};
  return out;
}

}  // namespace hasup::snapshot
