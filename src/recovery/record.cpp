#include "recovery/record.hpp"

#include <array>
#include <boost/json.hpp>

namespace hasup::recovery {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, std::variant_size_v<record>> record_names{
    "begun",       "selected", "trying",      "fetched",   "dropped",   "staged",       "approved",
    "swapping",    "swapped",  "first_start", "loaded",    "confirmed", "rolling_back", "rolled_back",
    "undo_wanted", "wiping",   "wiped",       "importing", "imported"};

std::int64_t to_ms(base::wall_time t) {
  return std::chrono::duration_cast<base::duration>(t.time_since_epoch()).count();
}

json::value embedded(const std::string& text) {
  return json::parse(text);
}

json::array sources_of(const frozen& f) {
  json::array all;
  for (const auto& s : f.sources) all.push_back(embedded(ports::encode(s)));
  return all;
}

json::object to_json(const frozen& f) {
  json::object asked{{"snapshot", f.asked.snapshot},  {"plan", f.asked.plan},
                     {"from", f.asked.from},          {"yes", f.asked.yes},
                     {"by_hand", f.asked.by_hand},    {"beside", f.asked.beside},
                     {"explained", f.asked.explained}};
  if (f.asked.newer_than) asked["newer_than"] = *f.asked.newer_than;
  if (!f.asked.leader.empty()) {
    asked["leader"] = f.asked.leader;
    asked["set"] = f.asked.set;
  }
  json::object out{{"unit", f.unit},
                   {"why", f.why},
                   {"asked", std::move(asked)},
                   {"data_dir", f.data_dir},
                   {"also", json::value_from(f.also)},
                   {"mounts", json::value_from(f.mounts)},
                   {"sources", sources_of(f)},
                   {"recipe", embedded(ports::encode(f.recipe))},
                   {"mode", model::recovery_mode_names.text(f.mode)},
                   {"checksum", model::checksum_policy_names.text(f.checksum)},
                   {"budget_count", f.budget_count},
                   {"budget_within_ms", f.budget_within.count()},
                   {"max_snapshot_age_ms", f.max_snapshot_age.count()},
                   {"max_rate", f.max_rate},
                   {"max_window", f.max_window},
                   {"public_key", f.public_key},
                   {"min_free", f.min_free},
                   {"space", model::space_policy_names.text(f.space)},
                   {"has_head", f.has_head},
                   {"tells_health", f.tells_health}};
  if (!f.group.empty()) {
    out["group"] = f.group;
    out["members"] = json::value_from(f.members);
  }
  return out;
}

// What each record carries beside its name.
struct writer {
  json::object& out;

