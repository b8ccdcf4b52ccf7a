#include "snapshot/volumes.hpp"

#include <fcntl.h>

#include <algorithm>

namespace hasup::snapshot {
namespace {

constexpr std::string_view whose_file = "data_dir";

bool is_in(std::string_view path, std::string_view dir) {
  return path == dir || (path.size() > dir.size() && path.starts_with(dir) && path[dir.size()] == '/');
}

outcome<void> claim_one(const volumes::volume& v, const std::string& data_dir, const disk& d) {
  const auto shown = joined(data_dir, v.path) + "/.hasup";
  auto whose = look(v.own.get(), whose_file);
  if (!whose) return whose.error();
  if (!*whose) return d.write_durably(v.own.get(), whose_file, data_dir);
  auto text = read_text(v.own.get(), whose_file, 1U << 16);
  if (!text) return text.error();
  if (*text == data_dir) return {};
  return refusal(joined(data_dir, v.path) + " is a volume of the data directory " + *text +
                 ", as it says itself, and cannot be one of two. If that directory is no more, remove " + shown +
                 "/" + std::string(whose_file));
}

}  // namespace

std::vector<std::string> volumes_below(const std::string& data_dir, const std::vector<std::string>& mounts) {
  std::string_view dir = data_dir;
  while (dir.size() > 1 && dir.ends_with('/')) dir.remove_suffix(1);
  std::vector<std::string> out;
  for (const auto& mount : mounts) {
    if (mount == dir || !is_in(mount, dir)) continue;
    auto path = mount.substr(dir.size() + 1);
    while (path.ends_with('/')) path.pop_back();
    if (is_plain_relative(path)) out.push_back(std::move(path));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

outcome<wipe_rules> rules_of(const model::recovery_plan& plan, const ports::worker_job& job) {
  return wipe_rules::from(plan.wipe, job.keep, plan.shared, volumes_below(job.data_dir, job.mounts));
}

outcome<volumes> volumes::open(int data_root, const std::string& data_dir, std::vector<std::string> paths,
                               uid_t user) {
  std::sort(paths.begin(), paths.end());
  volumes out;
  for (auto& path : paths) {
    const auto shown = joined(data_dir, path);
    // Where another one lies around it, that one has its parent.
    const auto around = out.in_place(data_root, parent_of(path));
    auto above = look(around);
    if (!above) return above.error();
    auto fd = open_beneath(data_root, path, O_RDONLY | O_DIRECTORY, mounts::cross);
    if (!fd && fd.error().kind == ports::worker_failure::refused) return fd.error();
    auto info = fd ? look(fd->get(), "") : outcome<std::optional<entry_info>>(std::nullopt);
    if (!info) return info.error();
    if (!*info || (!(*info)->mount_root && *above && (*info)->device == (*above)->device))
      return refusal(shown +
                     " is not mounted; mount it, or take it out of data.mount where it is an ordinary directory");
    if ((*info)->owner != user)
      return refusal(shown + " belongs to user " + std::to_string((*info)->owner) + ", but the unit runs as " +
                     std::to_string(user) + "; chown it");
    out.all_.push_back({std::move(path), std::move(*fd), {}, (*info)->id, (*info)->device});
  }
  return out;
}

outcome<void> volumes::claim(const std::string& data_dir, const disk& d) {
  for (auto& v : all_) {
    if (auto made = d.make_dir(v.root.get(), ".hasup", 0700); !made) return made;
    auto own = open_beneath(v.root.get(), ".hasup", O_RDONLY | O_DIRECTORY);
    if (!own) return own.error();
    v.own = std::move(*own);
    if (auto ours = claim_one(v, data_dir, d); !ours) return ours;
  }
  return {};
}

const volumes::volume* volumes::of(std::string_view path) const {
  const auto found = std::find_if(all_.rbegin(), all_.rend(), [&](const auto& v) { return is_in(path, v.path); });
  return found == all_.rend() ? nullptr : &*found;
}

std::string_view inside(const volumes::volume& v, std::string_view path) {
  return path.size() <= v.path.size() ? std::string_view() : path.substr(v.path.size() + 1);
}

spot volumes::in_place(int data_root, std::string_view path) const {
  const auto* v = of(path);
  return v == nullptr ? spot{data_root, std::string(path)} : spot{v->root.get(), std::string(inside(*v, path))};
}

spot volumes::in_own(int own, std::string_view place, std::string_view path) const {
  const auto* v = of(path);
  const auto rest = v == nullptr ? path : inside(*v, path);
  return {v == nullptr ? own : v->own.get(), rest.empty() ? std::string(place) : joined(place, rest)};
}

}  // namespace hasup::snapshot
