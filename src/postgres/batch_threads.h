// The batcher's own threads, which lead what nobody waits for and tell its submitters. They are started on first use:
// one that keeps the deadlines of submissions, and one more leader whenever a batch finds none idle, up to the number
// of batches that can be under way.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "os/deadline.h"
#include "os/mutex.h"
#include "postgres/batch.h"
#include "postgres/lane.h"

namespace tuskv::postgres {

/// Thread-safe.
class BatchThreads final {
 public:
  struct Job {
    Lane lane = Lane::read;
    std::shared_ptr<Batch> batch = {};
  };
  struct Work {
    std::function<void(const Job&)> lead = {};
    /// Ends what is late; says when to call again.
    std::function<os::Deadline(os::Deadline now)> expire = {};
  };

  BatchThreads(std::size_t leaders_max, Work work);
  /// Does what has been posted, then joins.
  ~BatchThreads();
  BatchThreads(const BatchThreads&) = delete;
  BatchThreads& operator=(const BatchThreads&) = delete;

  /// Before the first post(): false when the system gives no threads.
  [[nodiscard]] bool start() TUSKV_EXCLUDES(mutex_);
  void post(Job job) TUSKV_EXCLUDES(mutex_);
  /// Makes `expire` be called by then.
  void wake_at(os::Deadline deadline) TUSKV_EXCLUDES(mutex_);

 private:
  void lead() TUSKV_EXCLUDES(mutex_);
  void keep_deadlines() TUSKV_EXCLUDES(mutex_);
  bool add_leader() TUSKV_REQUIRES(mutex_);

  const std::size_t leaders_max_;
  const Work work_;
  std::atomic<bool> started_ = false;
  /// Written under the mutex; read without it to see that an earlier wake-up is planned anyway.
  std::atomic<os::Deadline> alarm_ = os::Deadline::max();
  os::Mutex mutex_;
  os::CondVar posted_;
  os::CondVar alarm_moved_;
  bool ending_ TUSKV_GUARDED_BY(mutex_) = false;
  std::size_t idle_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::deque<Job> jobs_ TUSKV_GUARDED_BY(mutex_);
  std::vector<std::thread> leaders_ TUSKV_GUARDED_BY(mutex_);
  std::thread timekeeper_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
