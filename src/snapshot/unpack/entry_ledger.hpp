// What an archive would unpack to, kept as names: says what unpacking would refuse, without a file being made. Pure.
#pragma once

#include <map>
#include <string>

#include "snapshot/unpack/checked_entry.hpp"

namespace hasup::snapshot {

class entry_ledger {
 public:
  explicit entry_ledger(std::string archive) : archive_(std::move(archive)) {}

  // In the archive's order.
  outcome<void> add(const checked_entry& e);
  // After the last: none leaves the directory that it is all unpacked to, by itself or through another.
  outcome<void> check_links() const;

 private:
  enum class kind { file, directory, link };
  outcome<void> add_parents(const std::string& path);
  [[nodiscard]] bool leaves(const std::string& link) const;
  [[nodiscard]] failure hostile(const std::string& path, const std::string& why) const;

  std::string archive_;
  std::map<std::string, kind> entries_;
  std::map<std::string, std::string> links_;  // path -> target
};

}  // namespace hasup::snapshot
