#include "snapshot/open_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/unique_fd.hpp"

namespace hasup::snapshot {
namespace {

struct dir_closer {
  void operator()(DIR* d) const { ::closedir(d); }
};
using dir_stream = std::unique_ptr<DIR, dir_closer>;

std::optional<std::int32_t> number(std::string_view text, int base = 10) {
  std::int32_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n, base);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// "flags:\t0100002" of /proc/PID/fdinfo/N, octal.
bool opened_for_writing(const std::string& process, const std::string& fd) {
  std::ifstream in(process + "/fdinfo/" + fd);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("flags:")) continue;
    const auto digits = line.find_first_of("01234567");
    if (digits == std::string::npos) return true;
    const auto flags = number(std::string_view(line).substr(digits), 8);
    return !flags || (*flags & O_ACCMODE) != O_RDONLY;
  }
  return false;  // it is closed meanwhile
}

std::optional<std::string> held_by_descriptor(const std::string& process, const file_set& files) {
  const dir_stream dir(::opendir((process + "/fd").c_str()));
  if (!dir) return std::nullopt;
  while (const dirent* e = ::readdir(dir.get())) {
    if (e->d_name[0] == '.') continue;
    std::array<char, PATH_MAX + 1> target{};
    const auto n = ::readlinkat(::dirfd(dir.get()), e->d_name, target.data(), target.size() - 1);
    // Sockets, pipes and the like are not paths; /dev and /proc hold no state.
    if (n <= 0 || target[0] != '/') continue;
    const std::string path(target.data(), static_cast<std::size_t>(n));
    if (path.starts_with("/dev/") || path.starts_with("/proc/")) continue;
    // As the kernel knows it: a file on a mount that hangs, open in whatever process, must not make this one hang
    // too.
    struct statx st {};
    constexpr unsigned wanted = STATX_TYPE | STATX_INO;
    if (::statx(::dirfd(dir.get()), e->d_name, AT_STATX_DONT_SYNC, wanted, &st) != 0 || !S_ISREG(st.stx_mode))
      continue;
    const auto device = makedev(st.stx_dev_major, st.stx_dev_minor);
    // The path counts as well, beyond the bound of the walk and for files that are deleted but open. The device must
    // fit, since another mount namespace may have the same path for something else.
    const bool ours = files.has_file(device, st.stx_ino) || (files.has_path(path) && files.has_device(device));
    if (ours && opened_for_writing(process, e->d_name)) return path;
  }
  return std::nullopt;
}

// Lines of /proc/PID/maps: "START-END rw-s OFFSET MAJ:MIN INODE   PATH". Only shared maps reach the file; one that is
// read-only is a reader's unless the descriptor says otherwise.
std::optional<std::string> held_by_map(const std::string& process, const file_set& files) {
  std::ifstream in(process + "/maps");
  std::string line;
  while (std::getline(in, line)) {
    std::array<char, 5> mode{};
    unsigned major_number = 0;
    unsigned minor_number = 0;
    unsigned long inode = 0;
    int at = 0;
    if (std::sscanf(line.c_str(), "%*x-%*x %4s %*x %x:%x %lu %n", mode.data(), &major_number, &minor_number, &inode,
                    &at) < 4)
      continue;
    if (inode == 0 || mode[3] != 's' || mode[1] != 'w') continue;
    const std::string path = line.substr(static_cast<std::size_t>(at));
    // btrfs and overlays show a device here that stat does not: then the path with the inode decides.
    if (files.has_file(makedev(major_number, minor_number), inode)) return path;
    if (files.has_path(path) && (files.has_inode(inode) || path.ends_with(" (deleted)"))) return path;
  }
  return std::nullopt;
}

struct process_stat {
  std::int32_t parent = 0;
  std::uint64_t start_time = 0;
};

// "PID (name) S PPID …"; the name may hold brackets and blanks. The start time is the 20th field behind it.
process_stat read_stat(std::int32_t pid) {
  process_stat out;
  const auto text = slurp("/proc/" + std::to_string(pid) + "/stat");
  const auto close = text.rfind(')');
  if (close == std::string::npos) return out;
  std::istringstream fields(text.substr(close + 1));
  std::string word;
  for (int i = 1; i <= 20 && fields >> word; ++i) {
    if (i == 2) out.parent = number(word).value_or(0);
    if (i == 20) out.start_time = std::strtoull(word.c_str(), nullptr, 10);
  }
  return out;
}

std::uint32_t effective_user(const std::string& process) {
  std::ifstream in(process + "/status");
  std::uint32_t real = 0;
  std::uint32_t effective = 0;
  for (std::string line; std::getline(in, line);)
    if (std::sscanf(line.c_str(), "Uid: %u %u", &real, &effective) == 2) return effective;
  return 0;
}

std::string tree_mark(const std::string& process) {
  constexpr std::string_view name = "HASUP_TREE=";
  std::istringstream variables(slurp(process + "/environ"));
  for (std::string one; std::getline(variables, one, '\0');)
    if (one.starts_with(name)) return one.substr(name.size());
  return {};
}

