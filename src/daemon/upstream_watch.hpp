// Asks the endpoints of one upstream how they are, for as long as the object lives, and says which one is used.
//
//   probe_loop of each endpoint ──> verdict, head, latency ──> upstream::choose ──> on_change
//
// Everything runs on the loop.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/probe_loop.hpp"
#include "model/upstream.hpp"
#include "upstream/choice.hpp"
#include "upstream/own_choice.hpp"
#include "upstream/server_list.hpp"

namespace boost::asio {
class io_context;
}

namespace hasup::daemon {

// What outlives hasupd.
struct upstream_intent {
  std::string chosen;  // "" = none yet
  std::string reason;  // when it was chosen
  std::optional<base::wall_time> since;
  std::map<std::string, std::optional<base::wall_time>> avoided;  // until then; nothing: until a person says so

  [[nodiscard]] bool empty() const { return chosen.empty() && avoided.empty(); }
};

class upstream_watch {
 public:
  struct change {
    std::string kind;    // of the event: upstream_chosen, upstream_switched, upstream_lost, upstream_back; "" = none
    std::string reason;  // of the event
  };
  // Asks at once; on_change comes from the loop, for an event and whenever why_not_ready() or the standing of an
  // endpoint differs; on_look then too, and with each answer.
  upstream_watch(boost::asio::io_context& loop, probe::prober& prober, model::upstream role, upstream_intent was,
                 std::function<void(const change&)> on_change, std::function<void()> on_look);

  // Goes on with other endpoints: what is known of those that stay is kept, and the others are asked. False: that is
  // another upstream, of which nothing is known. To be followed by look().
  bool follow(const model::upstream& role);
  // Why no address of that DNS name is known.
  void tell_unresolved(const std::string& dns, const std::string& why);
  // Chooses by what is known now.
  void look();

  [[nodiscard]] const model::upstream& role() const { return role_; }
  [[nodiscard]] const upstream_intent& intent() const { return known_; }
  [[nodiscard]] const std::string& chosen() const { return memory_.chosen; }
  // Why a start waits for it; "" = the chosen one is healthy. Does not change with each answer.
  [[nodiscard]] std::string why_not_ready() const;
  // Of a run that has this one; "" = it is healthy.
  [[nodiscard]] std::string why_not_good(const std::string& endpoint) const;
  // For a unit that uses `used`; one that others use and that may be about to turn bad is not told as good.
  [[nodiscard]] upstream::role_view seen_by(const std::string& used) const;

  struct endpoint_state {
    std::string name;
    std::string dns;  // it is an address of that name, or stands for those that are not known
    upstream::standing is = upstream::standing::undecided;
    std::string reason;
    std::optional<model::head> head;
    std::optional<std::chrono::microseconds> latency;
    std::optional<base::duration> behind;
    bool avoided = false;
    std::optional<base::wall_time> avoided_until;
  };
  [[nodiscard]] std::vector<endpoint_state> endpoints() const;
  // For the list of a proxy.
  [[nodiscard]] std::vector<upstream::server_view> servers() const;
  // Why it is the one, as of the last look.
  [[nodiscard]] const std::string& reason() const { return reason_; }

  // Taken only when no other is healthy: until then, or until a person says otherwise. And that it is not.
  void avoid(const std::string& endpoint, std::optional<base::wall_time> until);
  bool stop_avoiding(const std::string& endpoint);

 private:
  struct asked {
    std::unique_ptr<probe_loop> loop;  // null: it is no address, or none any more
    upstream::endpoint_view view;
    bool failing = false;  // it may be about to turn bad
    std::optional<model::head> head;
    std::optional<std::chrono::microseconds> latency;
  };
  std::unique_ptr<asked> begin(const model::upstream_endpoint& endpoint);
  void answered(asked& one, const probe_loop::answer& a);

  boost::asio::io_context& loop_;
  probe::prober& prober_;
  model::upstream role_;
  upstream_intent known_;
  std::function<void(const change&)> on_change_;
  std::function<void()> on_look_;
  std::vector<std::unique_ptr<asked>> asked_;  // in the order of role_.endpoints
  upstream::choice_memory memory_;
  std::string reason_ = "no endpoint has answered yet";
  std::string told_;  // the last why_not_ready()
  // And what a unit may choose from that has left one of them.
  std::vector<std::pair<upstream::standing, bool>> told_of_;
  base::mono_time began_;
  bool lost_ = false;  // told that none is healthy
};

}  // namespace hasup::daemon
