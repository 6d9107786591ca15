// Where segments begin and end: the first one, rolling to the next, recording for a snapshot, closing.
//
// Order of every change of segments: the successor is made durably; the present one gets its seal; the successor is
// used. If the seal cannot be written the present segment goes on as if nothing had happened. A seal that was reported
// as failed and is found by recovery nevertheless does no harm: its successor is there, and empty.
//
// A full disk: the present segment is preallocated, so appends go on in it. As long as no successor can be made, a part
// at its end is kept for records that only erase; everything else fails with NoSpace, and each such attempt tries to
// make the successor first. So erasing works, and writing works again as soon as there is room. That part is large
// enough for another opening too: closing, or recovery after a crash, cuts it off, and then there is room for the small
// segment and the manifest that the first erase needs. What does not only erase gets no segment without such a part.
// Left out: others who fill the disk while the store is closed, and file systems that cannot preallocate.
#include <algorithm>
#include <utility>

#include "embedded/log.h"

namespace tuskv::embedded {
namespace {

/// Part of a segment that is kept for erases while it has no successor, but not less than reserve_bytes().
constexpr std::uint64_t kReserveDivisor = 10;

}  // namespace

Status Log::make_room(const RecordBuffer& record, std::int64_t& left_ms) {
  if (current_ != nullptr) {
    const std::uint64_t capacity = current_->capacity_bytes;
    const std::uint64_t end = offset_ + record.size_bytes() + kRecordHeaderBytes;  // the seal must fit behind it
    if (end <= capacity) {
      const std::uint64_t reserve = std::max(capacity / kReserveDivisor, supply_.reserve_bytes());
      if (end + reserve <= capacity || record.only_erases() || supply_.ready()) return {};
      return supply_.prepare(supply_.reserve_bytes(), left_ms);
    }
  }
  const std::uint64_t kept = record.only_erases() ? 0 : supply_.reserve_bytes();
  TUSKV_RETURN_IF_ERROR(supply_.prepare(record.size_bytes() + kept, left_ms));
  return next_segment();
}

/// The next segment has been prepared.
Status Log::next_segment() {
  if (current_ != nullptr) TUSKV_RETURN_IF_ERROR(end_segment(RecordKind::seal));
  if (!announced_) {
    may_be_named_ = true;
    TUSKV_RETURN_IF_ERROR(options_.on_first_segment(options_.context, supply_.next_ordinal()));
    announced_ = true;
    may_be_named_ = false;
  }
  Result<Segment> taken = supply_.take();
  if (!taken.ok()) return std::move(taken).status();
  current_ = std::make_shared<Segment>(std::move(taken).value());
  segments_.fetch_add(1, std::memory_order_relaxed);
  offset_ = kSegmentHeaderBytes;
  round_offset_ = offset_;
  prepare_requested_ = false;
  return {};
}

Status Log::end_segment(RecordKind kind) {
  end_record_.start(kind);
  TUSKV_RETURN_IF_ERROR(write_record(end_record_, last_.load(std::memory_order_relaxed)));
  current_->end_bytes = offset_;
  older_[current_->header.ordinal] = offset_ - kSegmentHeaderBytes;
  ended_.push_back(std::exchange(current_, nullptr));
  return {};
}

Result<std::uint64_t> Log::roll() {
  std::int64_t patience_ms = os::kLongestWaitMs;
  TUSKV_RETURN_IF_ERROR(clean_tail(patience_ms));
  os::MutexLock lock(append_mutex_);
  TUSKV_RETURN_IF_ERROR(check_writable());
  if (current_ != nullptr && offset_ == kSegmentHeaderBytes) return current_->header.ordinal;
  TUSKV_RETURN_IF_ERROR(supply_.prepare());
  TUSKV_RETURN_IF_ERROR(next_segment());
  return current_->header.ordinal;
}

Status Log::prepare_roll() {
  {
    os::MutexLock lock(append_mutex_);
    if (current_ != nullptr && offset_ == kSegmentHeaderBytes) return {};
  }
  return supply_.prepare();
}

Result<std::uint64_t> Log::start_recording() {
  os::MutexLock lock(append_mutex_);
  if (closed_) return check_writable();
  // What an earlier recording could not sync was given up with its files; this one has files of its own.
  ended_.clear();
  sync_.forget_failure();
  TUSKV_RETURN_IF_ERROR(supply_.prepare());
  TUSKV_RETURN_IF_ERROR(next_segment());
  recording_.store(true, std::memory_order_release);
  return current_->header.ordinal;
}

Result<std::uint64_t> Log::stop_recording() {
  std::int64_t patience_ms = os::kLongestWaitMs;
  Status ended = clean_tail(patience_ms);
  os::MutexLock lock(append_mutex_);
  if (ended.ok()) ended = check_writable();
  if (ended.ok() && current_ != nullptr) ended = end_segment(RecordKind::close);
  recording_.store(false, std::memory_order_release);
  if (ended.ok()) return supply_.next_ordinal();
  give_up_segment();
  return ended;
}

/// Its file stays until remove_segments_before; nothing names it.
void Log::give_up_segment() {
  tail_unknown_ = false;
  if (current_ == nullptr) return;
  older_[current_->header.ordinal] = offset_ - kSegmentHeaderBytes;
  current_ = nullptr;
}

Status Log::remove_segments_before(std::uint64_t ordinal) {
  Status first_failure;
  for (std::uint64_t oldest = 0;; ++oldest) {
    {
      os::MutexLock lock(append_mutex_);
      const auto found = older_.lower_bound(oldest);
      if (found == older_.end() || found->first >= ordinal) return first_failure;
      oldest = found->first;
    }
    Status status = file_system_->remove_file(options_.directory + "/" + segment_name(oldest));
    if (!status.ok()) {
      if (first_failure.ok()) first_failure = std::move(status);
      continue;
    }
    os::MutexLock lock(append_mutex_);
    const auto removed = older_.find(oldest);
    log_bytes_.fetch_sub(removed->second, std::memory_order_relaxed);
    older_.erase(removed);
    segments_.fetch_sub(1, std::memory_order_relaxed);
  }
}

void Log::add_recovered_segment(std::uint64_t ordinal, std::uint64_t bytes) {
  os::MutexLock lock(append_mutex_);
  if (!older_.emplace(ordinal, bytes).second) return;
  log_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  segments_.fetch_add(1, std::memory_order_relaxed);
}

Status Log::close() {
  os::MutexLock lock(close_mutex_);
  if (close_done_) return close_result_.clone();
  close_done_ = true;
  close_result_ = close_once();
  stop_threads();
  stop_cutting();
  // Only when the end of the log is known: otherwise there may be a seal on the disk that needs its successor.
  if (close_result_.ok() && file_system_ != nullptr) close_result_ = discard_prepared();
  return close_result_.clone();
}

/// Callers whose round has ended may still be at its segments.
void Log::stop_cutting() {
  os::MutexLock cutting(cut_mutex_);
  may_cut_ = false;
}

/// A manifest that was being replaced when the disk refused may name the prepared segment: then it stays, empty.
Status Log::discard_prepared() {
  os::MutexLock lock(append_mutex_);
  return may_be_named_ ? Status() : supply_.discard();
}

Status Log::close_once() {
  {
    os::MutexLock lock(append_mutex_);
    closed_ = true;
  }
  if (file_system_ == nullptr) return {};
  if (sync_.failed()) return health().with_outcome(Outcome::unknown);
  std::int64_t patience_ms = os::kLongestWaitMs;
  TUSKV_RETURN_IF_ERROR(clean_tail(patience_ms));
  // First the records, then their close: it says that all of them are synced.
  TUSKV_RETURN_IF_ERROR(sync_.wait(last_sequence(), INT64_MAX));
  return close_last_segment();
}

/// A file that ends with its close record proves that everything in the log was synced, since it is cut only after that
/// sync: recovery relies on it. So the cut itself needs no sync: without it the next opening looks more closely. Seals
/// are not records that anybody has waited for, so they are synced here.
Status Log::close_last_segment() {
  std::int64_t patience_ms = os::kLongestWaitMs;
  return sync_.exclusively(patience_ms, [this]() -> Status {
    os::MutexLock lock(append_mutex_);
    for (const auto& sealed : std::exchange(ended_, {})) TUSKV_RETURN_IF_ERROR(sync_.sync_file(*sealed->file));
    if (current_ == nullptr) return {};
    const std::shared_ptr<Segment> last = current_;
    TUSKV_RETURN_IF_ERROR(end_segment(RecordKind::close));
    ended_.clear();
    TUSKV_RETURN_IF_ERROR(sync_.sync_file(*last->file));
    if (last->header.size_bytes == 0) return {};
    return last->file->truncate(last->end_bytes);
  });
}

}  // namespace tuskv::embedded
