// Takes snapshots of an open store, in the background when its log has grown too long, and keeps the store's MANIFEST.
// See checkpointer.cc for the steps and what a crash or a failure between any two of them leaves.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "embedded/keyspace.h"
#include "embedded/log.h"
#include "embedded/manifest.h"
#include "os/file_system.h"
#include "os/mutex.h"
#include "status.h"
#include "tuskv/options.h"
#include "tuskv/store.h"

namespace tuskv::embedded {

struct CheckpointerOptions {
  std::string directory = {};
  Durability durability = Durability::durable;
  std::uint64_t log_percent = 100;                        ///< Options::snapshot_log_percent
  std::uint64_t log_bytes_min = std::uint64_t{64} << 20;  ///< Options::snapshot_log_bytes_min
  std::int64_t interval_ms = 300'000;                     ///< Options::snapshot_interval; `unlogged` only
  std::size_t keep_snapshots = 1;
  std::size_t threads = 2;
  /// TtlMode::disabled: expired entries are data like any other.
  bool keeps_expired = false;
  /// The store's time. It must never go back, and writers must read it while they hold their writer mutexes: otherwise
  /// an entry that a snapshot left out as expired could still be changed. Required.
  std::int64_t (*now_us)(void* context) = nullptr;
  void* clock_context = nullptr;
  void (*on_event)(void* context, const Event& event) = nullptr;
  void* event_context = nullptr;
};

/// Thread-safe.
class Checkpointer final {
 public:
  /// `manifest` is what recovery found; the segments it read have been added to the log.
  Checkpointer(os::FileSystem& file_system, Keyspace& keyspace, Log& log, CheckpointerOptions options,
               Manifest manifest);
  /// Ends the thread without a last snapshot: see stop.
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  /// Removes leftovers, makes the directory one of this durability (`unlogged` takes a snapshot first when there are
  /// log records) and starts the thread. Before the first write.
  Status start();
  /// Lets what is under way in the directory end, a snapshot or a removal, whoever asked for it; what has not begun by
  /// then fails with Closed. Takes one more snapshot if one is due, so that programs that open, write and close keep
  /// the log bounded. Fails only when that loses data (`unlogged`). No write may come during or after it. Once.
  Status stop() TUSKV_EXCLUDES(run_mutex_);

  /// To be called after appends: wakes the thread when the log has grown too long. Cheap.
  void consider() {
    if (log_.log_bytes() >= next_look_bytes_.load(std::memory_order_relaxed)) look_at_log();
  }

  /// Takes a snapshot of everything written before the call, after the one that may be running.
  Result<SnapshotInfo> snapshot() TUSKV_EXCLUDES(run_mutex_);
  /// The same unless the newest snapshot is that already (`unlogged`: how a store is synced).
  Status snapshot_if_changed() TUSKV_EXCLUDES(run_mutex_);
  /// Those on disk, ascending; the last is the store's own. Never waits for a running snapshot.
  std::vector<SnapshotInfo> snapshots() const TUSKV_EXCLUDES(list_mutex_);
  /// Removes the oldest until `keep` remain beside the newest; returns how many.
  Result<std::size_t> prune(std::size_t keep) TUSKV_EXCLUDES(run_mutex_);

  /// Makes the manifest name the log's first segment of this opening: see LogOptions::on_first_segment.
  Status on_first_segment(std::uint64_t ordinal) TUSKV_EXCLUDES(manifest_mutex_);

  /// Makes the manifest say that the store is encrypted, unless it does.
  Status note_encrypted() TUSKV_EXCLUDES(manifest_mutex_);

  /// Writes the store's time into the manifest when what is there is older by at least `age_us`, so that it does not go
  /// back at the next opening. Best effort: what a disk that refuses, or whoever is at the manifest for longer than
  /// `left_ms`, loses is no data. Does nothing once stopped.
  void remember_time(std::int64_t age_us, std::int64_t left_ms) TUSKV_EXCLUDES(manifest_mutex_);

  std::uint64_t failure_count() const { return failures_.load(); }

 private:
  struct Run;