void describe_fully(ports::writer_info& w) {
  const auto process = "/proc/" + std::to_string(w.pid);
  auto stat = read_stat(w.pid);
  w.start_time = stat.start_time;
  w.uid = effective_user(process);
  w.tree = tree_mark(process);
  while (stat.parent > 0 && w.ancestors.size() < 1000) {
    w.ancestors.push_back(stat.parent);
    stat = read_stat(stat.parent);
  }
}

}  // namespace

file_set::file_set(const std::vector<std::string>& dirs, const std::vector<std::string>& without,
                   const std::function<void()>& each) {
  using real_path = std::unique_ptr<char, decltype(&std::free)>;
  for (const auto& dir : without) {
    const real_path real(::realpath(dir.c_str(), nullptr), &std::free);
    struct stat st {};
    if (!real || ::lstat(real.get(), &st) != 0) continue;
    without_.emplace_back(std::string(real.get()) + "/");
    without_files_.emplace(st.st_dev, st.st_ino);
  }
  for (const auto& dir : dirs) {
    const real_path real(::realpath(dir.c_str(), nullptr), &std::free);
    if (!real) continue;
    roots_.emplace_back(real.get());
    walk(AT_FDCWD, real.get(), each);
  }
}

void file_set::walk(int parent, const std::string& name, const std::function<void()>& each) {
  const int fd = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const dir_stream dir(fd < 0 ? nullptr : ::fdopendir(fd));
  if (!dir) {
    if (fd >= 0) ::close(fd);
    return;
  }
  struct stat st {};
  if (::fstat(::dirfd(dir.get()), &st) == 0) devices_.insert(st.st_dev);
  while (const dirent* e = ::readdir(dir.get())) {
    const std::string_view entry = e->d_name;
    if (entry == "." || entry == ".." || files_.size() >= bound) continue;
    if (::fstatat(::dirfd(dir.get()), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(st.st_mode) && !without_files_.contains({st.st_dev, st.st_ino}))
      walk(::dirfd(dir.get()), e->d_name, each);
    if (!S_ISREG(st.st_mode)) continue;
    files_.emplace(st.st_dev, st.st_ino);
    inodes_.insert(st.st_ino);
    if (each) each();
  }
}

bool file_set::has_path(std::string_view path) const {
  for (const auto& root : roots_) {
    if (!path.starts_with(root) || path.size() <= root.size() || path[root.size()] != '/') continue;
    return std::none_of(without_.begin(), without_.end(),
                        [&](const std::string& dir) { return path.starts_with(dir); });
  }
  return false;
}

bool file_set::has_file(std::uint64_t device, std::uint64_t inode) const {
  return files_.contains({device, inode});
}

std::set<std::int32_t> own_line() {
  std::set<std::int32_t> line;
  for (auto pid = static_cast<std::int32_t>(::getpid()); pid > 1 && line.insert(pid).second;)
    pid = read_stat(pid).parent;
  return line;
}

std::string command_of(std::int32_t pid) {
  const std::string process = "/proc/" + std::to_string(pid);
  std::string command = slurp(process + "/cmdline");
  // The program alone: its arguments may hold secrets, and this goes into events and logs.
  if (const auto end = command.find('\0'); end != std::string::npos) {
    const bool more = command.find_first_not_of('\0', end) != std::string::npos;
    command = command.substr(0, end) + (more && end > 0 ? " …" : "");
  }
  for (char& c : command)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  if (command.empty()) {
    std::string name = slurp(process + "/comm");
    while (!name.empty() && name.back() == '\n') name.pop_back();
    command = "[" + name + "]";
  }
  return command.substr(0, 200);
}

namespace {

// Calls each(writer) until it says that it has enough.
template <class Each>
void each_open_writer(const file_set& files, const std::set<std::int32_t>& excluded, Each each) {
  const dir_stream proc(::opendir("/proc"));
  if (!proc) return;
  while (const dirent* e = ::readdir(proc.get())) {
    const auto pid = number(e->d_name);
    if (!pid || excluded.contains(*pid)) continue;
    const std::string process = "/proc/" + std::to_string(*pid);
    auto path = held_by_descriptor(process, files);
    if (!path) path = held_by_map(process, files);
    if (!path) continue;
    ports::writer_info found;
    found.pid = *pid;
    found.command = command_of(*pid);
    found.path = *path;
    if (each(std::move(found))) return;
  }
}

}  // namespace

std::optional<ports::writer_info> find_open_writer(const file_set& files, const std::set<std::int32_t>& excluded) {
  std::optional<ports::writer_info> first;
  each_open_writer(files, excluded, [&](ports::writer_info found) {
    first = std::move(found);
    return true;
  });
  return first;
}

std::vector<ports::writer_info> find_open_writers(const file_set& files, const std::set<std::int32_t>& excluded) {
  std::vector<ports::writer_info> all;
  each_open_writer(files, excluded, [&](ports::writer_info found) {
    describe_fully(found);
    all.push_back(std::move(found));
    return false;
  });
  return all;
}

}  // namespace hasup::snapshot
