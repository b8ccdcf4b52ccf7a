// A file system that shows a directory and fails as disks and mounts do: fault_fs DIRECTORY MOUNT_POINT FAULTS
// [fold], until it is unmounted. Each line of the file FAULTS is "OPERATION ACTION NAME …": from then on that
// operation on files whose path ends in NAME ("*": all) hangs until the line is gone, or fails with EIO, ENOSPC …, or
// with EIO*1 so many times. read-on and write-on are those at 4 MiB and later.
//
// With "fold" names are found as on a file system that folds them: whatever the case of their ASCII letters, and with
// or without a soft hyphen (U+00AD), which ext4's casefold ignores.
//
// A process that waits for an answer which the file system has taken and does not give cannot be killed, as on a
// mount of NFS that is gone.
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <fcntl.h>
#include <fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

namespace {

constexpr off_t later = 4 << 20;

std::string top;
std::string faults;
bool folds = false;
std::map<std::string, int> done;  // of lines, how often they were heeded
std::mutex one;

const std::map<std::string, int> errors{{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"ESTALE", ESTALE}, {"EACCES", EACCES}};

// 0, or what the operation is to end with.
int fault(const char* operation, std::string_view path) {
  for (;; std::this_thread::sleep_for(std::chrono::milliseconds(50))) {
    const std::lock_guard guard(one);
    std::ifstream in(faults);
    bool hangs = false;
    for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      std::string op;
      std::string action;
      std::string name;
      words >> op >> action >> name;
      if (name == "*") name.clear();
      if (op != operation || !path.ends_with(name)) continue;
      if (const auto times = action.find('*'); times != std::string::npos) {
        if (done[line]++ >= std::stoi(action.substr(times + 1))) continue;
        action.resize(times);
      }
      std::ofstream(faults + ".seen", std::ios::app) << operation << " " << path << "\n";
      if (const auto found = errors.find(action); found != errors.end()) return -found->second;
      hangs = true;
    }
    if (!hangs) return 0;
  }
}

std::string folded(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i)
    if (name.substr(i).starts_with("\u00ad"))
      ++i;
    else
      out += name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] | 0x20) : name[i];
  return out;
}

// The name that an entry of `dir` has which is found by `name`; that itself where there is none.
std::string as_it_is(const std::string& dir, const std::string& name) {
  std::string found = name;
  if (DIR* entries = ::opendir(dir.c_str()); entries != nullptr) {
    while (const dirent* entry = ::readdir(entries))
      if (folded(entry->d_name) == folded(name)) found = entry->d_name;
    ::closedir(entries);
  }
  return found;
}

std::string real(const char* path) {
  if (!folds) return top + path;
  std::string out = top;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');)
    if (!part.empty()) out += "/" + as_it_is(out, part);
  return out;
}

int result(long n) {
  return n < 0 ? -errno : static_cast<int>(n);
}

int fd_of(const fuse_file_info* info) {
  return static_cast<int>(info->fh);
}

int get_attributes(const char* path, struct stat* st, fuse_file_info* info) {
  if (const int e = fault("stat", path)) return e;
  return result(info ? ::fstat(fd_of(info), st) : ::lstat(real(path).c_str(), st));
}

int open_file(const char* path, fuse_file_info* info) {
  if (const int e = fault("open", path)) return e;
  const int fd = ::open(real(path).c_str(), info->flags & ~O_NOFOLLOW);
  if (fd < 0) return -errno;
  info->fh = static_cast<std::uint64_t>(fd);
  return 0;
}

int create_file(const char* path, mode_t mode, fuse_file_info* info) {
  if (const int e = fault("create", path)) return e;
  const int fd = ::open(real(path).c_str(), info->flags, mode);
  if (fd < 0) return -errno;
  info->fh = static_cast<std::uint64_t>(fd);
  return 0;
}

int read_file(const char* path, char* data, std::size_t size, off_t at, fuse_file_info* info) {
  if (at >= later)
    if (const int e = fault("read-on", path)) return e;
  if (const int e = fault("read", path)) return e;
  return result(::pread(fd_of(info), data, size, at));
}

int write_file(const char* path, const char* data, std::size_t size, off_t at, fuse_file_info* info) {
  if (at >= later)
    if (const int e = fault("write-on", path)) return e;
  if (const int e = fault("write", path)) return e;
  return result(::pwrite(fd_of(info), data, size, at));
}

