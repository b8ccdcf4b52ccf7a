// Which moments of a recovery are worth a line of a log, so that all of it takes about twenty. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/duration.hpp"

namespace hasup::recovery {

// Each new phase; within one each further tenth, but none sooner than `pause` after the last line. Where no total is
// known, after one `pause`, then two, four … of them.
class milestones {
 public:
  explicit milestones(base::duration pause) : pause_(pause) {}

  // To be asked whenever something is known anew. `what`: what the bytes are of, an archive; another one begins anew.
  bool is_one(std::string_view phase, std::string_view what, std::uint64_t done, std::optional<std::uint64_t> total,
              base::mono_time now);
  // The next recovery begins.
  void reset();

 private:
  base::duration pause_;
  std::string phase_;
  std::string what_;
  std::uint64_t tenths_ = 0;  // told of
  std::uint64_t waits_ = 1;   // of pause_, without a total
  base::mono_time told_{};
};

}  // namespace hasup::recovery
