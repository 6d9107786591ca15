// The embedded engine: a keyspace in memory and, for `file:` stores, a log and snapshots of it.
//
// A write is plan, log, apply, wait: under the shard's writer mutex a pure function decides what changes (plan.h), the
// log gets that as one record, and only then can readers see it. In durable mode the caller then waits, outside all
// locks, until the record is synced; so does every reply that reveals an unsynced change, an absence included.
//
// Invariants:
//  - What a reader sees has been logged. A change that could not be logged was never there.
//  - In durable mode no reply reveals what a power loss could take back.
//  - Sequences grow in the order of the log, and an entry's sequence is that of the record that made it.
//  - Where the directory is only read nothing in it is changed, down to its LOCK.
//  - No user code and no sync runs under a lock; readers never wait for a writer's disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "embedded/batch.h"
#include "embedded/checkpointer.h"
#include "embedded/keyspace.h"
#include "embedded/log.h"
#include "embedded/monotone_clock.h"
#include "embedded/recovery.h"
#include "engine.h"
#include "os/clock.h"
#include "os/deadline.h"
#include "os/file_system.h"
#include "os/mutex.h"
#include "status.h"
#include "sweeper.h"
#include "tuskv/options.h"

namespace tuskv::embedded {

struct EngineOptions {
  std::string directory = {};  ///< empty: memory only
  Options options = {};        ///< already checked
  /// Tests make them small, so that a few writes fill a segment.
  std::uint64_t log_segment_bytes_min = LogOptions{}.segment_bytes_min;
  std::uint64_t log_segment_bytes_max = LogOptions{}.segment_bytes_max;
};

class EmbeddedEngine final : public Engine {
  struct OnlyOpen {};  // a constructor parameter nobody else can name

 public:
  EmbeddedEngine(OnlyOpen, const EngineOptions& options, os::FileSystem& file_system, const os::Clock& clock);
  /// Opens a directory (creating, recovering), or an empty store in memory. `file_system` and `clock` outlive the
  /// engine.
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options, os::FileSystem& file_system,
                                              const os::Clock& clock);
  ~EmbeddedEngine() override;
  EmbeddedEngine(const EmbeddedEngine&) = delete;
  EmbeddedEngine& operator=(const EmbeddedEngine&) = delete;

