#include "snapshot/fetch/version_answer.hpp"

#include <re2/re2.h>

namespace hasup::snapshot {

answer_meaning meaning_of(const remote_answer& answer, std::optional<std::uint64_t> asked_from,
                          const std::optional<file_version>& known) {
  if (answer.status == 200) return answer_meaning::whole;
  const auto range = parse_content_range(answer.content_range);
  if (answer.status == 416 && asked_from) {
    const bool same = known && (!known->total || known->total == *asked_from);
    return range && range->total == *asked_from && same ? answer_meaning::whole_is_here : answer_meaning::shorter;
  }
  if (answer.status != 206) return answer_meaning::status;
  if (!asked_from || !range || range->first != *asked_from) return answer_meaning::wrong;
  if (!known) return range->total ? answer_meaning::piece : answer_meaning::wrong;
  const auto now = validator_of(answer);
  // Without a validator (a mirror whose first answer this is) the size alone has to fit.
  if (!now.empty() && !known->validator.empty() && now != known->validator) return answer_meaning::changed;
  if (known->total && range->total && *known->total != *range->total) return answer_meaning::changed;
  return answer_meaning::piece;
}

std::string validator_of(const remote_answer& answer) {
  if (!answer.etag.empty() && !answer.etag.starts_with("W/")) return answer.etag;
  return answer.last_modified;
}

std::optional<byte_range> parse_content_range(std::string_view text) {
  static const RE2 form(R"(bytes (?:(\d+)-\d+|\*)/(\d+|\*))");
  std::string first;
  std::string total;
  if (!RE2::FullMatch(text, form, &first, &total)) return std::nullopt;
  byte_range range;
  std::uint64_t n = 0;
  if (total != "*" && RE2::FullMatch(total, R"((\d+))", &n)) range.total = n;
  if (!first.empty()) {
    if (!RE2::FullMatch(first, R"((\d+))", &range.first)) return std::nullopt;
  } else {
    if (!range.total) return std::nullopt;
    range.first = *range.total;
  }
  return range;
}

std::string status_text(const remote_answer& answer) {
  return answer.reason.empty() ? status_text(answer.status) : answer.reason;
}

std::string status_text(long status) {
  const auto text = "HTTP status " + std::to_string(status);
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return text + ": the host redirects to another place, where these keys may not be sent; name that place";
    case 401:
      return text +
             ": the host, or the proxy on the way, wants to know who asks; set header_file, client_certificate or "
             "the password in proxy of the source";
    case 407:
      return text +
             ": the proxy wants to know who asks; write its user and password: proxy = "
             "\"http://USER:PASSWORD@HOST:PORT\"";
    case 403:
      return text + ": the host refuses; check that its web server may read the file, and the source's keys";
    case 404:
    case 410:
      return text + ": the file is not there (any more); the host may have deleted it since it was listed";
    case 429:
      return text + ": the host has been asked too often; it wants a pause";
    default:
      return status >= 500 ? text + ": the host has an error of its own; see its log" : text;
  }
}

}  // namespace hasup::snapshot
