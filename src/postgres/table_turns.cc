#include "postgres/table_turns.h"

#include <algorithm>
#include <memory>

namespace tuskv::postgres {

Status table_is_held() {
  return Status(std::make_unique<Failure>(Failure{
      .code = Code::Timeout,
      .message = "the deadline passed while others held the table, or rows of it (a transaction that goes on, or "
                 "a VACUUM: pg_locks tells)",
      .sqlstate = "55P03"}));
}

bool TableTurns::take(os::Deadline deadline) {
  os::MutexLock lock(mutex_);
  WaitingLine::Place place(line_);
  while (taken_ || !place.is_first() || os::time_left(next_request_).count() > 0) {
    if (os::time_left(deadline).count() == 0) return false;
    const bool is_next = !taken_ && place.is_first();
    place.wait_until(mutex_, is_next ? std::min(deadline, next_request_) : deadline);
  }
  taken_ = true;
  place.leave();
  return true;
}

void TableTurns::give_back(bool was_refused) {
  os::MutexLock lock(mutex_);
  taken_ = false;
  if (was_refused) {
    next_request_ = os::deadline_in(pause_.next_ms());
  } else {
    next_request_ = {};
    pause_.start_over();
  }
  line_.wake_first();
}

}  // namespace tuskv::postgres
