#include "embedded/group_sync.h"

#include <string>
#include <utility>

namespace tuskv::embedded {

Status GroupSync::health() const {
  if (!failed()) return {};
  os::MutexLock lock(failure_mutex_);
  return failure_.clone();
}

Status GroupSync::wait(std::uint64_t sequence, std::int64_t timeout_ms) {
  os::Deadline deadline;
  for (bool has_deadline = false;;) {
    const std::uint32_t turn = turns_.value();
    if (synced() >= sequence) return {};
    if (failed()) return health().with_outcome(Outcome::unknown);
    if (!busy_.exchange(true, std::memory_order_acq_rel)) {
      run_round();
      continue;
    }
    if (!has_deadline) deadline = os::deadline_in(timeout_ms);
    has_deadline = true;
    if (turns_.wait(turn, deadline)) continue;
    if (synced() >= sequence) return {};
    return {Code::Timeout, "the disk has not synced the write in " + std::to_string(timeout_ms) + " ms",
            Outcome::unknown};
  }
}

/// The caller has set busy_.
void GroupSync::run_round() {
  // Whoever was here before may have synced everything, or failed.
  if (failed()) return end_turn();
  const SyncRound round = source_.begin_round();
  for (const std::shared_ptr<Segment>& segment : round.segments) {
    if (!sync_file(*segment->file).ok()) return end_turn();
  }
  if (synced() < round.sequence) synced_.store(round.sequence, std::memory_order_release);
  end_turn();
  source_.end_round(round);
}

void GroupSync::end_turn() {
  busy_.store(false, std::memory_order_release);
  turns_.advance();
}

Status GroupSync::exclusively(FunctionRef<Status()> work) {
  for (;;) {
    const std::uint32_t turn = turns_.value();
    if (!busy_.exchange(true, std::memory_order_acq_rel)) break;
    turns_.wait(turn);
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
