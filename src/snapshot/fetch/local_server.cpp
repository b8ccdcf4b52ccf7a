#include "snapshot/fetch/local_server.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "snapshot/listing.hpp"
#include "snapshot/listing_text.hpp"
#include "snapshot/sandbox.hpp"

namespace hasup::snapshot {
namespace {

constexpr std::size_t head_limit = 64U << 10;
constexpr std::size_t block = 256U << 10;

struct dir_closer {
  void operator()(DIR* d) const { ::closedir(d); }
};
using dir_stream = std::unique_ptr<DIR, dir_closer>;

struct request {
  bool head = false;
  std::string path;
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> end;
  std::string if_range;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
  return ec == std::errc{} && end == text.data() + text.size() ? std::optional(n) : std::nullopt;
}

// libcurl's, as remote_client asks for it.
std::optional<request> read_request(int stream) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.find("\r\n\r\n") == std::string::npos) {
    const auto n = ::recv(stream, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || text.size() > head_limit) return std::nullopt;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  request r;
  const auto line = text.substr(0, text.find("\r\n"));
  const auto space = line.find(' ');
  const auto last = line.rfind(' ');
  if (space == std::string::npos || last <= space) return std::nullopt;
  r.head = line.substr(0, space) == "HEAD";
  r.path = percent_decode(line.substr(space + 1, last - space - 1));
  const auto header = [&text](std::string_view name) {
    const auto at = lower(text).find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return std::string();
    const auto from = at + name.size() + 4;
    return text.substr(from, text.find("\r\n", from) - from);
  };
  r.if_range = header("if-range");
  const auto range = header("range");
  if (!range.starts_with("bytes=")) return r;
  const auto dash = range.find('-');
  r.first = number(range.substr(6, dash - 6));
  if (const auto to = number(range.substr(dash + 1))) r.end = *to + 1;
  return r;
}

bool send_all(int stream, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(stream, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;  // the job asks for no more
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool send_head(int stream, int status, const std::string& headers) {
  return send_all(stream, "HTTP/1.1 " + std::to_string(status) + " -\r\nConnection: close\r\n" + headers + "\r\n");
}

void refuse(int stream, int status, const std::string& why) {
  send_head(stream, status,
            "Content-Length: 0\r\n" + std::string(local_reason_header) + ": " + percent_encode(why) + "\r\n");
}

void refuse(int stream, const std::string& what, int code) {
  const bool gone = code == ENOENT || code == ENOTDIR;
  refuse(stream, gone ? 404 : code == EACCES || code == EPERM ? 403 : 500, base::errno_error(what, code).message);
}

std::string time_of(const struct stat& st) {
  return std::to_string(st.st_mtim.tv_sec) + " " + std::to_string(st.st_mtim.tv_nsec);
}

// Those at or above it; what goes up again is at none.
std::vector<std::string> places_of(const std::string& path, const std::vector<std::string>& places) {
  std::vector<std::string> out;
  for (const auto& place : places) {
    const auto top = place.substr(0, place.find_last_not_of('/') + 1);
    const bool within = path == top || path.starts_with(top + "/");
    if (within && (path.substr(top.size()) + "/").find("/../") == std::string::npos) out.push_back(place);
  }
  return out;
}

// What such a process is called, so that later ones can count how many hang at that place.
std::string name_at(const std::string& place) {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "hasup-%08zx", std::hash<std::string>{}(place)&0xffffffffU);
  return name.data();
}

// Of this user and this name, where no signal reaches them: they are to be killed, and are still there.
unsigned hanging(const std::string& name) {
  const dir_stream proc(::opendir("/proc"));
  unsigned count = 0;
  while (const dirent* e = proc ? ::readdir(proc.get()) : nullptr) {
    if (!number(e->d_name)) continue;
    struct stat st {};
    const std::string process = std::string("/proc/") + e->d_name;
    if (::stat(process.c_str(), &st) != 0 || st.st_uid != ::geteuid()) continue;
    std::ifstream in(process + "/status");
    std::string line;
    bool named = false;
    bool killed = false;
    while (std::getline(in, line)) {
      named = named || line == "Name:\t" + name;
      if (named && (line.starts_with("SigPnd:\t") || line.starts_with("ShdPnd:\t")))
        killed = killed || (std::strtoull(line.c_str() + 8, nullptr, 16) >> (SIGKILL - 1U) & 1U) != 0;
    }
    if (killed) ++count;
  }
  return count;
}

void send_directory(int stream, const request& r) {
  if (r.head) {
    send_head(stream, 200, std::string("Content-Type: ") + local_directory_type + "\r\n");
    return;
  }
  const dir_stream dir(::opendir(r.path.c_str()));
  if (!dir) return refuse(stream, "open " + r.path, errno);
  std::string lines;
  errno = 0;
  while (const dirent* e = ::readdir(dir.get())) {
    struct stat st {};
    // Links such as last_snapshot are followed: whoever runs the backup directory means them.
    if (::fstatat(::dirfd(dir.get()), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
      lines += std::to_string(st.st_size) + " " + time_of(st) + " " + percent_encode(e->d_name) + "\n";
    errno = 0;
  }
  if (errno != 0) return refuse(stream, "read " + r.path, errno);
  if (send_head(stream, 200,
                std::string("Content-Type: ") + local_directory_type +
                    "\r\nContent-Length: " + std::to_string(lines.size()) + "\r\n"))
    send_all(stream, lines);
}

void send_bytes(int stream, const request& r, int fd, const struct stat& st) {
  const auto size = static_cast<std::uint64_t>(st.st_size);
  const auto etag = "\"" + file_validator(st) + "\"";
  auto headers = "ETag: " + etag + "\r\n" + local_time_header + ": " + time_of(st) + "\r\n";
  const bool ranged = r.first && (r.if_range.empty() || r.if_range == etag);
  auto at = ranged ? *r.first : 0;
  const auto end = ranged ? std::min(size, r.end.value_or(size)) : size;
  if (ranged && at >= size) {
    send_head(stream, 416, headers + "Content-Length: 0\r\nContent-Range: bytes */" + std::to_string(size) + "\r\n");
    return;
  }
  if (ranged)
    headers += "Content-Range: bytes " + std::to_string(at) + "-" + std::to_string(end - 1) + "/" +
               std::to_string(size) + "\r\n";
  headers += "Content-Length: " + std::to_string(end - at) + "\r\n";
  const int status = ranged ? 206 : 200;
  if (r.head || end == at) {
    send_head(stream, status, headers);
    return;
  }
  ::posix_fadvise(fd, static_cast<off_t>(at), 0, POSIX_FADV_SEQUENTIAL);
  std::string buffer(block, '\0');
  bool began = false;
  while (at < end) {
    const auto n = ::pread(fd, buffer.data(), std::min<std::uint64_t>(block, end - at), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    // In the middle the stream breaks off; the next request, which begins here, is told why.
    if (n < 0 && !began) return refuse(stream, "read " + r.path, errno);
    if (n <= 0) return;
    if (!began && !send_head(stream, status, headers)) return;
    began = true;
    auto some = static_cast<std::size_t>(n);
    if (at + some == end) {
      struct stat now {};
      if (::fstat(fd, &now) != 0 || file_validator(now) != file_validator(st)) return;
    }
    if (!send_all(stream, {buffer.data(), some})) return;
    at += some;
  }
}

void send_file(int stream, const request& r) {
  const base::unique_fd fd(::open(r.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return refuse(stream, "open " + r.path, errno);
  if (S_ISDIR(st.st_mode)) return send_directory(stream, r);
  if (!S_ISREG(st.st_mode)) return refuse(stream, 404, r.path + " is not a file");
  send_bytes(stream, r, fd.get(), st);
}

}  // namespace

std::string file_validator(const struct stat& st) {
  return std::to_string(st.st_size) + "-" + std::to_string(st.st_mtim.tv_sec) + "." +
         std::to_string(st.st_mtim.tv_nsec) + "-" + std::to_string(st.st_ino);
}

void serve_local(int stream, const std::vector<std::string>& places) {
  const auto r = read_request(stream);
  if (!r) return;
  const auto near = places_of(r->path, places);
  if (near.empty()) return refuse(stream, 403, r->path + " is at no source of this job");
  const auto name = name_at(near.front());
  if (hanging(name) >= most_hanging)
    return refuse(stream, 423,
                  near.front() + ": " + std::to_string(most_hanging) +
                      " earlier reads hang there, so that no further one is begun; its mount has to answer again, or "
                      "be taken away (umount -f)");
  ::prctl(PR_SET_NAME, name.c_str());
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it is of no use any more when the job has ended
  bounds b;
  b.read = near;
  if (const auto locked = enter_sandbox(b); !locked) return refuse(stream, 500, locked.error().message);
  send_file(stream, *r);
}

}  // namespace hasup::snapshot
