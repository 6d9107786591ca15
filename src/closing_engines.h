// Engines that close on threads made for it, because their last handle died on a thread of theirs. Nobody else would
// wait for such a thread: the process would end in the middle of what closing writes, which is all that an `unlogged`
// store keeps. So exit() waits for them.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <thread>

#include "os/deadline.h"
#include "os/fork_guard.h"
#include "os/mutex.h"

namespace tuskv {

/// Thread-safe. There is one in a process, the only global thing of tuskv: exit() belongs to the process.
class ClosingEngines final {
 public:
  /// Never destroyed: an engine may be handed over while exit() runs. A child of fork, where the threads are not, gets
  /// one of its own.
  static ClosingEngines& of_this_process();

  /// `before_fork`: that of the process that this one is a child of. Its threads are not here, nor is its end.
  explicit ClosingEngines(const ClosingEngines* before_fork) : before_fork_(before_fork) {}
  ClosingEngines(const ClosingEngines&) = delete;
  ClosingEngines& operator=(const ClosingEngines&) = delete;

  /// Calls `close` on a thread made for it; false, without a call, when the system has none to give.
  bool close_elsewhere(std::function<void()> close) TUSKV_EXCLUDES(mutex_);

  /// How many have been closed so far.
  std::uint64_t closed() const TUSKV_EXCLUDES(mutex_);
  /// Waits until more than so many have been; false when none is under way, or the deadline has passed.
  bool wait_for_more(std::uint64_t closed, os::Deadline deadline) TUSKV_EXCLUDES(mutex_);

 private:
  struct Closing {
    std::thread thread = {};
    bool has_ended = false;
  };

  static void wait_at_exit();
  void end(Closing& closing) TUSKV_EXCLUDES(mutex_);
  void join_ended() TUSKV_EXCLUDES(mutex_);
  void join_all() TUSKV_EXCLUDES(mutex_);

  const os::ForkGuard fork_guard_ = {};
  [[maybe_unused]] const ClosingEngines* const before_fork_;  ///< known, so that nobody takes it for a leak
  mutable os::Mutex mutex_;
  os::CondVar changed_;  ///< one more has been closed
  std::uint64_t begun_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::uint64_t closed_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::list<Closing> closings_ TUSKV_GUARDED_BY(mutex_);  ///< each until it is joined
};

}  // namespace tuskv
