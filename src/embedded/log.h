// The write-ahead log: numbered segments, written by one appender at a time, synced in groups.
//
// Invariants:
//  - A record is encoded and written under one mutex, so the log never has a hole before an acknowledged record.
//  - A failed write changes nothing: offset and sequence stay, the next append overwrites. A failed sync poisons the
//  log for good: no
//    second sync on that descriptor, waiting writers get outcome `unknown`.
//  - A segment exists durably, with its header, before any record goes into it; a full one ends in a seal, so a missing
//  successor is noticed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "embedded/manifest.h"
#include "embedded/record.h"
#include "os/file_system.h"
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
  /// learn of it.
  Status (*on_first_segment)(void* context, std::uint64_t ordinal) = nullptr;
  void* context = nullptr;
};

/// Thread-safe. Without a file system (memory), and in `unlogged` until start_recording, it only hands out sequences.
class Log final {
 public:
  Log(os::FileSystem* file_system, LogOptions options);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// True when append writes records (changes only while no append can happen: start_recording, stop_recording).
  bool recording() const;
  /// Gives the record the next sequence and writes it. It survives the process when this returns. Only while recording.
  Result<std::uint64_t> append(RecordBuffer& record);
  /// The next sequence, without a record. Only while not recording.
  std::uint64_t next_sequence();

  /// Waits until every record up to `sequence` survives a power loss; the first waiter syncs for all. Timeout (outcome
  /// unknown) after `timeout_ms`.
  Status wait_synced(std::uint64_t sequence, std::int64_t timeout_ms);
  /// Without blocking: true when it is so already; otherwise calls `done` once, from the log's own thread, when it is
  /// so or has failed.
  bool notify_synced(std::uint64_t sequence, void (*done)(void* context, const Status& status), void* context);
  std::uint64_t synced_sequence() const { return synced_.load(std::memory_order_acquire); }
  std::uint64_t last_sequence() const { return last_.load(std::memory_order_acquire); }
  /// Ok, or why the log is poisoned.
  Status health() const;

  /// Ends the present segment with a seal and starts the next, which exists durably when this returns its ordinal:
  /// records from the call on are in that and later ones. Call while no append can happen. Does not sync what it ended.
  Result<std::uint64_t> roll();
  /// `unlogged`: writes records from now on, into a new segment whose ordinal is returned. Call while no append can
  /// happen. While recording, a record that cannot be written does not fail its append: the recording is spoilt
  /// instead, and stop_recording says why.
  Result<std::uint64_t> start_recording();
  /// Seals the present segment and goes back to handing out sequences, also when it fails; returns the ordinal the next
  /// segment will have. wait_synced still serves the records written. Call while no append can happen.
  Result<std::uint64_t> stop_recording();

  /// Removes segments with a lower ordinal, ascending.
  Status remove_segments_before(std::uint64_t ordinal);
  std::uint64_t log_bytes() const;  ///< of records in segments not removed
  std::uint64_t segment_count() const;
  std::uint64_t sync_count() const;
  /// A segment recovery has read that stays part of the log.
  void add_recovered_segment(std::uint64_t ordinal, std::uint64_t bytes);

  /// Writes the close record, syncs, cuts the last segment to its length. Later appends fail with Closed. Idempotent.
  Status close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<std::uint64_t> synced_;
  std::atomic<std::uint64_t> last_;
};

}  // namespace tuskv::embedded
