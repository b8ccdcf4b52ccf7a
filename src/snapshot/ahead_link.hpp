// How the worker that fetches tells its sibling, which unpacks at the same time, what has come: messages on a socket
// pair that hasup-worker made before it became the one and started the other. Who goes away, for whatever reason, is
// seen by the other as the end of the messages; neither ever needs the other.
//
//   fetch -> unpack   lock       carries the descriptor of .hasup/lock: it is held until both are gone
//                     in_cache   the archive was whole in the cache already
//                     begins     carries a descriptor of its part file, for reading
//                     reached    the bytes below `bytes` are there and stay as they are
//                     given_up   nothing of it is worth anything any more: sent before a byte changes
//                     ended      it has `bytes` bytes, and all are there; not verified yet
//                     whole      it is verified, and sealed in the cache
//   unpack -> fetch   progress   `bytes` of the archive were read
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "base/unique_fd.hpp"

namespace hasup::snapshot {

// Where both programs find their end of the pair.
inline constexpr int ahead_descriptor = 3;

struct ahead_message {
  enum class kind : std::uint32_t { lock, in_cache, begins, reached, given_up, ended, whole, progress };
  kind what = kind::lock;
  std::uint32_t archive = 0;  // index in the plan
  std::uint64_t bytes = 0;
};

class ahead_link {
 public:
  struct received {
    ahead_message message;
    base::unique_fd carried;
  };

  ahead_link() = default;
  explicit ahead_link(base::unique_fd socket) : socket_(std::move(socket)) {}
  // What hasup-worker left for this program; without it, not open.
  static ahead_link inherited();

  [[nodiscard]] bool is_open() const { return static_cast<bool>(socket_); }
  // Waits a while for an other end that does not listen. False: it is gone, or may as well be.
  bool send(const ahead_message& m, int carried = -1) const;
  // Without waiting; what cannot be sent now is dropped.
  void tell(const ahead_message& m) const;
  // Nothing when the other end is gone, or was told so with hang_up.
  [[nodiscard]] std::optional<received> receive() const;
  // Whether receive would answer at once.
  [[nodiscard]] bool wait(std::chrono::milliseconds longest) const;
  // The other end receives nothing more; what it sends still comes.
  void hang_up() const;
  // Receiving ends here too, in whichever thread.
  void close_both_ways() const;

 private:
  base::unique_fd socket_;
};

}  // namespace hasup::snapshot