  void execute(std::span<Unit> units) override;
  void submit(Submission& submission) override;
  Status read(OptimisticTransaction& transaction, Unit& unit) override;
  Status commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) override;
  std::int64_t now_us(std::int64_t) override { return clock_.now_us(); }
  Result<std::uint64_t> remove_expired(std::uint64_t limit, std::int64_t timeout_ms) override;
  Status set_sweeper(std::optional<EngineSweeperOptions> options) override;
  Result<Stats> stats(std::int64_t timeout_ms) override;
  Result<std::vector<Finding>> diagnose(std::int64_t timeout_ms) override;
  Status note_encrypted() override;
  bool was_noted_encrypted() const override { return was_noted_encrypted_; }
  Status sync(std::int64_t timeout_ms) override;
  Result<bool> create_index(std::string_view field, std::int64_t timeout_ms) override;
  Result<bool> drop_index(std::string_view field, std::int64_t timeout_ms) override;
  Result<std::vector<std::string>> indexes(std::int64_t timeout_ms) override;
  Result<SnapshotInfo> snapshot() override;
  Result<std::vector<SnapshotInfo>> snapshots() override;
  Result<std::size_t> prune_snapshots(std::size_t keep) override;
  Status close() override;

 private:
  /// Why nothing in the directory is written.
  enum class ReadOnly : std::uint8_t { no, asked, kept_snapshot, not_writable };

  // Opening (embedded_open.cc).
  Status open_directory();
  Status prepare_directory();
  Status may_make(const char* found) const;
  Result<ReadOnly> reason_to_only_read();
  Status start_recovered();
  Status start_reading(const Recovered& recovered);
  void start_log(const Recovered& recovered);
  Status start_checkpointer(const Manifest& manifest);
  void report(Event::Kind kind, const std::string& message) const;

  // Each runs a unit up to, not including, the wait for the disk; failures go into the unit. Returns what the reply
  // reveals.
  std::uint64_t run(Unit& unit);
  std::uint64_t run_reads(Unit& unit);
  std::uint64_t run_count(Unit& unit, Count& command, Examined* examined = nullptr);
  std::uint64_t run_write(Unit& unit, Command& command);
  std::uint64_t run_batch(Unit& unit);
  std::uint64_t run_erase_range(Unit& unit, EraseRange& command);
  void remove_met_dead(const Unit& unit);
  /// Waits until all that the reply reveals is synced, where the durability asks for it.
  void settle(Unit& unit, std::uint64_t revealed);
  bool must_wait(std::uint64_t revealed) const {
    return options_.durability == Durability::durable && revealed > log_->synced_sequence();
  }

  /// By which a unit is planned.
  struct Moment {
    std::int64_t now_us = 0;
    std::int64_t liveness_us = 0;
  };
  Moment moment() { return {.now_us = clock_.now_us(), .liveness_us = liveness_us()}; }
  /// Prepares and logs what the batch holds. Every writer mutex concerned is held.
  Result<std::uint64_t> log_batch(Batch& batch, std::int64_t& left_ms);
  bool install(Batch& batch, std::uint64_t sequence) {
    return batch.install(sequence, [this] { return liveness_us(); });
  }
  std::uint64_t run_again(Unit& unit, Batch& logged, std::uint64_t sequence, const Moment& planned_at) noexcept;
  bool take_back(Batch& logged, std::uint64_t& sequence, std::int64_t& left_ms) noexcept;
  /// Ends the process rather than throw: nobody could tell whether the record is in the log.
  Result<std::uint64_t> log_record(RecordBuffer& record, std::int64_t& left_ms) noexcept;

  // Transactions (embedded_transaction.cc).
  ReadMoment present_moment();
  /// These two: false when something has been met that comes behind the moment of the transaction.
  bool read_and_remember(OptimisticTransaction& transaction, Unit& unit, std::uint64_t& revealed);
  bool remember(OptimisticTransaction& transaction, OptimisticTransaction::RangeRead range, const Examined& examined);
  bool was_absent(std::uint64_t hash, std::string_view key, const ReadMoment& moment) const;
  bool was_complete(const OptimisticTransaction::RangeRead& range, const ReadMoment& moment) const;
  /// Moves the transaction to a later moment, or is a conflict; Timeout when the deadline passes before that is known.
  Status validate(OptimisticTransaction& transaction, os::Deadline deadline) TUSKV_EXCLUDES(range_erase_);
  Status look_again(const OptimisticTransaction& transaction, std::int64_t now_us, os::Deadline deadline);
  Status look_again_by_and_by(const OptimisticTransaction& transaction, const ReadMoment& moment, os::Deadline deadline,
                              bool& is_certain) const;
  std::uint64_t version_at(std::uint64_t hash, std::string_view key, std::int64_t now_us) const;
  bool is_unchanged(const OptimisticTransaction& transaction) const;
  ShardSet shards_of(const OptimisticTransaction& transaction, bool with_writes) const;

  bool in_memory() const { return directory_.empty(); }
  bool is_read_only() const { return read_only_ != ReadOnly::no; }
  std::string read_only_text() const;
  Status read_only_status() const { return Status(Code::Unsupported, read_only_text()); }
  std::vector<SnapshotInfo> snapshot_list() const;

  /// The time liveness is judged by: before all time when expiry is disabled.
  std::int64_t liveness_us() { return options_.ttl_mode == TtlMode::disabled ? INT64_MIN : clock_.now_us(); }
  Result<std::uint64_t> sweep(std::uint64_t limit, std::int64_t timeout_ms);
  bool remove_earliest(std::uint64_t limit, os::Deadline deadline, std::uint64_t& removed);
  bool remove_expired_until(std::int64_t until_us, std::uint64_t limit, os::Deadline deadline, std::uint64_t& removed);
  bool time_has_told();
  bool closed() const { return closed_.load(std::memory_order_acquire); }

  const std::string directory_;
  const Options options_;
  const std::uint64_t log_segment_bytes_min_;
  const std::uint64_t log_segment_bytes_max_;
  os::FileSystem& file_system_;
  MonotoneClock clock_;
  Keyspace keyspace_;
  /// Held exclusively while a range is erased, shared by what must see such an erase wholly or not at all. Behind the
  /// writer mutexes and before the map locks.
  os::SharedMutex range_erase_;
  std::unique_ptr<os::DirectoryLock> directory_lock_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<Checkpointer> checkpointer_;  ///< null in memory, and where nothing is written
  ReadOnly read_only_ = ReadOnly::no;           ///< set while opening
  std::vector<SnapshotInfo> read_snapshots_;    ///< those there were at opening, where nothing is written
  Sweeper sweeper_;
  /// From close on, and while it is opened: an opening that fails leaves the directory as it is.
  std::atomic<bool> closed_ = true;
  os::Mutex close_mutex_;
  Status close_result_ TUSKV_GUARDED_BY(close_mutex_);

  bool was_noted_encrypted_ = false;
  std::uint64_t recovered_records_ = 0;
  std::uint64_t recovered_torn_bytes_ = 0;
  std::atomic<std::uint64_t> swept_ = 0;
};

}  // namespace tuskv::embedded
