#include "snapshot/warm_file.hpp"

#include <fcntl.h>

#include <algorithm>

#include "snapshot/ahead_mark.hpp"
#include "snapshot/cache_seal.hpp"
#include "snapshot/listing.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::string_view directory = "warm";
constexpr std::string_view file_name = "warm/warm.json";
constexpr std::size_t largest = 4U << 20U;

outcome<bool> is_sealed(int own, const ports::warm_set& w) {
  if (w.candidates.empty() || w.sha256.size() != w.candidates.front().snapshots.size()) return false;
  for (std::size_t i = 0; i < w.sha256.size(); ++i) {
    const auto& name = w.candidates.front().snapshots[i].name;
    if (!is_snapshot_name(name) || !is_plain_relative(name)) return false;
    auto seal = read_seal(own, name);
    if (!seal) return seal.error();
    if (!*seal || (*seal)->sha256 != w.sha256[i]) return false;
  }
  return !w.sha256.empty();
}

bool is_of(const ahead_mark& mark, const ports::warm_set& w) {
  return std::equal(mark.archives.begin(), mark.archives.end(), w.sha256.begin(), w.sha256.end(),
                    [](const ahead_mark::archive& a, const std::string& sha256) { return a.sha256 == sha256; });
}

}  // namespace

outcome<std::optional<ports::warm_set>> read_warm(int own) {
  const std::optional<ports::warm_set> none;
  auto found = look(own, file_name);
  if (!found) return found.error();
  if (!*found || !(*found)->is_file()) return none;
  auto text = read_text(own, std::string(file_name), largest);
  if (!text) return text.error();
  auto warm = ports::decode_warm(*text);
  if (!warm) return none;
  auto sealed = is_sealed(own, *warm);
  if (!sealed) return sealed.error();
  if (!*sealed) return none;
  auto ahead = read_ahead_mark(own);
  if (!ahead) return ahead.error();
  warm->unpacked = *ahead && is_of(**ahead, *warm);
  return std::optional<ports::warm_set>(std::move(*warm));
}

std::optional<ports::warm_set> warm_below(int data_dir) {
  auto own = open_beneath(data_dir, ".hasup", O_RDONLY | O_DIRECTORY);
  if (!own) return std::nullopt;
  auto warm = read_warm(own->get());
  return warm ? std::move(*warm) : std::nullopt;
}

outcome<void> write_warm(int own, const disk& d, const ports::warm_set& w) {
  if (auto made = d.make_dir(own, directory, 0700); !made) return made;
  return d.write_durably(own, file_name, ports::encode(w));
}

outcome<void> remove_warm(int own, const disk& d) {
  auto removed = d.remove_if_there(own, file_name);
  if (!removed) return removed.error();
  return *removed ? d.sync_dir(own, directory) : outcome<void>();
}

outcome<void> keep_in_cache(int own, const disk& d, const std::vector<std::string>& names) {
  auto there = look(own, "cache");
  if (!there) return there.error();
  if (!*there) return {};
  auto all = list_names(own, "cache");
  if (!all) return all.error();
  for (const auto& file : *all) {
    const bool seal = file.ends_with(".seal");
    const auto name = seal ? file.substr(0, file.size() - 5) : file;
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    if (auto removed = d.remove_tree(own, "cache/" + file); !removed) return removed;
  }
  return d.sync_dir(own, "cache");
}

}  // namespace hasup::snapshot
