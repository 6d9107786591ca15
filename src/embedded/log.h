// The write-ahead log: numbered segments, written by one appender at a time, synced in groups.
//
// Invariants:
//  - A record is encoded and written under one mutex, so the log never has a hole before an acknowledged record.
//  - A failed write changes nothing: offset and sequence stay, the next append overwrites. A failed sync poisons the
//    log for good: no second sync on that descriptor, waiting writers get outcome `unknown`. In `unlogged` the log is a
//    recording for one snapshot, and that snapshot is all a failure costs: the next recording has files of its own.
//  - A segment exists durably, with its header, before any record goes into it and before its predecessor is sealed; so
//    a seal without successor is always damage.
//
// See log.cc for failed writes, log_ends.cc for how segments begin and end, log_thread.cc for what its thread does.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "embedded/group_sync.h"
#include "embedded/manifest.h"
#include "embedded/record.h"
#include "embedded/segment.h"
#include "embedded/segment_supply.h"
#include "os/file_system.h"
#include "os/mutex.h"
#include "status.h"
#include "tuskv/options.h"

namespace tuskv::embedded {

struct LogOptions {
  std::string directory = {};
  StoreId store_id = {};
  Durability durability = Durability::durable;
  std::int64_t sync_interval_ms = 100;  ///< relaxed
  std::uint64_t segment_bytes_min = std::uint64_t{1} << 20;
  std::uint64_t segment_bytes_max = std::uint64_t{64} << 20;
  std::uint64_t next_ordinal = 1;   ///< of the first segment it makes
  std::uint64_t last_sequence = 0;  ///< recovered; every record up to it is synced
  /// Called once, after the first segment of this opening exists durably and before its first record: the manifest must
  /// learn of it. Called by append or roll, which fail as it fails and call it again the next time; it must not call
  /// the log. Not called in `unlogged`, where segments belong to snapshots only.
  Status (*on_first_segment)(void* context, std::uint64_t ordinal) = nullptr;
  /// Called when a failed sync has poisoned the log, or has spoiled a recording (`unlogged`), once for each: by the
  /// log's own thread or the caller that met it. It must not call the log.
  void (*on_sync_failed)(void* context, const Status& status) = nullptr;
  void* context = nullptr;
};

/// Thread-safe. Without a file system (memory), and in `unlogged` until start_recording, it only hands out sequences.
class Log final : private SyncSource {
 public:
  Log(os::FileSystem* file_system, LogOptions options);
  /// Ok, or that the system had no thread for it: then nothing else may be called.
  Status started() const { return started_.clone(); }
  /// Ends the log's threads. Neither syncs nor closes: what is not synced fares as in a crash.
  ~Log() override;
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// True when append writes records (changes only while no append can happen: start_recording, stop_recording).
  bool recording() const { return recording_.load(std::memory_order_acquire); }
  /// Gives the record the next sequence and writes it. It survives the process when this returns. Only while recording.
  /// Frees the buffer of a large record. Timeout when the disk has held up others for `left_ms`, from which it takes
  /// what it has waited. A failure is not_applied, except that it is `unknown` when the disk refused to take back a
  /// record it had refused to write.
  Result<std::uint64_t> append(RecordBuffer& record, std::int64_t& left_ms) TUSKV_EXCLUDES(append_mutex_);
  /// The next sequence, without a record. Only while not recording.
  std::uint64_t next_sequence() { return last_.fetch_add(1, std::memory_order_acq_rel) + 1; }

  /// Waits until every record up to `sequence` survives a power loss; the first waiter syncs for all. Timeout (outcome
  /// unknown) after `timeout_ms`, which the one that syncs cannot look at while the disk works.
  Status wait_synced(std::uint64_t sequence, std::int64_t timeout_ms);
  /// Without blocking: true when it is so already; otherwise calls `done` once, from a thread of the log's own, when it
  /// is so, has failed, or after `timeout_ms`. The write has been made: without memory to remember who asks the process
  /// ends.
  bool notify_synced(std::uint64_t sequence, std::int64_t timeout_ms, void (*done)(void* context, const Status& status),
                     void* context) noexcept TUSKV_EXCLUDES(work_mutex_);
  std::uint64_t synced_sequence() const { return sync_.synced(); }
  std::uint64_t last_sequence() const { return last_.load(std::memory_order_acquire); }
  /// Ok, or why the log is poisoned.
  Status health() const { return sync_.health(); }

