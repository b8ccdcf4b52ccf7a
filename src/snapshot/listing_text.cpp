#include "snapshot/listing_text.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "base/time_text.hpp"
#include "model/source.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

std::optional<base::wall_time> civil(int year, int month, int day, int hour, int minute, int second) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day, hour, minute, second);
  const auto t = base::parse_time(text.data());
  if (!t) return std::nullopt;
  return *t;
}

int month_number(std::string_view name) {
  for (std::size_t i = 0; i < months.size(); ++i)
    if (months[i] == name) return static_cast<int>(i) + 1;
  return 0;
}

std::string decode_entities(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto amp = text.find('&');
    out += text.substr(0, amp);
    if (amp == std::string_view::npos) break;
    text.remove_prefix(amp);
    const auto semi = text.find(';');
    const auto entity = semi == std::string_view::npos ? std::string_view{} : text.substr(1, semi - 1);
    char c = 0;
    if (entity == "amp")
      c = '&';
    else if (entity == "lt")
      c = '<';
    else if (entity == "gt")
      c = '>';
    else if (entity == "quot" || entity == "#34")
      c = '"';
    else if (entity == "apos" || entity == "#39" || entity == "#x27")
      c = '\'';
    else if (entity == "#43" || entity == "#x2b" || entity == "#x2B")
      c = '+';
    if (c != 0) {
      out += c;
      text.remove_prefix(semi + 1);
    } else {
      out += '&';
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string without_tags(std::string_view html) {
  static const RE2 tag("<[^>]*>");
  std::string out(html);
  RE2::GlobalReplace(&out, tag, " ");
  return out;
}

void read_time(std::string_view raw, const std::string& text, html_link& link) {
  static const RE2 attribute("<time[^>]*datetime=\"([^\"]+)\"");
  // nginx: 21-Nov-2026 01:02; Apache: 2026-11-21 01:02, lighttpd: 2026-Nov-21 01:02:03
  static const RE2 nginx(R"((\d{2})-([A-Z][a-z]{2})-(\d{4}) (\d{2}):(\d{2})(?::(\d{2}))?)");
  static const RE2 apache(R"((\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2})(?::(\d{2}))?)");
  static const RE2 lighttpd(R"((\d{4})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2})(?::(\d{2}))?)");
  std::string stamp;
  if (RE2::PartialMatch(raw, attribute, &stamp)) {
    if (const auto t = base::parse_time(stamp)) {
      link.time = *t;
      link.time_exact = true;
      return;
    }
  }
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  std::string name, second;
  if (RE2::PartialMatch(text, nginx, &day, &name, &year, &hour, &minute, &second) ||
      RE2::PartialMatch(text, lighttpd, &year, &name, &day, &hour, &minute, &second))
    month = month_number(name);
  else if (!RE2::PartialMatch(text, apache, &year, &month, &day, &hour, &minute, &second))
    return;
  // Such times may be local and are mostly without seconds: good for an order, not exact.
  link.time = civil(year, month, day, hour, minute, second.empty() ? 0 : std::stoi(second));
}

void read_size(std::string_view raw, const std::string& text, html_link& link) {
  // Caddy: data-size="123" or data-order="123" on the size cell; nginx: bytes at the end of the line;
  // Apache too, below 1K, with an empty description after it in a table.
  static const RE2 attribute("data-(?:size|order)=\"(\\d+)\"");
  static const RE2 bytes(R"(\d{2}:\d{2}(?::\d{2})?\s+(\d+)(?:\s|&nbsp;)*(?:$|\n|\r))");
  std::uint64_t size = 0;
  if (RE2::PartialMatch(raw, attribute, &size) || RE2::PartialMatch(text, bytes, &size)) link.size = size;
}

}  // namespace

std::vector<html_link> find_links(std::string_view html) {
  static const RE2 anchor(R"re((?is)<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))[^>]*>)re");
  struct found_at {
    std::string href;
    std::size_t begin;
    std::size_t end;
  };
  std::vector<found_at> anchors;
  std::array<re2::StringPiece, 4> group{};
  std::size_t from = 0;
  while (anchor.Match(html, from, html.size(), RE2::UNANCHORED, group.data(), 4)) {
    const auto begin = static_cast<std::size_t>(group[0].data() - html.data());
    std::string href;
    for (std::size_t i = 1; i < 4; ++i)
      if (group[i].data() != nullptr && !group[i].empty()) href = decode_entities({group[i].data(), group[i].size()});
    from = begin + group[0].size();
    anchors.push_back({std::move(href), begin, from});
  }
  std::vector<html_link> out;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    html_link link{anchors[i].href, {}, {}, false};
    const auto end = i + 1 < anchors.size() ? anchors[i + 1].begin : html.size();
    auto raw = html.substr(anchors[i].end, end - anchors[i].end);
    if (const auto row = raw.find("</tr>"); row != std::string_view::npos) raw = raw.substr(0, row);
    // What the link itself shows may look like a date or a size: only what follows it counts.
    if (const auto close = raw.find("</a>"); close != std::string_view::npos) raw = raw.substr(close + 4);
    if (raw.size() > 4096) raw = raw.substr(0, 4096);
    const auto text = without_tags(raw);
    read_time(raw, text, link);
    read_size(raw, text, link);
    out.push_back(std::move(link));
  }
  return out;
}

std::optional<base::wall_time> civil_time(int year, std::string_view month, int day, int hour, int minute,
                                          int second) {
  return civil(year, month_number(month), day, hour, minute, second);
}

std::optional<base::wall_time> parse_http_time(std::string_view text) {
  static const RE2 form(
      R"((?:[A-Z][a-z]{2}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:GMT|UTC))");
  int day = 0, year = 0, hour = 0, minute = 0, second = 0;
  std::string month;
  if (!RE2::FullMatch(text, form, &day, &month, &year, &hour, &minute, &second)) return std::nullopt;
  return civil(year, month_number(month), day, hour, minute, second);
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto [end, ec] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      if (ec == std::errc{} && end == text.data() + i + 3) {
        out += static_cast<char>(value);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

std::string percent_encode(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    std::array<char, 4> code{};
    std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += code.data();
  }
  return out;
}

std::optional<std::string> file_source_path(std::string_view source) {
  if (source.starts_with("file://localhost/"))
    source.remove_prefix(16);
  else if (source.starts_with("file:///"))
    source.remove_prefix(7);
  else if (source.starts_with('/'))
    return std::string(source);
  else
    return std::nullopt;
  return percent_decode(source);
}

std::string without_password(std::string_view url) {
  return model::shown_url(url);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

}  // namespace hasup::snapshot
