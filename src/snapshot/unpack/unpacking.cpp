#include "snapshot/unpack/unpacking.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "snapshot/listing.hpp"
#include "snapshot/swap_record.hpp"
#include "snapshot/unpack/entry_path.hpp"
#include "snapshot/unpack/extractor.hpp"

namespace hasup::snapshot {

outcome<cache_seal> sealed_archive(const data_tree& tree, const model::snapshot& s) {
  if (!is_snapshot_name(s.name) || !is_plain_relative(s.name))
    return refusal("\"" + s.name + "\" is not a file name of the cache");
  auto seal = read_seal(tree.own(), s.name);
  if (!seal) return seal.error();
  if (*seal) return std::move(**seal);
  return failure{
      ports::worker_failure::internal,
      tree.own_path("cache/" + s.name) + " is missing or was changed since it was verified; fetch it again"};
}

outcome<archive_supply::given> from_cache::open(std::size_t, const model::snapshot& s) {
  auto seal = sealed_archive(tree_, s);
  if (!seal) return seal.error();
  auto fd = open_beneath(tree_.own(), "cache/" + s.name, O_RDONLY);
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  return given{fd_.get(), seal->size};
}

unpacking::unpacking(const ports::worker_job& job, job_control& control, const data_tree& tree, wipe_rules rules,
                     options o)
    : job_(job),
      control_(control),
      tree_(tree),
      rules_(std::move(rules)),
      options_(std::move(o)),
      guard_(tree.own(), job.min_free, tree.path(), options_.spoken_for) {}

outcome<void> unpacking::check() const {
  auto swapped = read_swap_record(tree_.own());
  if (!swapped) return swapped.error();
  if (*swapped && (*swapped)->phase != swap_phase::wiped)
    return refusal(
        "this data directory is swapped or half swapped; roll back or clean up before another snapshot is "
        "unpacked");
  if (job_.chosen->snapshots.size() != job_.plan.archives.size())
    return refusal("plan \"" + job_.plan.name + "\" needs " + std::to_string(job_.plan.archives.size()) +
                   " archives, but " + std::to_string(job_.chosen->snapshots.size()) + " were chosen");
  return {};
}

outcome<void> unpacking::make_places() {
  if (auto made = disk_.make_dir(tree_.own(), "staging", 0700); !made) return made;
  for (const auto* dir : {"", "/new", "/archives", "/unpack"})
    if (auto made = disk_.make_dir(tree_.own(), options_.place + dir, 0700); !made) return made;
  return {};
}

outcome<void> unpacking::run(archive_supply& supply) {
  for (std::size_t i = 0; i < job_.plan.archives.size(); ++i) {
    if (auto done = one(job_.plan.archives[i], job_.chosen->snapshots[i], i, supply); !done) {
      auto f = done.error();
      if (f.kind != ports::worker_failure::internal && f.snapshot.empty())
        f.snapshot = job_.chosen->snapshots[i].name;
      return f;
    }
  }
  if (auto complete = check_complete(); !complete) return complete;
  if (auto removed = disk_.remove_tree(tree_.own(), options_.place + "/unpack"); !removed) return removed;
  if (::syncfs(tree_.own()) != 0) return system_failure("sync " + tree_.path(), errno);
  return {};
}

// What must be there, is replaced, and lies where an archive goes, has to come out of the archives: what stood there
// before will be gone. A node that finds a part of its state without the rest often begins anew, without a word.
outcome<void> unpacking::check_complete() const {
  if (auto can = check_volumes(options_.place + "/new", job_.chosen->snapshots.front().name); !can) return can;
  const auto in_reach = [&](const std::string& path) {
    return std::any_of(job_.plan.archives.begin(), job_.plan.archives.end(), [&](const model::archive_spec& a) {
      return a.into == "." || (!a.into.empty() &&
                               (path == a.into || path.starts_with(a.into + "/") || a.into.starts_with(path + "/")));
    });
  };
  for (const auto& path : job_.must_bring) {
    if (!is_plain_relative(path) || !in_reach(path)) continue;
    const bool volume = rules_.decide(path) == fate::descend && holds_a_volume(path);
    if (!volume && rules_.decide(path) != fate::replaced) continue;
    const auto brought = look(tree_.own(), in_new(path));
    if (!brought && brought.error().kind == ports::worker_failure::refused) continue;  // behind a link of the archive
    if (!brought) return brought.error();
    if (*brought && !volume) continue;
    if (*brought) {
      auto all = replaced_entries(tree_.own(), options_.place + "/new", rules_);
      if (!all) return all.error();
      if (std::any_of(all->begin(), all->end(), [&](const auto& one) { return one.starts_with(path + "/"); }))
        continue;
    }
    std::string names;
    for (const auto& s : job_.chosen->snapshots) names += (names.empty() ? "" : ", ") + s.name;
    return bad_snapshot(names,
                        names + " does not bring " + path + ", without which the node would begin from nothing");
  }
  return {};
}

archive_reader::options unpacking::reading() const {
  archive_reader::options o;
  o.memory = options_.memory;
  if (job_.max_window != 0) o.max_window = std::min(o.max_window, job_.max_window);
  o.stop = [this] { return control_.cancelled(); };
  return o;
}

// Where a file of the archive `as` is made; the node finds it where it will be in the end.
std::string unpacking::in_archives(const std::string& as, const std::string& file) {
  const auto below = file.empty() ? "/archives/" + as : "/archives/" + as + "/" + file;
  archive_paths_[as] = tree_.own_path("staging" + below);
  return options_.place + below;
}

outcome<void> unpacking::one(const model::archive_spec& spec, const model::snapshot& s, std::size_t index,
                             archive_supply& supply) {
  if (spec.as.empty() == spec.into.empty())
    return refusal("an archive of plan \"" + job_.plan.name + "\" needs exactly one of `as` and `into`");
  const bool top = spec.into == ".";
  if ((!spec.as.empty() && (!is_plain_relative(spec.as) || spec.as.find('/') != std::string::npos)) ||
      (!spec.into.empty() && !top && !is_plain_relative(spec.into)))
    return refusal("\"" + spec.as + spec.into + "\" is not a name in the staging directory");
  if (!spec.into.empty() && !top && rules_.decide(spec.into) == fate::untouched)
    return refusal("into = \"" + spec.into + "\" is not covered by wipe of plan \"" + job_.plan.name +
                   "\"; add it there");
  auto given = supply.open(index, s);
  if (!given) return given.error();
  control_.begin("stage", s.name, without_password(s.source), given->size);
  guard_.expect(s.unpacked);
  if (spec.unpack == model::unpack_mode::archive) return archive(spec, s, given->file, index);
  return single(spec, s, given->file);
}

outcome<void> unpacking::archive(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file,
                                 std::size_t index) {
  const auto scratch = options_.place + "/unpack/" + std::to_string(index);
  if (auto made = disk_.make_dir(tree_.own(), scratch, 0700); !made) return made;
  auto dir = open_beneath(tree_.own(), scratch, O_RDONLY | O_DIRECTORY);
  if (!dir) return dir.error();
  auto reader = archive_reader::open(file, s.name, archive_reader::content::archive, reading());
  if (!reader) return reader.error();
  extractor out(dir->get(), s.name, guard_, control_, [&](const std::string& path) { return admit(spec, path); });
  if (auto done = out.extract(*reader); !done) return done;
  auto lead = leading_dir(spec, scratch);
  if (!lead) return lead.error();
  if (auto linked = out.make_links(*lead); !linked) return linked;
  const auto from = joined(scratch, *lead);
  const auto what = lead->empty() ? scratch : from;
  if (!spec.as.empty()) return move_whole(what, in_archives(spec.as, ""), s);
  if (spec.into != ".") return move_whole(what, in_new(spec.into), s);
  return move_into_new(s, what);
}

// Whether the name of a single leading directory is one that the data directory itself has, so that it must stay.
bool unpacking::belongs(const model::archive_spec& spec, const std::string& top) const {
  const bool inside = !spec.into.empty() && spec.into != ".";
  if (inside && top == name_of(spec.into)) return false;
  const auto path = inside ? joined(spec.into, top) : top;
  const auto named_in = [&](const std::vector<std::string>& paths) {
    return std::any_of(paths.begin(), paths.end(),
                       [&](const auto& p) { return p == path || p.starts_with(path + "/"); });
  };
  if (named_in(rules_.wipe()) || named_in(job_.must_exist)) return true;
  const auto known = in_data_.find(path);
  if (known != in_data_.end()) return known->second;
  return in_data_[path] = tree_.has(path);
}

// Kept entries never come out of an archive. While it is open whether a leading directory goes away, both readings of
// a path count.
admission unpacking::admit(const model::archive_spec& spec, const std::string& path) const {
  if (!spec.as.empty()) return admission::yes;
  const std::string place = spec.into == "." ? "" : spec.into;
  const auto as_read = [&](const std::string& inside) {
    if (rules_.keeps(inside)) return admission::left_out;
    return rules_.keeps_when_folded(inside) ? admission::only_folding_differs : admission::yes;
  };
  const auto whole = as_read(joined(place, path));
  const auto slash = path.find('/');
  if (whole != admission::yes || !spec.strip || slash == std::string::npos || belongs(spec, path.substr(0, slash)))
    return whole;
  return as_read(joined(place, path.substr(slash + 1)));
}

outcome<std::string> unpacking::leading_dir(const model::archive_spec& spec, const std::string& scratch) const {
  auto names = list_names(tree_.own(), scratch);
  if (!names) return names.error();
  if (!spec.strip || names->size() != 1) return std::string();
  auto only = look(tree_.own(), joined(scratch, names->front()));
  if (!only) return only.error();
  if (!*only || !(*only)->is_directory() || belongs(spec, names->front())) return std::string();
  return names->front();
}

outcome<void> unpacking::move_whole(const std::string& from, const std::string& to, const model::snapshot& s) {
  auto names = list_names(tree_.own(), from);
  if (!names) return names.error();
  if (names->empty()) return bad_snapshot(s.name, s.name + " is empty");
  if (auto made = disk_.make_parents(tree_.own(), to, 0700); !made) return made;
  auto moved = disk_.rename(tree_.own(), from, tree_.own(), to);
  if (!moved && moved.error().kind == ports::worker_failure::refused)
    return bad_snapshot(s.name, s.name + " brings " + std::string(name_of(to)) + ", and so does another archive");
  return moved;
}

outcome<void> unpacking::move_into_new(const model::snapshot& s, const std::string& from) {
  if (auto can = check_volumes(from, s.name); !can) return can;
  auto paths = replaced_entries(tree_.own(), from, rules_);
  if (!paths) return paths.error();
  if (paths->empty())
    return bad_snapshot(s.name, s.name + " has nothing that plan \"" + job_.plan.name + "\" may replace");
  for (const auto& path : *paths)
    if (auto moved = [&]() -> outcome<void> {
          const auto to = in_new(path);
          if (auto made = disk_.make_parents(tree_.own(), to, 0755); !made) return made;
          auto done = disk_.rename(tree_.own(), joined(from, path), tree_.own(), to);
          if (!done && done.error().kind == ports::worker_failure::refused)
            return bad_snapshot(s.name, s.name + " brings " + path + ", and so does another archive");
          return done;
        }();
        !moved)
      return moved;
  auto rest = list_names(tree_.own(), from);
  if (!rest) return rest.error();
  for (const auto& name : *rest)
    if (rules_.decide(name) == fate::untouched)
      notes_.push_back(name + " of " + s.name + " was left out: plan \"" + job_.plan.name + "\" may not replace it");
  return {};
}

// Is it one, or above one?
bool unpacking::holds_a_volume(const std::string& path) const {
  const auto all = rules_.volumes();
  return std::any_of(all.begin(), all.end(), [&](const auto& v) { return v == path || v.starts_with(path + "/"); });
}

// Its children are what comes to a volume, so it has to be a directory here.
outcome<void> unpacking::check_volumes(const std::string& below, const std::string& name) const {
  for (const auto& v : rules_.volumes()) {
    auto found = look(tree_.own(), joined(below, v));
    if (!found) return found.error();
    if (*found && !(*found)->is_directory())
      return bad_snapshot(name, name + " has " + v + " as something else than a directory, but a volume is there");
  }
  return {};
}

outcome<void> unpacking::single(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file) {
  const bool decompressing = spec.unpack == model::unpack_mode::decompress;
  const auto name = decompressing ? without_compression_suffix(s.name) : s.name;
  if (spec.into == "." && rules_.decide(name) != fate::replaced)
    return refusal(name + " is not covered by wipe of plan \"" + job_.plan.name + "\"; name it with into = \"NAME\"");
  const auto target = spec.as.empty() ? in_new(spec.into == "." ? name : spec.into) : in_archives(spec.as, name);
  if (auto made = disk_.make_parents(tree_.own(), target, 0700); !made) return made;
  if (!decompressing) return copy(spec, s, file, target);
  auto reader = archive_reader::open(file, s.name, archive_reader::content::single_file, reading());
  if (!reader) return reader.error();
  auto entry = reader->next();
  if (!entry) return entry.error();
  if (*entry == nullptr) return bad_snapshot(s.name, s.name + " is empty");
  if (!reader->compressed()) return copy(spec, s, file, target);
  return decompress(*reader, target);
}

outcome<base::unique_fd> unpacking::create(const std::string& target) {
  auto dir = open_beneath(tree_.own(), parent_of(target), O_PATH | O_DIRECTORY);
  if (!dir) return dir.error();
  base::unique_fd fd(::openat(dir->get(), std::string(name_of(target)).c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return system_failure("create " + target, errno);
  if (::fchmod(fd.get(), 0640) != 0) return system_failure("chmod " + target, errno);
  return fd;
}

outcome<void> unpacking::decompress(archive_reader& reader, const std::string& target) {
  auto fd = create(target);
  if (!fd) return fd.error();
  sparse_writer out(fd->get(), guard_, buffer_);
  while (true) {
    if (control_.cancelled()) return cancelled();
    auto block = reader.next_block();
    if (!block) return block.error();
    if (!*block) return out.finish(0);
    if (auto written = out.write((*block)->data, (*block)->size, (*block)->offset); !written) {
      auto f = written.error();
      if (f.kind == ports::worker_failure::bad_snapshot) f.message = std::string(name_of(target)) + " " + f.message;
      return f;
    }
    control_.advance(reader.bytes_read());
  }
}

// What only lies beside the data is linked: the cache and the staging directory are one file system. What becomes
// part of the state is a file of its own, or the node would write into the cache.
outcome<bool> unpacking::share(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file,
                               const std::string& target) {
  if (!spec.as.empty()) {
    if (auto all = wait_for_all(file); !all) return all.error();
    auto from = open_beneath(tree_.own(), "cache", O_PATH | O_DIRECTORY);
    if (!from) return from.error();
    auto dir = open_beneath(tree_.own(), parent_of(target), O_PATH | O_DIRECTORY);
    if (!dir) return dir.error();
    if (::linkat(from->get(), s.name.c_str(), dir->get(), std::string(name_of(target)).c_str(), 0) == 0) return true;
  }
  return false;
}

outcome<void> unpacking::copy(const model::archive_spec& spec, const model::snapshot& s, const archive_file& file,
                              const std::string& target) {
  auto shared = share(spec, s, file, target);
  if (!shared) return shared.error();
  const auto add_size = [&]() -> outcome<void> {
    struct stat st {};
    if (::fstat(file.fd, &st) != 0) return system_failure("look at cache/" + s.name, errno);
    guard_.add_logical(static_cast<std::uint64_t>(st.st_size));
    return {};
  };
  if (*shared) return add_size();
  auto to = create(target);
  if (!to) return to.error();
  // Where blocks can be shared there is nothing to gain from the part that is there.
  if (::ioctl(to->get(), FICLONE, file.fd) == 0) {
    if (file.coming == nullptr) return add_size();
    if (auto all = wait_for_all(file); !all) return all;
    if (::ioctl(to->get(), FICLONE, file.fd) == 0) return add_size();
  }
  sparse_writer out(to->get(), guard_, buffer_);
  std::vector<char> data(1U << 20);
  std::uint64_t done = 0;
  while (true) {
    if (control_.cancelled()) return cancelled();
    const auto n = read_at(file, data.data(), data.size(), done);
    if (!n) return n.error();
    if (*n == 0) return out.finish(done);
    if (auto written = out.write(data.data(), *n, done); !written) return written;
    done += *n;
    control_.advance(done);
  }
}

}  // namespace hasup::snapshot
