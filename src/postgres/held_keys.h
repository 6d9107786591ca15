// The keys that calls wait for because somebody else holds their rows. Who comes for one of them joins those who wait
// at once, rather than to hold up a batch of others to find out.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "os/deadline.h"
#include "os/mutex.h"
#include "postgres/row_turns.h"

namespace tuskv::postgres {

/// Thread-safe.
class HeldKeys final {
 public:
  explicit HeldKeys(RowTurns& turns) : turns_(turns) {}

  /// Counted: as often as it is added it has to be removed. The empty key stands for a call that names several. Since
  /// when it is waited for.
  os::Deadline add(std::string_view key) TUSKV_EXCLUDES(mutex_) {
    const os::Deadline now = os::deadline_in(0);
    if (key.empty()) {
      turns_.begin_wait();
      return now;
    }
    os::MutexLock lock(mutex_);
    const auto [wait, is_new] = waiting_.try_emplace(std::string(key), Wait{.since = now});
    ++wait->second.calls;
    if (is_new) turns_.begin_wait();
    count_.store(waiting_.size(), std::memory_order_release);
    return wait->second.since;
  }
  void remove(std::string_view key) TUSKV_EXCLUDES(mutex_) {
    if (key.empty()) return turns_.end_wait();
    os::MutexLock lock(mutex_);
    const auto found = waiting_.find(std::string(key));
    if (--found->second.calls > 0) return;
    waiting_.erase(found);
    turns_.end_wait();
    count_.store(waiting_.size(), std::memory_order_release);
  }
  /// Nothing when nobody waits for it: one atomic load while nobody waits for any row, which is nearly always.
  std::optional<os::Deadline> waited_for_since(std::string_view key) const TUSKV_EXCLUDES(mutex_) {
    if (count_.load(std::memory_order_acquire) == 0 || key.empty()) return std::nullopt;
    os::MutexLock lock(mutex_);
    const auto found = waiting_.find(std::string(key));
    return found == waiting_.end() ? std::nullopt : std::optional(found->second.since);
  }

 private:
  struct Wait {
    os::Deadline since = {};
    std::size_t calls = 0;
  };

  RowTurns& turns_;
  std::atomic<std::size_t> count_ = 0;
  mutable os::Mutex mutex_;
  std::unordered_map<std::string, Wait> waiting_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::postgres
