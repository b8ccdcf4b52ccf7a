#include "snapshot/unpack/unpack.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "snapshot/cache_seal.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/staged.hpp"
#include "snapshot/swap_record.hpp"
#include "snapshot/unpack/entry_path.hpp"
#include "snapshot/unpack/extractor.hpp"
#include "snapshot/wipe_rules.hpp"

namespace hasup::snapshot {
namespace {

class unpacking {
 public:
  unpacking(const ports::worker_job& job, job_control& control, const data_tree& tree, wipe_rules rules,
            ports::worker_result& out)
      : job_(job),
        control_(control),
        tree_(tree),
        rules_(std::move(rules)),
        out_(out),
        guard_(tree.own(), job.min_free, tree.path()) {}

  outcome<void> run();

 private:
  archive_reader::options reading() const;
  outcome<void> begin_empty();
  outcome<void> one(const model::archive_spec& spec, const model::snapshot& s, std::size_t index);
  outcome<base::unique_fd> open_cached(const model::snapshot& s, std::uint64_t& size);
  outcome<void> archive(const model::archive_spec& spec, const model::snapshot& s, int fd, std::size_t index);
  outcome<void> single(const model::archive_spec& spec, const model::snapshot& s, int fd, std::uint64_t size);
  outcome<void> decompress(archive_reader& reader, const std::string& target);
  outcome<void> copy(const model::archive_spec& spec, const model::snapshot& s, int fd, const std::string& target,
                     std::uint64_t size);
  outcome<base::unique_fd> create(const std::string& target);
  outcome<std::string> leading_dir(const model::archive_spec& spec, const std::string& scratch) const;
  bool belongs(const model::archive_spec& spec, const std::string& top) const;
  outcome<void> move_into_new(const model::archive_spec& spec, const model::snapshot& s, const std::string& from);
  outcome<void> move_whole(const std::string& from, const std::string& to, const model::snapshot& s);
  bool leave_out(const model::archive_spec& spec, const std::string& path) const;

