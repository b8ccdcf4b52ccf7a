// The text side of listings: links in HTML with the date and size that stand beside them, percent codes, HTTP dates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/duration.hpp"

namespace hasup::snapshot {

struct html_link {
  std::string href;                   // entities decoded
  std::optional<std::uint64_t> size;  // only if it stands there in bytes
  std::optional<base::wall_time> time;
  bool time_exact = false;
};

// UTC; `month` is "Jan" … "Dec". Nothing when there is no such day.
std::optional<base::wall_time> civil_time(int year, std::string_view month, int day, int hour, int minute,
                                          int second);

// Every <a href>, with what is found between it and the next link.
std::vector<html_link> find_links(std::string_view html);

// ASCII letters only, whatever the locale: names of header fields and the like.
std::string lower(std::string_view text);

}  // namespace hasup::snapshot
