// A clock that stands still until a test moves it, so that no test sleeps for expiry.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/clock.h"

namespace tuskv::test {

/// Thread-safe.
class ManualClock final : public os::Clock {
 public:
  /// Starts at 2024-01-01 00:00 UTC unless told: a plausible time, so that limits on absolute times do not bite.
  explicit ManualClock(std::int64_t start_us = 1'704'067'200'000'000) : now_us_(start_us) {}

  std::int64_t now_us() const override { return now_us_.load(); }
  void set_us(std::int64_t now_us) { now_us_.store(now_us); }
  /// Back as well as forth.
  void advance_us(std::int64_t by_us) { now_us_.fetch_add(by_us); }
  void advance_ms(std::int64_t by_ms) { advance_us(by_ms * 1000); }

 private:
  std::atomic<std::int64_t> now_us_;
};

}  // namespace tuskv::test
