// Deadlines of calls. They are on the steady clock: a step of the wall clock must not stretch a wait.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tuskv::os {

using Deadline = std::chrono::steady_clock::time_point;

/// Longer than any process lives is as good as never, and far from where the clock's arithmetic ends.
inline constexpr std::int64_t kLongestWaitMs = std::int64_t{1000} * 3600 * 24 * 365 * 100;

/// The point `milliseconds` from now.
inline Deadline deadline_in(std::int64_t milliseconds) {
  return std::chrono::steady_clock::now() +
         std::chrono::milliseconds(std::clamp<std::int64_t>(milliseconds, 0, kLongestWaitMs));
}

/// Zero when it has passed.
inline std::chrono::microseconds time_left(Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::microseconds(0));
}
/// The same in whole milliseconds, rounded up.
inline std::int64_t time_left_ms(Deadline deadline) { return (time_left(deadline).count() + 999) / 1000; }

/// Now, as microseconds.
inline std::int64_t steady_us() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

}  // namespace tuskv::os