int sync_file(const char* path, int, fuse_file_info* info) {
  if (const int e = fault("fsync", path)) return e;
  return result(::fsync(fd_of(info)));
}

int sync_directory(const char* path, int, fuse_file_info*) {
  return fault("fsyncdir", path);
}

int release_file(const char*, fuse_file_info* info) {
  ::close(fd_of(info));
  return 0;
}

int read_directory(const char* path, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
  if (const int e = fault("readdir", path)) return e;
  DIR* dir = ::opendir(real(path).c_str());
  if (dir == nullptr) return -errno;
  while (const dirent* entry = ::readdir(dir)) fill(buffer, entry->d_name, nullptr, 0, fuse_fill_dir_flags{});
  ::closedir(dir);
  return 0;
}

int read_link(const char* path, char* buffer, std::size_t size) {
  const auto n = ::readlink(real(path).c_str(), buffer, size - 1);
  if (n < 0) return -errno;
  buffer[n] = '\0';
  return 0;
}

int make_directory(const char* path, mode_t mode) {
  if (const int e = fault("mkdir", path)) return e;
  return result(::mkdir(real(path).c_str(), mode));
}

int remove_file(const char* path) {
  if (const int e = fault("unlink", path)) return e;
  return result(::unlink(real(path).c_str()));
}

int remove_directory(const char* path) {
  return result(::rmdir(real(path).c_str()));
}

int make_link(const char* target, const char* path) {
  return result(::symlink(target, real(path).c_str()));
}

int move(const char* from, const char* to, unsigned flags) {
  if (const int e = fault("rename", to)) return e;
  return result(::renameat2(AT_FDCWD, real(from).c_str(), AT_FDCWD, real(to).c_str(), flags));
}

int hard_link(const char* from, const char* to) {
  return result(::link(real(from).c_str(), real(to).c_str()));
}

int change_mode(const char* path, mode_t mode, fuse_file_info*) {
  return result(::chmod(real(path).c_str(), mode));
}

int change_owner(const char* path, uid_t uid, gid_t gid, fuse_file_info*) {
  return result(::lchown(real(path).c_str(), uid, gid));
}

int change_size(const char* path, off_t size, fuse_file_info* info) {
  if (const int e = fault("truncate", path)) return e;
  return result(info ? ::ftruncate(fd_of(info), size) : ::truncate(real(path).c_str(), size));
}

int change_times(const char* path, const timespec* times, fuse_file_info*) {
  return result(::utimensat(AT_FDCWD, real(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int reserve(const char* path, int mode, off_t at, off_t size, fuse_file_info* info) {
  if (const int e = fault("fallocate", path)) return e;
  return result(::fallocate(fd_of(info), mode, at, size));
}

int space(const char* path, struct statvfs* st) {
  if (const int e = fault("statvfs", path)) return e;
  return result(::statvfs(real(path).c_str(), st));
}

// The same inode numbers as below, and nothing kept that would hide a fault.
void* begin(fuse_conn_info*, fuse_config* config) {
  config->use_ino = 1;
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  config->nullpath_ok = 0;
  return nullptr;
}

fuse_operations operations() {
  fuse_operations out{};
  out.init = begin;
  out.getattr = get_attributes;
  out.open = open_file;
  out.create = create_file;
  out.read = read_file;
  out.write = write_file;
  out.fsync = sync_file;
  out.fsyncdir = sync_directory;
  out.release = release_file;
  out.readdir = read_directory;
  out.readlink = read_link;
  out.mkdir = make_directory;
  out.unlink = remove_file;
  out.rmdir = remove_directory;
  out.symlink = make_link;
  out.rename = move;
  out.link = hard_link;
  out.chmod = change_mode;
  out.chown = change_owner;
  out.truncate = change_size;
  out.utimens = change_times;
  out.fallocate = reserve;
  out.statfs = space;
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  folds = argc == 5 && std::string_view(argv[4]) == "fold";
  if (argc != 4 && !folds) {
    std::fprintf(stderr, "usage: %s DIRECTORY MOUNT_POINT FAULTS [fold]\n", argv[0]);
    return 2;
  }
  top = argv[1];
  faults = argv[3];
  std::string options = "default_permissions,allow_other,fsname=hasup-faults";
  char* words[] = {argv[0], argv[2], const_cast<char*>("-f"), const_cast<char*>("-o"), options.data(), nullptr};
  const auto ops = operations();
  return fuse_main(5, words, &ops, nullptr);
}
