// How long to leave a server alone that has just refused something: longer each time up to a limit, and random, so that
// those who were refused together do not come back together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>

namespace tuskv::postgres {

class GrowingPause final {
 public:
  GrowingPause(std::int64_t first_ms, std::int64_t max_ms)
      : first_ms_(first_ms), max_ms_(max_ms), longest_ms_(first_ms) {}

  /// At least half of the longest: with no pause at all the first ones would come in a burst.
  std::int64_t next_ms() {
    if (!random_) random_.emplace(std::random_device{}());
    std::uniform_int_distribution<std::int64_t> around(longest_ms_ / 2, longest_ms_);
    longest_ms_ = std::min(2 * longest_ms_, max_ms_);
    return around(*random_);
  }
  void start_over() { longest_ms_ = first_ms_; }

 private:
  const std::int64_t first_ms_;
  const std::int64_t max_ms_;
  std::int64_t longest_ms_;
  std::optional<std::minstd_rand> random_ = {};  ///< made by the first pause: most never come to one
};

}  // namespace tuskv::postgres
