#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <thread>

#include "engine.h"
#include "os/mutex.h"
#include "status.h"

namespace tuskv {

/// One thread that removes expired entries: every interval (with jitter, so that many stores of a machine do not sweep
/// at once) it repeats batches until one comes back short.
class Sweeper final {
 public:
  /// `sweep(batch)` removes up to `batch` entries and returns how many; called from the sweeper's thread only.
  explicit Sweeper(std::function<std::uint64_t(std::size_t batch)> sweep);
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  /// Starts, or goes on with other settings at once. Io when the system has no thread for it.
  Status start(const EngineSweeperOptions& options) TUSKV_EXCLUDES(mutex_);
  /// Returns when the thread has ended. Idempotent.
  void stop() TUSKV_EXCLUDES(mutex_);

 private:
  void run() TUSKV_EXCLUDES(mutex_);
  bool drain(std::size_t batch) TUSKV_EXCLUDES(mutex_);

  const std::function<std::uint64_t(std::size_t)> sweep_;
  os::Mutex start_mutex_ TUSKV_ACQUIRED_BEFORE(mutex_);  ///< one start or stop at a time
  std::thread thread_ TUSKV_GUARDED_BY(start_mutex_);
  os::Mutex mutex_;
  os::CondVar changed_;
  std::optional<EngineSweeperOptions> options_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t generation_ TUSKV_GUARDED_BY(mutex_) = 0;
};

}  // namespace tuskv
