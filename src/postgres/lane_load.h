// How busy a lane is, in one atomic word, so that a caller among few comes and goes with two atomic operations and
// takes no lock. All parts change together: a batch that waits and a run that ends cannot miss each other.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "named_limits.h"

namespace tuskv::postgres {

/// Thread-safe.
class LaneLoad final {
 public:
  struct Rule {
    std::uint32_t direct_callers = 0;
    std::uint32_t batches = 0;
    double fill = 0;
  };
  enum class Arrival : std::uint8_t {
    direct,  ///< run at once, then depart_direct()
    queued,  ///< join a batch, then depart()
    closed,
    full,
  };

  explicit LaneLoad(const Rule& rule) : rule_(rule) {
    assert(rule.direct_callers + std::max(rule.batches, 1U) <= kRunningMask);
  }
  LaneLoad(const LaneLoad&) = delete;
  LaneLoad& operator=(const LaneLoad&) = delete;

  Arrival arrive(bool may_go_directly) {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      if ((word & kClosed) != 0) return Arrival::closed;
      if (inside(word) == kLaneCallersMax) return Arrival::full;
      const std::uint64_t peak = std::max((inside(word) + 1) * kPeakOne, decayed(word >> kPeakShift));
      const bool direct =
          may_go_directly && (word & kWaiting) == 0 && peak <= std::uint64_t{rule_.direct_callers} * kPeakOne;
      const std::uint64_t next = ((word & kBelowPeak) + kInsideOne + (direct ? kRunningOne : 0)) | (peak << kPeakShift);
      if (!word_.compare_exchange_weak(word, next, std::memory_order_acq_rel, std::memory_order_relaxed)) continue;
      return direct ? Arrival::direct : Arrival::queued;
    }
  }
  void depart() { word_.fetch_sub(kInsideOne, std::memory_order_acq_rel); }
  /// True when a batch, or close(), waits for the end of this run.
  [[nodiscard]] bool depart_direct() {
    return (word_.fetch_sub(kInsideOne + kRunningOne, std::memory_order_acq_rel) & (kWaiting | kClosed)) != 0;
  }

  /// Counts the run of a batch of `size` members when it may go now; `full`: it takes no more members.
  [[nodiscard]] bool try_start(std::size_t size, bool full) {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    while (may_go(word, size, full)) {
      if (word_.compare_exchange_weak(word, word + kRunningOne, std::memory_order_acq_rel)) return true;
    }
    return false;
  }
  void end_run() { word_.fetch_sub(kRunningOne, std::memory_order_acq_rel); }

  /// Whether a batch waits to be started: then whoever ends a run has to look at the queue.
  void set_waiting(bool waiting) {
    if (waiting) {
      word_.fetch_or(kWaiting, std::memory_order_acq_rel);
    } else {
      word_.fetch_and(~kWaiting, std::memory_order_acq_rel);
    }
  }
  void close() { word_.fetch_or(kClosed, std::memory_order_acq_rel); }

  bool closed() const { return (word_.load(std::memory_order_acquire) & kClosed) != 0; }
  std::uint64_t running() const { return running(word_.load(std::memory_order_acquire)); }
  std::uint64_t inside() const { return inside(word_.load(std::memory_order_acquire)); }
  double peak() const { return as_callers(word_.load(std::memory_order_acquire) >> kPeakShift); }

 private:
  // From the lowest bit: 22 bits of callers inside, 10 of runs, two flags, 30 of the peak in 1/256 callers. Direct runs
  // are at most direct_callers, for their callers stay inside; batches at most `batches`, or one.
  static constexpr std::uint64_t kInsideOne = 1;
  static constexpr std::uint64_t kInsideMask = (std::uint64_t{1} << 22) - 1;
  static constexpr std::uint64_t kRunningMask = (std::uint64_t{1} << 10) - 1;
  static_assert(kLaneCallersMax <= kInsideMask && std::uint64_t{2} * kLaneRunsMax <= kRunningMask);
  static constexpr std::uint64_t kRunningOne = std::uint64_t{1} << 22;
  static constexpr std::uint64_t kWaiting = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 33;
  static constexpr int kPeakShift = 34;
  static constexpr std::uint64_t kBelowPeak = (std::uint64_t{1} << kPeakShift) - 1;
  static constexpr std::uint64_t kPeakOne = 256;
  static constexpr std::uint64_t kDecay = 512;  ///< 0.2 % an arrival

  static std::uint64_t inside(std::uint64_t word) { return word & kInsideMask; }
  static std::uint64_t running(std::uint64_t word) { return (word >> 22) & kRunningMask; }
  static double as_callers(std::uint64_t peak) { return static_cast<double>(peak) / double{kPeakOne}; }
  /// Rounded so that it reaches zero.
  static std::uint64_t decayed(std::uint64_t peak) { return peak - (peak + kDecay - 1) / kDecay; }

  bool may_go(std::uint64_t word, std::size_t size, bool full) const {
    if (running(word) == 0) return true;
    return running(word) < rule_.batches &&
           (full || static_cast<double>(size) >= rule_.fill * as_callers(word >> kPeakShift));
  }

  const Rule rule_;
  std::atomic<std::uint64_t> word_ = 0;
};

}  // namespace tuskv::postgres
