// Where an archive is sent to, piece by piece: what SFTP hosts and S3 stores have in common.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ports/worker_job.hpp"
#include "snapshot/fetch/remote_client.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// Each call that sends is tried again as the patience says. Nothing has the archive's name before publish().
class remote_place {
 public:
  explicit remote_place(const job_control& job)
      : control_("", [this, &job] { return until_ ? clock::now() >= *until_ : job.cancelled(); }) {}
  remote_place(const remote_place&) = delete;
  remote_place& operator=(const remote_place&) = delete;
  virtual ~remote_place() = default;

  // Whether a file of that name is there.
  virtual outcome<bool> has(const std::string& name) = 0;
  // The text of a file; nothing when it is not there.
  virtual outcome<std::optional<std::string>> text_of(const std::string& name) = 0;
  // A small file, there as a whole or as before.
  virtual outcome<void> put(const std::string& name, std::string_view text) = 0;
  virtual outcome<void> remove(const std::string& name) = 0;  // not there: fine
  // A small file that other hosts edit too: none of their changes is lost, as far as the place can tell. `how` makes
  // the new text of the present one ("" when there is none); nothing: it stays. It may be asked several times.
  using change = std::function<outcome<std::optional<std::string>>(const std::string& text)>;
  virtual outcome<void> edit(const std::string& name, const change& how) = 0;

  virtual outcome<void> begin() = 0;
  // Piece `number`, from 1, whose first byte is at `offset`.
  virtual outcome<void> piece(unsigned number, std::uint64_t offset, std::string_view bytes) = 0;
  virtual outcome<void> publish(std::uint64_t size) = 0;
  // What was sent is to leave nothing; best effort of a few seconds, said nowhere.
  virtual void abandon() = 0;

  [[nodiscard]] virtual std::string url() const = 0;  // of the archive, for a person

  // While one lives, all calls together have some seconds, whether or not the job is cancelled: whoever cancelled it
  // waits. One within another begins anew.
  class time_to_clean_up {
   public:
    explicit time_to_clean_up(remote_place& place)
        : place_(place), before_(std::exchange(place.until_, clock::now() + std::chrono::seconds(10))) {}
    time_to_clean_up(const time_to_clean_up&) = delete;
    time_to_clean_up& operator=(const time_to_clean_up&) = delete;
    ~time_to_clean_up() { place_.until_ = before_; }

   private:
    remote_place& place_;
    std::optional<job_control::clock::time_point> before_;
  };

 protected:
  // The job's, or that of what is cleaned up.
  [[nodiscard]] const job_control& control() const { return control_; }

 private:
  using clock = job_control::clock;
  std::optional<clock::time_point> until_;
  job_control control_;
};

outcome<std::unique_ptr<remote_place>> open_sftp_place(const ports::create_order& order, job_control& control,
                                                       patience p);
outcome<std::unique_ptr<remote_place>> open_s3_place(const ports::create_order& order, const job_control& control,
                                                     patience p);

}  // namespace hasup::snapshot