  void operator()(const begun& r) const { out["plan"] = to_json(r.plan); }
  void operator()(const selected& r) const {
    json::array all;
    for (const auto& c : r.candidates) all.push_back(embedded(ports::encode(c)));
    out["candidates"] = std::move(all);
    if (r.settled.empty()) return;
    out["settled"] = json::value_from(r.settled);
    out["settled_by"] = r.settled_by;
  }
  void operator()(const trying& r) const { out["candidate"] = r.candidate; }
  void operator()(const fetched& r) const {
    out["sha256"] = json::value_from(r.sha256);
    out["verified"] = r.verified;
  }
  void operator()(const dropped& r) const {
    out["candidate"] = r.candidate;
    out["fate"] = fate_names.text(r.of);
    out["why"] = r.why;
  }
  void operator()(const staged& r) const {
    json::object paths;
    for (const auto& [name, path] : r.archive_paths) paths[name] = path;
    out["archive_paths"] = std::move(paths);
  }
  void operator()(const approved& r) const {
    if (r.in_place) out["in_place"] = true;
  }
  void operator()(const swapping& r) const { out["at_ms"] = to_ms(r.at); }
  void operator()(const first_start& r) const { out["attempt"] = r.attempt; }
  void operator()(const importing& r) const { out["attempt"] = r.attempt; }
  void operator()(const rolling_back& r) const {
    out["then"] = after_roll_back_names.text(r.then);
    out["why"] = r.why;
    if (r.renamed_nothing) out["renamed_nothing"] = true;
  }
  void operator()(const rolled_back& r) const {
    if (!r.inexact.empty()) out["inexact"] = r.inexact;
  }
  void operator()(const undo_wanted& r) const {
    if (!r.why.empty()) out["why"] = r.why;
  }
  template <class Bare>
  void operator()(const Bare&) const {}
};

// Reading: each at_… throws boost::system::system_error on a missing member or a wrong type; decode catches it once.
std::string text_at(const json::object& o, std::string_view key) {
  return std::string(std::string_view(o.at(key).as_string()));
}

std::vector<std::string> texts_at(const json::object& o, std::string_view key) {
  std::vector<std::string> out;
  for (const auto& one : o.at(key).as_array()) out.emplace_back(one.as_string());
  return out;
}

template <class Number>
Number number_at(const json::object& o, std::string_view key) {
  return o.at(key).to_number<Number>();
}

template <class Names>
auto name_at(const json::object& o, std::string_view key, const Names& names) {
  const auto found = names.parse(text_at(o, key));
  if (!found) throw std::invalid_argument("unknown " + std::string(key) + " \"" + text_at(o, key) + "\"");
  return *found;
}

template <class T>
T or_throw(base::result<T> r) {
  if (!r) throw std::invalid_argument(r.error().message);
  return std::move(*r);
}

frozen frozen_from(const json::object& o) {
  frozen f;
  f.unit = text_at(o, "unit");
  f.why = text_at(o, "why");
  const auto& asked = o.at("asked").as_object();
  f.asked.snapshot = text_at(asked, "snapshot");
  f.asked.plan = text_at(asked, "plan");
  f.asked.from = text_at(asked, "from");
  f.asked.yes = asked.at("yes").as_bool();
  f.asked.by_hand = asked.at("by_hand").as_bool();
  if (const auto* beside = asked.if_contains("beside")) f.asked.beside = beside->as_bool();  // not in older journals
  if (const auto* explained = asked.if_contains("explained")) f.asked.explained = explained->as_bool();  // likewise
  if (asked.contains("newer_than")) f.asked.newer_than = number_at<std::uint64_t>(asked, "newer_than");
  if (asked.contains("leader")) {
    f.asked.leader = text_at(asked, "leader");
    f.asked.set = text_at(asked, "set");
  }
  f.data_dir = text_at(o, "data_dir");
  f.also = texts_at(o, "also");
  if (o.contains("mounts"))
    f.mounts = texts_at(o, "mounts");
  else if (auto mount = text_at(o, "mount"); !mount.empty())  // older journals had at most one
    f.mounts.push_back(std::move(mount));
  for (const auto& one : o.at("sources").as_array()) {
    if (one.is_string())
      f.sources.emplace_back(std::string(std::string_view(one.get_string())));  // written before sources had options
    else
      f.sources.push_back(or_throw(ports::decode_source(json::serialize(one))));
  }
  f.recipe = or_throw(ports::decode_recipe(json::serialize(o.at("recipe"))));
  f.mode = name_at(o, "mode", model::recovery_mode_names);
  f.checksum = name_at(o, "checksum", model::checksum_policy_names);
  f.budget_count = number_at<unsigned>(o, "budget_count");
  f.budget_within = base::duration(number_at<std::int64_t>(o, "budget_within_ms"));
  f.max_snapshot_age = base::duration(number_at<std::int64_t>(o, "max_snapshot_age_ms"));
  if (o.contains("public_key")) f.public_key = text_at(o, "public_key");
  if (o.contains("max_rate")) f.max_rate = number_at<std::uint64_t>(o, "max_rate");
  if (o.contains("max_window")) f.max_window = number_at<std::uint64_t>(o, "max_window");
  f.min_free = number_at<std::uint64_t>(o, "min_free");
  if (o.contains("space")) f.space = name_at(o, "space", model::space_policy_names);
  f.has_head = o.at("has_head").as_bool();
  if (const auto* tells = o.if_contains("tells_health")) f.tells_health = tells->as_bool();  // not in older journals
  if (o.contains("group")) {
    f.group = text_at(o, "group");
    f.members = texts_at(o, "members");
  }
  return f;
}

record read_record(std::string_view kind, const json::object& o) {
  if (kind == "begun") return begun{frozen_from(o.at("plan").as_object())};
  if (kind == "selected") {
    selected r;
    for (const auto& c : o.at("candidates").as_array())
      r.candidates.push_back(or_throw(ports::decode_candidate(json::serialize(c))));
    if (o.contains("settled")) {  // not in older journals
      r.settled = texts_at(o, "settled");
      r.settled_by = text_at(o, "settled_by");
    }
    return r;
  }
  if (kind == "trying") return trying{number_at<std::size_t>(o, "candidate")};
  if (kind == "fetched") {
    fetched r;
    r.sha256 = texts_at(o, "sha256");
    r.verified = o.at("verified").as_bool();
    return r;
  }
  if (kind == "dropped")
    return dropped{number_at<std::size_t>(o, "candidate"), name_at(o, "fate", fate_names), text_at(o, "why")};
  if (kind == "staged") {
    staged r;
    for (const auto& [name, path] : o.at("archive_paths").as_object())
      r.archive_paths[std::string(name)] = std::string(std::string_view(path.as_string()));
    return r;
  }
  if (kind == "approved") return approved{o.contains("in_place") && o.at("in_place").as_bool()};
  if (kind == "swapping") return swapping{base::wall_time(base::duration(number_at<std::int64_t>(o, "at_ms")))};
  if (kind == "swapped") return swapped{};
  if (kind == "first_start") return first_start{number_at<unsigned>(o, "attempt")};
  if (kind == "loaded") return loaded{};
  if (kind == "confirmed") return confirmed{};
  if (kind == "rolling_back")
    return rolling_back{name_at(o, "then", after_roll_back_names), text_at(o, "why"), o.contains("renamed_nothing")};
  if (kind == "rolled_back") return rolled_back{o.contains("inexact") ? text_at(o, "inexact") : ""};
  if (kind == "undo_wanted") return undo_wanted{o.contains("why") ? text_at(o, "why") : ""};
  if (kind == "wiping") return wiping{};
  if (kind == "wiped") return wiped{};
  if (kind == "importing") return importing{number_at<unsigned>(o, "attempt")};
  if (kind == "imported") return imported{};
  throw std::invalid_argument("unknown record \"" + std::string(kind) + "\"; it was written by another hasup");
}

}  // namespace

std::string encode(const record& r) {
  json::object out{{"version", record_version}, {"record", record_names[r.index()]}};
  std::visit(writer{out}, r);
  return json::serialize(out);
}

base::result<record> decode(std::string_view text) {
  try {
    boost::system::error_code failed;
    json::parse_options options;
    options.allow_invalid_utf8 = true;  // reasons name files, whose names are bytes
    const auto value = json::parse(text, failed, {}, options);
    if (failed) return base::error{"journal record is not JSON: " + failed.message()};
    const auto& o = value.as_object();
    if (const auto version = number_at<int>(o, "version"); version != record_version)
      return base::error{"journal record of version " + std::to_string(version) + ", this hasup reads version " +
                         std::to_string(record_version) + "; install the hasup that wrote it"};
    return read_record(text_at(o, "record"), o);
  } catch (const std::exception& e) {
    return base::error{std::string("journal record cannot be understood: ") + e.what()};
  }
}

}  // namespace hasup::recovery
