#include "probe/answer.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cmath>

#include "base/time_text.hpp"
#include "probe/json_values.hpp"

namespace hasup::probe {
namespace {

namespace json = boost::json;
using kind = json_value::kind;

// "/head_block_time" is called head_block_time in messages.
std::string name_of(const std::string& pointer) {
  return pointer.empty() ? "the answer" : pointer.substr(1);
}

std::string missing(const std::string& pointer) {
  return "the answer has no " + pointer;
}

std::string shown(const json_value& v) {
  return excerpt(v.to_json());
}

std::optional<decimal> number_of(const json_value& v) {
  if (v.is != kind::number && v.is != kind::string) return std::nullopt;
  return decimal::parse(v.text);
}

std::optional<base::wall_time> time_of(const json_value& v, model::time_format format) {
  using namespace std::chrono;
  if (format == model::time_format::rfc3339) {
    if (v.is != kind::string) return std::nullopt;
    const auto t = base::parse_time(v.text);
    return t ? std::optional(*t) : std::nullopt;
  }
  const auto number = number_of(v);
  if (!number) return std::nullopt;
  const double seconds_since = number->to_double() / (format == model::time_format::unix_ms ? 1000.0 : 1.0);
  if (!(std::abs(seconds_since) < 9e9)) return std::nullopt;  // what the clock can hold
  return base::wall_time{duration_cast<system_clock::duration>(duration<double>(seconds_since))};
}

condition_result passed(std::string text) {
  return {outcome::passed, std::move(text)};
}
condition_result failed(std::string text) {
  return {outcome::failed, std::move(text)};
}

condition_result judge_equals(const model::expectation& e, const json_value& v) {
  const std::string text = name_of(e.pointer) + " is " + shown(v);
  if (equal_json(v.to_json(), *e.equals)) return passed(text);
  return failed(text + " (" + excerpt(*e.equals) + " expected)");
}

condition_result judge_bound(const model::expectation& e, const json_value& v, bool is_min) {
  const std::string& wanted = is_min ? *e.min : *e.max;
  const auto bound = decimal::parse(wanted);
  if (!bound)
    return {outcome::unknown, "the bound " + excerpt(wanted) + " for " + name_of(e.pointer) + " is no number"};
  const auto number = number_of(v);
  if (!number) return failed(name_of(e.pointer) + " is " + shown(v) + ", not a number");
  const std::string text =
      name_of(e.pointer) + " is " + excerpt(v.text) + " (at " + (is_min ? "least " : "most ") + wanted + " expected)";
  return (is_min ? *number >= *bound : *number <= *bound) ? passed(text) : failed(text);
}

condition_result judge_match(const model::expectation& e, const json_value& v) {
  const RE2 pattern(*e.matches, RE2::Quiet);
  if (!pattern.ok()) return {outcome::unknown, "bad pattern " + excerpt(*e.matches) + ": " + pattern.error()};
  const std::string text = name_of(e.pointer) + " is " + shown(v);
  if (RE2::PartialMatch(v.text, pattern)) return passed(text);
  return failed(text + " (expected to match " + excerpt(*e.matches) + ")");
}

condition_result judge_body(const std::string& wanted, std::string_view body) {
  const RE2 pattern(wanted, RE2::Quiet);
  if (!pattern.ok()) return {outcome::unknown, "bad pattern " + excerpt(wanted) + ": " + pattern.error()};
  if (RE2::PartialMatch({body.data(), body.size()}, pattern)) return passed("the answer matches " + excerpt(wanted));
  return failed((body.empty() ? "the answer is empty" : "the answer is " + excerpt(body)) + " (expected to match " +
                excerpt(wanted) + ")");
}

condition_result judge_age(const model::expectation& e, const json_value& v, base::wall_time wall_now) {
  using namespace std::chrono;
  const auto t = time_of(v, e.time);
  if (!t) {
    return failed(name_of(e.pointer) + " is " + shown(v) + ", not a time (" +
                  std::string(model::time_format_names.text(e.time)) + ")");
  }
  const duration<double> age =
      duration<double>(wall_now.time_since_epoch()) - duration<double>(t->time_since_epoch());
  const auto text = [](duration<double> d) {
    return base::format_duration_short(duration_cast<base::duration>(std::max(d, duration<double>(0))));
  };
  // Far in the future: not the answer is wrong but this machine's clock, so nothing can be said about its age.
  if (-age > std::max<base::duration>(*e.max_age, minutes{1})) {
    return {outcome::unknown, name_of(e.pointer) + " is " + text(-age) +
                                  " ahead of this machine's clock; check its time synchronisation"};
  }
  const std::string line =
      name_of(e.pointer) + " is " + text(age) + " old (limit " + base::format_duration(*e.max_age) + ")";
  return age > *e.max_age ? failed(line) : passed(line);
}

condition_result judge_growth(const model::expectation& e, const json_value& v, base::growth<decimal>& memory,
                              base::mono_time now) {
  using namespace std::chrono;
  const auto number = number_of(v);
  if (!number) return failed(name_of(e.pointer) + " is " + shown(v) + ", not a number");
  memory.see(*number, *e.advances_within, now);
  const std::string text = name_of(e.pointer) + " is " + excerpt(v.text);
  const auto still = memory.still(now);
  if (still > *e.advances_within) {
    return failed(text + " and has not advanced for " + base::format_duration_short(still) + " (limit " +
                  base::format_duration(*e.advances_within) + ")");
  }
  if (!memory.grew) return {outcome::unknown, text + " and has not been seen to advance yet"};
  return passed(text + " and advances");
}

// All that is set must hold: the worst of them, or the first that passed.
condition_result judge(const model::expectation& e, const std::optional<json_value>& v, base::growth<decimal>& memory,
                       base::mono_time now, base::wall_time wall_now) {
  if (!v) return failed(missing(e.pointer));
  std::vector<condition_result> all;
  if (e.equals) all.push_back(judge_equals(e, *v));
  if (e.min) all.push_back(judge_bound(e, *v, true));
  if (e.max) all.push_back(judge_bound(e, *v, false));
  if (e.matches) all.push_back(judge_match(e, *v));
  const auto fresh = [](condition_result c) {
    c.freshness = true;
    return c;
  };
  // Behind all others: of several that fail the first is told.
  if (e.max_age) all.push_back(fresh(judge_age(e, *v, wall_now)));
  if (e.advances_within) all.push_back(fresh(judge_growth(e, *v, memory, now)));
  for (const outcome worst : {outcome::failed, outcome::unknown, outcome::passed})
    for (auto& c : all)
      if (c.out == worst) return std::move(c);
  return passed(name_of(e.pointer) + " is there");
}

void note(check_result& all, outcome out, const std::string& reason) {
  if (all.out == outcome::failed || out == outcome::passed || out == all.out) return;
  all.out = out;
  all.reason = reason;
}

void read_head(const model::head_pointers& where, std::span<const std::optional<json_value>> values,
               check_result& all) {
  if (where.empty()) return;
  model::head head;
  std::size_t next = 0;
  const auto take = [&](const std::string& pointer) -> const json_value* {
    if (pointer.empty()) return nullptr;
    const auto& v = values[next++];
    if (!v) note(all, outcome::failed, missing(pointer));
    return v ? &*v : nullptr;
  };
  const auto refuse = [&](const std::string& pointer, const json_value& v, const char* wanted) {
    note(all, outcome::failed, name_of(pointer) + " is " + shown(v) + ", not a " + wanted);
  };
  if (const auto* v = take(where.number)) {
    const auto n = number_of(*v);
    if (n) head.number = n->to_uint64();
    if (!head.number) refuse(where.number, *v, "block number");
  }
  if (const auto* v = take(where.time)) {
    head.time = time_of(*v, where.format);
    if (!head.time) refuse(where.time, *v, "time");
  }
  if (const auto* v = take(where.weight)) {
    const auto n = number_of(*v);
    if (n) head.weight = n->text();
    if (head.weight.empty()) refuse(where.weight, *v, "number");
  }
  // A node that does not say it is none the worse.
  if (!where.chain.empty())
    if (const auto& v = values[next++]; v && (v->is == kind::string || v->is == kind::number)) head.chain = v->text;
  if (!where.peers.empty())
    if (const auto& v = values[next++])
      if (const auto n = number_of(*v)) head.peers = n->to_uint64();
  if (head != model::head{}) all.head = head;
}

}  // namespace

std::optional<base::wall_time> read_time(std::string_view text, model::time_format format) {
  return time_of({kind::string, std::string(text)}, format);
}

std::string excerpt(std::string_view text, std::size_t longest) {
  std::string out;
  const bool cut = text.size() > longest;
  if (cut) {
    // Not inside a UTF-8 sequence.
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text = text.substr(0, end);
  }
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  return cut ? out + "…" : out;
}

bool equal_json(std::string_view found_json, std::string_view wanted_json) {
  const std::string whole[] = {""};
  const auto found = read_json_values(found_json, whole), wanted = read_json_values(wanted_json, whole);
  if (!found || !(*found)[0]) return false;
  const json_value& f = *(*found)[0];
  if (!wanted || !(*wanted)[0]) return f.is == kind::string && f.text == wanted_json;  // a bare word
  const json_value& w = *(*wanted)[0];
  if (w.is == kind::number) {
    const auto a = number_of(f), b = number_of(w);
    return a && b && *a == *b;
  }
  if (f.is != w.is) return false;
  if (f.is != kind::array && f.is != kind::object) return f.text == w.text;
  boost::system::error_code ec;
  json::parse_options options;
  options.max_depth = 128;
  const auto a = json::parse(f.text, ec, {}, options);
  if (ec) return false;
  const auto b = json::parse(w.text, ec, {}, options);
  return !ec && a == b;
}

bool asks_for_json(const model::check& c) {
  return !c.expect.empty() || !c.head.empty();
}

bool asks_for_body(const model::check& c) {
  return c.body_matches || asks_for_json(c);
}

check_result judge_answer(const model::check& c, std::string_view body, answer_memory& memory, base::mono_time now,
                          base::wall_time wall_now) {
  check_result all;
  all.out = outcome::passed;
  all.reason = "passed";
  if (c.body_matches) {
    const auto& one = all.conditions.emplace_back(judge_body(*c.body_matches, body));
    note(all, one.out, one.text);
  }
  if (!asks_for_json(c)) return all;
  std::vector<std::string> pointers;
  for (const auto& e : c.expect) pointers.push_back(e.pointer);
  for (const auto* p : {&c.head.number, &c.head.time, &c.head.weight, &c.head.chain, &c.head.peers})
    if (!p->empty()) pointers.push_back(*p);
  for (const auto& p : pointers) {
    if (const auto path = parse_json_pointer(p); !path) {
      note(all, outcome::unknown, path.error().message);
      return all;
    }
  }
  const auto values = read_json_values(body, pointers);
  if (!values) {
    note(all, outcome::failed,
         body.empty() ? "the answer is empty, not JSON"
                      : "the answer is not JSON (" + values.error().message + "): " + excerpt(body));
    return all;
  }
  memory.resize(c.expect.size());
  all.answered = all.out == outcome::passed;
  for (std::size_t i = 0; i < c.expect.size(); ++i) {
    const auto& one = all.conditions.emplace_back(judge(c.expect[i], (*values)[i], memory[i], now, wall_now));
    note(all, one.out, one.text);
    all.answered = all.answered && (one.out == outcome::passed || one.freshness);
  }
  check_result head;
  head.out = outcome::passed;
  read_head(c.head, std::span(*values).subspan(c.expect.size()), head);
  all.head = head.head;
  if (head.out != outcome::passed) {
    note(all, head.out, head.reason);
    all.answered = false;
  }
  return all;
}

std::string error_in_answer(std::string_view body) {
  static const std::string pointers[] = {"/error", "/error/code", "/error/message", "/error/details/0/message",
                                         "/error/what"};
  const auto values = read_json_values(body, pointers);
  if (!values) return {};
  const auto& all = *values;
  if (!all[0] || all[0]->is == kind::null) return {};
  for (std::size_t i = 2; i < all.size(); ++i) {
    if (!all[i] || all[i]->is != kind::string) continue;
    const std::string code = all[1] ? "error " + excerpt(all[1]->text, 20) + ": " : "";
    return code + excerpt(all[i]->text, 200);
  }
  return "error " + excerpt(all[0]->text, 200);
}

check_result judge_jsonrpc(const model::check& c, std::string_view body, answer_memory& memory, base::mono_time now,
                           base::wall_time wall_now) {
  const auto fail = [](std::string reason) {
    check_result r;
    r.out = outcome::failed;
    r.reason = std::move(reason);
    return r;
  };
  if (auto error = error_in_answer(body); !error.empty()) return fail(c.method + ": " + error);
  static const std::string pointers[] = {"/result"};
  const auto values = read_json_values(body, pointers);
  if (!values) {
    return fail(body.empty() ? "the answer is empty, not JSON"
                             : "the answer is not JSON (" + values.error().message + "): " + excerpt(body));
  }
  const auto& result = (*values)[0];
  if (!result) return fail(c.method + ": the answer has neither result nor error");
  if (result->is == kind::null && !c.head.empty()) return fail(c.method + " answered null");
  return judge_answer(c, body, memory, now, wall_now);
}

}  // namespace hasup::probe
