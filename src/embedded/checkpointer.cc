// A snapshot of an open store, step by step, and what is on disk after a crash behind each:
//
//   1. every writer mutex: the log rolls (`unlogged`: a recording starts); sequence S0      old manifest, log complete
//   2. shards are dumped into snapshot-<n>.tmp while writes go on                           the same, and a leftover
//   3. every writer mutex: the log rolls (the recording ends); sequence S1                  the same
//   4. the log is synced up to S1 and its segments S0..S1 linked in: the delta              the same
//   5. the folder's own MANIFEST is written, all of it is synced and verified               the same
//   6. the folder is renamed to snapshot-<n>                                                the same; never published
//   7. the store's MANIFEST is replaced: published                                          new manifest, its log
//   complete
//   8. older segments and superseded snapshots are removed                                  new manifest, and leftovers
//
// Up to step 7 nothing that the old manifest needs is touched, so a failure gives the folder up and is tried again
// later. When step 7 itself fails the file may be either manifest: then nothing is removed at all, and the next run
// first writes the manifest it knows once more.
//
// A snapshot's folder, copied elsewhere, is a store whose parts and delta lie beside its manifest. Its first snapshot
// makes the manifest an ordinary one and removes them. A folder that still lies in its store is only read
// (embedded_open.cc): its parts and delta belong to the store around it.
#include "embedded/checkpointer.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "embedded/snapshot.h"
#include "named_limits.h"

