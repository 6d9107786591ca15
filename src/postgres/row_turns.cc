#include "postgres/row_turns.h"

#include <algorithm>
#include <memory>

namespace tuskv::postgres {

Status row_is_held() {
  return Status(std::make_unique<Failure>(Failure{
      .code = Code::Timeout, .message = "the deadline passed while others held the key's row", .sqlstate = "55P03"}));
}

bool RowTurns::take(os::Deadline deadline) {
  os::MutexLock lock(mutex_);
  WaitingLine::Place place(line_);
  while (free_ == 0 || !place.is_first()) {
    if (os::time_left(deadline).count() == 0) return false;
    place.wait_until(mutex_, deadline);
  }
  --free_;
  place.leave();
  if (free_ > 0) line_.wake_first();
  return true;
}

void RowTurns::give_back() {
  os::MutexLock lock(mutex_);
  ++free_;
  line_.wake_first();
}

/// Its end comes a moment before the deadline: the answer that nothing was done is worth more than the moment.
std::int64_t RowTurns::Turn::lock_timeout_ms(os::Deadline deadline) const {
  if (!taken_) return 0;
  const std::int64_t left_ms = os::time_left(deadline).count() / 1000;
  return std::clamp<std::int64_t>(left_ms - kLockTimeoutMs, 0, turns_.turn_ms_);
}

}  // namespace tuskv::postgres
