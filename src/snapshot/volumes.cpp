#include "snapshot/volumes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace hasup::snapshot {
namespace {

constexpr std::string_view claim_file = ".hasup/volume";

bool is_in(std::string_view path, std::string_view dir) {
  return path == dir || (path.size() > dir.size() && path.starts_with(dir) && path[dir.size()] == '/');
}

struct claim_text {
  std::string data_dir;
  std::string id;
};

// Two lines.
outcome<claim_text> read_claim(int volume_root) {
  claim_text out;
  auto there = look(volume_root, claim_file);
  if (!there) return there.error();
  if (!*there) return out;
  auto text = read_text(volume_root, claim_file, 1U << 16);
  if (!text) return text.error();
  const auto line = text->find('\n');
  out.data_dir = text->substr(0, line);
  if (line != std::string::npos) out.id = text->substr(line + 1, text->find('\n', line + 1) - line - 1);
  return out;
}

outcome<std::string> new_id() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return system_failure("getrandom", errno);
  std::string out;
  for (const auto b : bytes) out += fmt::format("{:02x}", b);
  return out;
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

bool is_volume_of(int data_root, const std::string& path, const std::string& id) {
  const auto root = open_beneath(data_root, path, O_RDONLY | O_DIRECTORY, mounts::cross);
  const auto claim = root ? read_claim(root->get()) : outcome<claim_text>(root.error());
  return claim && claim->id == id;
}

outcome<volumes> volumes::open(int data_root, const std::string& data_dir, std::vector<std::string> paths,
                               uid_t user) {
  std::sort(paths.begin(), paths.end());
  volumes out;
  for (auto& path : paths) {
    const auto shown = joined(data_dir, path);
    if (const auto* around = out.of(path))
      return refusal(shown + " is mounted in " + joined(data_dir, around->path) +
                     ", which is a volume itself; hasup replaces no volume inside of another one");
    auto above = look(data_root, parent_of(path));
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
    auto claim = read_claim(fd->get());
    if (!claim) return claim.error();
    if (!claim->data_dir.empty() && claim->data_dir != data_dir)
      return refusal(shown + " is a volume of the data directory " + claim->data_dir +
                     ", as it says itself, and cannot be one of two. If that directory is no more, remove " + shown +
                     "/" + std::string(claim_file));
    for (const auto& v : out.all_) {
      auto other = look(v.root.get(), "");
      if (!other) return other.error();
      if (*other && (*other)->id == (*info)->id && (*other)->device == (*info)->device)
        return refusal(shown + " and " + joined(data_dir, v.path) +
                       " are the same directory, mounted twice; hasup replaces what is in one place only");
    }
    out.all_.push_back({std::move(path), std::move(*fd), {}, std::move(claim->id), (*info)->device});
  }
  return out;
}

outcome<void> volumes::claim(const std::string& data_dir, const disk& d, bool anew) {
  for (auto& v : all_) {
    if (auto made = d.make_dir(v.root.get(), ".hasup", 0700); !made) return made;
    auto own = open_beneath(v.root.get(), ".hasup", O_RDONLY | O_DIRECTORY);
    if (!own) return own.error();
    v.own = std::move(*own);
    if (!v.id.empty() && !anew) continue;
    auto id = new_id();
    if (!id) return id.error();
    if (auto written = d.write_durably(v.own.get(), name_of(claim_file), data_dir + "\n" + *id + "\n"); !written) {
      if (written.error().kind != ports::worker_failure::no_space) return written;
      if (!v.id.empty()) continue;  // its older word will do
      return failure{ports::worker_failure::no_space, joined(data_dir, v.path) + " is full: there is no room for " +
                                                          joined(data_dir, v.path) + "/" + std::string(claim_file) +
                                                          ", by which it is known again; make some there"};
    }
    v.id = std::move(*id);
  }
  return {};
}

const volumes::volume* volumes::of(std::string_view path) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& v) { return is_in(path, v.path); });
  return found == all_.end() ? nullptr : &*found;
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
