// Has rotated logs compressed and deleted, by a worker process: when a shim has rotated, and now and then for what is
// only a matter of age. hasupd itself touches no log.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "logs/retention.hpp"
#include "model/unit.hpp"
#include "process/spawner.hpp"

namespace hasup::daemon {

struct kept_log {
  std::string name;  // "leap.log", "miner@1.log"
  logs::retention rule;
};

logs::retention retention_of(const model::log_policy& policy);
// The worker's command; empty when no log needs it.
std::vector<std::string> keeping_command(const std::string& program, const std::string& log_directory,
                                         const std::vector<kept_log>& kept);

class log_keeper {
 public:
  // `kept`: the logs as they are configured now.
  log_keeper(boost::asio::io_context& loop, std::string log_directory, std::string program,
             std::function<std::vector<kept_log>()> kept);
  ~log_keeper();
  log_keeper(const log_keeper&) = delete;
  log_keeper& operator=(const log_keeper&) = delete;

  void start();

 private:
  void wait(base::duration time);
  void watch();
  void run();
  void ended(const process::program_result& r);

  boost::asio::io_context& loop_;
  std::string directory_;
  std::string program_;
  std::function<std::vector<kept_log>()> kept_;
  boost::asio::steady_timer timer_;
  boost::asio::posix::stream_descriptor renames_;
  std::shared_ptr<process::program> running_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool again_ = false;  // a log was rotated while the worker ran
};

}  // namespace hasup::daemon
