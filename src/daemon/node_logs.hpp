// The log files that a node writes itself ([log] follow) as evidence: marked before a run, read when it has ended.
//
// By a short worker process with the node's own rights: it may wait for a disk that hangs, and a path that the node's
// user controls shows nothing that this user could not read.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "process/account.hpp"
#include "process/spawner.hpp"

namespace hasup::daemon {

// What is classified: the ends of both, of the ring more. Lines of the ring come last, as without such files.
std::string join_evidence(const std::string& node_files, const std::string& ring);

class node_logs : public std::enable_shared_from_this<node_logs> {
 public:
  // `program`: hasup-worker-logs
  node_logs(boost::asio::io_context& loop, std::string program) : loop_(loop), program_(std::move(program)) {}

  // Calls back in any case, at the latest after two seconds. Without a mark, nothing of a file is evidence.
  void mark(const std::vector<std::string>& files, const process::account& as, std::function<void()> then);
  // The last lines since the marks; "" when there are none, or they cannot be read in two seconds.
  void read(std::function<void(std::string)> then);
  [[nodiscard]] bool marked() const { return !marks_.empty(); }

 private:
  void run(std::vector<std::string> words, std::function<void(const process::program_result&)> then);

  boost::asio::io_context& loop_;
  std::string program_;
  process::account as_;
  std::vector<std::string> marks_;  // FILE DEVICE INODE SIZE …
};

}  // namespace hasup::daemon
