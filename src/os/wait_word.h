// A counter that threads wait on until it moves. Waking is one system call whatever the number of waiters, and none of
// them has to take a lock afterwards, as they would with a condition variable.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/deadline.h"

namespace tuskv::os {

/// Thread-safe. Read value(), look at what the counter stands for, then wait(): an advance in between is not missed.
class WaitWord final {
 public:
  WaitWord() = default;
  WaitWord(const WaitWord&) = delete;
  WaitWord& operator=(const WaitWord&) = delete;

  std::uint32_t value() const { return word_.load(std::memory_order_acquire); }
  /// Returns once the counter is not `seen` any more, or for no reason; false when the deadline has passed.
  bool wait(std::uint32_t seen, Deadline deadline) const;
  void wait(std::uint32_t seen) const;
  /// The same for a waiter that advance_for() can single out: `who` has one bit set.
  bool wait(std::uint32_t seen, Deadline deadline, std::uint32_t who) const;
  /// Moves the counter and wakes everyone.
  void advance();
  /// Moves the counter, but wakes only those who wait under one of these bits, or under none.
  void advance_for(std::uint32_t who);

 private:
  std::atomic<std::uint32_t> word_ = 0;
};

}  // namespace tuskv::os
