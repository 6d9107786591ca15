// The log's own thread: it makes the next segment ahead of need, syncs in the background (relaxed), and answers those
// who asked to be told rather than to wait. Nothing depends on it being fast: an append that needs a segment makes it,
// and a caller that waits syncs itself. A second thread ends those who have waited too long, since the first may be in
// a sync on a disk that stands still; it sleeps otherwise.
#include <algorithm>
#include <utility>

#include "embedded/log.h"

namespace tuskv::embedded {

bool Log::notify_synced(std::uint64_t sequence, std::int64_t timeout_ms,
                        void (*done)(void* context, const Status& status), void* context) noexcept {
  if (file_system_ == nullptr || sync_.synced() >= sequence) return true;
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  {
    os::MutexLock lock(work_mutex_);
    if (!stopping_) {
      waiters_.push_back(
          {.sequence = sequence, .deadline = deadline, .timeout_ms = timeout_ms, .done = done, .context = context});
      work_.notify_one();
      if (deadline < next_deadline_) {
        next_deadline_ = deadline;
        deadline_is_near_.notify_one();
      }
      return false;
    }
  }
  // The log is closed: its threads have gone, and what there was to sync is synced or has failed.
  done(context, sync_.wait(sequence, timeout_ms));
  return false;
}

void Log::request_prepare() {
  os::MutexLock lock(work_mutex_);
  prepare_wanted_ = true;
  work_.notify_one();
}

void Log::request_sync() {
  os::MutexLock lock(work_mutex_);
  sync_wanted_ = true;
  sync_at_ = os::deadline_in(options_.sync_interval_ms);
  work_.notify_one();
}

void Log::stop_threads() {
  {
    os::MutexLock lock(work_mutex_);
    stopping_ = true;
    work_.notify_one();
    deadline_is_near_.notify_one();
  }
  for (std::thread* thread : {&thread_, &deadline_thread_}) {
    if (thread->joinable()) thread->join();
  }
}

/// True when a background sync is due.
bool Log::wait_for_work() {
  while (!stopping_ && waiters_.empty() && !prepare_wanted_) {
    if (!sync_wanted_) {
      work_.wait(work_mutex_);
    } else if (!work_.wait_until(work_mutex_, sync_at_)) {
      return true;
    }
  }
  return false;
}

void Log::run_thread() {
  os::MutexLock lock(work_mutex_);
  for (;;) {
    const bool sync_due = wait_for_work();
    if (sync_due) sync_wanted_ = false;
    const bool prepare = std::exchange(prepare_wanted_, false);
    const bool last_turn = stopping_;
    lock.unlock();
    serve_waiters();
    if (sync_due) sync_in_background();
    if (last_turn) return;
    if (prepare) {
      // When it fails, the append that needs the segment tries again, and reports.
      [[maybe_unused]] const Status prepared = supply_.prepare();
    }
    lock.lock();
  }
}

template <class Belongs>
std::vector<Log::Waiter> Log::take_waiters(const Belongs& belongs) {
  const auto first =
      std::stable_partition(waiters_.begin(), waiters_.end(), [&](const Waiter& waiter) { return !belongs(waiter); });
  std::vector<Waiter> taken(first, waiters_.end());
  waiters_.erase(first, waiters_.end());
  return taken;
}

void Log::serve_waiters() {
  os::MutexLock lock(work_mutex_);
  if (waiters_.empty()) return;
  std::uint64_t newest = 0;
  for (const Waiter& waiter : waiters_) newest = std::max(newest, waiter.sequence);
  lock.unlock();
  const Status status = sync_.wait(newest, INT64_MAX);
  const std::uint64_t synced = sync_.synced();
  lock.lock();
  // A failure is that of all who are not synced by now.
  const std::vector<Waiter> served =
      take_waiters([&](const Waiter& waiter) { return !status.ok() || waiter.sequence <= synced; });
  lock.unlock();
  const Status ok;
  for (const Waiter& waiter : served) waiter.done(waiter.context, waiter.sequence <= synced ? ok : status);
}

void Log::run_deadline_thread() {
  os::MutexLock lock(work_mutex_);
  while (!stopping_) {
    const os::Deadline now = os::deadline_in(0);
    const std::vector<Waiter> late = take_waiters([&](const Waiter& waiter) { return waiter.deadline <= now; });
    if (!late.empty()) {
      lock.unlock();
      for (const Waiter& waiter : late) {
        waiter.done(waiter.context,
                    sync_.synced() >= waiter.sequence ? Status() : GroupSync::not_synced_in(waiter.timeout_ms));
      }
      lock.lock();
      continue;
    }
    next_deadline_ = os::Deadline::max();
    for (const Waiter& waiter : waiters_) next_deadline_ = std::min(next_deadline_, waiter.deadline);
    if (next_deadline_ == os::Deadline::max()) {
      deadline_is_near_.wait(work_mutex_);
    } else {
      deadline_is_near_.wait_until(work_mutex_, next_deadline_);
    }
  }
}

std::string Log::explain_failure(std::string_view cause) const {
  const bool is_recording = options_.durability == Durability::unlogged;
  const std::string_view rule = is_recording ? "so the snapshot it belongs to is given up, and nothing else: "
                                             : "so nothing more is written to it until the store is opened again: ";
  return "a sync of the log failed, " + std::string(rule) + std::string(cause);
}

void Log::sync_failed(const Status& status) {
  if (options_.on_sync_failed != nullptr) options_.on_sync_failed(options_.context, status);
}

/// A failure poisons the log; the hook is told, and those who write or wait meet it.
void Log::sync_in_background() {
  {
    os::MutexLock lock(append_mutex_);
    sync_requested_ = false;
  }
  [[maybe_unused]] const Status synced = sync_.wait(last_sequence(), INT64_MAX);
}

}  // namespace tuskv::embedded
