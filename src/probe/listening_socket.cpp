// Finds the inode of the socket that would take a connection to an address.
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/unique_fd.hpp"
#include "probe/port_owner.hpp"

namespace hasup::probe {
namespace {

using bytes = std::vector<std::uint8_t>;

bool wildcard(const bytes& ip) {
  return std::all_of(ip.begin(), ip.end(), [](std::uint8_t b) { return b == 0; });
}

bytes mapped(const bytes& v4) {
  bytes out(10, 0);
  out.insert(out.end(), 2, 0xFF);
  out.insert(out.end(), v4.begin(), v4.end());
  return out;
}

// How well a listening socket fits; the kernel prefers the exact address, then the family. 0 = not at all.
int fitness(const bytes& bound, const bytes& wanted) {
  if (bound.size() == wanted.size()) return bound == wanted ? 3 : wildcard(bound) ? 2 : 0;
  if (wanted.size() == 4) return bound == mapped(wanted) ? 3 : wildcard(bound) ? 1 : 0;
  return 0;
}

struct best_fit {
  const bytes& wanted;
  int fit = 0;
  std::uint64_t inode = 0;

  void offer(const bytes& bound, std::uint64_t candidate) {
    if (const int f = fitness(bound, wanted); f > fit) {
      fit = f;
      inode = candidate;
    }
  }
};

bool ask(int fd, std::uint8_t family, std::uint16_t port) {
  struct {
    nlmsghdr head;
    inet_diag_req_v2 body;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = 1U << TCP_LISTEN;
  request.body.id.idiag_sport = htons(port);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t n = ::sendto(fd, &request, sizeof request, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  return n == static_cast<ssize_t>(sizeof request);
}

// Takes all answers to one dump; false when the kernel does not give it.
bool take_dump(int fd, std::uint16_t port, best_fit& best) {
  alignas(nlmsghdr) std::array<char, 32 * 1024> buffer;
  while (true) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    auto left = static_cast<unsigned>(got);
    for (auto* m = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type == NLMSG_DONE) return true;
      if (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) return false;
      inet_diag_msg socket;
      std::memcpy(&socket, NLMSG_DATA(m), sizeof socket);
      if (ntohs(socket.id.idiag_sport) != port) continue;
      const auto* ip = reinterpret_cast<const std::uint8_t*>(socket.id.idiag_src);
      best.offer(bytes(ip, ip + (socket.idiag_family == AF_INET ? 4 : 16)), socket.idiag_inode);
    }
  }
}

// "0100007F": each 32-bit group is printed as a number of the machine's own byte order.
std::optional<bytes> parse_proc_ip(std::string_view hex) {
  bytes out;
  for (std::size_t at = 0; at + 8 <= hex.size(); at += 8) {
    std::uint32_t group = 0;
    const auto [end, ec] = std::from_chars(hex.data() + at, hex.data() + at + 8, group, 16);
    if (ec != std::errc{} || end != hex.data() + at + 8) return std::nullopt;
    std::array<std::uint8_t, 4> raw{};
    std::memcpy(raw.data(), &group, raw.size());
    out.insert(out.end(), raw.begin(), raw.end());
  }
  if (out.size() != 4 && out.size() != 16) return std::nullopt;
  return out;
}

bool read_table(const char* path, std::uint16_t port, best_fit& best) {
  std::ifstream table(path);
  if (!table) return false;
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retries, uid, timeout;
    std::uint64_t inode = 0;
    if (!(fields >> slot >> local >> remote >> state >> queues >> timer >> retries >> uid >> timeout >> inode))
      continue;
    const auto colon = local.find(':');
    if (state != "0A" || colon == std::string::npos) continue;
    unsigned number = 0;
    std::from_chars(local.data() + colon + 1, local.data() + local.size(), number, 16);
    const auto ip = parse_proc_ip(std::string_view(local).substr(0, colon));
    if (number == port && ip) best.offer(*ip, inode);
  }
  return true;
}

}  // namespace

std::optional<std::uint64_t> listening_inode_by_netlink(const listen_address& at) {
  const base::unique_fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return std::nullopt;
  const timeval patience{2, 0};  // the kernel answers at once; never wait for ever
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  best_fit best{at.ip};
  if (at.ip.size() == 4 && !(ask(fd.get(), AF_INET, at.port) && take_dump(fd.get(), at.port, best)))
    return std::nullopt;
  // A v6 wildcard takes v4 connections too.
  if (best.fit == 0 && !(ask(fd.get(), AF_INET6, at.port) && take_dump(fd.get(), at.port, best))) {
    if (at.ip.size() == 16) return std::nullopt;
  }
  return best.inode;
}

std::optional<std::uint64_t> listening_inode_by_proc(const listen_address& at) {
  best_fit best{at.ip};
  const bool v4 = at.ip.size() == 4 && read_table("/proc/net/tcp", at.port, best);
  const bool v6 = best.fit == 0 && read_table("/proc/net/tcp6", at.port, best);
  if (!v4 && !v6) return std::nullopt;
  return best.inode;
}

}  // namespace hasup::probe
