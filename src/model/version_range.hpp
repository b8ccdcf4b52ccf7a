// Versions of node programs, and ranges of them: ">=5.0 <6", "^1.2", "4.0 || 5.0". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hasup::model {

struct version {
  std::vector<std::uint64_t> numbers;  // at most four; those that are not there count as 0
  std::string before;  // "rc1" of 5.0.0-rc1: comes before the release; "" for the release and whatever else it says

  friend bool operator==(const version&, const version&) = default;
};

// The first number with dots in what a program says of itself: "v5.0.2-rc1", "Geth/v1.13.5-stable-916d6a44/linux",
// "leap 4.0.6"; a lone number counts where nothing has a dot. Only alpha, beta, dev, pre and rc come before a
// release.
std::optional<version> find_version(std::string_view text);

// -1, 0, 1
int compare(const version& a, const version& b);

// Conditions separated by spaces or commas hold all together, "||" separates alternatives. A condition is <, <=, >,
// >= or = and a version; ^1.2: from 1.2 until before 2; ~1.2.3: from 1.2.3 until before 1.3; 1.2: any that begins so;
// *: any.
class version_range {
 public:
  static base::result<version_range> from(std::string_view text);

  [[nodiscard]] bool contains(const version& v) const;

 private:
  struct bounds {
    std::optional<version> least;
    bool least_too = true;
    std::optional<version> most;
    bool most_too = false;
  };
  static base::result<bounds> read_condition(std::string_view text);
  static bool holds(const bounds& b, const version& v);

  std::vector<std::vector<bounds>> any_of_;
};

}  // namespace hasup::model
