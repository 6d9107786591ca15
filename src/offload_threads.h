// The threads of a store on which AsyncStore::offload runs blocking code of its user: a few, made when they are needed
// and kept until the store is closed. What finds none free waits in turn, up to a limit. There is no deadline here: how
// long others take is theirs to say, and each call that they make has its own.
#pragma once

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "engine.h"
#include "os/mutex.h"

namespace tuskv {

/// Thread-safe.
class OffloadThreads final {
 public:
  using Run = void (*)(Submission& submission) noexcept;

  OffloadThreads() = default;
  /// Not on one of the threads: an engine, and what belongs to it, is destroyed elsewhere (engine_owner.h).
  ~OffloadThreads();
  OffloadThreads(const OffloadThreads&) = delete;
  OffloadThreads& operator=(const OffloadThreads&) = delete;

  /// Has `run` called on one of the threads and ends the submission; ends it at once, with Busy or Closed, when there
  /// is no room or no store.
  void post(Submission& submission, Run run) TUSKV_EXCLUDES(mutex_);
  /// Closed after close().
  Status check_open() TUSKV_EXCLUDES(mutex_);
  /// True on one of the threads: to close the store here would be to wait for oneself.
  bool runs_this_thread() TUSKV_EXCLUDES(mutex_);
  /// Ends what waits with Closed, and waits for what runs. Idempotent.
  void close() TUSKV_EXCLUDES(mutex_);

 private:
  struct Waiting {
    Submission* submission;
    Run run;
  };

  Status admit(const Waiting& waiting) TUSKV_EXCLUDES(mutex_);
  void work() TUSKV_EXCLUDES(mutex_);

  os::Mutex mutex_;
  os::CondVar changed_;  ///< there is something to run, or no more
  os::CondVar idle_;     ///< nothing runs
  bool closed_ TUSKV_GUARDED_BY(mutex_) = false;
  std::size_t running_ TUSKV_GUARDED_BY(mutex_) = 0;  ///< completions included
  std::deque<Waiting> waiting_ TUSKV_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv
