#include "snapshot/unpack/carry.hpp"

#include <unistd.h>

#include <cerrno>

#include "base/byte_size.hpp"
#include "snapshot/room.hpp"
#include "snapshot/swap_record.hpp"
#include "snapshot/tree_clone.hpp"

namespace hasup::snapshot {
namespace {

spot unpacked(const data_tree& tree, std::string_view path) {
  return {tree.own(), joined("staging/new", path)};
}

outcome<std::vector<std::string>> entries_of_volumes(const data_tree& tree, const wipe_rules& rules) {
  auto all = replaced_entries(tree.own(), "staging/new", rules);
  if (all) std::erase_if(*all, [&](const auto& path) { return tree.mounted().of(path) == nullptr; });
  return all;
}

// All of them, before anything is copied to any.
outcome<std::uint64_t> check_room(const data_tree& tree, const std::vector<std::string>& paths,
                                  std::uint64_t min_free, const job_control& control) {
  std::map<const volumes::volume*, std::uint64_t> needed;
  std::uint64_t all = 0;
  for (const auto& path : paths) {
    const auto from = unpacked(tree, path);
    auto size = bytes_on_disk(from.root, from.path, control);
    if (!size) return size.error();
    needed[tree.mounted().of(path)] += *size;
    all += *size;
  }
  for (const auto& [v, bytes] : needed) {
    auto free = free_space(v->root.get());
    if (!free) return free.error();
    if (*free >= min_free && *free - min_free >= bytes) continue;
    return failure{ports::worker_failure::no_space,
                   joined(tree.path(), v->path) + " has " + base::format_byte_size(*free) + " free, but " +
                       base::format_byte_size(bytes) + " of the snapshot go there" +
                       (min_free > 0 ? ", and " + base::format_byte_size(min_free) + " must stay free (data.min_free)"
                                     : std::string()) +
                       "; make room on that volume"};
  }
  return all;
}

outcome<void> carry_one(const data_tree& tree, const std::string& path, const disk& d, tree_clone& copy) {
  const auto to = tree.staged(path);
  if (auto made = d.make_parents(to, 0755); !made) return made;
  const auto from = unpacked(tree, path);
  auto why = copy.make(from.path, to.path);
  if (!why && why.error().kind == ports::worker_failure::no_space)
    return failure{ports::worker_failure::no_space, "there is no room left for " + joined(tree.path(), path)};
  if (!why) return why.error();
  return why->empty() ? outcome<void>()
                      : failure{ports::worker_failure::internal, path + " cannot be copied to its volume: " + *why};
}

}  // namespace

outcome<void> claim_to_carry(data_tree& tree, const disk& d) {
  const auto record = read_swap_record(tree.own());
  if (!record) return record.error();
  const bool in_use = *record && (*record)->phase != swap_phase::wiped;
  return tree.claim_volumes(d, !in_use);
}

namespace {

// All that came to a volume goes when not all of it can: the old node may need that room.
failure taken_back(const data_tree& tree, const disk& d, failure why) {
  for (const auto& v : tree.mounted().all())
    if (auto removed = d.remove_tree(v.own.get(), "staging/new"); !removed)
      why.message += "; " + joined(tree.path(), v.path) + "/.hasup/staging is left: " + removed.error().message;
  return why;
}

}  // namespace

outcome<std::map<std::string, identity>> carry(const data_tree& tree, const wipe_rules& rules, std::uint64_t min_free,
                                               const disk& d, job_control& control) {
  std::map<std::string, identity> out;
  if (rules.volumes().empty()) return out;
  // What came for another snapshot, of which that job did not hear the end.
  for (const auto& v : tree.mounted().all())
    if (auto removed = d.remove_tree(v.own.get(), "staging/new", [&] { return control.cancelled(); }); !removed)
      return removed.error();
  auto paths = entries_of_volumes(tree, rules);
  if (!paths) return paths.error();
  auto all = check_room(tree, *paths, min_free, control);
  if (!all) return all.error();
  control.begin("stage", {}, {}, *all);
  for (const auto& v : tree.mounted().all()) {
    // One for all of a volume: names of one file stay names of one file.
    tree_clone copy(tree.own(), v.own.get(), d, control, tree_clone::data::copied);
    for (const auto& path : *paths) {
      if (tree.mounted().of(path) != &v) continue;
      if (auto done = carry_one(tree, path, d, copy); !done) return taken_back(tree, d, done.error());
      auto there = look(tree.staged(path));
      if (!there) return there.error();
      if (*there) out.emplace(path, (*there)->id);
    }
    if (::syncfs(v.own.get()) != 0) return system_failure("sync " + joined(tree.path(), v.path), errno);
    for (const auto& path : *paths)
      if (tree.mounted().of(path) == &v)
        if (auto removed = d.remove_tree(tree.own(), unpacked(tree, path).path); !removed) return removed.error();
  }
  return out;
}

}  // namespace hasup::snapshot
