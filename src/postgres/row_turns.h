// Turns at waiting for rows that others hold. Who waits for a row occupies a connection, and there may be any number of
// them, for ever so long: so they have a small part of the pool between them, and all other calls the rest. A turn is
// short, the shorter the more there are who want one, so that a row that is free again is found free soon.
//
// Through a pooler it is not the store's connections that are few but the pooler's, which others have to share as well.
// So the better part of a turn is spent without one.
#pragma once

#include <atomic>
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
      : longest_ms_(pool_size == 1 ? kLockTimeoutMs : kLockTurnMs),
        at_once_(turns_at_once(pool_size)),
        free_(at_once_) {}
  RowTurns(const RowTurns&) = delete;
  RowTurns& operator=(const RowTurns&) = delete;

  /// With one connection everybody waits while somebody waits for a row: the turns are then as short as can be.
  static constexpr std::size_t turns_at_once(std::size_t pool_size) {
    return pool_size < kPoolPerRowTurn ? 1 : pool_size / kPoolPerRowTurn;
  }

  /// A row that is waited for, by however many calls, from turn to turn.
  void begin_wait() { waits_.fetch_add(1, std::memory_order_relaxed); }
  void end_wait() { waits_.fetch_sub(1, std::memory_order_relaxed); }
  class Wait final {
   public:
    explicit Wait(RowTurns& turns) : turns_(turns) { turns_.begin_wait(); }
    ~Wait() { turns_.end_wait(); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   private:
    RowTurns& turns_;
  };

  class Turn final {
   public:
    /// Waits for it as long as it would be worth something.
    Turn(RowTurns& turns, os::Deadline deadline)
        : turns_(turns),
          taken_(turns.take(deadline - std::chrono::milliseconds(kLockTimeoutMs))),
          length_ms_(turns.length_ms()),
          end_(os::deadline_in(length_ms_)) {}
    ~Turn() {
      if (taken_) turns_.give_back();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// How long to wait for the row, from now on. 0: the turn was not to be had, or no time is left for an answer
    /// before the deadline.
    std::int64_t lock_timeout_ms(os::Deadline deadline, bool through_pooler) const;
    /// Spends what is left of the turn, without a connection, unless there is no time for another one.
    void rest(os::Deadline deadline) const;

   private:
    RowTurns& turns_;
    const bool taken_;
    const std::int64_t length_ms_;
    const os::Deadline end_;
  };

 private:
  bool take(os::Deadline deadline) TUSKV_EXCLUDES(mutex_);
  void give_back() TUSKV_EXCLUDES(mutex_);

  /// Everybody has one in the time of the longest, as long as that is possible.
  std::int64_t length_ms() const;

  const std::int64_t longest_ms_;
  const std::size_t at_once_;
  std::atomic<std::size_t> waits_ = 0;
  os::Mutex mutex_;
  std::size_t free_ TUSKV_GUARDED_BY(mutex_);
  WaitingLine line_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
