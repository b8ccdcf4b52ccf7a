// A check that connects first: name lookup, the addresses in turn, who owns the port, and TLS where that is wanted.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "probe/address.hpp"
#include "probe/check_run.hpp"

namespace hasup::probe {

class network_check : public check_run {
 public:
  using check_run::check_run;

 protected:
  // Says where; before everything else.
  void aim(address to) { to_ = std::move(to); }
  // Ends in connected(), or finishes the check. A stranger's port is refused before a byte is sent to it.
  void connect();
  virtual void connected(std::unique_ptr<connection> c) = 0;

  void abandon() override;
  check_result late(const std::string& limit) override;

  [[nodiscard]] const address& to() const { return to_; }
  [[nodiscard]] std::string purpose() const;

 private:
  enum class phase { looking_up, connecting, asking_owner, greeting, connected };
  using endpoint = boost::asio::generic::stream_protocol::endpoint;

  void look_up();
  void looked_up(const std::string& error, std::vector<boost::asio::ip::address> found);
  void try_unix();
  void try_next();
  void on_connect(boost::system::error_code ec);
  void ask_owner();
  void on_owner(const owner_finding& finding);
  void greet();
  void on_greeted(boost::system::error_code ec);
  void give();
  [[nodiscard]] std::string current_place() const;

  address to_;
  phase phase_ = phase::looking_up;
  std::vector<boost::asio::ip::address> addresses_;  // still to try, the last first
  boost::asio::ip::address current_;
  check_result refusal_;  // of the first address that did not answer
  std::unique_ptr<connection> opening_;
  base::unique_fd directory_;  // of a Unix socket whose path is too long
};

// What an error at connecting to `place` means: unknown when the fault is on this side (no descriptor, no
// permission).
check_result connect_failure(boost::system::error_code ec, const std::string& place);

// How a connection ended on which an answer was awaited; `began`: a part of it was there. Nothing when it did not
// end.
std::optional<std::string> end_of_connection(boost::system::error_code ec, const std::string& place, bool began);

}  // namespace hasup::probe
