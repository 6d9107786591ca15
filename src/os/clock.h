// The clock is a value passed in: nothing below the API asks the system for the time by itself, so tests set it.
#pragma once

#include <cstdint>

namespace tuskv::os {

/// Wall-clock time in microseconds since 1970-01-01 UTC. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t now_us() const = 0;
};

/// The system's wall clock.
class SystemClock final : public Clock {
 public:
  std::int64_t now_us() const override;
};

}  // namespace tuskv::os
