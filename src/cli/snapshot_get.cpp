// hasup snapshot get: what a recovery would fetch, into a directory of one's own.
#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/byte_size.hpp"
#include "base/unique_fd.hpp"
#include "cli/get_choice.hpp"
#include "cli/snapshot_verb.hpp"
#include "snapshot/cache_seal.hpp"
#include "snapshot/digest_kind.hpp"

namespace json = boost::json;
namespace fs = std::filesystem;

namespace hasup::cli {
namespace {

struct got {
  std::string name;
  std::string path;
  bool was_there = false;
  std::vector<std::string> proofs{};  // paths of what proves it
  ports::worker_result result;
};

exit_code code_of(const base::error& e) {
  return e.code == EACCES || e.code == EPERM ? exit_code::permission_denied : exit_code::failed;
}

base::result<void> sync_directory(const std::string& path) {
  const base::unique_fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) return base::errno_error("sync " + path);
  return {};
}

// The worker's files have the rights of a node's data; this one is the caller's, as if he had made it.
base::result<void> move_into_place(const std::string& from, const std::string& to, bool replace) {
  const auto mask = ::umask(0);
  ::umask(mask);
  if (::chmod(from.c_str(), 0666 & ~mask) != 0) return base::errno_error("chmod " + from);
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), replace ? 0 : RENAME_NOREPLACE) != 0) {
    // A network file system may not know the flag.
    const bool unknown = errno == EINVAL || errno == ENOSYS;
    if (!unknown || ::access(to.c_str(), F_OK) == 0)
      return base::errno_error("put in place " + to, unknown ? EEXIST : errno);
    if (::rename(from.c_str(), to.c_str()) != 0) return base::errno_error("put in place " + to);
  }
  return sync_directory(to.substr(0, to.rfind('/') + 1));
}

base::result<void> write_in_place(const std::string& path, const std::string& text) {
  const auto unfinished = path + ".tmp";
  {
    const base::unique_fd fd(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!fd || !write_all(fd.get(), text) || ::fsync(fd.get()) != 0) return base::errno_error("write " + unfinished);
  }
  if (::rename(unfinished.c_str(), path.c_str()) != 0) return base::errno_error("put in place " + path);
  return sync_directory(path.substr(0, path.rfind('/') + 1));
}

// One call at a time makes the file that `part` is the beginning of: while the descriptor is open this one does;
// without one another does. Where a file system knows no locks, nobody is kept from anything.
std::optional<base::unique_fd> claim(const std::string& part) {
  for (;;) {
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return base::unique_fd();  // the worker says why
    base::unique_fd fd(::open(part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && errno == ENOENT) continue;
    if (!fd) return base::unique_fd();
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return std::nullopt;
      return fd;
    }
    struct stat ours {};
    struct stat there {};
    const bool is_there = ::fstat(fd.get(), &ours) == 0 && ::lstat(part.c_str(), &there) == 0;
    if (is_there && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) return fd;
    // Who had it before has ended and removed it.
  }
}

// What proves an archive beside it, for `hasup snapshot verify`: as path and text.
std::vector<std::pair<std::string, std::string>> proofs_of(const got& g) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto& said = g.result.announced;
  const auto colon = std::min(said.find(':'), said.size());
  if (const auto kind = snapshot::digest_kind_names.parse(std::string_view(said).substr(0, colon)))
    out.emplace_back(g.path + std::string(snapshot::ending_of(*kind)), said.substr(colon + 1) + "  " + g.name + "\n");
  if (!g.result.signature.empty()) out.emplace_back(g.path + ".minisig", g.result.signature);
  return out;
}

// Of an archive that another one takes the place of.
void remove_proofs_of(const std::string& path) {
  for (const auto* end :
       {".sha256", ".sha256sum", ".sha512", ".sha512sum", ".b2", ".b2sum", ".md5", ".md5sum", ".minisig"}) {
    std::error_code ignored;
    fs::remove(path + end, ignored);
  }
}

constexpr std::size_t most_older = 2;  // archives that are read through for parts of a new one

