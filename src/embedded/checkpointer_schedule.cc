// When a checkpointer takes snapshots: at opening, in the background and at closing. What a snapshot is stands in
// checkpointer.cc.
#include <algorithm>
#include <chrono>
#include <utility>

#include "embedded/checkpointer.h"
#include "embedded/snapshot.h"
#include "named_limits.h"
#include "os/thread.h"

namespace tuskv::embedded {
namespace {

/// Segments of this size are not counted against kLogSegmentsMax: the log of a large store has many.
constexpr std::uint64_t kLargeSegmentBytes = std::uint64_t{32} << 20;

}  // namespace

// ---- opening and closing

Status Checkpointer::start() {
  {
    os::MutexLock running(run_mutex_);
    Status removed = remove_leftovers();
    if (!removed.ok()) report(Event::Kind::snapshot_failed, "leftovers stay: " + removed.failure().message);
    TUSKV_RETURN_IF_ERROR(refresh_list());
    if (!logged_ && manifest().logged) TUSKV_RETURN_IF_ERROR(mark_unlogged());
  }
  TUSKV_RETURN_IF_ERROR(os::start_thread(thread_, "takes snapshots", [this] { run_thread(); }));
  look_at_log();
  return {};
}

/// Removes what a crash has left: unpublished folders, those with an unfinished name, whether they were being written
/// or removed, and parts beside a manifest that has a folder of its own by now. A published folder stays, whatever it
/// lacks, and so does what somebody else has put there under such a name. What cannot be removed keeps nothing else;
/// the first failure is returned.
Status Checkpointer::remove_leftovers() {
  const Manifest known = manifest();
  last_ordinal_ = known.snapshot.ordinal;
  Result<std::vector<os::DirectoryEntry>> entries = file_system_.list(options_.directory);
  if (!entries.ok()) return std::move(entries).status();
  Status result;
  const auto note = [&result](Status removed) {
    if (result.ok()) result = std::move(removed);
  };
  for (const os::DirectoryEntry& entry : entries.value()) {
    if (!known.is_snapshot_folder && entry.kind == os::FileKind::file && is_part_name(entry.name)) {
      note(file_system_.remove_file(path_of(entry.name)));
    }
    const std::uint64_t ordinal = folder_ordinal(entry.name);
    if (ordinal == 0 || entry.kind != os::FileKind::directory) continue;
    last_ordinal_ = std::max(last_ordinal_, ordinal);
    const bool finished = !entry.name.ends_with(kTemporarySuffix);
    if (finished && ordinal <= known.snapshot.ordinal) continue;
    note(remove_unpublished(entry.name, ordinal, known));
  }
  return result;
}

Status Checkpointer::remove_unpublished(const std::string& name, std::uint64_t ordinal, const Manifest& known) {
  if (!name.ends_with(kTemporarySuffix)) {
    Result<bool> is_ours = is_snapshot_of(file_system_, path_of(name), ordinal, known.store_id);
    if (!is_ours.ok()) return std::move(is_ours).status();
    if (!is_ours.value()) return {};
  }
  return remove_snapshot_folder(file_system_, path_of(name));
}

/// The directory was used with a log before: what is in it must be in a snapshot before the log stops counting.
Status Checkpointer::mark_unlogged() {
  if (has_changed()) {
    Result<SnapshotInfo> taken = take_snapshot();
    return taken.ok() ? Status() : std::move(taken).status();
  }
  os::MutexLock lock(manifest_mutex_);
  Manifest next = manifest_;
  next.logged = false;
  return replace_manifest(next);
}

Status Checkpointer::stop() {
  {
    os::MutexLock lock(manifest_mutex_);
    is_final_ = true;
  }
  end_thread();
  os::MutexLock running(run_mutex_);  // also when nothing is due: the directory may be another's once this has returned
  if (logged_ ? !is_due() : !has_changed()) return {};
  Result<SnapshotInfo> last = take_snapshot();
  return last.ok() || logged_ ? Status() : std::move(last).status();
}

/// For those who had to wait for their turn.
Status Checkpointer::check_open() {
  os::MutexLock lock(wake_mutex_);
  return stopping_ ? closed_status() : Status();
}

void Checkpointer::end_thread() {
  {
    os::MutexLock lock(wake_mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

// ---- when

std::uint64_t Checkpointer::log_limit_bytes() const {
  const std::uint64_t live_bytes = keyspace_.key_bytes() + keyspace_.value_bytes();
  return std::max(options_.log_bytes_min, live_bytes / 100 * options_.log_percent);
}

/// From what is on disk, so that it works across openings.
bool Checkpointer::is_due() const {
  if (!logged_) return false;
  const std::uint64_t log_bytes = log_.log_bytes();
  return log_bytes > log_limit_bytes() || log_.segment_count() > kLogSegmentsMax + log_bytes / kLargeSegmentBytes;
}

/// The log has reached a size at which a snapshot may be due. The limit moves with the live data, so while it is not
/// due the next look comes before the limit of this moment.
void Checkpointer::look_at_log() {
  if (!is_due()) return schedule_next_look();
  next_look_bytes_.store(UINT64_MAX, std::memory_order_relaxed);  // until the thread has been at it
  os::MutexLock lock(wake_mutex_);
  requested_ = true;
  if (retry_ms_ == 0) wake_.notify_all();  // after a failure the pause comes first
}

void Checkpointer::schedule_next_look() {
  const std::uint64_t next = std::min(log_limit_bytes() + 1, log_.log_bytes() + options_.log_bytes_min);
  next_look_bytes_.store(logged_ ? next : UINT64_MAX, std::memory_order_relaxed);
}

void Checkpointer::run_thread() {
  os::MutexLock lock(wake_mutex_);
  for (;;) {
    wait_for_work();
    if (stopping_) return;
    requested_ = false;
    lock.unlock();
    bool failed = false;
    {
      os::MutexLock running(run_mutex_);
      // A snapshot asked for in the meantime may have done the work, or new entries have raised the limit.
      if (logged_ ? is_due() : has_changed()) {
        failed = !take_snapshot().ok();
      } else {
        look_at_log();  // nobody else looks before this one has
      }
    }
    lock.lock();
    const std::int64_t longer_ms = std::clamp(2 * retry_ms_, kSnapshotRetryMsMin, kSnapshotRetryMsMax);
    retry_ms_ = failed ? longer_ms : 0;
  }
}

/// Returns when there is something to look at, or to stop.
void Checkpointer::wait_for_work() {
  if (stopping_) return;
  if (retry_ms_ != 0) {
    wake_.wait_for(wake_mutex_, std::chrono::milliseconds(retry_ms_));
  } else if (!logged_) {
    wake_.wait_for(wake_mutex_, std::chrono::milliseconds(options_.interval_ms));
  } else {
    while (!requested_ && !stopping_) wake_.wait(wake_mutex_);
  }
}

void Checkpointer::report(Event::Kind kind, std::string_view message) const {
  if (options_.on_event != nullptr) options_.on_event(options_.event_context, {.kind = kind, .message = message});
}

}  // namespace tuskv::embedded
