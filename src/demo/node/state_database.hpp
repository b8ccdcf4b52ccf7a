// state/shared_memory.bin as nodeos keeps it: mapped, "EOSIODB2", byte 8 is the dirty flag, a write lock while in
// use.
//
//   absent --create--> open (dirty 1) --close_clean--> closed (dirty 0)
//                         | kill -9
//                         v
//                      dirty 1: open refuses it
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "demo/node/chain_types.hpp"

namespace hasup::demo {

class state_database {
 public:
  // What open found wrong; the words and exit codes are nodeos's own and belong to the caller.
  enum class fault { none, dirty, pre_dates_versioning, unreadable };

  state_database() = default;
  state_database(const state_database&) = delete;
  state_database& operator=(const state_database&) = delete;
  ~state_database();

  // An existing database. A live writer counts as dirty, as nodeos sees it. Sets the dirty flag and takes the lock.
  fault open(const std::string& path);
  // A new one with this content; open and dirty afterwards.
  base::result<void> create(const std::string& path, const digest& chain, block head, std::string_view content);
  // Makes room for content of up to `most` bytes, as a hole: the real file has the size that the database may reach.
  base::result<void> reserve(std::size_t most);
  // So many bytes more of content. False when there is no room for them. On a full disk it dies of SIGBUS.
  bool grow(std::size_t bytes);
  // Keeps all of it in memory; false when the limit on that does not allow it.
  bool lock_in_memory();
  // Leaves it as a process does that ends at once.
  void close_dirty();
  // Marks it clean and unmaps it.
  void close_clean();

  [[nodiscard]] bool is_open() const { return map_ != nullptr; }
  [[nodiscard]] block head() const;
  void set_head(block head);
  [[nodiscard]] digest chain() const;
  [[nodiscard]] std::string_view content() const;
  [[nodiscard]] const std::string& detail() const { return detail_; }  // of the fault `unreadable`

 private:
  struct header;
  base::result<void> map(std::size_t size);
  bool lock();

  base::unique_fd fd_;
  header* map_ = nullptr;
  std::size_t size_ = 0;
  std::string detail_;
};

}  // namespace hasup::demo
