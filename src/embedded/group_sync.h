// One sync for all who wait: the first waiter syncs on behalf of everyone whose record is written by then, the others
// sleep until that sync has ended. Waiting a moment for the group to grow does not pay, so nobody does.
//
// Invariants:
//  - `synced` only grows, and only over records whose bytes a successful sync has covered.
//  - One sync at a time. The system reports a failed writeback to one caller of fdatasync only; with two at once the
//    other one would be told that all is well.
//  - After a failed sync there is none ever again on those files: the system may have dropped the bytes and forgotten
//    that it did, and a second sync would succeed without them.
//  - No lock is held during a sync. Appends go on meanwhile, and belong to the next group.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "embedded/segment.h"
#include "os/mutex.h"
#include "os/wait_word.h"
#include "status.h"
#include "tuskv/function_ref.h"

namespace tuskv::embedded {

/// What one sync covers: every record up to `sequence` is synced once these segments are.
struct SyncRound {
  std::vector<std::shared_ptr<Segment>> segments = {};  ///< ascending
  std::size_t ended = 0;                                ///< so many of them take no more records
  std::uint64_t sequence = 0;
};

class SyncSource {
 public:
  virtual ~SyncSource() = default;
  /// Everything written and not yet synced; false when that cannot be known within `left_ms`. One round at a time;
  /// every round but a failed one is followed by end_round, outside all waiting.
  virtual bool begin_round(SyncRound& round, std::int64_t left_ms) = 0;
  virtual void end_round(const SyncRound& round) = 0;
  /// The message of such a failure: what it means for whoever waits.
  virtual std::string explain_failure(std::string_view cause) const = 0;
  /// Called by whoever met it: there will be no sync any more until forget_failure. Locks of the source may be held.
  virtual void sync_failed(const Status& status) = 0;
};

/// Thread-safe.
class GroupSync final {
 public:
  GroupSync(SyncSource& source, std::uint64_t synced) : source_(source), synced_(synced) {}

  std::uint64_t synced() const { return synced_.load(std::memory_order_acquire); }
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  /// Ok, or why there is no sync any more.
  Status health() const TUSKV_EXCLUDES(failure_mutex_);
  /// For files that nothing before this call has to do with. Only while nobody waits.
  void forget_failure() { failed_.store(false, std::memory_order_release); }
  /// Successful syncs.
  std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

  /// Waits until `sequence` is synced. After `timeout_ms` it gives up, unless it is this thread that syncs: then it
  /// stays until the disk has answered. All failures have outcome `unknown`. What is waited for has happened, so where
  /// there is no memory to wait the process ends.
  Status wait(std::uint64_t sequence, std::int64_t timeout_ms) noexcept;
  /// The failure of a wait that was too long.
  static Status not_synced_in(std::int64_t timeout_ms);
  /// Runs `work` while no sync is under way, and none starts. Timeout when that is not so within `left_ms`, from which
  /// it takes what it has waited.
  Status exclusively(std::int64_t& left_ms, FunctionRef<Status()> work);
  /// Syncs `file`, inside of exclusively() only. A failure ends all syncing.
  Status sync_file(os::File& file);

 private:
  bool run_round(std::int64_t left_ms);
  void end_turn();

  SyncSource& source_;
  std::atomic<std::uint64_t> synced_;
  std::atomic<std::uint64_t> count_ = 0;
  std::atomic<bool> busy_ = false;  ///< a thread syncs, or works exclusively
  os::WaitWord turns_;              ///< moves whenever busy_ becomes false
  std::atomic<bool> failed_ = false;
  mutable os::Mutex failure_mutex_;
  Status failure_ TUSKV_GUARDED_BY(failure_mutex_);
};

}  // namespace tuskv::embedded
