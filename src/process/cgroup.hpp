// The delegated part of cgroup v2 in which nodes live: one leaf an instance with its limits, shims in a leaf apart.
// Made and limited by the daemon; the shim puts the node into its leaf. Writes may wait for the kernel, so all but
// the constructor's caller and leaf_memory() belong on the disk thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace hasup::process {

struct cgroup_limits {
  std::optional<std::uint64_t> memory_max;  // bytes
  std::optional<std::uint64_t> cpu_weight;  // 1 … 10000, others have 100
  std::optional<std::uint64_t> pids;        // processes and threads

  [[nodiscard]] bool any() const { return memory_max || cpu_weight || pids; }
};

class cgroup_tree {
 public:
  // Takes a directory of cgroup v2 that this process may write. It is locked, because the leaves of two daemons would
  // be mixed up; fails with what is in the way.
  static base::result<std::unique_ptr<cgroup_tree>> open(const std::string& root);

  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] std::string shims() const { return root_ + "/shims"; }
  [[nodiscard]] std::string leaf(const std::string& instance) const { return root_ + "/" + instance; }

  // Makes the leaf of an instance anew, or takes one in which something runs, and sets its limits; a limit that is
  // not given is lifted. Adds to `not_applied` one text for each limit that this machine does not offer. Anew because
  // of a fault of Linux (seen on 6.18): where cgroup.kill was used once, whatever is cloned into the leaf from
  // outside is killed at once.
  base::result<std::string> prepare_leaf(const std::string& instance, const cgroup_limits& limits,
                                         std::vector<std::string>& not_applied) const;
  // The limits of a leaf that is in use.
  void set_limits(const std::string& instance, const cgroup_limits& limits,
                  std::vector<std::string>& not_applied) const;
  // An empty leaf goes, with what the node made below it; one in which something still runs stays.
  void remove_leaf(const std::string& instance) const;

 private:
  explicit cgroup_tree(std::string root, base::unique_fd lock) : root_(std::move(root)), lock_(std::move(lock)) {}

  std::string root_;
  base::unique_fd lock_;
};

// Where packaging puts the scope: the system's for root, else the user's own. The first that exists; "" = none.
std::string find_nodes_scope();

// Anonymous and shared memory of a leaf; mapped files and caches do not count. Nothing: no memory controller.
std::optional<std::uint64_t> leaf_memory(const std::string& leaf);

}  // namespace hasup::process
