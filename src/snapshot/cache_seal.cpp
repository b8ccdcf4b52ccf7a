#include "snapshot/cache_seal.hpp"

#include <boost/json.hpp>

namespace hasup::snapshot {
namespace {

namespace json = boost::json;

// What is put together of single chunks may have a hundred thousand spans.
constexpr std::size_t most_resume_note = 8U << 20U;

std::string seal_path(const std::string& name) {
  return "cache/" + name + ".seal";
}
std::string resume_path(const std::string& name) {
  return "cache/" + name + ".resume";
}

// A seal of an older version has fewer members.
std::string text_or_none(const json::value& v, std::string_view key) {
  const auto* found = v.as_object().if_contains(key);
  return found == nullptr ? std::string() : std::string(found->as_string());
}

}  // namespace

outcome<std::optional<cache_seal>> read_seal(int own, const std::string& name) {
  const std::optional<cache_seal> none;
  auto file = look(own, "cache/" + name);
  if (!file) return file.error();
  if (!*file || !(*file)->is_file()) return none;
  auto there = look(own, seal_path(name));
  if (!there) return there.error();
  if (!*there) return none;
  auto text = read_text(own, seal_path(name), 1U << 20);
  if (!text) return text.error();
  try {
    const auto v = json::parse(*text);
    cache_seal seal{std::string(v.at("sha256").as_string()),
                    v.at("size").to_number<std::uint64_t>(),
                    v.at("modified_ns").to_number<std::int64_t>(),
                    v.at("inode").to_number<std::uint64_t>(),
                    std::string(v.at("url").as_string()),
                    std::string(v.at("validator").as_string()),
                    text_or_none(v, "checked"),
                    text_or_none(v, "signed_by")};
    const bool same =
        seal.size == (*file)->size && seal.modified_ns == (*file)->modified_ns && seal.inode == (*file)->id.inode;
    return same ? std::optional<cache_seal>(std::move(seal)) : none;
  } catch (const std::exception&) {
    return none;  // cut off by a crash: the file is hashed again
  }
}

outcome<void> write_seal(int own, const disk& d, const std::string& name, const cache_seal& seal) {
  return d.write_durably(own, seal_path(name),
                         json::serialize(json::object{{"sha256", seal.sha256},
                                                      {"size", seal.size},
                                                      {"modified_ns", seal.modified_ns},
                                                      {"inode", seal.inode},
                                                      {"url", seal.url},
                                                      {"validator", seal.validator},
                                                      {"checked", seal.checked},
                                                      {"signed_by", seal.signed_by}}));
}

std::optional<resume_note> read_resume_note(int own, const std::string& name) {
  auto text = read_text(own, resume_path(name), most_resume_note);
  if (!text) return std::nullopt;
  try {
    const auto v = json::parse(*text);
    resume_note note{std::string(v.at("url").as_string()),
                     std::string(v.at("validator").as_string()),
                     {},
                     std::string(v.at("digest").as_string()),
                     {}};
    if (!v.at("total").is_null()) note.total = v.at("total").to_number<std::uint64_t>();
    for (const auto& span : v.at("here").as_array())
      note.here.add({span.at(0).to_number<std::uint64_t>(), span.at(1).to_number<std::uint64_t>()});
    if (const auto* seeds = v.as_object().if_contains("seeds"))
      note.seeds = {seeds->at("bytes").to_number<std::uint64_t>(), std::string(seeds->at("archive").as_string()),
                    seeds->at("done").as_bool()};
    return note;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

outcome<void> write_resume_note(int own, const disk& d, const std::string& name, const resume_note& note) {
  json::value total = nullptr;
  if (note.total) total = *note.total;
  json::array here;
  for (const auto& [first, end] : note.here.all()) here.push_back(json::array{first, end});
  return d.write_durably(
      own, resume_path(name),
      json::serialize(json::object{
          {"url", note.url},
          {"validator", note.validator},
          {"total", std::move(total)},
          {"digest", note.digest},
          {"here", std::move(here)},
          {"seeds", {{"bytes", note.seeds.bytes}, {"archive", note.seeds.archive}, {"done", note.seeds.done}}}}));
}

}  // namespace hasup::snapshot
