// The log's own thread: it makes the next segment ahead of need, syncs in the background (relaxed), and answers those
// who asked to be told rather than to wait. Nothing depends on it being fast: an append that needs a segment makes it,
// and a caller that waits syncs itself.
#include <algorithm>
#include <utility>

#include "embedded/log.h"

namespace tuskv::embedded {

bool Log::notify_synced(std::uint64_t sequence, void (*done)(void* context, const Status& status), void* context) {
  if (file_system_ == nullptr || sync_.synced() >= sequence) return true;
  const Waiter waiter{.sequence = sequence, .done = done, .context = context};
  {
    os::MutexLock lock(work_mutex_);
    if (!stopping_) {
      waiters_.push_back(waiter);
      work_.notify_one();
      return false;
    }
  }
  serve({waiter});  // the log is closed: its thread has gone, and what there was to sync is synced or has failed
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

void Log::stop_thread() {
  {
    os::MutexLock lock(work_mutex_);
    stopping_ = true;
    work_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
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
    const std::vector<Waiter> waiters = std::exchange(waiters_, {});
    const bool prepare = std::exchange(prepare_wanted_, false);
    const bool last_turn = stopping_;
    lock.unlock();
    serve(waiters);
    if (sync_due) sync_in_background();
    if (last_turn) return;
    if (prepare) {
      // When it fails, the append that needs the segment tries again, and reports.
      [[maybe_unused]] const Status prepared = supply_.prepare(0);
    }
    lock.lock();
  }
}

void Log::serve(const std::vector<Waiter>& waiters) {
  std::uint64_t newest = 0;
  for (const Waiter& waiter : waiters) newest = std::max(newest, waiter.sequence);
  const Status status = newest == 0 ? Status() : sync_.wait(newest, INT64_MAX);
  const Status ok;
  for (const Waiter& waiter : waiters) {
    waiter.done(waiter.context, sync_.synced() >= waiter.sequence ? ok : status);
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
