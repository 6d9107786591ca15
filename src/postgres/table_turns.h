// Turns at the lock on the whole table, which a few calls take against writers, or against everybody. A request for it
// that waits on the server stops all who come behind it. So it waits for a moment only, those of a store come one at a
// time, and after one in vain the store asks for nothing for some ten times as long.
//
// VACUUM and ANALYZE keep the table from such a call, too, and the server's own, which can take hours, give way only to
// who has waited for deadlock_timeout. So a call that has been refused waits so long, once, for a lock that these keep
// from it and writers do not. It has a connection meanwhile, with pool_size=1 the only one.
#pragma once

#include <cstdint>

#include "os/deadline.h"
#include "os/mutex.h"
#include "postgres/growing_pause.h"
#include "postgres/limits.h"
#include "postgres/waiting_line.h"
#include "status.h"

namespace tuskv::postgres {

/// What a call fails with that has asked for the table in vain.
Status table_is_held();

/// How a call asks for the table.
enum class TableRequest : std::uint8_t {
  at_once,    ///< it has not been refused yet
  patiently,  ///< behind a VACUUM, until one of the server's own has given way
  briefly,    ///< behind a VACUUM for a moment: it will not give way
};

/// Thread-safe.
class TableTurns final {
 public:
  TableTurns() = default;
  TableTurns(const TableTurns&) = delete;
  TableTurns& operator=(const TableTurns&) = delete;

  class Turn final {
   public:
    /// Waits for it until the deadline.
    Turn(TableTurns& turns, os::Deadline deadline) : turns_(turns), taken_(turns.take(deadline)) {}
    ~Turn() {
      if (taken_) turns_.give_back(was_refused_);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    bool taken() const { return taken_; }
    /// The table was not to be had.
    void note_refusal() { was_refused_ = true; }

   private:
    TableTurns& turns_;
    const bool taken_;
    bool was_refused_ = false;
  };

 private:
  bool take(os::Deadline deadline) TUSKV_EXCLUDES(mutex_);
  void give_back(bool was_refused) TUSKV_EXCLUDES(mutex_);

  os::Mutex mutex_;
  bool taken_ TUSKV_GUARDED_BY(mutex_) = false;
  os::Deadline next_request_ TUSKV_GUARDED_BY(mutex_) = {};
  GrowingPause pause_ TUSKV_GUARDED_BY(mutex_){kTablePauseMsFirst, kTablePauseMsMax};
  WaitingLine line_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
