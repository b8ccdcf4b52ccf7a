// What is known of the archives of a plan while they come, from the messages of the sibling that fetches them.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "snapshot/ahead_link.hpp"
#include "snapshot/data_tree.hpp"
#include "snapshot/unpack/archive_file.hpp"
#include "snapshot/unpack/helper_thread.hpp"
#include "snapshot/unpack/unpacking.hpp"

namespace hasup::snapshot {

class arrivals {
 public:
  // Bytes that were read may be given up by who fetches. All waits are of one generation: they fail when it is over.
  using generation = std::uint64_t;

  // Listens on `link`, which outlives this.
  static outcome<std::unique_ptr<arrivals>> start(const ahead_link& link, const ports::candidate& chosen);
  ~arrivals();
  arrivals(const arrivals&) = delete;
  arrivals& operator=(const arrivals&) = delete;

  [[nodiscard]] generation now() const;
  [[nodiscard]] bool is_over(generation g) const;  // given up, or nothing comes any more
  // Waits until what `g` read is given up. False: it never will be.
  bool wait_for_another(generation g);

  // The archive, once it begins to come; none: it was in the cache already.
  struct coming {
    std::shared_ptr<const base::unique_fd> fd;
  };
  outcome<coming> wait_for_begin(std::size_t archive, generation g);
  outcome<std::uint64_t> wait_for(std::size_t archive, generation g, std::uint64_t end, const std::stop_token& stop);
  outcome<void> wait_until_whole(std::size_t archive, generation g);

  // Bytes on the disk that the rest of the download may yet take.
  [[nodiscard]] std::uint64_t still_to_come() const;

 private:
  struct one {
    std::optional<std::uint64_t> announced;
    std::shared_ptr<const base::unique_fd> fd{};
    std::uint64_t reached = 0;
    std::optional<std::uint64_t> size{};  // of what has ended
    bool whole = false;
  };

  arrivals(const ahead_link& link, const ports::candidate& chosen);
  void listen();
  void take(ahead_link::received r);
  template <class Ready>
  outcome<void> wait(generation g, const std::stop_token& stop, Ready ready);

  const ahead_link& link_;
  mutable std::mutex mutex_;
  std::condition_variable_any moved_;
  std::vector<one> all_;
  generation generation_ = 0;
  bool closed_ = false;
  helper_thread thread_;
};

// The archives of one generation.
class from_arrivals : public archive_supply {
 public:
  from_arrivals(arrivals& all, arrivals::generation g, const data_tree& tree);
  ~from_arrivals() override;
  outcome<given> open(std::size_t index, const model::snapshot& s) override;
  // The file that an archive was read from, or nothing if that was in the cache.
  [[nodiscard]] int fd_of(std::size_t index) const;

 private:
  class arriving;

  arrivals& all_;
  arrivals::generation g_;
  std::vector<std::unique_ptr<arriving>> opened_;
  from_cache cache_;
};

}  // namespace hasup::snapshot
