// Feeds the sibling that unpacks an archive while it comes (snapshot/ahead_link.hpp). The download never depends on
// it: without one, or when it is gone, all of this does nothing.
#pragma once

#include "snapshot/ahead_link.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/fetch/part_file.hpp"

namespace hasup::snapshot {

class ahead_feed : public part_listener {
 public:
  ahead_feed(ahead_link link, const data_tree& tree, const disk& d) : link_(std::move(link)), tree_(tree), disk_(d) {}

  // What follows is about this archive of the plan.
  void turn_to(std::size_t archive);
  // It is whole in the cache. Where all of them are, nothing comes, and the sibling has nothing to do.
  void in_cache();
  // Something is about to come: what lies unpacked from earlier takes no room from it any more.
  outcome<void> make_room(const job_control& control);
  void begins(const std::string& path) override;
  void reached(std::uint64_t end) override;
  void given_up() override;
  void ended(std::uint64_t size);
  void whole();

  [[nodiscard]] bool may_have_written() const { return used_ && !dropped_; }  // the sibling

  // Waits until the sibling has unpacked everything, or has ended for another reason.
  outcome<void> wait_for_the_rest(const ports::candidate& chosen, job_control& control);
  // Ends the sibling and removes what it wrote.
  outcome<void> drop(const job_control& control);

 private:
  void send(ahead_message::kind what, std::uint64_t bytes = 0, int carried = -1);
  void introduce();

  ahead_link link_;
  const data_tree& tree_;
  const disk& disk_;
  std::uint32_t archive_ = 0;
  std::vector<std::uint32_t> cached_;  // not told yet
  std::uint64_t told_ = 0;
  bool begun_ = false;  // the archive
  bool used_ = false;
  bool dropped_ = false;
  bool mute_ = false;  // the sibling does not listen any more, but may not have ended yet
};

}  // namespace hasup::snapshot
