#include "coordination/lease_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tuskv {
namespace {

using std::chrono::milliseconds;

/// A long lease is not renewed more rarely than this; its thousand years would overflow a wait.
constexpr std::int64_t kIntervalMsMax = 3'600'000;

milliseconds interval(std::int64_t ms) { return milliseconds(std::clamp<std::int64_t>(ms, 1, kIntervalMsMax)); }
/// Two renewals can fail before the lease ends, though they hang: they begin after 20/60 and 38/60 of it, and take
/// 15/60.
milliseconds renewal_interval(std::int64_t ttl_ms) { return interval(ttl_ms / 3); }
milliseconds retry_interval(std::int64_t ttl_ms) { return interval(ttl_ms / 20); }
milliseconds renewal_timeout(std::int64_t ttl_ms, std::int64_t timeout_ms) {
  return milliseconds(std::clamp<std::int64_t>(ttl_ms / 4, 1, timeout_ms));
}

}  // namespace

LeaseKeeper::LeaseKeeper(Store store, std::int64_t timeout_ms, std::shared_ptr<const os::ForkGuard> fork_guard,
                         Lease lease, std::int64_t ttl_ms, os::Deadline end)
    : store_(std::move(store)),
      renewing_(store_.with_timeout(renewal_timeout(ttl_ms, timeout_ms))),
      timeout_ms_(timeout_ms),
      fork_guard_(std::move(fork_guard)),
      lease_(std::move(lease)),
      ttl_ms_(ttl_ms),
      end_(end) {}

LeaseKeeper::~LeaseKeeper() { stop(); }

void LeaseKeeper::start() {
  thread_ = std::thread([this] { run(); });
}

void LeaseKeeper::stop() {
  {
    os::MutexLock lock(mutex_);
    stopping_ = true;
    stopped_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::run() {
  milliseconds pause = renewal_interval(ttl_ms_);
  os::MutexLock lock(mutex_);
  while (!stopping_ && !gone_) {
    stopped_.wait_for(mutex_, pause);  // woken for nothing it renews earlier, which does no harm
    if (stopping_ || gone_) return;
    lock.unlock();
    try {
      renew_through(renewing_);
      pause = renewal_interval(ttl_ms_);
    } catch (...) {
      // Whatever it is, want of memory too, may pass. If it does not, the lease ends, and held() says so.
      pause = retry_interval(ttl_ms_);
    }
    lock.lock();
  }
}

bool LeaseKeeper::held() const {
  if (in_child()) return false;  // the mutex may have been locked by a thread that is not here
  os::MutexLock lock(mutex_);
  return !gone_ && os::time_left(end_).count() > 0;
}

bool LeaseKeeper::renew() { return renew_through(store_); }

bool LeaseKeeper::renew_through(const Store& store) {
  const os::Deadline end = os::deadline_in(ttl_ms_);
  const bool renewed = store.renew(lease_, milliseconds(ttl_ms_));
  os::MutexLock lock(mutex_);
  if (renewed) {
    end_ = end;
  } else {
    gone_ = true;
  }
  return renewed;
}

bool LeaseKeeper::unlock() {
  if (in_child()) return store_.unlock(lease_);  // which is refused, as all calls are there
  const os::Deadline deadline = os::deadline_in(timeout_ms_);
  stop();
  {
    // First: what fails may have been done.
    os::MutexLock lock(mutex_);
    gone_ = true;
  }
  return store_.with_timeout(milliseconds(std::max<std::int64_t>(os::time_left_ms(deadline), 1))).unlock(lease_);
}

}  // namespace tuskv