  // Opening and closing.
  Status remove_leftovers() TUSKV_REQUIRES(run_mutex_);
  Status remove_unpublished(const std::string& name, std::uint64_t ordinal, const Manifest& known);
  Status mark_unlogged() TUSKV_REQUIRES(run_mutex_);
  void end_thread() TUSKV_EXCLUDES(wake_mutex_);
  Status check_open() TUSKV_REQUIRES(run_mutex_) TUSKV_EXCLUDES(wake_mutex_);

  // A snapshot, in the order of its steps.
  Result<SnapshotInfo> take_snapshot() TUSKV_REQUIRES(run_mutex_) TUSKV_EXCLUDES(wake_mutex_);
  Result<SnapshotInfo> run_once() TUSKV_REQUIRES(run_mutex_);
  Status settle_manifest() TUSKV_REQUIRES(run_mutex_);
  /// Ends the process rather than throw half-way, where writers are held or a recording has begun.
  Status write_folder(Run& run) noexcept TUSKV_REQUIRES(run_mutex_);
  Status dump(Run& run) TUSKV_REQUIRES(run_mutex_);
  Status begin_delta(Run& run);
  Status end_delta(Run& run);
  Status publish(const Run& run) TUSKV_REQUIRES(run_mutex_);
  Status remove_superseded(const Run& run) TUSKV_REQUIRES(run_mutex_);
  Status remove_own_snapshot_files(const Manifest& before) TUSKV_REQUIRES(run_mutex_);
  Status refresh_list() TUSKV_REQUIRES(run_mutex_);
  std::string path_of(const std::string& name) const { return options_.directory + "/" + name; }

  Manifest manifest() const TUSKV_EXCLUDES(manifest_mutex_);
  Status replace_manifest(const Manifest& next) TUSKV_REQUIRES(manifest_mutex_);
  std::int64_t now_us() const { return options_.now_us(options_.clock_context); }
  bool has_changed() const TUSKV_EXCLUDES(manifest_mutex_);

  // When.
  std::uint64_t log_limit_bytes() const;
  bool is_due() const;
  void look_at_log() TUSKV_EXCLUDES(wake_mutex_);
  void schedule_next_look();
  void run_thread() TUSKV_EXCLUDES(wake_mutex_);
  void wait_for_work() TUSKV_REQUIRES(wake_mutex_);
  void report(Event::Kind kind, std::string_view message) const;

  os::FileSystem& file_system_;
  Keyspace& keyspace_;
  Log& log_;
  const CheckpointerOptions options_;
  const bool logged_;

  /// One snapshot, or removal of snapshots, at a time. Before the log's mutex and manifest_mutex_.
  os::Mutex run_mutex_;
  std::uint64_t last_ordinal_ TUSKV_GUARDED_BY(run_mutex_) = 0;  ///< of any folder this directory has seen

  /// Behind the log's mutex: the log calls on_first_segment.
  mutable os::TimedMutex manifest_mutex_;
  Manifest manifest_ TUSKV_GUARDED_BY(manifest_mutex_);
  std::atomic<bool> noted_encrypted_;                               ///< manifest_.encrypted, which never goes back
  bool has_segments_ TUSKV_GUARDED_BY(manifest_mutex_);             ///< that the manifest names
  bool has_own_segment_ TUSKV_GUARDED_BY(manifest_mutex_) = false;  ///< made since this opening
  bool is_final_ TUSKV_GUARDED_BY(manifest_mutex_) = false;         ///< the directory may be another's
  /// A replacement failed half-way: the file is this manifest or the one that was to replace it.
  bool manifest_uncertain_ TUSKV_GUARDED_BY(manifest_mutex_) = false;

  mutable os::Mutex list_mutex_;
  std::vector<SnapshotInfo> list_ TUSKV_GUARDED_BY(list_mutex_);

  os::Mutex wake_mutex_;
  os::CondVar wake_;
  bool requested_ TUSKV_GUARDED_BY(wake_mutex_) = false;
  bool stopping_ TUSKV_GUARDED_BY(wake_mutex_) = false;
  std::int64_t retry_ms_ TUSKV_GUARDED_BY(wake_mutex_) = 0;  ///< 0: the last one succeeded
  std::thread thread_;

  std::atomic<std::uint64_t> next_look_bytes_ = UINT64_MAX;  ///< log size at which to look whether a snapshot is due
  std::atomic<std::uint64_t> failures_ = 0;
};

}  // namespace tuskv::embedded
