#include "cli/create_source.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
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
  auto plan = plan_to_create(*entry.recipe, c.call.plan, word);
  if (!plan) return target_error{c.call.plan.empty() ? exit_code::failed : exit_code::usage, plan.error().message};
  create_source out;
  out.unit = entry.instances.size() == 1 ? unit.id.unit : to_text(unit.id);
  out.job.data_dir = unit.data.dir;
  out.job.also = unit.data.also;
  out.job.plan = std::move(*plan);
  out.job.keep = entry.recipe->keep;
  out.job.locks = entry.recipe->locks;
  if (!unpacks_data(out.job.plan))
    out.note = fmt::format(
        "it holds {} of {} (plan \"{}\"), for you to unpack by hand: a recovery with recipe {} uses files that the "
        "node writes itself, not such an archive",
        fmt::join(out.job.plan.wipe, ", "), out.job.data_dir, out.job.plan.name, entry.recipe->name);
  for (const auto& a : out.job.plan.archives)
    if (a.unpack == model::unpack_mode::archive && a.into == ".") out.archive = a;
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

bool unpacks_data(const model::recovery_plan& plan) {
  return !plan.wipe.empty() && std::any_of(plan.archives.begin(), plan.archives.end(), [](const auto& a) {
    return a.unpack == model::unpack_mode::archive && a.as.empty() && a.into == ".";
  });
}

base::result<model::recovery_plan> plan_to_create(const model::recipe& recipe, const std::string& named,
                                                  const std::string& unit) {
  for (const auto& p : recipe.plans)
    if (named.empty() ? unpacks_data(p) : p.name == named) return p;
  const auto replaces = [](const model::recovery_plan& p, const std::string& entry) {
    return std::any_of(p.wipe.begin(), p.wipe.end(),
                       [&](const auto& w) { return w == "*" || w == entry || entry.starts_with(w + "/"); });
  };
  const auto all = std::find_if(recipe.plans.begin(), recipe.plans.end(), [&](const auto& p) {
    return std::all_of(recipe.plans.begin(), recipe.plans.end(), [&](const auto& other) {
      return std::all_of(other.wipe.begin(), other.wipe.end(), [&](const auto& w) { return replaces(p, w); });
    });
  });
  if (named.empty() && all != recipe.plans.end()) return *all;
  std::string message = named.empty() ? "the plans of recipe " + recipe.name + " replace different parts of the data"
                                      : "recipe " + recipe.name + " has no plan \"" + named + "\"";
  for (const auto& p : recipe.plans)
    message += (&p == &recipe.plans.front() ? "; say which to pack: " : ", or ") +
               fmt::format("hasup snapshot create {} --plan \"{}\" ({})", unit, p.name, fmt::join(p.wipe, ", "));
  return base::error{message};
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
