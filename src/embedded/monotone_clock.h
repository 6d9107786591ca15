#pragma once

#include <atomic>
#include <cstdint>

#include "os/clock.h"

namespace tuskv::embedded {

/// The store's time: the wall clock, except that it never goes back. A clock that is set back must not bring expired
/// entries to life again; it only stands still until the wall clock has caught up.
class MonotoneClock final {
 public:
  explicit MonotoneClock(const os::Clock& clock) : clock_(clock) {}

  std::int64_t now_us() {
    const std::int64_t wall = clock_.now_us();
    std::int64_t high = high_us_.load(std::memory_order_relaxed);
    while (wall > high) {
      if (high_us_.compare_exchange_weak(high, wall, std::memory_order_relaxed)) return wall;
    }
    return high;
  }
  /// By how much the wall clock has been set back and has not caught up yet: so long the store's time stands still.
  std::int64_t behind_us() const {
    const std::int64_t wall = clock_.now_us();  // first: others may move the store's time on
    const std::int64_t high = high_us_.load(std::memory_order_relaxed);
    return high > wall ? high - wall : 0;
  }
  /// Time never starts before this: what a store has seen before it was closed.
  void raise(std::int64_t us) {
    std::int64_t high = high_us_.load(std::memory_order_relaxed);
    while (us > high && !high_us_.compare_exchange_weak(high, us, std::memory_order_relaxed)) {
    }
  }

 private:
  const os::Clock& clock_;
  std::atomic<std::int64_t> high_us_ = INT64_MIN;
};

}  // namespace tuskv::embedded
