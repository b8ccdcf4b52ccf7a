// Lines, colours and the JSON of the demonstration.
#include "demo/demo_text.hpp"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstdio>
#include <map>

namespace hasup::demo {
namespace json = boost::json;
namespace {

std::string_view escape_of(narrator::tone how) {
  switch (how) {
    case narrator::tone::plain:
      return "";
    case narrator::tone::quiet:
      return "\x1b[2m";
    case narrator::tone::good:
      return "\x1b[32m";
    case narrator::tone::bad:
      return "\x1b[31m";
  }
  return "";
}

json::array texts(const std::vector<std::string>& all) {
  json::array out;
  for (const auto& text : all) out.emplace_back(text);
  return out;
}

// A reader that has gone is no reason to stop: what was started must still be ended.
void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

std::string text_or_null(const std::string& text) {
  return json::serialize(text.empty() ? json::value() : json::value(text));
}

// How one kind of event is told. Kinds that are not listed are told by their reason, in plain letters.
struct telling {
  narrator::tone how = narrator::tone::plain;
  bool told = true;
  std::string_view words = {};  // instead of the reason
};

telling telling_of(const control::event& e) {
  using tone = narrator::tone;
  static const std::map<std::string_view, telling> all = {
      {"waiting", {tone::quiet}},
      {"started", {tone::quiet}},
      {"stopping", {tone::quiet}},
      {"backing_off", {tone::quiet}},
      {"running", {tone::plain, false}},
      {"recovering", {tone::plain, false}},  // recovery_began follows and says the same
      {"became_healthy", {tone::good, true, "healthy"}},
      {"became_unhealthy", {tone::bad}},
      {"exited", {tone::bad}},
      {"failed", {tone::bad}},
      {"recovery_dropped", {tone::bad}},
      {"recovery_confirmed", {tone::good}},
  };
  if (e.kind == "exited" && e.reason.ends_with("code 0")) return {tone::quiet};
  const auto it = all.find(e.kind);
  return it == all.end() ? telling{} : it->second;
}

// A digest by its first and last digits: enough to see that two differ.
std::string with_short_digests(std::string_view text) {
  constexpr std::size_t digest_length = 64;
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && is_hex(text[end])) ++end;
    if (end - i == digest_length) {
      out += fmt::format("{}…{}", text.substr(i, 6), text.substr(end - 4, 4));
    } else {
      out += text.substr(i, end - i + 1);
      if (end < text.size()) ++end;
    }
    i = end;
  }
  return out;
}

}  // namespace

std::string to_json(const demo_outcome& o) {
  return fmt::format(
      R"({{"recovered":{},"snapshot":{},"rejected":{},"failed_exit_to_healthy_s":{:.3f},"killed_to_healthy_s":{:.3f},)"
      R"("killed_to_all_healthy_s":{:.3f},"healthy":{},"duration_s":{:.3f},"home":{},"problem":{}}})",
      o.recovered, text_or_null(o.snapshot), json::serialize(texts(o.rejected)), o.failed_exit_to_healthy_s,
      o.killed_to_healthy_s, o.killed_to_all_healthy_s, json::serialize(texts(o.units)), o.duration_s,
      text_or_null(o.home), text_or_null(o.problem));
}

double narrator::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void narrator::paragraph(std::string_view text) const {
  if (silent_) return;
  print(fmt::format("{}\n", text));
}

void narrator::line(tone how, std::string_view who, std::string_view what) const {
  if (silent_) return;
  const bool painted = colour_ && how != tone::plain;
  print(fmt::format("{:>6.1f}s  {:<9} {}{}{}\n", elapsed_s(), who, painted ? escape_of(how) : "", what,
                    painted ? "\x1b[0m" : ""));
}

void narrator::event(const control::event& e) const {
  std::string who = e.unit.empty() ? "hasupd" : e.unit;
  if (e.unit == "miner" && e.instance) who += "@" + std::to_string(*e.instance);
  const telling t = telling_of(e);
  std::string_view what = t.words.empty() ? std::string_view(e.reason) : t.words;
  // Why it waits or recovers was the line before: only what comes next is new.
  if (e.kind == "backing_off" || e.kind == "recovery_began")
    if (const auto end = what.rfind("; "); end != std::string_view::npos) what.remove_prefix(end + 2);
  if (t.told) line(t.how, who, with_short_digests(what));
}

}  // namespace hasup::demo
