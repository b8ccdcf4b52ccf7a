#include "cli/machine_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <algorithm>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/byte_size.hpp"
#include "base/unique_fd.hpp"
#include "cli/launch_check.hpp"
#include "config/document.hpp"
#include "snapshot/mount_point.hpp"
#include "snapshot/swappable.hpp"
#include "snapshot/volumes.hpp"
#include "unit/first_state.hpp"
#include "unit/space_guard.hpp"
#include "upstream/server_list.hpp"

namespace fs = std::filesystem;

namespace hasup::cli {
namespace {

// The directory, or what it will be made in.
fs::path nearest(const std::string& directory) {
  std::error_code ec;
  fs::path there = directory;
  while (!fs::exists(there, ec) && there.has_relative_path()) there = there.parent_path();
  return there;
}

std::optional<std::uint64_t> free_under(const fs::path& there) {
  struct statvfs v {};
  if (::statvfs(there.c_str(), &v) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(v.f_bavail) * v.f_frsize;
}

// In the unit's own file; a key that comes from elsewhere (extends) is told for the whole file.
config::place place_in(const std::string& file, std::string_view table, std::string_view key) {
  std::ifstream in(file, std::ios::binary);
  config::report ignored;
  const auto tree = config::parse_document(file, std::string(std::istreambuf_iterator<char>(in), {}), ignored);
  const auto* section = tree ? tree->find(table) : nullptr;
  const auto* v = section == nullptr ? nullptr : section->find(key);
  if (v != nullptr) return v->where;
  config::place whole;
  whole.source = std::make_shared<config::text_source>(config::text_source{file, {}});
  return whole;
}

void check_space(const config::unit_entry& entry, const model::unit& unit, config::report& findings) {
  if (unit.data.min_free == 0) return;
  std::set<dev_t> seen;
  for (const auto& dir : unit::watched_dirs(unit.data)) {
    const auto there = nearest(dir);
    struct stat st {};
    if (::stat(there.c_str(), &st) == 0 && !seen.insert(st.st_dev).second) continue;
    const auto free = free_under(there);
    if (!free || *free >= unit.data.min_free) continue;
    findings.warning(
        place_in(entry.file, "data", "min_free"),
        fmt::format("min_free is {}, but only {} are free under {} now: {} is not started before there is "
                    "more, and stopped if it runs; make room or lower min_free",
                    base::format_byte_size(unit.data.min_free), base::format_byte_size(*free), dir,
                    shown_name(unit)));
  }
}

// A volume that is not mounted leaves an empty directory, in which nobody can tell that something is missing.
void check_mount(const config::unit_entry& entry, const model::unit& unit, config::report& findings) {
  const auto& named = unit.data.mounts;
  if (std::find(named.begin(), named.end(), unit.data.dir) != named.end()) return;
  if (!snapshot::is_mount_point(unit.data.dir)) return;
  findings.warning(
      place_in(entry.file, "data", "dir"),
      fmt::format("{} is a mount point that data.mount does not name: when its volume is not mounted, what "
                  "is below it would be taken for the data of {}; write mount = \"{}\" in [data]",
                  unit.data.dir, shown_name(unit), unit.data.dir));
}

void check_state(const config::unit_entry& entry, const model::unit& unit, config::report& findings) {
  std::error_code ec;
  if (!entry.recipe) return;
  const auto& recipe = *entry.recipe;
  const bool brought = recipe.bootstrap == model::bootstrap_mode::recover && unit.has_recovery();
  if (brought || recipe.bootstrap == model::bootstrap_mode::empty) return;
  unit::state_seen seen{fs::exists(unit.data.dir, ec), true, recipe.must_exist};
  if (!seen.there && ec) return;  // not for our eyes
  if (seen.there && (!fs::is_empty(unit.data.dir, ec) || ec)) return;
  findings.warning(place_in(entry.file, "recovery", "recipe"),
                   fmt::format("{}: {}; {}", unit::what_is_missing(unit, seen), unit::never_from_nothing,
                               unit::first_state_advice(unit, recipe)));
}

// The owner of the data directory is the unit's user, or nothing of hasup's works there.
void check_swap(const config::unit_entry& entry, const model::unit& unit, config::report& findings) {
  if (!entry.recipe || !unit.has_recovery()) return;
  const base::unique_fd root(::open(unit.data.dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat st {};
  if (!root || ::fstat(root.get(), &st) != 0) return;  // not there yet, or not for our eyes
  for (const auto& plan : entry.recipe->plans) {
    const auto rules = snapshot::wipe_rules::from(plan.wipe, entry.recipe->keep, plan.shared,
                                                  snapshot::volumes_below(unit.data.dir, unit.data.mounts));
    const auto why =
        rules ? snapshot::why_not_swappable(root.get(), unit.data.dir, *rules, st.st_uid) : rules.error().message;
    if (!why.empty())
      findings.warning(
          place_in(entry.file, "recovery", "recipe"),
          fmt::format("a recovery of {} with plan \"{}\" would be refused: {}", shown_name(unit), plan.name, why));
  }
}

// What would be refused when the list of [proxy] is first made.
void check_template(const config::unit_entry& entry, const model::unit& unit, config::report& findings) {
  if (!unit.proxy || !unit.choices.all) return;
  const auto warn = [&](std::string_view key, const std::string& why) {
    findings.warning(place_in(entry.file, "proxy", key),
                     fmt::format("no list can be made for {}: {}", shown_name(unit), why));
  };
  std::error_code ec;
  const auto directory = fs::path(unit.proxy->output).parent_path();
  if (!fs::is_directory(directory, ec)) warn("output", "there is no directory " + directory.string());
  if (!fs::exists(unit.proxy->template_file, ec))
    return ec ? void() : warn("template", "there is no " + unit.proxy->template_file);
  std::ifstream in(unit.proxy->template_file, std::ios::binary);
  if (!in) return;  // not for our eyes
  const auto role = unit.choices.all->roles.find(unit.proxy->upstream);
  if (role == unit.choices.all->roles.end()) return;
  std::vector<const model::upstream_endpoint*> all;
  for (const auto& e : role->second.endpoints) all.push_back(&e);
  if (const auto text = upstream::fill_template(std::string(std::istreambuf_iterator<char>(in), {}), all); !text)
    warn("template", unit.proxy->template_file + ": " + text.error().message);
}

}  // namespace

base::diagnostics machine_warnings(const config::loaded& all, const std::set<std::string>& only) {
  config::report findings;
  for (const auto& [name, entry] : all.units) {
    if (!entry.valid || (!only.empty() && !only.contains(name))) continue;
    std::set<std::pair<std::string, std::string>> told;  // once for all instances
    const auto warn = [&, &file = entry.file](std::string_view table, std::string_view key, const std::string& what) {
      if (told.emplace(key, what).second) findings.warning(place_in(file, table, key), what);
    };
    for (const auto& unit : entry.instances) {
      if (only.empty()) check_launch(unit, warn);  // after an apply the starts themselves tell
      check_template(entry, unit, findings);
      if (!unit.has_data()) continue;
      check_space(entry, unit, findings);
      check_mount(entry, unit, findings);
      check_state(entry, unit, findings);
      check_swap(entry, unit, findings);
    }
  }
  return findings.take();
}

}  // namespace hasup::cli
