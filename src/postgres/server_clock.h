// What the server's clock says, without asking it each time: every answer that carries its time tells how far it is
// from the steady clock of this machine. Network time makes the estimate late, never early.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "os/deadline.h"
#include "postgres/limits.h"

namespace tuskv::postgres {

/// Thread-safe.
class ServerClock final {
 public:
  void note(std::int64_t server_us) {
    const std::int64_t local_us = os::steady_us();
    offset_us_.store(server_us - local_us, std::memory_order_relaxed);
    sampled_us_.store(local_us, std::memory_order_release);
  }
  /// Nothing when the last answer is too old.
  std::optional<std::int64_t> now_us() const {
    const std::int64_t local_us = os::steady_us();
    const std::int64_t sampled_us = sampled_us_.load(std::memory_order_acquire);
    if (sampled_us == 0 || local_us - sampled_us > kClockSampleMsMax * 1000) return std::nullopt;
    return local_us + offset_us_.load(std::memory_order_relaxed);
  }

  /// However old the last answer is.
  std::int64_t last_known_us() const { return os::steady_us() + offset_us_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> offset_us_ = 0;
  std::atomic<std::int64_t> sampled_us_ = 0;
};

}  // namespace tuskv::postgres
