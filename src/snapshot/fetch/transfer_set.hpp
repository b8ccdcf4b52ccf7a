// Several transfers at once on the calling thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "snapshot/fetch/remote_client.hpp"

namespace hasup::snapshot {

class curl_transfer;

class transfer_set {
 public:
  using id = std::uint64_t;

  transfer_set();
  transfer_set(const transfer_set&) = delete;
  transfer_set& operator=(const transfer_set&) = delete;
  ~transfer_set();

  // Begins with the next wait(). A transfer has a connection of its own, kept for the next one to that host.
  void start(id number, std::unique_ptr<curl_transfer> t);
  // Not from within a callback of a transfer.
  void stop(id number);
  void stop_all();
  // Those that were held go on.
  void go_on();
  // Moves bytes, for at most `longest` when there are none; what ended meanwhile.
  std::vector<std::pair<id, remote_client::download_end>> wait(std::chrono::milliseconds longest);

 private:
  struct multi;
  std::unique_ptr<multi> multi_;
  std::map<id, std::unique_ptr<curl_transfer>> running_;
};

}  // namespace hasup::snapshot
