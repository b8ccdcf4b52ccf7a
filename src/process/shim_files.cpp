// Records, claims and evidence, read from outside while the shim may be writing.
#include "process/shim_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "process/evidence.hpp"
#include "process/process_tree.hpp"

namespace hasup::process {

namespace {

std::optional<base::wall_time> to_time(std::int64_t ns) {
  if (ns == 0) return std::nullopt;
  return base::wall_time(std::chrono::duration_cast<base::wall_time::duration>(std::chrono::nanoseconds(ns)));
}

bool is_locked(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool read_exactly(int fd, void* data, std::size_t length, off_t at) {
  auto* to = static_cast<char*>(data);
  while (length > 0) {
    const ssize_t got = ::pread(fd, to, length, at);
    if (got <= 0) return false;
    to += got;
    at += got;
    length -= static_cast<std::size_t>(got);
  }
  return true;
}

// By the clock of the calendar, which may have been set meanwhile, only where an older shim has noted nothing else.
std::optional<base::duration> lived(const shim_record& record) {
  if (record.lived_ms != not_known) return base::duration(record.lived_ms);
  const bool seen = record.ended == exit_kind::code || record.ended == exit_kind::signal;
  if (!seen || record.started_at_ns == 0 || record.exited_at_ns < record.started_at_ns) return std::nullopt;
  return std::chrono::duration_cast<base::duration>(
      std::chrono::nanoseconds(record.exited_at_ns - record.started_at_ns));
}

// What stands in the ring from `from` on, as far as no write overtook the copying.
struct ring_copy {
  std::string text;
  std::uint64_t begin = 0;  // of the text, in bytes of the run
  bool cut = false;         // something between `from` and the text is gone
};

base::result<ring_copy> copy_ring(const directories& dirs, const std::string& name, std::uint64_t run,
                                  std::uint64_t from) {
  const std::string place = "evidence of " + name;
  const base::unique_fd file = open_below(dirs.state, "evidence", name, O_RDONLY);
  if (!file) return base::errno_error(place);
  evidence_header before{};
  evidence_header after{};
  const base::error too_short{place + ": the file is too short"};
  if (!read_exactly(file.get(), &before, sizeof before, 0)) return too_short;
  if (before.magic != evidence_magic || before.capacity != evidence_capacity)
    return base::error{place + ": not written by this version"};
  if (run == 0) run = before.run;
  const std::uint64_t end = before.written;
  ring_copy out;
  out.begin = std::max(std::min(from, end), end > evidence_capacity ? end - evidence_capacity : 0);
  std::string copied(static_cast<std::size_t>(end - out.begin), '\0');
  for (std::size_t done = 0; done < copied.size();) {
    const auto at = static_cast<std::size_t>((out.begin + done) % evidence_capacity);
    const auto length = std::min(evidence_capacity - at, copied.size() - done);
    if (!read_exactly(file.get(), copied.data() + done, length, static_cast<off_t>(evidence_data + at)))
      return too_short;
    done += length;
  }
  if (!read_exactly(file.get(), &after, sizeof after, 0)) return too_short;
  if (before.run != run || after.run != run)
    return base::error{place + ": it is that of run " + std::to_string(after.run) + ", not of run " +
                       std::to_string(run)};
  // What a write overtook while we copied is not taken.
  const std::uint64_t newest = std::max(after.reserved, end);
  const std::uint64_t kept = std::min(end, newest > evidence_capacity ? newest - evidence_capacity : 0);
  if (kept > out.begin) {
    copied.erase(0, static_cast<std::size_t>(kept - out.begin));
    out.begin = kept;
  }
  out.cut = out.begin > from;
  out.text = std::move(copied);
  return out;
}

}  // namespace

base::unique_fd open_below(const std::string& directory, const char* folder, const std::string& name, int flags) {
  const base::unique_fd top(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return {};
  const base::unique_fd inner(::openat(top.get(), folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!inner) return {};
  return base::unique_fd(::openat(inner.get(), name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
}

model::exit_status to_exit_status(const shim_record& record) {
  model::exit_status status;
  if (record.ended == exit_kind::code) status.code = record.exit_value;
  if (record.ended == exit_kind::signal) status.signal = record.exit_value;
  status.core_dumped = record.core_dumped != 0;
  return status;
}

shim_status to_status(const shim_record& record) {
  shim_status status;
  status.phase = record.phase;
  status.run = record.run;
  status.shim_pid = record.shim_pid;
  status.pid = record.pid;
  status.start_time = record.start_time;
  status.exit = to_exit_status(record);
  status.tree_alive = record.phase == shim_phase::spawning || record.phase == shim_phase::running ||
                      record.phase == shim_phase::exited || record.phase == shim_phase::orphaned;
  status.attached = record.attached != 0;
  status.from_outside = record.from_outside != 0;
  status.lease_expired = record.lease_expired != 0;
  status.in_cgroup = record.in_cgroup != 0;
  status.oom_kills = record.oom_kills;
  if (record.ended != exit_kind::none && record.machine_oom_kills_before != not_known)
    status.machine_oom_kills = record.machine_oom_kills;
  status.kill_sent = record.kill_sent != 0;
  status.lived = lived(record);
  status.logs_dropped = record.logs_dropped;
  status.started_at = to_time(record.started_at_ns);
  status.exited_at = to_time(record.exited_at_ns);
  status.tree_empty_at = to_time(record.tree_empty_at_ns);
  if (record.phase == shim_phase::exec_failed)
    status.exec_error = exec_error_text(static_cast<exec_stage>(record.exec_stage), record.exec_errno);
  return status;
}

std::string exec_error_text(exec_stage stage, int error) {
  switch (stage) {
    case exec_stage::none:
      return "";
    case exec_stage::pipes:
      return base::errno_error("cannot make the output pipes", error).message;
    case exec_stage::fork:
      return base::errno_error("cannot fork", error).message + "; see the limit on processes (TasksMax, ulimit -u)";
    case exec_stage::session:
      return base::errno_error("cannot begin a session", error).message;
    case exec_stage::limits:
      return base::errno_error("cannot set [run.limits]", error).message +
             "; a user other than root cannot go above the hard limit (ulimit -H)";
    case exec_stage::nice:
      return base::errno_error("cannot set [run.limits] nice", error).message;
    case exec_stage::oom_score_adjust:
      return base::errno_error("cannot set [run.limits] oom_score_adjust", error).message;
    case exec_stage::signals:
      return base::errno_error("cannot reset the signals", error).message;
    case exec_stage::groups:
      return base::errno_error("cannot take on the groups", error).message +
             "; only root can run a unit as another user";
    case exec_stage::gid:
      return base::errno_error("cannot take on the group", error).message;
    case exec_stage::uid:
      return base::errno_error("cannot take on the user", error).message;
    case exec_stage::directory:
      return base::errno_error("cannot enter [run] directory", error).message;
    case exec_stage::exec:
      return base::errno_error("cannot run the program", error).message +
             (error == ENOENT    ? "; see [run] command and the PATH in its env"
              : error == ENOEXEC ? "; a script needs a first line like #!/bin/sh"
                                 : "");
    case exec_stage::capabilities:
      return base::errno_error("cannot give the node its [run] capabilities", error).message +
             "; hasupd gives only what it has itself: as root everything, but in a container what that was given";
    case exec_stage::lost:
      return "the process was lost before its start";
    case exec_stage::data_in_use:
      return "another process runs on its data directory already, under another hasup or another name of the "
             "directory; "
             "nothing was started";
  }
  return base::errno_error("the start failed", error).message;
}

std::optional<shim_record> read_raw_record(const directories& dirs, const std::string& name) {
  const base::unique_fd file = open_below(dirs.state, "records", name, O_RDONLY);
  if (!file) return std::nullopt;
  alignas(record_slot) std::array<char, record_page_size> page;
  shim_record record;
  // Both slots can only be invalid at once when the writer is faster than a read; the next read finds one.
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (!read_exactly(file.get(), page.data(), page.size(), 0)) return std::nullopt;
    if (read_record_page(page.data(), record) != 0) return record;
  }
  return std::nullopt;
}

std::optional<shim_status> read_record(const directories& dirs, const std::string& name) {
  const auto record = read_raw_record(dirs, name);
  if (!record) return std::nullopt;
  return to_status(*record);
}

bool is_claimed(const directories& dirs, const std::string& name) {
  const base::unique_fd file = open_below(dirs.state, "claims", name, O_RDWR);
  return file && is_locked(file.get());
}

namespace {

// Calls each(folder, name) for every file of STATE/FOLDER.
template <class Each>
void each_file(const std::string& state_dir, const char* folder, Each each) {
  const base::unique_fd state(::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!state) return;
  base::unique_fd files(::openat(state.get(), folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!files) return;
  const int at = files.get();
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(files.release()), &::closedir);
  if (!listing) return;
  while (const dirent* entry = ::readdir(listing.get()))
    if (entry->d_name[0] != '.') each(at, entry->d_name);
}

}  // namespace

std::vector<std::string> claimed_instances(const directories& dirs) {
  std::vector<std::string> names;
  each_file(dirs.state, "claims", [&](int folder, const char* name) {
    const base::unique_fd file(::openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (file && is_locked(file.get())) names.emplace_back(name);
  });
  std::sort(names.begin(), names.end());
  return names;
}

shim_traces find_traces(const directories& dirs) {
  shim_traces found;
  for (auto& name : claimed_instances(dirs)) found.unfinished.insert(std::move(name));
  const auto boot = boot_id();
  each_file(dirs.state, "records", [&](int, const char* name) {
    const auto record = read_raw_record(dirs, name);
    if (!record) return;
    if (record->run > 0) found.ever_ran.emplace(name);
    if (record->boot_id != boot) return;
    found.last_runs[name] = record->run;
    if (to_status(*record).tree_alive) found.unfinished.emplace(name);
  });
  return found;
}

bool remove_shim_files(const directories& dirs, const std::string& name) {
  bool all = true;
  std::vector<std::string> claims;
  each_file(dirs.state, "claims", [&](int, const char* file) {
    const std::string_view claim(file);
    if (claim == name || claim.starts_with(name + "+")) claims.emplace_back(claim);
  });
  for (const auto& claim : claims) {
    const base::unique_fd held = open_below(dirs.state, "claims", claim, O_RDWR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (!held || ::fcntl(held.get(), F_OFD_SETLK, &lock) != 0) {
      all = false;
      continue;
    }
    for (const auto* folder : {"records", "evidence"}) {
      const base::unique_fd in = open_below(dirs.state, folder, ".", O_PATH | O_DIRECTORY);
      if (in) ::unlinkat(in.get(), claim.c_str(), 0);
    }
  }
  return all;
}

base::result<std::string> read_evidence(const directories& dirs, const std::string& name, std::uint64_t run) {
  const auto ring = copy_ring(dirs, name, run, 0);
  if (!ring) return ring.error();
  auto text = std::move(ring->text);
  if (ring->cut) {
    const auto newline = text.find('\n');
    if (newline != std::string::npos && newline + 1 < text.size()) text.erase(0, newline + 1);
  }
  return base::result<std::string>(boost::system::in_place_value, std::move(text));
}

base::result<output_piece> read_output(const directories& dirs, const std::string& name, std::uint64_t run,
                                       std::uint64_t from) {
  const auto ring = copy_ring(dirs, name, run, from);
  if (!ring) return ring.error();
  output_piece out;
  const auto last = ring->text.rfind('\n');
  if (last == std::string::npos) {
    out.next = ring->begin;  // the end of the line is still to come
    return out;
  }
  const auto first = ring->cut ? ring->text.find('\n') + 1 : 0;
  out.text = ring->text.substr(first, last + 1 - first);
  out.next = ring->begin + last + 1;
  return out;
}

}  // namespace hasup::process
