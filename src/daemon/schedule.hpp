// The clock of [schedule]: says when a unit is due, by cron expression, time zone and splay.
//
// A wall clock time that a change of the clock skips is due at the change; one that comes twice is due the first time
// only. What was missed while hasupd was down is not made up for.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/cron.hpp"
#include "base/result.hpp"
#include "daemon/unit_host.hpp"
#include "model/unit.hpp"

namespace hasup::daemon {

// The first instant after `after` at which the schedule is due, without splay; nullopt: never. Reads the time zone
// database: for the disk thread. The error names a time zone that is not there.
base::result<std::optional<base::wall_time>> next_due(const model::restart_schedule& s, base::wall_time after);

// How long after that this unit is due on this host: anything up to the splay, always the same. So hosts and units
// are spread, and a hasupd that comes up in between neither forgets a restart nor repeats one.
base::duration splay_of(const model::restart_schedule& s, std::string_view unit, std::string_view host);

// next_due with a delay behind each time.
base::result<std::optional<base::wall_time>> next_due(const model::restart_schedule& s, base::wall_time after,
                                                      base::duration delay);

class schedule {
 public:
  // `on_due` gets the unit's name, from the loop.
  schedule(daemon_services& services, std::function<void(const std::string&)> on_due,
           std::function<void(const std::string&, const std::string&)> on_problem);
  ~schedule();

  // All units that have a schedule now; those whose schedule is as before keep their next time.
  void set(const std::map<std::string, model::restart_schedule>& units);
  [[nodiscard]] std::optional<base::wall_time> next(const std::string& unit) const;

 private:
  struct entry {
    model::restart_schedule what;
    std::optional<base::wall_time> due;  // with splay
  };
  void ask(const std::string& unit, base::wall_time after);
  void arm();

  daemon_services& services_;
  std::function<void(const std::string&)> on_due_;
  std::function<void(const std::string&, const std::string&)> on_problem_;
  boost::asio::steady_timer timer_;
  std::map<std::string, entry> units_;
  std::string host_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hasup::daemon
