#include "snapshot/fetch/transfer_set.hpp"

#include <algorithm>
#include <stdexcept>

#include "snapshot/fetch/curl_transfer.hpp"

namespace hasup::snapshot {

struct transfer_set::multi {
  CURLM* handle = curl_multi_init();
  multi() {
    if (handle == nullptr) throw std::runtime_error("libcurl cannot be initialised");
    // Over one connection of HTTP/2 several pieces would be no faster than one.
    curl_multi_setopt(handle, CURLMOPT_PIPELINING, long{CURLPIPE_NOTHING});
  }
  multi(const multi&) = delete;
  multi& operator=(const multi&) = delete;
  ~multi() { curl_multi_cleanup(handle); }
};

transfer_set::transfer_set() : multi_(std::make_unique<multi>()) {}

transfer_set::~transfer_set() {
  stop_all();
}

void transfer_set::start(id number, std::unique_ptr<curl_transfer> t) {
  if (curl_multi_add_handle(multi_->handle, t->curl()) != CURLM_OK)
    throw std::runtime_error("libcurl cannot begin a transfer");
  running_[number] = std::move(t);
}

void transfer_set::stop(id number) {
  const auto found = running_.find(number);
  if (found == running_.end()) return;
  curl_multi_remove_handle(multi_->handle, found->second->curl());
  running_.erase(found);
}

void transfer_set::stop_all() {
  while (!running_.empty()) stop(running_.begin()->first);
}

void transfer_set::go_on() {
  for (auto& [number, t] : running_) t->go_on();
}

std::vector<std::pair<transfer_set::id, remote_client::download_end>> transfer_set::wait(
    std::chrono::milliseconds longest) {
  int active = 0;
  curl_multi_perform(multi_->handle, &active);
  std::vector<std::pair<id, remote_client::download_end>> out;
  bool again = false;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_->handle, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const auto code = message->data.result;
    const auto found = std::find_if(running_.begin(), running_.end(),
                                    [&](const auto& one) { return one.second->curl() == message->easy_handle; });
    if (found == running_.end()) continue;
    curl_multi_remove_handle(multi_->handle, found->second->curl());
    if (found->second->goes_on(code)) {
      if (curl_multi_add_handle(multi_->handle, found->second->curl()) != CURLM_OK)
        throw std::runtime_error("libcurl cannot begin a transfer");
      again = true;
      continue;
    }
    out.emplace_back(found->first, found->second->ended(code));
    running_.erase(found);
  }
  if (out.empty() && !again && longest.count() > 0)
    curl_multi_poll(multi_->handle, nullptr, 0, static_cast<int>(longest.count()), nullptr);
  return out;
}

}  // namespace hasup::snapshot
