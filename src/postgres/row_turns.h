// Turns at waiting for rows that others hold. Who waits for a row occupies a connection, and there may be any number of
// them, for ever so long: so they have a small part of the pool between them, and all other calls the rest. A turn is
// short, and the next one goes to whoever has waited longest.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "os/deadline.h"
#include "os/mutex.h"
#include "postgres/limits.h"
#include "postgres/waiting_line.h"
#include "status.h"

namespace tuskv::postgres {

/// What a call fails with that has waited for a row in vain.
Status row_is_held();

/// Thread-safe.
class RowTurns final {
 public:
  explicit RowTurns(std::size_t pool_size)
      : turn_ms_(pool_size == 1 ? kLockTimeoutMs : kLockTurnMs), free_(turns_at_once(pool_size)) {}
  RowTurns(const RowTurns&) = delete;
  RowTurns& operator=(const RowTurns&) = delete;

  /// With one connection everybody waits while somebody waits for a row: the turns are then as short as can be.
  static constexpr std::size_t turns_at_once(std::size_t pool_size) {
    return pool_size < kPoolPerRowTurn ? 1 : pool_size / kPoolPerRowTurn;
  }

  class Turn final {
   public:
    /// Waits for it as long as it would be worth something.
    Turn(RowTurns& turns, os::Deadline deadline)
        : turns_(turns), taken_(turns.take(deadline - std::chrono::milliseconds(kLockTimeoutMs))) {}
    ~Turn() {
      if (taken_) turns_.give_back();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// How long to wait for the row, from now on. 0: the turn was not to be had, or no time is left for an answer
    /// before the deadline.
    std::int64_t lock_timeout_ms(os::Deadline deadline) const;

   private:
    RowTurns& turns_;
    const bool taken_;
  };

 private:
  bool take(os::Deadline deadline) TUSKV_EXCLUDES(mutex_);
  void give_back() TUSKV_EXCLUDES(mutex_);

  const std::int64_t turn_ms_;
  os::Mutex mutex_;
  std::size_t free_ TUSKV_GUARDED_BY(mutex_);
  WaitingLine line_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