  /// Ends the present segment with a seal and starts the next, whose ordinal it returns: records from the call on are
  /// in that and later ones. The same one again when it holds no record yet. Call while no append can happen. Neither
  /// syncs nor waits for a sync, if prepare_roll came before, unless the disk has refused a write and its taking back.
  Result<std::uint64_t> roll() TUSKV_EXCLUDES(append_mutex_);
  /// Makes the next segment now, so that a roll or start_recording that follows soon does not wait for the disk.
  Status prepare_roll() TUSKV_EXCLUDES(append_mutex_);
  /// `unlogged`: writes records from now on, into a new segment whose ordinal is returned. Call while no append can
  /// happen.
  Result<std::uint64_t> start_recording() TUSKV_EXCLUDES(append_mutex_);
  /// Closes the present segment and goes back to handing out sequences, also when it fails; wait_synced then syncs what
  /// was recorded. Returns the ordinal behind the last one recorded. Call while no append can happen.
  Result<std::uint64_t> stop_recording() TUSKV_EXCLUDES(append_mutex_);

  /// Removes segments with a lower ordinal, ascending. The present one is never removed. One that cannot be removed
  /// keeps no other; the first failure is returned.
  Status remove_segments_before(std::uint64_t ordinal) TUSKV_EXCLUDES(append_mutex_);
  /// Of records in segments not removed.
  std::uint64_t log_bytes() const { return log_bytes_.load(std::memory_order_relaxed); }
  std::uint64_t segment_count() const { return segments_.load(std::memory_order_relaxed); }
  std::uint64_t sync_count() const { return sync_.count(); }
  /// A segment recovery has read that stays part of the log.
  void add_recovered_segment(std::uint64_t ordinal, std::uint64_t bytes) TUSKV_EXCLUDES(append_mutex_);

  /// Syncs, writes the close record, cuts the last segment to its length. Later appends fail with Closed, and no file
  /// is changed any more. Idempotent: another call returns what the first one did.
  Status close() TUSKV_EXCLUDES(close_mutex_, append_mutex_, cut_mutex_);

 private:
  struct Waiter {
    std::uint64_t sequence = 0;
    os::Deadline deadline = {};
    std::int64_t timeout_ms = 0;
    void (*done)(void* context, const Status& status) = nullptr;
    void* context = nullptr;
  };

  bool begin_round(SyncRound& round, std::int64_t left_ms) override TUSKV_EXCLUDES(append_mutex_);
  void end_round(const SyncRound& round) override TUSKV_EXCLUDES(cut_mutex_);
  std::string explain_failure(std::string_view cause) const override;
  void sync_failed(const Status& status) override;

  // log.cc: records.
  Status check_writable() const TUSKV_REQUIRES(append_mutex_);
  Status write_record(RecordBuffer& record, std::uint64_t sequence) TUSKV_REQUIRES(append_mutex_);
  Status clean_tail(std::int64_t& left_ms) TUSKV_EXCLUDES(append_mutex_);
  void after_append() TUSKV_REQUIRES(append_mutex_);

  // log_ends.cc: segments.
  Status make_room(const RecordBuffer& record, std::int64_t& left_ms) TUSKV_REQUIRES(append_mutex_);
  Status next_segment() TUSKV_REQUIRES(append_mutex_);
  Status end_segment(RecordKind kind) TUSKV_REQUIRES(append_mutex_);
  void give_up_segment() TUSKV_REQUIRES(append_mutex_);
  Status discard_prepared() TUSKV_EXCLUDES(append_mutex_);
  void stop_cutting() TUSKV_EXCLUDES(cut_mutex_);
  Status close_once() TUSKV_REQUIRES(close_mutex_) TUSKV_EXCLUDES(append_mutex_);
  Status close_last_segment() TUSKV_EXCLUDES(append_mutex_);

