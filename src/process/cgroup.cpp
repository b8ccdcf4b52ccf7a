// Directories and files of cgroup v2.
#include "process/cgroup.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace hasup::process {

namespace {

constexpr long cgroup2_magic = 0x63677270;
constexpr int max_depth = 8;
constexpr const char* scope = "/hasup-nodes.scope";

base::result<void> write_file(const std::string& path, const std::string& text) {
  const base::unique_fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) < 0) return base::errno_error(path);
  return {};
}

std::string read_file(const std::string& path) {
  const base::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 8192> text;
  const auto got = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  return got > 0 ? std::string(text.data(), static_cast<std::size_t>(got)) : std::string();
}

bool is_directory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::optional<std::uint64_t> number_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ')
      return std::strtoull(std::string(line.substr(key.size() + 1)).c_str(), nullptr, 10);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return std::nullopt;
}

// Sets one file of a leaf. Of a controller that is missing, only a wish for it is worth a word.
void set(const std::string& leaf, const char* file, const char* key, const std::optional<std::uint64_t>& wanted,
         const std::string& otherwise, std::vector<std::string>& not_applied) {
  const auto done = write_file(leaf + "/" + file, wanted ? std::to_string(*wanted) : otherwise);
  if (done || !wanted) return;
  const std::string controller(file, std::string_view(file).find('.'));
  not_applied.push_back("[run.limits] " + std::string(key) + " is not in force: " +
                        (done.error().code == ENOENT
                             ? "the cgroup does not offer the controller \"" + controller + "\""
                             : done.error().message));
}

// Without a populated one, or those above it: the kernel refuses.
void remove_empty(const std::string& path, int depth) {
  if (::rmdir(path.c_str()) == 0 || errno != EBUSY || depth == 0) return;
  std::error_code ec;
  std::vector<std::string> below;
  for (std::filesystem::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec))
    if (it->is_directory(ec)) below.push_back(it->path());
  if (below.empty()) return;
  for (const auto& inner : below) remove_empty(inner, depth - 1);
  ::rmdir(path.c_str());
}

}  // namespace

base::result<std::unique_ptr<cgroup_tree>> cgroup_tree::open(const std::string& root) {
  base::unique_fd directory(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return base::errno_error(root);
  struct statfs info {};
  if (::fstatfs(directory.get(), &info) != 0 || info.f_type != cgroup2_magic)
    return base::error{root + " is not a directory of cgroup v2"};
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) != 0) {
    return base::error{root + (errno == EWOULDBLOCK ? " is used by another hasupd; give each its own ([cgroup] root)"
                                                    : " cannot be locked")};
  }
  std::unique_ptr<cgroup_tree> tree(new cgroup_tree(root, std::move(directory)));
  if (::mkdir(tree->shims().c_str(), 0755) != 0 && errno != EEXIST)
    return base::error{base::errno_error(root + "/shims").message + "; is it delegated to this user?", errno};
  // One by one: where a controller is missing the others shall work. None can be had while a process is in the root.
  for (const char* controller : {"+memory", "+cpu", "+pids"})
    static_cast<void>(write_file(root + "/cgroup.subtree_control", controller));
  return tree;
}

base::result<std::string> cgroup_tree::prepare_leaf(const std::string& instance, const cgroup_limits& limits,
                                                    std::vector<std::string>& not_applied) const {
  remove_leaf(instance);
  const std::string path = leaf(instance);
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return base::errno_error(path);
  set_limits(instance, limits, not_applied);
  return base::result<std::string>(boost::system::in_place_value, path);
}

void cgroup_tree::set_limits(const std::string& instance, const cgroup_limits& limits,
                             std::vector<std::string>& not_applied) const {
  const std::string path = leaf(instance);
  set(path, "memory.max", "memory_max", limits.memory_max, "max", not_applied);
  // All of a node or nothing: half a tree is a state that nobody has tested.
  static_cast<void>(write_file(path + "/memory.oom.group", limits.memory_max ? "1" : "0"));
  set(path, "cpu.weight", "cpu_weight", limits.cpu_weight, "100", not_applied);
  set(path, "pids.max", "pids", limits.pids, "max", not_applied);
}

void cgroup_tree::remove_leaf(const std::string& instance) const {
  remove_empty(leaf(instance), max_depth);
}

std::string find_nodes_scope() {
  std::vector<std::string> places;
  const auto uid = std::to_string(::geteuid());
  for (const std::string mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (::geteuid() == 0) {
      places.push_back(mount + "/system.slice" + scope);
      places.push_back(mount + scope);
    } else {
      places.push_back(mount + "/user.slice/user-" + uid + ".slice/user@" + uid + ".service/app.slice" + scope);
    }
  }
  for (auto& place : places)
    if (is_directory(place)) return std::move(place);
  return {};
}

std::optional<std::uint64_t> leaf_memory(const std::string& leaf) {
  const std::string text = read_file(leaf + "/memory.stat");
  const auto anonymous = number_of(text, "anon");
  if (!anonymous) return std::nullopt;
  return *anonymous + number_of(text, "shmem").value_or(0);
}

}  // namespace hasup::process
