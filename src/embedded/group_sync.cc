#include "embedded/group_sync.h"

#include <string>
#include <utility>

namespace tuskv::embedded {

Status GroupSync::health() const {
  if (!failed()) return {};
  os::MutexLock lock(failure_mutex_);
  return failure_.clone();
}

Status GroupSync::wait(std::uint64_t sequence, std::int64_t timeout_ms) noexcept {
  os::Deadline deadline;
  for (bool has_deadline = false;;) {
    const std::uint32_t turn = turns_.value();
    if (synced() >= sequence) return {};
    if (failed()) return health().with_outcome(Outcome::unknown);
    if (!busy_.exchange(true, std::memory_order_acq_rel)) {
      if (run_round(has_deadline ? os::time_left_ms(deadline) : timeout_ms)) continue;
      return not_synced_in(timeout_ms);
    }
    if (!has_deadline) deadline = os::deadline_in(timeout_ms);
    has_deadline = true;
    if (turns_.wait(turn, deadline)) continue;
    if (synced() >= sequence) return {};
    return not_synced_in(timeout_ms);
  }
}

Status GroupSync::not_synced_in(std::int64_t timeout_ms) {
  return {Code::Timeout, "the disk has not synced the write in " + std::to_string(timeout_ms) + " ms",
          Outcome::unknown};
}

/// The caller has set busy_. False when the round could not begin in time.
bool GroupSync::run_round(std::int64_t left_ms) {
  SyncRound round;
  // Whoever was here before may have synced everything, or failed.
  bool succeeds = !failed();
  const bool in_time = !succeeds || source_.begin_round(round, left_ms);
  for (const std::shared_ptr<Segment>& segment : round.segments) succeeds = succeeds && sync_file(*segment->file).ok();
  if (succeeds && synced() < round.sequence) synced_.store(round.sequence, std::memory_order_release);
  end_turn();
  if (succeeds) source_.end_round(round);
  return in_time;
}

void GroupSync::end_turn() {
  busy_.store(false, std::memory_order_release);
  turns_.advance();
}

Status GroupSync::exclusively(std::int64_t& left_ms, FunctionRef<Status()> work) {
  os::Deadline deadline;
  for (bool has_deadline = false;;) {
    const std::uint32_t turn = turns_.value();
    if (!busy_.exchange(true, std::memory_order_acq_rel)) break;
    if (!has_deadline) deadline = os::deadline_in(left_ms);
    has_deadline = true;
    const bool in_time = turns_.wait(turn, deadline);
    left_ms = os::time_left_ms(deadline);
    if (!in_time) return {Code::Timeout, "the deadline passed while the disk held up a sync of the log"};
  }
  Status status = work();
  end_turn();
  return status;
}

Status GroupSync::sync_file(os::File& file) {
  if (failed()) return health();
  Status status = file.sync();
  if (status.ok()) {
    count_.fetch_add(1, std::memory_order_relaxed);
    return status;
  }
  Status failure(Code::Io, source_.explain_failure(status.failure().message));
  {
    os::MutexLock lock(failure_mutex_);
    failure_ = failure.clone();
  }
  failed_.store(true, std::memory_order_release);
  source_.sync_failed(failure);
  return failure;
}

}  // namespace tuskv::embedded
