#include "snapshot/ahead_link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hasup::snapshot {
namespace {

constexpr int send_patience_ms = 5000;

// 0, or the number of the error.
int send_once(int socket, ahead_message m, int carried) {
  iovec bytes{&m, sizeof m};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr all{};
  all.msg_iov = &bytes;
  all.msg_iovlen = 1;
  if (carried >= 0) {
    all.msg_control = control.data();
    all.msg_controllen = control.size();
    auto* head = CMSG_FIRSTHDR(&all);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &carried, sizeof carried);
  }
  return ::sendmsg(socket, &all, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

}  // namespace

ahead_link ahead_link::inherited() {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(ahead_descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) return {};
  ::fcntl(ahead_descriptor, F_SETFD, FD_CLOEXEC);
  return ahead_link(base::unique_fd(ahead_descriptor));
}

bool ahead_link::send(const ahead_message& m, int carried) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(send_patience_ms);
  while (socket_) {
    const int code = send_once(socket_.get(), m, carried);
    if (code == 0) return true;
    if (code == EINTR) continue;
    if (code != EAGAIN || std::chrono::steady_clock::now() > deadline) return false;
    pollfd room{socket_.get(), POLLOUT, 0};
    ::poll(&room, 1, 100);
  }
  return false;
}

void ahead_link::tell(const ahead_message& m) const {
  if (socket_) (void)send_once(socket_.get(), m, -1);
}

std::optional<ahead_link::received> ahead_link::receive() const {
  if (!socket_) return std::nullopt;
  received out;
  iovec bytes{&out.message, sizeof out.message};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr all{};
  ssize_t n = 0;
  do {
    all.msg_iov = &bytes;
    all.msg_iovlen = 1;
    all.msg_control = control.data();
    all.msg_controllen = control.size();
    n = ::recvmsg(socket_.get(), &all, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(sizeof out.message)) return std::nullopt;
  const auto* head = CMSG_FIRSTHDR(&all);
  if (head != nullptr && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
    int carried = -1;
    std::memcpy(&carried, CMSG_DATA(head), sizeof carried);
    out.carried.reset(carried);
  }
  return out;
}

bool ahead_link::wait(std::chrono::milliseconds longest) const {
  pollfd there{socket_.get(), POLLIN, 0};
  return ::poll(&there, 1, static_cast<int>(longest.count())) > 0;
}

void ahead_link::hang_up() const {
  if (socket_) ::shutdown(socket_.get(), SHUT_WR);
}

void ahead_link::close_both_ways() const {
  if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);
}

}  // namespace hasup::snapshot
