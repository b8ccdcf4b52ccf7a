#include "cli/snapshot_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/byte_size.hpp"
#include "base/time_text.hpp"
#include "recovery/candidates.hpp"
#include "snapshot/listing.hpp"

namespace json = boost::json;

namespace hasup::cli {
namespace {

const ports::snapshot_proof* proof_of(const ports::worker_result& found, const model::snapshot& s) {
  for (const auto& p : found.proofs)
    if (p.url == s.url) return &p;
  return nullptr;
}

bool is_bad(const snapshot_row& r, const snapshot_policy& policy) {
  if (recovery::is_bad(r.file, policy.bad)) return true;
  constexpr std::string_view lead = "sha256:";
  return r.digest.starts_with(lead) &&
         policy.bad.contains(recovery::bad_key_of_digest(std::string_view(r.digest).substr(lead.size())));
}

std::string reason_against(const snapshot_row& r, const snapshot_policy& policy) {
  if (r.bad) return "is remembered as bad" + (policy.reset.empty() ? "" : "; `" + policy.reset + "` forgets that");
  if (!r.asked) return {};
  if (policy.needs_signature && !r.is_signed) return "is not signed, and a public key is set";
  if (!policy.needs_signature && !r.disagree.empty()) return "is announced in two ways: " + r.disagree;
  if (!policy.needs_signature && policy.checksum == model::checksum_policy::required && r.digest.empty())
    return "has no checksum, and one is required";
  return {};
}

// A file of another source may have the name of one that was fetched, and another digest.
void mark_at_hand(snapshot_row& r, unsigned plan, const ports::worker_result& found) {
  const auto here = found.in_cache.find(r.file.name);
  if (here == found.in_cache.end()) return;
  if (r.digest.starts_with("sha256:") && r.digest != "sha256:" + here->second) return;
  r.fetched = true;
  if (!found.warm || !found.warm->unpacked || found.warm->candidates.empty()) return;
  const auto& first = found.warm->candidates.front();
  r.unpacked = first.plan == plan && std::any_of(first.snapshots.begin(), first.snapshots.end(),
                                                 [&](const auto& s) { return s.name == r.file.name; });
}

snapshot_row row_of(const model::snapshot& s, const ports::worker_result& found, const snapshot_policy& policy) {
  snapshot_row r;
  r.file = s;
  if (!s.sha256.empty() && s.sha256 != snapshot::unreadable_digest) r.digest = "sha256:" + s.sha256;
  if (const auto* p = proof_of(found, s)) {
    if (!p->digest.empty()) r.digest = p->digest;
    r.is_signed = p->is_signed;
    r.asked = !p->unknown;
    if (!p->disagree.empty()) {
      r.digest.clear();
      r.disagree = p->disagree;
    }
  }
  r.bad = is_bad(r, policy);
  r.why_not = reason_against(r, policy);
  return r;
}

std::string at_hand_text(const snapshot_row& r) {
  return r.unpacked ? "unpacked" : r.fetched ? "fetched" : "-";
}

constexpr std::string_view no_match = "does not match";

std::string age_text(const model::snapshot& s, base::wall_time now) {
  if (!s.time) return "-";
  const auto age = std::chrono::duration_cast<base::duration>(now - *s.time);
  return base::format_duration_short(std::max(age, base::duration{0}));
}

// In the order of the screen; what has the smallest `keep` goes first when there is too little room, 0 never goes.
enum column { name_c, block_c, size_c, age_c, proof_c, at_hand_c, plan_c, source_c, why_c, count_c };
struct title {
  std::string_view text;
  int keep;
  bool right;
};
constexpr std::array<title, count_c> titles{{{"SNAPSHOT", 0, false},
                                             {"BLOCK", 4, true},
                                             {"SIZE", 5, true},
                                             {"AGE", 6, true},
                                             {"PROOF", 3, false},
                                             {"AT HAND", 7, false},
                                             {"PLAN", 2, false},
                                             {"SOURCE", 1, false},
                                             {"", 0, false}}};
constexpr std::size_t gap = 2;
using cells = std::array<std::string, count_c>;

cells cells_of(const snapshot_row& r, base::wall_time now) {
  cells out;
  out[name_c] = printable(r.file.name);
  out[block_c] = r.file.block ? std::to_string(*r.file.block) : "-";
  out[size_c] = r.file.size ? base::format_byte_size(*r.file.size) : "-";
  out[age_c] = age_text(r.file, now);
  out[proof_c] = r.plan.empty() ? "-" : proof_text(r);
  out[at_hand_c] = at_hand_text(r);
  out[plan_c] = r.plan.empty() ? "-" : printable(r.plan);
  out[source_c] = printable(snapshot::without_password(r.file.source));
  out[why_c] = printable(r.why_not);
  return out;
}

struct layout {
  std::array<bool, count_c> shown{};
  std::array<std::size_t, count_c> width{};
};

layout lay_out(const std::vector<cells>& rows, std::size_t width) {
  layout l;
  for (std::size_t c = 0; c < count_c; ++c) {
    l.width[c] = titles[c].text.size();
    for (const auto& r : rows) l.width[c] = std::max(l.width[c], display_width(r[c]));
    const bool silent = std::all_of(rows.begin(), rows.end(), [&](const auto& r) { return r[c] == "-"; });
    const bool same =
        std::all_of(rows.begin(), rows.end(), [&](const auto& r) { return r[c] == rows.front()[c] || r[c] == "-"; });
    l.shown[c] = !silent && !((c == plan_c || c == source_c) && same);
  }
  if (width == 0) return l;
  const auto used = [&] {
    std::size_t sum = gap;  // the mark
    for (std::size_t c = 0; c < why_c; ++c)
      if (l.shown[c]) sum += l.width[c] + gap;
    return sum;
  };
  const auto wanted = std::min<std::size_t>(l.width[why_c], 24);
  for (int keep = 1; keep <= 7 && used() + wanted > width; ++keep)
    for (std::size_t c = 0; c < why_c; ++c)
      if (titles[c].keep == keep) l.shown[c] = false;
  if (used() + wanted > width)
    l.width[name_c] -=
        std::min(l.width[name_c] - std::min<std::size_t>(l.width[name_c], 12), used() + wanted - width);
  l.width[why_c] = used() < width ? std::min(l.width[why_c], width - used()) : 0;
  return l;
}

std::string line_of(const cells& r, const layout& l, bool taken) {
  std::string out = taken ? "> " : "  ";
  for (std::size_t c = 0; c < count_c; ++c)
    if (l.shown[c] && l.width[c] > 0)
      out += pad(shorten(r[c], l.width[c]), l.width[c], titles[c].right) + std::string(c == why_c ? 0 : gap, ' ');
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace

std::vector<snapshot_row> snapshot_rows(const ports::worker_result& found, const snapshot_policy& policy) {
  std::vector<snapshot_row> out;
  bool chosen = false;
  unsigned group = 0;
  for (const auto& c : found.candidates) {
    const auto first = out.size();
    bool fits = !c.snapshots.empty();
    for (const auto& s : c.snapshots) {
      auto row = row_of(s, found, policy);
      row.group = group;
      mark_at_hand(row, c.plan, found);
      if (c.plan < policy.plans.size()) row.plan = policy.plans[c.plan].name;
      fits = fits && row.why_not.empty();
      out.push_back(std::move(row));
    }
    ++group;
    const bool by_hand = c.plan < policy.plans.size() && policy.plans[c.plan].use == model::plan_use::by_hand;
    if (!fits || chosen || by_hand) continue;
    chosen = true;
    for (auto i = first; i < out.size(); ++i) out[i].taken = true;
  }
  for (const auto& p : found.passed) {
    const auto again = std::any_of(out.begin(), out.end(), [&](const snapshot_row& r) {
      return r.plan.empty() && r.file.url == p.file.url && r.why_not == p.why;
    });
    if (again) continue;
    auto row = row_of(p.file, found, policy);
    row.group = group++;
    row.why_not = p.why;
    row.matches = !p.why.starts_with(no_match);
    out.push_back(std::move(row));
  }
  return out;
}

std::vector<std::string> newer_passed_over(const std::vector<snapshot_row>& rows) {
  std::vector<std::string> out;
  const auto taken = std::find_if(rows.begin(), rows.end(), [](const auto& r) { return r.taken; });
  if (taken == rows.end()) return out;
  const auto is_newer = [&](const snapshot_row& r) {
    if (!r.plan.empty()) return r.group < taken->group;  // in the order in which they would be tried
    if (r.file.block && taken->file.block) return *r.file.block > *taken->file.block;
    return r.file.time && taken->file.time && *r.file.time > *taken->file.time;
  };
  for (const auto& r : rows)
    if (r.matches && !r.why_not.empty() && is_newer(r))
      out.push_back(r.file.name + " is newer, and is passed over: " + r.why_not);
  return out;
}

std::string proof_text(const snapshot_row& r) {
  std::string out = r.digest.substr(0, r.digest.find(':'));
  if (r.is_signed) out += out.empty() ? "signed" : ", signed";
  if (!out.empty()) return out;
  return r.asked ? "none" : "?";
}

std::string render_snapshots(const std::vector<snapshot_row>& rows, base::wall_time now, bool all,
                             const terminal& t) {
  std::vector<const snapshot_row*> shown;
  std::size_t hidden = 0;
  for (const auto& r : rows) {
    if (all || r.matches)
      shown.push_back(&r);
    else
      ++hidden;
  }
  std::string out;
  if (!shown.empty()) {
    std::vector<cells> table;
    for (const auto* r : shown) table.push_back(cells_of(*r, now));
    const auto l = lay_out(table, t.width);
    cells head;
    for (std::size_t c = 0; c < count_c; ++c) head[c] = titles[c].text;
    out += paint(line_of(head, l, false), style::dim, t.colour) + "\n";
    for (std::size_t i = 0; i < shown.size(); ++i) {
      const auto how = shown[i]->taken ? style::green : shown[i]->why_not.empty() ? style::plain : style::dim;
      out += paint(line_of(table[i], l, shown[i]->taken), how, t.colour) + "\n";
    }
  }
  if (hidden > 0)
    out += fmt::format("{} {} no snapshot by name; --all shows {}\n", hidden,
                       hidden == 1 ? "further file is" : "further files are", hidden == 1 ? "it" : "them");
  return out;
}

std::string snapshots_json(const std::vector<snapshot_row>& rows, const std::string& target, bool is_unit,
                           const std::vector<std::string>& notes, base::wall_time now) {
  const auto text_or_null = [](const std::string& s) {
    return s.empty() ? json::value(nullptr) : json::value(valid_utf8(s));
  };
  json::array all;
  json::array taken;
  for (const auto& r : rows) {
    json::object o;
    o["name"] = valid_utf8(r.file.name);
    o["url"] = valid_utf8(snapshot::without_password(r.file.url));
    o["source"] = valid_utf8(snapshot::without_password(r.file.source));
    o["plan"] = text_or_null(r.plan);
    o["block"] = r.file.block ? json::value(*r.file.block) : json::value(nullptr);
    o["size"] = r.file.size ? json::value(*r.file.size) : json::value(nullptr);
    o["time"] = r.file.time ? json::value(base::format_time(*r.file.time)) : json::value(nullptr);
    o["age_s"] = r.file.time
                     ? json::value(std::chrono::duration_cast<std::chrono::seconds>(now - *r.file.time).count())
                     : json::value(nullptr);
    o["digest"] = text_or_null(r.digest);
    o["chunks"] = text_or_null(snapshot::without_password(r.file.chunks));
    o["signed"] = r.asked ? json::value(r.is_signed) : json::value(nullptr);
    o["at_hand"] = r.fetched ? json::value(at_hand_text(r)) : json::value(nullptr);
    o["bad"] = r.bad;
    o["taken"] = r.taken;
    o["refused"] = text_or_null(r.why_not);
    if (r.taken) taken.emplace_back(valid_utf8(r.file.name));
    all.emplace_back(std::move(o));
  }
  json::array said;
  for (const auto& n : notes) said.emplace_back(valid_utf8(n));
  json::object out;
  out["unit"] = is_unit ? json::value(target) : json::value(nullptr);
  out["source"] = is_unit ? json::value(nullptr) : json::value(valid_utf8(snapshot::without_password(target)));
  out["taken"] = std::move(taken);
  out["snapshots"] = std::move(all);
  out["notes"] = std::move(said);
  return json::serialize(out) + "\n";
}

}  // namespace hasup::cli