// The newest archives in the directory that may have parts of another one.
std::vector<std::string> older_archives(const std::string& directory) {
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code failed;
  for (fs::directory_iterator i(directory, failed), end; !failed && i != end; i.increment(failed)) {
    std::error_code ignored;
    const auto& path = i->path();
    if (path.extension() != ".zst" || !fs::is_regular_file(i->symlink_status(ignored))) continue;
    found.emplace_back(i->last_write_time(ignored), path.string());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> out;
  for (std::size_t i = 0; i < std::min(found.size(), most_older); ++i) out.push_back(found[i].second);
  return out;
}

class getting {
 public:
  // `seeds`: absolute.
  getting(const context& c, const snapshot_target& target, std::string directory, std::vector<std::string> seeds)
      : c_(c), target_(target), directory_(std::move(directory)), seeds_(std::move(seeds)) {}

  // done, or the error was told.
  exit_code one(const model::snapshot& s, got& out) {
    out.name = s.name;
    out.path = directory_ + "/" + s.name;
    auto job = target_.job;
    job.keep_proof = true;
    job.chosen = ports::candidate{0, {s}};
    if (fs::exists(fs::symlink_status(out.path)) && !c_.call.force) return compare(job, out);
    return fetch(job, s, out);
  }

 private:
  // A file of that name is here: it is the one, or it is left alone.
  exit_code compare(ports::worker_job job, got& out) {
    job.mode = ports::worker_mode::verify;
    job.file = out.path;
    auto answer = call_worker(c_, job, target_.home);
    if (answer.interrupted) return tell("interrupted");
    if (!answer.result.ok())
      return tell(fmt::format("{} is there already, and is left alone: {}; --force fetches it anew", out.path,
                              answer.result.error));
    if (!answer.result.verified)
      return tell(fmt::format(
          "{} is there already, and nothing on the host says whether it is the same; --force fetches it anew",
          out.path));
    out.was_there = true;
    out.result = std::move(answer.result);
    return keep_proofs(out, false);
  }

  exit_code fetch(ports::worker_job job, const model::snapshot& s, got& out) {
    const auto part = out.path + ".part";
    const auto claimed = claim(part);
    if (!claimed) return tell(fmt::format("another `hasup snapshot get` fetches {} at this moment", out.path));
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(out.path, ignored)) && !c_.call.force) {  // made by another call meanwhile
      remove_if_empty(part);
      return compare(std::move(job), out);
    }
    job.mode = ports::worker_mode::fetch;
    job.data_dir = part;
    job.seeds = seeds_;
    for (auto& older : older_archives(directory_)) job.seeds.push_back(std::move(older));
    auto answer = call_worker(c_, job, target_.home);
    const auto& result = answer.result;
    if (!result.ok()) {
      remove_if_empty(part);
      const auto kept = kept_text(s, part);
      return tell((answer.interrupted ? "interrupted" : result.error) + (kept.empty() ? "" : "; " + kept));
    }
    if (fs::exists(fs::symlink_status(out.path, ignored))) remove_proofs_of(out.path);
    const auto moved = move_into_place(part + "/.hasup/cache/" + s.name, out.path, c_.call.force);
    if (!moved) {
      complain(c_, printable(moved.error().message));
      return code_of(moved.error());
    }
    fs::remove_all(part, ignored);
    out.result = answer.result;
    return keep_proofs(out, true);
  }

  // What is there of an archive that was there is its owner's.
  exit_code keep_proofs(got& out, bool replace) {
    for (const auto& [path, text] : proofs_of(out)) {
      if (replace || !fs::exists(fs::symlink_status(path))) {
        if (const auto written = write_in_place(path, text); !written) {
          complain(c_, printable(written.error().message));
          return code_of(written.error());
        }
      }
      out.proofs.push_back(path);
    }
    return exit_code::done;
  }

  // Bytes that the next call need not fetch again, and of how many; nothing when there are none.
  static std::string kept_text(const model::snapshot& s, const std::string& part) {
    const base::unique_fd own(::open((part + "/.hasup").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own) return {};
    const auto note = snapshot::read_resume_note(own.get(), s.name);
    if (!note) return {};
    std::uint64_t bytes = 0;
    for (const auto& [first, end] : note->here.all()) bytes += end - first;
    if (bytes == 0) return {};
    return fmt::format("{}{} kept in {}: the same command goes on from there", base::format_byte_size(bytes),
                       note->total ? " of " + base::format_byte_size(*note->total) : std::string(), part);
  }

  // Without a byte of the archive nothing stays behind.
  static void remove_if_empty(const std::string& part) {
    std::error_code ignored;
    const fs::path cache = part + "/.hasup/cache";
    if (fs::exists(cache, ignored) && !fs::is_empty(cache, ignored)) return;
    fs::remove_all(part, ignored);
  }

  exit_code tell(const std::string& message) {
    complain(c_, printable(message));
    return exit_code::failed;
  }

  const context& c_;
  const snapshot_target& target_;
  std::string directory_;
  std::vector<std::string> seeds_;
};

std::string line_of(const got& g, const terminal& t) {
  auto size = base::format_byte_size(g.result.bytes);
  if (g.result.at_hand > 0) size += ", of which " + base::format_byte_size(g.result.at_hand) + " were at hand";
  if (g.was_there)
    return fmt::format("{} is there already: {}, {}\n", printable(g.path), size,
                       paint("verified by " + g.result.verified_by, style::green, t.colour));
  const auto proof = g.result.verified ? paint("verified by " + g.result.verified_by, style::green, t.colour)
                                       : paint("whole, but nothing on the host proves it", style::yellow, t.colour);
  return fmt::format("{}: {}, {}\n", printable(g.path), size, proof);
}

