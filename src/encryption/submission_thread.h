// The thread on which an encrypted store runs the asynchronous calls that need plaintext: they are several steps, and
// a submitter does not wait. One thread, started with the first such call; they run one after the other.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "engine.h"
#include "os/deadline.h"
#include "os/mutex.h"

namespace tuskv::encryption {

/// Thread-safe.
class SubmissionThread final {
 public:
  explicit SubmissionThread(std::function<void(Unit&)> run) : run_(std::move(run)) {}
  /// Not on the thread itself: an engine is destroyed elsewhere (engine_owner.h).
  ~SubmissionThread();
  SubmissionThread(const SubmissionThread&) = delete;
  SubmissionThread& operator=(const SubmissionThread&) = delete;

  /// Ends the submission on the thread; at once, with Busy or Closed, when there is no room or no store.
  void post(Submission& submission) TUSKV_EXCLUDES(mutex_);
  /// Ends what waits with Closed. What runs goes on, and ends.
  void close() TUSKV_EXCLUDES(mutex_);

 private:
  struct Waiting {
    Submission* submission;
    os::Deadline deadline;
  };

  Status admit(Submission& submission) TUSKV_EXCLUDES(mutex_);
  void run() TUSKV_EXCLUDES(mutex_);
  void run_one(const Waiting& waiting);

  const std::function<void(Unit&)> run_;
  os::Mutex mutex_;
  os::CondVar changed_;
  bool closed_ TUSKV_GUARDED_BY(mutex_) = false;
  std::deque<Waiting> waiting_ TUSKV_GUARDED_BY(mutex_);
  std::thread thread_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::encryption
