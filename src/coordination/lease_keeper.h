// What a Lock does while it lives: it renews its lease in time, and knows when it can no longer count on it.
//
// The store decides who holds a lock. What is kept here is an estimate that errs on the safe side: the lease was good
// for a TTL from when the last call that succeeded was begun.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include "os/deadline.h"
#include "os/fork_guard.h"
#include "os/mutex.h"
#include "tuskv/store.h"

namespace tuskv {

/// Thread-safe.
class LeaseKeeper final {
 public:
  /// `timeout_ms`: that of the store. `end`: a TTL after the call that got the lease was begun.
  LeaseKeeper(Store store, std::int64_t timeout_ms, std::shared_ptr<const os::ForkGuard> fork_guard, Lease lease,
              std::int64_t ttl_ms, os::Deadline end);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  /// Renews in the background from now on; call once.
  void start();
  /// In a child of fork, where neither the thread nor the lease is.
  bool in_child() const { return fork_guard_->in_child(); }
  /// False in a child, too.
  bool held() const TUSKV_EXCLUDES(mutex_);
  bool renew() TUSKV_EXCLUDES(mutex_);
  /// Ends the renewals first: what it waits for the last one is taken off its own deadline. Throws what the store
  /// throws, and may then be called again.
  bool unlock() TUSKV_EXCLUDES(mutex_);

 private:
  void run() TUSKV_EXCLUDES(mutex_);
  bool renew_through(const Store& store) TUSKV_EXCLUDES(mutex_);
  void stop() TUSKV_EXCLUDES(mutex_);

  const Store store_;
  const Store renewing_;  ///< the same, for renewals in the background
  const std::int64_t timeout_ms_;
  const std::shared_ptr<const os::ForkGuard> fork_guard_;
  const Lease lease_;
  const std::int64_t ttl_ms_;
  std::thread thread_;
  mutable os::Mutex mutex_;
  os::CondVar stopped_;
  bool stopping_ TUSKV_GUARDED_BY(mutex_) = false;
  bool gone_ TUSKV_GUARDED_BY(mutex_) = false;
  os::Deadline end_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv
