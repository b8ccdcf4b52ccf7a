// The state of a download while it goes on. For download.cpp and download_run.cpp alone.
#pragma once

#include <map>

#include "snapshot/fetch/download.hpp"
#include "snapshot/fetch/origin.hpp"
#include "snapshot/fetch/transfer_set.hpp"
#include "snapshot/pace.hpp"

namespace hasup::snapshot {

// A directory gains nothing by several connections, SFTP nothing where the host is near. Measured: four connections
// bring 70 to 80 MB/s on loopback, one brings 85 to 95; with 50 ms between, 11 to 17 against 5 to 6, which is open: a
// range's end is not told to an SFTP host yet (remote_client.hpp), and MaxStartups of sshd bounds logins at once.
bool comes_in_one_stream(const std::string& url);

class download_run {
 public:
  download_run(const std::vector<download_place>& places, job_control& control, const model::snapshot& s,
               const download_options& options, part_file& part, download_report& report);

  outcome<void> run();

 private:
  // One transfer.
  struct lane {
    byte_span span;                           // what it is to bring; open end: UINT64_MAX
    std::optional<std::uint64_t> asked_from;  // of a range
    std::uint64_t at = 0;                     // the next byte
    std::uint64_t brought = 0;
    bool cut = false;      // the host sends more than span: it is broken off there
    bool dropped = false;  // what it brings belongs to a version that was given up
    bool done = false;     // nothing follows what is here
  };

  outcome<void> prepare();
  outcome<void> seed();
  outcome<void> loop();
  outcome<void> start_lanes();
  outcome<void> start_first();
  outcome<void> start(byte_span span, bool ranged);
  // What libcurl's callbacks find out; false ends the transfer.
  bool begin(lane& l, const remote_answer& answer);
  bool begin_whole(lane& l, const remote_answer& answer);
  bool begin_piece(lane& l, const remote_answer& answer);
  bool data(lane& l, const char* bytes, std::size_t size);
  outcome<void> settle(lane l, const remote_client::download_end& end);
  outcome<void> next_place();

  bool set_total(std::uint64_t total);
  bool forget(const std::string& why, bool changed);
  void drop_all_but(const lane* kept);
  bool breaks(failure f);
  bool wrong_copy(failure f);
  [[nodiscard]] bool may_join() const;  // bytes of the current host fit what is here
  [[nodiscard]] bool is_whole() const { return total_ && part_.prefix() == *total_; }
  [[nodiscard]] std::uint64_t piece() const;
  [[nodiscard]] std::uint64_t join() const;
  [[nodiscard]] resume_note note() const;
  [[nodiscard]] const download_place& place() const { return places_[at_]; }
  origin& here() { return origins_[at_]; }
  [[nodiscard]] const origin& here() const { return origins_[at_]; }
  [[nodiscard]] failure unreachable() const;

  const std::vector<download_place>& places_;
  job_control& control_;
  const model::snapshot& snapshot_;
  const download_options& options_;
  part_file& part_;
  download_report& report_;
  std::vector<origin> origins_;
  std::size_t at_ = 0;                  // place and origin
  bool several_ = false;                // what is here is not of this host alone
  std::optional<std::uint64_t> total_;  // of the version that part_ holds
  std::map<transfer_set::id, lane> lanes_;
  transfer_set::id last_id_ = 0;
  pace pace_;
  std::optional<failure> broken_;  // why a callback ended everything
  std::optional<failure> own_;     // of the snapshot's own host, where that is no matter of reaching it
  std::size_t own_at_ = 0;
  transfer_set transfers_;  // last: its callbacks use the rest
};

}  // namespace hasup::snapshot