json::object json_of(const got& g) {
  json::array proofs;
  for (const auto& path : g.proofs) proofs.emplace_back(valid_utf8(path));
  return {{"name", valid_utf8(g.name)},
          {"path", valid_utf8(g.path)},
          {"size", g.result.bytes},
          {"at_hand", g.result.at_hand},
          {"sha256", g.result.sha256.empty() ? json::value(nullptr) : json::value(g.result.sha256.front())},
          {"verified", g.result.verified},
          {"verified_by", g.result.verified ? json::value(g.result.verified_by) : json::value(nullptr)},
          {"was_there", g.was_there},
          {"proofs", std::move(proofs)}};
}

exit_code get_all(const context& c, const snapshot_target& target, const std::string& directory,
                  const std::vector<std::string>& seeds, const std::vector<model::snapshot>& files,
                  std::vector<std::string> notes) {
  getting get(c, target, directory, seeds);
  json::array all;
  for (const auto& file : files) {
    got one;
    if (const auto code = get.one(file, one); code != exit_code::done) return code;
    for (const auto& note : one.result.notes) {
      if (!c.call.json) complain(c, printable(note));
      notes.push_back(note);
    }
    if (c.call.json)
      all.emplace_back(json_of(one));
    else
      print(line_of(one, c.out));
  }
  if (!c.call.json) return exit_code::done;
  json::array said;
  for (const auto& note : notes) said.emplace_back(valid_utf8(note));
  print(json::serialize(json::object{{"files", std::move(all)}, {"notes", std::move(said)}}) + "\n");
  return exit_code::done;
}

}  // namespace

std::variant<std::string, target_error> prepare_directory(const context& c, const std::string& wanted,
                                                          const std::string& option) {
  const auto path =
      config::normal_path(wanted.starts_with('/') ? wanted : fs::current_path().string() + "/" + wanted);
  if (const auto problem = data_directory_problem(c, path, option); !problem.empty())
    return target_error{exit_code::failed, problem};
  std::error_code failed;
  fs::create_directories(path, failed);
  if (failed || !fs::is_directory(path))
    return target_error{failed.value() == EACCES ? exit_code::permission_denied : exit_code::failed,
                        fmt::format("make {}: {}", path, failed ? failed.message() : "it is no directory")};
  if (::access(path.c_str(), W_OK | X_OK) != 0)
    return target_error{exit_code::permission_denied, base::errno_error("write to " + path).message};
  return path;
}

exit_code get_snapshot(const context& c) {
  auto words = read_get_words(c.call, [](const std::string& path) {
    std::error_code ignored;
    return fs::is_directory(path, ignored);
  });
  if (!words) return refuse(c, {exit_code::usage, words.error().message});
  // Before root becomes the owner of the unit's files: a relative directory is the caller's.
  auto directory = prepare_directory(c, words->directory, "-o DIR");
  if (const auto* wrong = std::get_if<target_error>(&directory)) return refuse(c, *wrong);
  std::vector<std::string> seeds;
  for (const auto& seed : c.call.snapshots.seeds) seeds.push_back(fs::absolute(seed).lexically_normal().string());
  auto target = find_snapshot_target(c, c.call.targets[0]);
  if (const auto* wrong = std::get_if<target_error>(&target)) return refuse(c, *wrong);
  auto& where = std::get<snapshot_target>(target);
  for (const auto& seed : seeds)
    if (const base::unique_fd fd(::open(seed.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)); !fd)
      return refuse(c, {exit_code::failed, base::errno_error("read --seed " + seed).message});
  if (!words->name.empty()) {  // a person who names one means it
    where.job.max_age = base::duration{0};
    for (auto& plan : where.job.plans) plan.require = {};
    where.job.only_archives = false;
  }
  const auto found = look_for_snapshots(c, where);
  if (found.answer.interrupted) return refuse(c, {exit_code::failed, "interrupted"});
  if (!found.answer.result.ok()) return refuse(c, {exit_code::failed, found.answer.result.error});
  for (const auto& note : found.answer.result.notes)
    if (!c.call.json) complain(c, printable(note));
  const auto choice = choose_snapshot(found.rows, words->name, where.is_unit);
  if (!choice) return refuse(c, {exit_code::failed, choice.error().message});
  return get_all(c, where, std::get<std::string>(directory), seeds, *choice, found.answer.result.notes);
}

}  // namespace hasup::cli
