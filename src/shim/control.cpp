// Sockets and framing.
#include "shim/control.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "shim/proc.hpp"

namespace hasup::shim {

namespace {

constexpr size_t buffer_size = process::max_frame + 4096;
constexpr size_t kept_when_idle = 4096;

// Only root and the shim's own user command it; the socket's mode says so already.
bool allowed(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

}  // namespace

bool control::listen(const places& p, const char* name) {
  folder_ = p.sockets.get();
  fixed_text<sizeof name_> file;
  file << name << ".sock";
  if (file.cut()) {
    errno = ENAMETOOLONG;
    return false;
  }
  memcpy(name_, file.c_str(), file.size() + 1);

  // Bound under a short name by way of the folder's descriptor and then renamed: fits into a socket address however
  // long the paths are, and nobody can connect before it listens.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  fixed_text<sizeof address.sun_path> path;
  fixed_text<32> bound;
  bound << "." << static_cast<uint64_t>(getpid());
  path << "/proc/self/fd/" << static_cast<uint64_t>(folder_) << "/" << bound.c_str();
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_) return false;
  unlinkat(folder_, bound.c_str(), 0);
  const mode_t before = umask(0177);
  const bool done = bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  umask(before);
  return done && ::listen(listener_.get(), max_connections) == 0 &&
         renameat(folder_, bound.c_str(), folder_, name_) == 0;
}

bool control::abandoned() const {
  for (const auto& c : connections_)
    if (c.fd) return false;
  return accepted_ > 0;
}

void control::unlink() {
  unlinkat(folder_, name_, 0);
}

void control::adopt(base::unique_fd connection) {
  int slot = 0;
  for (int i = 0; i < max_connections; ++i) {
    if (!connections_[i].fd) {
      slot = i;
      break;
    }
    if (connections_[i].since < connections_[slot].since) slot = i;
  }
  drop(slot);
  fcntl(connection.get(), F_SETFL, O_NONBLOCK);
  connection_state& c = connections_[slot];
  c.fd = static_cast<base::unique_fd&&>(connection);
  c.since = ++accepted_;
  c.received = static_cast<char*>(map_lazily(buffer_size));
  handler_.on_connected(slot);
}

void control::drop(int connection) {
  connection_state& c = connections_[connection];
  c.fd.reset();
  if (c.received) munmap(c.received, buffer_size);
  c.received = nullptr;
  c.length = 0;
  c.broken = false;
}

void control::prepare(pollfd* slots) {
  for (int i = 0; i < max_connections; ++i)
    if (connections_[i].broken) drop(i);
  for (int i = 0; i < max_connections; ++i) slots[i] = {connections_[i].fd.get(), POLLIN, 0};
  slots[max_connections] = {listener_.get(), POLLIN, 0};
}

void control::handle(const pollfd* slots) {
  for (int i = 0; i < max_connections; ++i)
    if (slots[i].revents != 0 && slots[i].fd == connections_[i].fd.get()) receive(i);
  if (slots[max_connections].revents != 0) accept_one();
}

void control::accept_one() {
  base::unique_fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd && allowed(fd.get())) adopt(static_cast<base::unique_fd&&>(fd));
}

void control::receive(int connection) {
  connection_state& c = connections_[connection];
  const ssize_t got = recv(c.fd.get(), c.received + c.length, buffer_size - c.length, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return drop(connection);
  c.length += static_cast<size_t>(got);
  if (!take_frames(connection)) drop(connection);
}

bool control::take_frames(int connection) {
  connection_state& c = connections_[connection];
  size_t at = 0;
  while (c.length - at >= process::frame_header_size) {
    process::frame_header header;
    memcpy(&header, c.received + at, sizeof header);
    if (header.magic != process::frame_magic || header.length > process::max_frame) return false;
    if (c.length - at - sizeof header < header.length) break;
    handler_.on_command(connection, static_cast<process::message>(header.type), c.received + at + sizeof header,
                        header.length);
    if (c.broken) return false;
    at += sizeof header + header.length;
  }
  const size_t used = c.length;
  c.length -= at;
  if (at > 0 && c.length > 0) memmove(c.received, c.received + at, c.length);
  if (c.length == 0 && used > kept_when_idle)
    madvise(c.received + kept_when_idle, buffer_size - kept_when_idle, MADV_DONTNEED);
  return true;
}

void control::send(int connection, const reply_frame& frame) {
  connection_state& c = connections_[connection];
  if (!c.fd || c.broken) return;
  const ssize_t sent = ::send(c.fd.get(), frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent != static_cast<ssize_t>(frame.size())) c.broken = true;
}

void control::broadcast(const reply_frame& frame) {
  for (int i = 0; i < max_connections; ++i) send(i, frame);
}

}  // namespace hasup::shim
