// Makes log segments ahead of need: the next one is there before the present one is full, so that an append rarely
// waits for a file to be made.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "embedded/segment.h"
#include "os/file_system.h"
#include "os/mutex.h"
#include "status.h"

namespace tuskv::embedded {

struct SegmentSupplyOptions {
  std::string directory = {};
  StoreId store_id = {};
  std::uint64_t next_ordinal = 1;
  std::uint64_t segment_bytes_min = std::uint64_t{1} << 20;  ///< of the first one; each is twice the one before
  std::uint64_t segment_bytes_max = std::uint64_t{64} << 20;
};

/// Thread-safe. Ordinals have no gaps.
class SegmentSupply final {
 public:
  SegmentSupply(os::FileSystem* file_system, SegmentSupplyOptions options);

  /// Makes sure that the next segment exists durably and has room for a record of `record_bytes` and a seal. On a disk
  /// that is nearly full it is made smaller than usual. Timeout when another has been at it for `left_ms`, from which
  /// it takes what it has waited.
  Status prepare(std::uint64_t record_bytes, std::int64_t& left_ms) TUSKV_EXCLUDES(mutex_);
  /// For what comes next, however long it takes.
  Status prepare() TUSKV_EXCLUDES(mutex_) {
    std::int64_t left_ms = os::kLongestWaitMs;
    return prepare(reserve_bytes(), left_ms);
  }
  /// Of a segment, for erases on a full disk: see log_ends.cc.
  std::uint64_t reserve_bytes() const { return std::min(kReserveBytes, options_.segment_bytes_min / 2); }
  /// Whether there is one with such a reserve.
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  /// Hands out the one that prepare made; from now on the one after it is the next. Io when it was lost meanwhile:
  /// another made it anew, and failed.
  Result<Segment> take() TUSKV_EXCLUDES(mutex_);
  std::uint64_t next_ordinal() const TUSKV_EXCLUDES(mutex_);
  /// Removes the prepared one, which will not be used.
  Status discard() TUSKV_EXCLUDES(mutex_);

 private:
  /// Several times a small segment and a manifest.
  static constexpr std::uint64_t kReserveBytes = std::uint64_t{64} << 10;

  Status make(std::uint64_t least_bytes) TUSKV_REQUIRES(mutex_);

  os::FileSystem* const file_system_;
  const SegmentSupplyOptions options_;
  std::atomic<bool> ready_ = false;
  mutable os::TimedMutex mutex_;
  std::optional<Segment> prepared_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t next_ordinal_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t next_bytes_ TUSKV_GUARDED_BY(mutex_);
};

}  // namespace tuskv::embedded