  const ports::worker_job& job_;
  job_control& control_;
  const data_tree& tree_;
  wipe_rules rules_;
  ports::worker_result& out_;
  space_guard guard_;
  disk disk_;
  std::vector<char> buffer_;
};

outcome<void> unpacking::run() {
  auto swapped = read_swap_record(tree_.own());
  if (!swapped) return swapped.error();
  if (*swapped)
    return refusal(
        "this data directory is swapped or half swapped; roll back or clean up before another snapshot is "
        "unpacked");
  if (job_.chosen->snapshots.size() != job_.plan.archives.size())
    return refusal("plan \"" + job_.plan.name + "\" needs " + std::to_string(job_.plan.archives.size()) +
                   " archives, but " + std::to_string(job_.chosen->snapshots.size()) + " were chosen");
  if (auto empty = begin_empty(); !empty) return empty;
  if (auto enough = guard_.check(); !enough) return enough;
  for (std::size_t i = 0; i < job_.plan.archives.size(); ++i) {
    if (auto done = one(job_.plan.archives[i], job_.chosen->snapshots[i], i); !done) {
      auto f = done.error();
      if (f.kind != ports::worker_failure::internal && f.snapshot.empty())
        f.snapshot = job_.chosen->snapshots[i].name;
      return f;
    }
  }
  out_.bytes = guard_.logical();
  if (auto removed = disk_.remove_tree(tree_.own(), "staging/unpack"); !removed) return removed;
  if (::syncfs(tree_.own()) != 0) return system_failure("sync " + tree_.path(), errno);
  return write_staged(tree_.own(), disk_, {job_.plan.name, out_.archive_paths});
}

outcome<void> unpacking::begin_empty() {
  const auto stop = [this] { return control_.cancelled(); };
  // The mark goes first: what is half deleted must not look staged.
  if (auto there = look(tree_.own(), "staging"); there && *there)
    if (auto removed = disk_.remove_file(tree_.own(), "staging/staged.json"); !removed) return removed;
  if (auto removed = disk_.remove_tree(tree_.own(), "staging", stop); !removed) return removed;
  for (const auto* dir : {"staging", "staging/new", "staging/archives", "staging/unpack"})
    if (auto made = disk_.make_dir(tree_.own(), dir, 0700); !made) return made;
  return {};
}

archive_reader::options unpacking::reading() const {
  archive_reader::options o;
  if (job_.max_window != 0) o.max_window = std::min(o.max_window, job_.max_window);
  o.stop = [this] { return control_.cancelled(); };
  return o;
}

outcome<base::unique_fd> unpacking::open_cached(const model::snapshot& s, std::uint64_t& size) {
  if (!is_snapshot_name(s.name) || !is_plain_relative(s.name))
    return refusal("\"" + s.name + "\" is not a file name of the cache");
  auto seal = read_seal(tree_.own(), s.name);
  if (!seal) return seal.error();
  if (!*seal)
    return failure{
        ports::worker_failure::internal,
        tree_.own_path("cache/" + s.name) + " is missing or was changed since it was verified; fetch it again"};
  size = (*seal)->size;
  return open_beneath(tree_.own(), "cache/" + s.name, O_RDONLY);
}

outcome<void> unpacking::one(const model::archive_spec& spec, const model::snapshot& s, std::size_t index) {
  if (spec.as.empty() == spec.into.empty())
    return refusal("an archive of plan \"" + job_.plan.name + "\" needs exactly one of `as` and `into`");
  const bool top = spec.into == ".";
  if ((!spec.as.empty() && (!is_plain_relative(spec.as) || spec.as.find('/') != std::string::npos)) ||
      (!spec.into.empty() && !top && !is_plain_relative(spec.into)))
    return refusal("\"" + spec.as + spec.into + "\" is not a name in the staging directory");
  if (!spec.into.empty() && !top && rules_.decide(spec.into) == fate::untouched)
    return refusal("into = \"" + spec.into + "\" is not covered by wipe of plan \"" + job_.plan.name +
                   "\"; add it there");
  std::uint64_t size = 0;
  auto fd = open_cached(s, size);
  if (!fd) return fd.error();
  control_.begin("stage", s.name, without_password(s.source), size);
  if (spec.unpack == model::unpack_mode::archive) return archive(spec, s, fd->get(), index);
  return single(spec, s, fd->get(), size);
}

outcome<void> unpacking::archive(const model::archive_spec& spec, const model::snapshot& s, int fd,
                                 std::size_t index) {
  const auto scratch = "staging/unpack/" + std::to_string(index);
  if (auto made = disk_.make_dir(tree_.own(), scratch, 0700); !made) return made;
  auto dir = open_beneath(tree_.own(), scratch, O_RDONLY | O_DIRECTORY);
  if (!dir) return dir.error();
  auto reader = archive_reader::open(fd, s.name, archive_reader::content::archive, reading());
  if (!reader) return reader.error();
  extractor out(dir->get(), s.name, guard_, control_, [&](const std::string& path) { return leave_out(spec, path); });
  if (auto done = out.extract(*reader); !done) return done;
  auto lead = leading_dir(spec, scratch);
  if (!lead) return lead.error();
  if (auto linked = out.make_links(*lead); !linked) return linked;
  const auto from = joined(scratch, *lead);
  const auto what = lead->empty() ? scratch : from;
  if (!spec.as.empty()) {
    const auto target = "staging/archives/" + spec.as;
    out_.archive_paths[spec.as] = tree_.own_path(target);
    return move_whole(what, target, s);
  }
  if (spec.into != ".") return move_whole(what, "staging/new/" + spec.into, s);
  return move_into_new(spec, s, what);
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
  auto there = look(tree_.root(), path);
  return there && *there;
}

// Kept entries never come out of an archive. While it is open whether a leading directory goes away, both readings of
// a path count.
bool unpacking::leave_out(const model::archive_spec& spec, const std::string& path) const {
  if (!spec.as.empty()) return false;
  const std::string place = spec.into == "." ? "" : spec.into;
  if (rules_.keeps(joined(place, path))) return true;
  const auto slash = path.find('/');
  if (!spec.strip || slash == std::string::npos || belongs(spec, path.substr(0, slash))) return false;
  return rules_.keeps(joined(place, path.substr(slash + 1)));
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

outcome<void> unpacking::move_into_new(const model::archive_spec&, const model::snapshot& s,
                                       const std::string& from) {
  auto paths = replaced_entries(tree_.own(), from, rules_);
  if (!paths) return paths.error();
  if (paths->empty())
    return bad_snapshot(s.name, s.name + " has nothing that plan \"" + job_.plan.name + "\" may replace");
  for (const auto& path : *paths)
    if (auto moved = [&]() -> outcome<void> {
          const auto to = "staging/new/" + path;
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
      out_.notes.push_back(name + " of " + s.name + " was left out: plan \"" + job_.plan.name +
                           "\" may not replace it");
  return {};
}

outcome<void> unpacking::single(const model::archive_spec& spec, const model::snapshot& s, int fd,
                                std::uint64_t size) {
  const bool decompressing = spec.unpack == model::unpack_mode::decompress;
  auto file = decompressing ? without_compression_suffix(s.name) : s.name;
  std::string target;
  if (!spec.as.empty())
    target = "staging/archives/" + spec.as + "/" + file;
  else
    target = "staging/new/" + (spec.into == "." ? file : spec.into);
  if (spec.into == "." && rules_.decide(file) != fate::replaced)
    return refusal(file + " is not covered by wipe of plan \"" + job_.plan.name + "\"; name it with into = \"NAME\"");
  if (auto made = disk_.make_parents(tree_.own(), target, 0700); !made) return made;
  if (!spec.as.empty()) out_.archive_paths[spec.as] = tree_.own_path(target);
  if (!decompressing) return copy(spec, s, fd, target, size);
  auto reader = archive_reader::open(fd, s.name, archive_reader::content::single_file, reading());
  if (!reader) return reader.error();
  auto entry = reader->next();
  if (!entry) return entry.error();
  if (*entry == nullptr) return bad_snapshot(s.name, s.name + " is empty");
  if (!reader->compressed()) return copy(spec, s, fd, target, size);
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
    if (auto written = out.write((*block)->data, (*block)->size, (*block)->offset); !written) return written;
    control_.advance(reader.bytes_read());
  }
}

// What only lies beside the data is linked: the cache and the staging directory are one file system. What becomes
// part of the state is a file of its own, or the node would write into the cache.
outcome<void> unpacking::copy(const model::archive_spec& spec, const model::snapshot& s, int fd,
                              const std::string& target, std::uint64_t size) {
  if (!spec.as.empty()) {
    auto from = open_beneath(tree_.own(), "cache", O_PATH | O_DIRECTORY);
    if (!from) return from.error();
    auto dir = open_beneath(tree_.own(), parent_of(target), O_PATH | O_DIRECTORY);
    if (!dir) return dir.error();
    if (::linkat(from->get(), s.name.c_str(), dir->get(), std::string(name_of(target)).c_str(), 0) == 0) {
      guard_.add_logical(size);
      return {};
    }
  }
  auto to = create(target);
  if (!to) return to.error();
  if (::ioctl(to->get(), FICLONE, fd) == 0) {
    guard_.add_logical(size);
    return {};
  }
  sparse_writer out(to->get(), guard_, buffer_);
  std::vector<char> data(1U << 20);
  std::uint64_t done = 0;
  while (true) {
    if (control_.cancelled()) return cancelled();
    const auto n = ::pread(fd, data.data(), data.size(), static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure("read cache/" + s.name, errno);
    if (n == 0) return out.finish(done);
    if (auto written = out.write(data.data(), static_cast<std::size_t>(n), done); !written) return written;
    done += static_cast<std::uint64_t>(n);
    control_.advance(done);
  }
}

}  // namespace

ports::worker_result unpack(const ports::worker_job& job, job_control& control) {
  ports::worker_result out;
  const auto fail = [&](const failure& f) {
    out.failure = f.kind;
    out.error = f.message;
    out.snapshot = f.snapshot;
    return out;
  };
  if (!job.chosen || job.chosen->snapshots.empty()) return fail(refusal("the job names no snapshot to unpack"));
  auto rules = wipe_rules::from(job.plan.wipe, job.keep, job.plan.shared);
  if (!rules) return fail(rules.error());
  auto tree = data_tree::open_for_work(job.data_dir, disk{}, control);
  if (!tree) return fail(tree.error());
  unpacking all(job, control, *tree, std::move(*rules), out);
  if (auto done = all.run(); !done) return fail(done.error());
  return out;
}

}  // namespace hasup::snapshot
