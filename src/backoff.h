// The pause before a conflicting transaction or update runs again: none at first, then random and longer each time, so
// that contenders come apart.
#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "os/deadline.h"

namespace tuskv {

class Backoff final {
 public:
  /// False when the deadline leaves no time for another attempt.
  bool pause(os::Deadline deadline);

 private:
  int pauses_ = 0;
  std::optional<std::minstd_rand> random_ = {};
};

}  // namespace tuskv
