#include "backoff.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "named_limits.h"

namespace tuskv {

bool Backoff::pause(os::Deadline deadline) {
  constexpr int kDoublingsMax = 16;
  const std::chrono::microseconds left = os::time_left(deadline);
  if (left.count() == 0) return false;
  if (pauses_++ == 0) {
    std::this_thread::yield();
    return true;
  }
  if (!random_) random_.emplace(std::random_device{}());
  const std::int64_t longest = std::min(kRetryPauseUsMax, kRetryPauseUsFirst << std::min(pauses_ - 2, kDoublingsMax));
  const std::chrono::microseconds pause(std::uniform_int_distribution<std::int64_t>(0, longest)(*random_));
  std::this_thread::sleep_for(std::min(pause, left));
  return pause < left;
}

}  // namespace tuskv
