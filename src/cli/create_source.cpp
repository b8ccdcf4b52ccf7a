#include "cli/create_source.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <filesystem>

#include "base/time_text.hpp"
#include "config/paths.hpp"

namespace fs = std::filesystem;

namespace hasup::cli {
namespace {

constexpr std::string_view tar_end = ".tar.zst";
constexpr std::string_view file_end = ".zst";

std::string absolute(const std::string& path) {
  return config::normal_path(path.starts_with('/') ? path : fs::current_path().string() + "/" + path);
}

std::variant<create_source, target_error> path_source(const context& c, const std::string& word) {
  if (!c.call.plan.empty())
    return target_error{exit_code::usage, "--plan is of a unit's recipe; of a directory everything is packed"};
  create_source out;
  const auto path = absolute(word);
  std::error_code failed;
  const auto status = fs::status(path, failed);
  if (failed)
    return target_error{
        failed.value() == EACCES || failed.value() == EPERM ? exit_code::permission_denied : exit_code::failed,
        fmt::format("{}: {}", path, failed.message())};
  if (fs::is_directory(status))
    out.job.data_dir = path;
  else if (fs::is_regular_file(status))
    out.job.file = path;
  else
    return target_error{exit_code::failed, path + " is neither a directory nor a file"};
  return out;
}

std::variant<create_source, target_error> instance_source(const context& c, const std::string& word,
                                                          const config::unit_entry& entry, unsigned index) {
  const auto& unit = entry.instances[index];
  if (unit.data.dir.empty() || !entry.recipe)
    return target_error{exit_code::failed,
                        fmt::format("unit {} has no {}: set it, or name a directory: hasup snapshot create ./DIR",
                                    word, unit.data.dir.empty() ? "data.dir" : "recovery.recipe")};
  auto plan = plan_to_create(*entry.recipe, c.call.plan);
  if (!plan) return target_error{c.call.plan.empty() ? exit_code::failed : exit_code::usage, plan.error().message};
  create_source out;
  out.unit = entry.instances.size() == 1 ? unit.id.unit : to_text(unit.id);
  out.job.data_dir = unit.data.dir;
  out.job.also = unit.data.also;
  out.job.plan = std::move(*plan);
  out.job.keep = entry.recipe->keep;
  out.job.locks = entry.recipe->locks;
  for (const auto& a : out.job.plan.archives)
    if (a.unpack == model::unpack_mode::archive && a.as.empty()) out.archive = a;
  return out;
}

}  // namespace

std::variant<create_source, target_error> find_create_source(const context& c, const std::string& word) {
  if (names_a_source(word)) return path_source(c, word);
  const auto found = find_instance(c, word);
  if (const auto* wrong = std::get_if<target_error>(&found)) return *wrong;
  if (const auto* unknown = std::get_if<unknown_unit_name>(&found)) {
    std::error_code ignored;
    if (fs::exists(word, ignored)) return path_source(c, word);
    return target_error{exit_code::no_such_unit, unknown->message};
  }
  const auto& [entry, index] = std::get<found_instance>(found);
  return instance_source(c, word, entry, index);
}

base::result<model::recovery_plan> plan_to_create(const model::recipe& recipe, const std::string& named) {
  for (const auto& p : recipe.plans) {
    if (!named.empty() && p.name == named) return p;
    const bool from_data = std::any_of(p.archives.begin(), p.archives.end(), [](const auto& a) {
      return a.unpack == model::unpack_mode::archive && a.as.empty() && a.into == ".";
    });
    if (named.empty() && from_data && !p.wipe.empty()) return p;
  }
  if (!named.empty()) return base::error{"recipe " + recipe.name + " has no plan \"" + named + "\""};
  std::string plans;
  for (const auto& p : recipe.plans) plans += (plans.empty() ? "\"" : ", \"") + p.name + "\"";
  return base::error{"recipe " + recipe.name +
                     " restores from files that the node writes itself, not from an archive of its data: name such a "
                     "file, or say with --plan which plan's part of the data to pack (" +
                     plans + ")"};
}

std::string archive_name(const create_source& source, const std::string& wanted, base::wall_time now) {
  const auto ends = [](const std::string& name, std::initializer_list<std::string_view> all) {
    return std::any_of(all.begin(), all.end(), [&](auto end) { return name.ends_with(end); });
  };
  if (!source.job.file.empty()) {
    const auto file = source.job.file.substr(source.job.file.rfind('/') + 1);
    const bool compressed = ends(file, {".zst", ".zstd", ".gz", ".xz", ".bz2", ".lz4", ".lzma", ".lz", ".Z"});
    if (compressed) return wanted.empty() ? file : wanted;  // it goes on as it is
    if (wanted.empty()) return file + std::string(file_end);
    return ends(wanted, {".zst", ".zstd"}) ? wanted : wanted + std::string(file_end);
  }
  if (!wanted.empty()) return ends(wanted, {".zst", ".zstd", ".tzst"}) ? wanted : wanted + std::string(tar_end);
  auto stamp = base::format_time(now);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  const auto& match = source.archive.match;
  if (const auto star = match.find('*'); star != std::string::npos) {
    auto name = match.substr(0, star) + stamp;
    for (const char c : match.substr(star + 1))
      if (c != '*') name += c;
    if (star > 0 && name.find_first_of("?[]\\") == std::string::npos)
      for (const std::string_view end : {"", ".zst", ".tar.zst"}) {
        const auto whole = name + std::string(end);
        if (whole.ends_with(tar_end) && ::fnmatch(match.c_str(), whole.c_str(), 0) == 0) return whole;
      }
  }
  const auto base =
      source.unit.empty() ? source.job.data_dir.substr(source.job.data_dir.rfind('/') + 1) : source.unit;
  return (base.empty() ? std::string("root") : base) + "-" + stamp + std::string(tar_end);
}

}  // namespace hasup::cli