namespace tuskv::embedded {
/// One snapshot in the making.
struct Checkpointer::Run {
  std::string temporary = {};
  std::string folder = {};
  Manifest before = {};
  Manifest made = {};  ///< the folder's own
  SnapshotInfo info = {};
  std::int64_t dead_until_us = kKeepExpired;
};

Checkpointer::Checkpointer(os::FileSystem& file_system, Keyspace& keyspace, Log& log, CheckpointerOptions options,
                           Manifest manifest)
    : file_system_(file_system),
      keyspace_(keyspace),
      log_(log),
      options_(std::move(options)),
      logged_(options_.durability != Durability::unlogged),
      manifest_(std::move(manifest)),
      noted_encrypted_(manifest_.encrypted),
      has_segments_(log.segment_count() != 0) {}

Checkpointer::~Checkpointer() { end_thread(); }

// ---- a snapshot

Result<SnapshotInfo> Checkpointer::snapshot() {
  os::MutexLock running(run_mutex_);
  TUSKV_RETURN_IF_ERROR(check_open());
  return take_snapshot();
}

Status Checkpointer::snapshot_if_changed() {
  os::MutexLock running(run_mutex_);
  TUSKV_RETURN_IF_ERROR(check_open());
  if (!has_changed()) return {};
  Result<SnapshotInfo> taken = take_snapshot();
  return taken.ok() ? Status() : std::move(taken).status();
}

Result<SnapshotInfo> Checkpointer::take_snapshot() {
  Result<SnapshotInfo> taken = run_once();
  if (!taken.ok()) {
    failures_.fetch_add(1);
    report(Event::Kind::snapshot_failed, taken.failure().message);
  }
  look_at_log();  // it may have grown past its limit meanwhile, and perhaps no write comes after
  return taken;
}

Result<SnapshotInfo> Checkpointer::run_once() {
  TUSKV_RETURN_IF_ERROR(settle_manifest());
  Run run;
  run.before = manifest();
  const std::uint64_t ordinal = ++last_ordinal_;
  run.folder = path_of(snapshot_folder_name(ordinal));
  run.temporary = run.folder + kTemporarySuffix;
  run.made = {.store_id = run.before.store_id, .hash_seed = run.before.hash_seed};
  run.made.snapshot.ordinal = ordinal;
  run.made.is_snapshot_folder = true;

  TUSKV_RETURN_IF_ERROR(file_system_.make_directory(run.temporary));
  Status written = write_folder(run);
  if (written.ok()) written = file_system_.rename(run.temporary, run.folder);
  const bool renamed = written.ok();
  if (renamed) written = file_system_.sync_directory(options_.directory);
  if (!written.ok()) {
    // Best effort: what stays is removed by the next start, and no ordinal is used twice. What has the name when the
    // rename has failed is not ours.
    static_cast<void>(remove_snapshot_folder(file_system_, renamed ? run.folder : run.temporary).ok());
    // A recording is of no use any more. What is logged is, also when the log began after `before`: a first write may
    // have been acknowledged while the snapshot was made.
    if (!logged_ && !run.before.logged) static_cast<void>(log_.remove_segments_before(run.made.first_log_ordinal).ok());
    return written;
  }
  TUSKV_RETURN_IF_ERROR(publish(run));
  std::string message = "snapshot " + std::to_string(ordinal) + " is published";
  Status removed = remove_superseded(run);
  if (!removed.ok()) message += "; what it supersedes could not all be removed: " + removed.failure().message;
  report(Event::Kind::snapshot_published, message);
  return run.info;
}

/// After a replacement that failed half-way: makes the file the manifest that memory has, and then removes the folders
/// that only the other one could have named.
Status Checkpointer::settle_manifest() {
  Manifest known;
  {
    os::MutexLock lock(manifest_mutex_);
    if (!manifest_uncertain_) return {};
    TUSKV_RETURN_IF_ERROR(replace_manifest(manifest_));
    known = manifest_;
  }
  for (std::uint64_t ordinal = known.snapshot.ordinal + 1; ordinal <= last_ordinal_; ++ordinal) {
    const std::string name = snapshot_folder_name(ordinal);
    Result<os::FileKind> kind = file_system_.kind(path_of(name));
    if (!kind.ok()) return std::move(kind).status();
    if (kind.value() == os::FileKind::directory) TUSKV_RETURN_IF_ERROR(remove_unpublished(name, ordinal, known));
  }
  return {};
}

Status Checkpointer::write_folder(Run& run) noexcept {
  TUSKV_RETURN_IF_ERROR(begin_delta(run));
  Status dumped = dump(run);
  if (!dumped.ok() && logged_) return dumped;
  Status ended = end_delta(run);  // a recording, whatever became of the dump
  if (!dumped.ok()) return dumped;
  if (!ended.ok()) return ended;
  const SnapshotManifest& snapshot = run.made.snapshot;
  // A snapshot must not know of writes that the log could still lose: the state would no longer be a prefix.
  TUSKV_RETURN_IF_ERROR(
      log_.wait_synced(snapshot.end_sequence, kSnapshotSyncTimeoutMs).with_outcome(Outcome::not_applied));
  TUSKV_RETURN_IF_ERROR(link_segments(file_system_, options_.directory, run.temporary, snapshot.first_delta_ordinal,
                                      snapshot.delta_count));
  run.made.encrypted = manifest().encrypted;  // no value that is encrypted was written before the manifest said so
  TUSKV_RETURN_IF_ERROR(write_manifest(file_system_, run.temporary, run.made));
  TUSKV_RETURN_IF_ERROR(verify_snapshot(file_system_, run.temporary, run.made));
  Result<SnapshotInfo> info = snapshot_info(file_system_, run.temporary, snapshot);
  if (!info.ok()) return std::move(info).status();
  run.info = info.value();
  return {};
}

Status Checkpointer::begin_delta(Run& run) {
  TUSKV_RETURN_IF_ERROR(log_.prepare_roll());  // so that no writer waits for a file to be made
  keyspace_.lock_all_writers();
  Result<std::uint64_t> first = logged_ ? log_.roll() : log_.start_recording();
  run.made.snapshot.start_sequence = log_.last_sequence();
  run.made.snapshot.taken_at_us = now_us();
  keyspace_.unlock_all_writers();
  if (!first.ok()) return std::move(first).status();
  run.made.snapshot.first_delta_ordinal = first.value();
  if (!options_.keeps_expired) run.dead_until_us = run.made.snapshot.taken_at_us;
  return {};
}

Status Checkpointer::dump(Run& run) {
  PartHeader header = part_header(run.made, 0);
  header.part_count = keyspace_.shard_count();
  Result<std::vector<PartInfo>> parts =
      write_parts(file_system_, run.temporary, header, keyspace_, run.dead_until_us, options_.threads);
  if (!parts.ok()) return std::move(parts).status();
  run.made.snapshot.parts = std::move(parts).value();
  return {};
}

Status Checkpointer::end_delta(Run& run) {
  Status prepared = logged_ ? log_.prepare_roll() : Status();
  if (!prepared.ok()) return prepared;
  keyspace_.lock_all_writers();
  Result<std::uint64_t> next = logged_ ? log_.roll() : log_.stop_recording();
  run.made.snapshot.end_sequence = log_.last_sequence();
  run.made.clock_high_us = now_us();
  keyspace_.unlock_all_writers();
  if (!next.ok()) return std::move(next).status();
  run.made.snapshot.delta_count = next.value() - run.made.snapshot.first_delta_ordinal;
  run.made.first_log_ordinal = next.value();
  run.made.last_log_ordinal = next.value() - 1;
  run.made.first_log_sequence = run.made.snapshot.end_sequence + 1;
  run.made.durable_sequence = run.made.snapshot.end_sequence;
  return {};
}

Status Checkpointer::publish(const Run& run) {
  os::MutexLock lock(manifest_mutex_);
  Manifest next = run.made;
  next.is_snapshot_folder = false;
  next.logged = logged_;
  next.encrypted = manifest_.encrypted;
  next.clock_high_us = std::max(next.clock_high_us, manifest_.clock_high_us);
  // Once the log has a segment, rolling makes the next one; before that, on_first_segment will tell of it.
  if (has_own_segment_) next.last_log_ordinal = next.first_log_ordinal;
  TUSKV_RETURN_IF_ERROR(replace_manifest(next));
  has_segments_ = has_own_segment_;
  return {};
}

Status Checkpointer::remove_superseded(const Run& run) {
  Status first_failure = log_.remove_segments_before(run.made.first_log_ordinal);
  const auto note = [&first_failure](Status status) {
    if (first_failure.ok()) first_failure = std::move(status);
  };
  Result<std::size_t> removed =
      remove_older_snapshots(file_system_, options_.directory, manifest(), options_.keep_snapshots, Removal::retention);
  if (!removed.ok()) note(std::move(removed).status());
  if (run.before.is_snapshot_folder) note(remove_own_snapshot_files(run.before));
  note(refresh_list());
  return first_failure;
}

/// Parts and delta beside the manifest, once a snapshot in a folder of its own has taken their place.
Status Checkpointer::remove_own_snapshot_files(const Manifest& before) {
  for (std::size_t i = 0; i < before.snapshot.parts.size(); ++i) {
    TUSKV_RETURN_IF_ERROR(file_system_.remove_file(path_of(part_name(i))));
  }
  for (std::uint64_t i = 0; i < before.snapshot.delta_count; ++i) {
    TUSKV_RETURN_IF_ERROR(file_system_.remove_file(path_of(segment_name(before.snapshot.first_delta_ordinal + i))));
  }
  return {};
}

// ---- older snapshots

Result<std::size_t> Checkpointer::prune(std::size_t keep) {
  os::MutexLock running(run_mutex_);
  TUSKV_RETURN_IF_ERROR(check_open());
  Result<std::size_t> removed =
      remove_older_snapshots(file_system_, options_.directory, manifest(), keep, Removal::asked_for);
  TUSKV_RETURN_IF_ERROR(refresh_list());
  return removed;
}

Status Checkpointer::refresh_list() {
  Result<std::vector<SnapshotInfo>> list = snapshot_infos(file_system_, options_.directory, manifest());
  if (!list.ok()) return std::move(list).status();
  os::MutexLock lock(list_mutex_);
  list_ = std::move(list).value();
  return {};
}

std::vector<SnapshotInfo> Checkpointer::snapshots() const {
  os::MutexLock lock(list_mutex_);
  return list_;
}

// ---- the manifest

Status Checkpointer::on_first_segment(std::uint64_t ordinal) {
  if (!logged_) return {};  // a recording belongs to its snapshot alone
  os::MutexLock lock(manifest_mutex_);
  Manifest next = manifest_;
  if (!next.logged || !has_segments_) {
    next.first_log_ordinal = ordinal;
    next.first_log_sequence = log_.last_sequence() + 1;
  }
  next.logged = true;
  next.last_log_ordinal = ordinal;
  next.durable_sequence = log_.last_sequence();  // recovery has synced what it found, and nothing was added yet
  next.clock_high_us = std::max(next.clock_high_us, now_us());
  TUSKV_RETURN_IF_ERROR(replace_manifest(next));
  has_segments_ = true;
  has_own_segment_ = true;
  return {};
}

Status Checkpointer::note_encrypted() {
  if (noted_encrypted_.load()) return {};  // somebody may be at the manifest for as long as the disk takes
  os::MutexLock lock(manifest_mutex_);
  if (manifest_.encrypted) return {};
  if (is_final_) return closed_status();
  Manifest next = manifest_;
  next.encrypted = true;
  TUSKV_RETURN_IF_ERROR(replace_manifest(next));
  noted_encrypted_ = true;
  return {};
}

void Checkpointer::remember_time(std::int64_t age_us, std::int64_t left_ms) {
  if (!manifest_mutex_.lock_within(left_ms)) return;
  os::AdoptedLock lock(manifest_mutex_);
  if (is_final_) return;
  Manifest next = manifest_;
  next.clock_high_us = now_us();
  if (next.clock_high_us - manifest_.clock_high_us < age_us) return;
  static_cast<void>(replace_manifest(next).ok());
}

Manifest Checkpointer::manifest() const {
  os::MutexLock lock(manifest_mutex_);
  return manifest_;
}

Status Checkpointer::replace_manifest(const Manifest& next) {
  Status written = write_manifest(file_system_, options_.directory, next);
  manifest_uncertain_ = !written.ok();
  if (written.ok()) manifest_ = next;
  return written;
}

bool Checkpointer::has_changed() const {
  os::MutexLock lock(manifest_mutex_);
  return log_.last_sequence() != manifest_.snapshot.end_sequence;
}

}  // namespace tuskv::embedded
