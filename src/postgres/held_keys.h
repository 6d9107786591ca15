// The keys that calls wait for because somebody else holds their rows. Who comes for one of them joins those who wait
// at once, rather than to hold up a batch of others to find out.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "os/mutex.h"

namespace tuskv::postgres {

/// Thread-safe.
class HeldKeys final {
 public:
  /// Counted: as often as it is added it has to be removed. The empty key stands for a call that names several.
  void add(std::string_view key) TUSKV_EXCLUDES(mutex_) {
    os::MutexLock lock(mutex_);
    ++waiting_[std::string(key)];
    count_.store(waiting_.size(), std::memory_order_release);
  }
  void remove(std::string_view key) TUSKV_EXCLUDES(mutex_) {
    os::MutexLock lock(mutex_);
    const auto found = waiting_.find(std::string(key));
    if (--found->second == 0) waiting_.erase(found);
    count_.store(waiting_.size(), std::memory_order_release);
  }
  /// One atomic load while nobody waits for a row, which is nearly always.
  bool contains(std::string_view key) const TUSKV_EXCLUDES(mutex_) {
    if (count_.load(std::memory_order_acquire) == 0 || key.empty()) return false;
    os::MutexLock lock(mutex_);
    return waiting_.contains(std::string(key));
  }

 private:
  std::atomic<std::size_t> count_ = 0;
  mutable os::Mutex mutex_;
  std::unordered_map<std::string, std::size_t> waiting_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