  // log_thread.cc: what happens in the background.
  void stop_threads() TUSKV_EXCLUDES(work_mutex_);
  void request_prepare() TUSKV_EXCLUDES(work_mutex_);
  void request_sync() TUSKV_EXCLUDES(work_mutex_);
  void run_thread() TUSKV_EXCLUDES(work_mutex_);
  bool wait_for_work() TUSKV_REQUIRES(work_mutex_);
  void serve_waiters() TUSKV_EXCLUDES(work_mutex_);
  void run_deadline_thread() TUSKV_EXCLUDES(work_mutex_);
  template <class Belongs>
  std::vector<Waiter> take_waiters(const Belongs& belongs) TUSKV_REQUIRES(work_mutex_);
  void sync_in_background() TUSKV_EXCLUDES(append_mutex_);

  os::FileSystem* const file_system_;
  const LogOptions options_;
  SegmentSupply supply_;
  GroupSync sync_;
  std::atomic<bool> recording_;
  std::atomic<std::uint64_t> last_;
  std::atomic<std::uint64_t> log_bytes_ = 0;
  std::atomic<std::uint64_t> segments_ = 0;  ///< older_ and the present one: known without waiting for the disk

  /// Held while a record is written, and so for as long as the disk likes.
  mutable os::TimedMutex append_mutex_;
  std::shared_ptr<Segment> current_ TUSKV_GUARDED_BY(append_mutex_);  ///< null until the first record
  std::uint64_t offset_ TUSKV_GUARDED_BY(append_mutex_) = 0;          ///< in current_, of the next record
  std::uint64_t round_offset_ TUSKV_GUARDED_BY(append_mutex_) = 0;    ///< bytes below are in a round, or synced
  /// Ended and not in a round yet, ascending.
  std::vector<std::shared_ptr<Segment>> ended_ TUSKV_GUARDED_BY(append_mutex_);
  /// Ordinal and record bytes of every segment but the present one.
  std::map<std::uint64_t, std::uint64_t> older_ TUSKV_GUARDED_BY(append_mutex_);
  RecordBuffer end_record_ TUSKV_GUARDED_BY(append_mutex_);
  bool tail_unknown_ TUSKV_GUARDED_BY(append_mutex_) = false;  ///< a failed write may have left a record at offset_
  bool announced_ TUSKV_GUARDED_BY(append_mutex_);             ///< on_first_segment has succeeded
  /// on_first_segment has been tried, and has not succeeded: the manifest may name the prepared segment.
  bool may_be_named_ TUSKV_GUARDED_BY(append_mutex_) = false;
  bool prepare_requested_ TUSKV_GUARDED_BY(append_mutex_) = false;
  bool closed_ TUSKV_GUARDED_BY(append_mutex_) = false;
  bool sync_requested_ TUSKV_GUARDED_BY(append_mutex_) = false;  ///< relaxed: the thread will sync what is written now

  /// Held while a segment that a round has synced is cut, so that close can wait for it.
  os::Mutex cut_mutex_;
  bool may_cut_ TUSKV_GUARDED_BY(cut_mutex_) = true;

  os::Mutex close_mutex_;
  bool close_done_ TUSKV_GUARDED_BY(close_mutex_) = false;
  Status close_result_ TUSKV_GUARDED_BY(close_mutex_);

  os::Mutex work_mutex_;
  os::CondVar work_;
  std::vector<Waiter> waiters_ TUSKV_GUARDED_BY(work_mutex_);
  os::CondVar deadline_is_near_;
  /// When the thread for deadlines will look next. Not moved when waiters go, so that it is woken once in a timeout.
  os::Deadline next_deadline_ TUSKV_GUARDED_BY(work_mutex_) = os::Deadline::max();
  bool prepare_wanted_ TUSKV_GUARDED_BY(work_mutex_) = false;
  bool sync_wanted_ TUSKV_GUARDED_BY(work_mutex_) = false;
  os::Deadline sync_at_ TUSKV_GUARDED_BY(work_mutex_) = {};
  bool stopping_ TUSKV_GUARDED_BY(work_mutex_) = false;
  Status started_;
  std::thread thread_;
  std::thread deadline_thread_;  ///< durable; elsewhere nobody is to be told
};

}  // namespace tuskv::embedded
