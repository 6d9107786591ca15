// Threads for submissions that block: functions of the user's (AsyncStore::offload), and calls of an encrypted store
// that are several steps. They are made when they are needed and kept until they are closed. What finds none free waits
// in turn, up to a limit, and, where submissions have deadlines, up to its own: one thread more, which sleeps
// otherwise, ends what is late.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "engine.h"
#include "os/deadline.h"
#include "os/mutex.h"

namespace tuskv {

struct SubmissionThreadsOptions {
  std::string_view purpose = {};  ///< of a thread, for messages: "runs offloaded calls"
  std::size_t threads_max = 1;
  std::size_t waiting_max = 0;
  /// A submission has the timeout of its unit, and what is left of that when it runs. Otherwise it has none: how long
  /// others take is theirs to say.
  bool has_deadlines = false;
  /// On one of the threads, without an exception; then the submission is ended.
  std::function<void(Submission& submission)> run = {};
};

/// Thread-safe.
class SubmissionThreads final {
 public:
  explicit SubmissionThreads(SubmissionThreadsOptions options);
  /// Closes, and waits for what runs. Not on one of the threads: an engine, and what belongs to it, is destroyed
  /// elsewhere (engine_owner.h).
  ~SubmissionThreads();
  SubmissionThreads(const SubmissionThreads&) = delete;
  SubmissionThreads& operator=(const SubmissionThreads&) = delete;

  /// Has the submission run and ends it; ends it at once, with Busy or Closed, when there is no room or no store.
  void post(Submission& submission) TUSKV_EXCLUDES(mutex_);
  /// Closed after close().
  Status check_open() TUSKV_EXCLUDES(mutex_);
  /// True on one of the threads: to wait here for what runs would be to wait for oneself.
  bool runs_this_thread() TUSKV_EXCLUDES(mutex_);
  /// Ends what waits with Closed. What runs goes on, and ends. Idempotent.
  void close() TUSKV_EXCLUDES(mutex_);
  /// After close(): waits for what runs.
  void wait_until_idle() TUSKV_EXCLUDES(mutex_);

 private:
  struct Waiting {
    Submission* submission;
    os::Deadline deadline;
  };

  Status admit(Submission& submission) TUSKV_EXCLUDES(mutex_);
  Status start_threads() TUSKV_REQUIRES(mutex_);
  void work() TUSKV_EXCLUDES(mutex_);
  void run(const Waiting& waiting);
  void keep_deadlines() TUSKV_EXCLUDES(mutex_);
  /// Takes out what waits although its deadline has passed.
  std::vector<Submission*> take_late() TUSKV_REQUIRES(mutex_);

  const SubmissionThreadsOptions options_;
  os::Mutex mutex_;
  os::CondVar changed_;  ///< there is something to run, or no more
  os::CondVar nearer_;   ///< `alarm_` has come nearer, or there is no more
  os::CondVar idle_;     ///< nothing runs
  bool closed_ TUSKV_GUARDED_BY(mutex_) = false;
  std::size_t running_ TUSKV_GUARDED_BY(mutex_) = 0;  ///< completions included
  std::deque<Waiting> waiting_ TUSKV_GUARDED_BY(mutex_);
  os::Deadline alarm_ TUSKV_GUARDED_BY(mutex_) = os::Deadline::max();  ///< no deadline of what waits is before it
  std::vector<std::thread> threads_ TUSKV_GUARDED_BY(mutex_);
  std::thread timekeeper_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv
