// The thread on which an encrypted store runs the asynchronous calls that need plaintext: they are several steps, and
// a submitter does not wait. They run one after the other; a second thread ends those that still wait at their
// deadline. Both are started with the first such call.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

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
  void keep_deadlines() TUSKV_EXCLUDES(mutex_);
  /// Takes out what waits although its deadline has passed.
  std::vector<Submission*> take_late() TUSKV_REQUIRES(mutex_);

  const std::function<void(Unit&)> run_;
  os::Mutex mutex_;
  os::CondVar changed_;  ///< there is something to run, or no more
  os::CondVar nearer_;   ///< `alarm_` has come nearer, or there is no more
  bool closed_ TUSKV_GUARDED_BY(mutex_) = false;
  std::deque<Waiting> waiting_ TUSKV_GUARDED_BY(mutex_);
  os::Deadline alarm_ TUSKV_GUARDED_BY(mutex_) = os::Deadline::max();  ///< no deadline of what waits is before it
  std::thread thread_ TUSKV_GUARDED_BY(mutex_);
  std::thread timekeeper_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::encryption
