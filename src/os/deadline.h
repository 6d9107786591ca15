#pragma once

#include <chrono>
#include <cstdint>

namespace tuskv::os {

/// A point in time that steps of the wall clock do not move.
class Deadline final {
 public:
  explicit Deadline(std::int64_t timeout_ms) : at_(Clock::now() + std::chrono::milliseconds(timeout_ms)) {}

  /// Zero when it has passed.
  std::chrono::microseconds left() const {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(at_ - Clock::now());
    return left.count() > 0 ? left : std::chrono::microseconds(0);
  }
  /// The same in whole milliseconds, rounded up.
  std::int64_t left_ms() const { return (left().count() + 999) / 1000; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point at_;
};

}  // namespace tuskv::os
