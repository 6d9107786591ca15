#include "postgres/row_turns.h"

#include <algorithm>
#include <memory>
#include <thread>

namespace tuskv::postgres {

Status row_is_held() {
  return Status(
      std::make_unique<Failure>(Failure{.code = Code::Timeout,
                                        .message = "the deadline passed while others held the key's row, or the table",
                                        .sqlstate = "55P03"}));
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

std::int64_t RowTurns::length_ms() const {
  const std::size_t waits = std::max(waits_.load(std::memory_order_relaxed), at_once_);
  const std::int64_t share_ms = longest_ms_ * static_cast<std::int64_t>(at_once_) / static_cast<std::int64_t>(waits);
  return std::max(share_ms, kLockTimeoutMs);
}

/// Its end comes a moment before the deadline: the answer that nothing was done is worth more than the moment.
std::int64_t RowTurns::Turn::lock_timeout_ms(os::Deadline deadline, bool through_pooler) const {
  if (!taken_) return 0;
  const std::int64_t longest_ms = through_pooler ? length_ms_ / kPooledPartOfTurn : length_ms_;
  const std::int64_t left_ms = os::time_left(deadline).count() / 1000;
  return std::clamp<std::int64_t>(left_ms - kLockTimeoutMs, 0, longest_ms);
}

void RowTurns::Turn::rest(os::Deadline deadline) const {
  std::this_thread::sleep_until(std::min(end_, deadline - std::chrono::milliseconds(kLockTimeoutMs)));
}

}  // namespace tuskv::postgres
