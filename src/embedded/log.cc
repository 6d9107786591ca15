// Appending records, and what becomes of one that the disk refuses.
//
// A write that fails may have put down any part of the record, all of it included. Its caller is told that the write
// was not applied, so recovery must never find it, neither after a crash of the process, which keeps every byte
// written, nor after a power loss, which keeps any subset of the unsynced ones. Writing the next record over it is not
// enough: that may be the part that is lost. Therefore, before anyone is told anything and before the next record:
//  - in a preallocated segment the place of the record's header is written over with zeros (no record starts with
//    zeros); in a growing one the file is cut back to where the record began, which also works on a full disk;
//  - and the file is synced. Only this failure path ever syncs under the append mutex.
// A crash before that catches the writer waiting for an answer, so the record may stay or go. If the disk refuses this
// too, the outcome is `unknown`, and whoever appends next tries again first. Whatever the failed record left behind its
// header cannot pass for a record: checksums are seeded with the offset.
#include "embedded/log.h"

#include <utility>

#include "os/thread.h"

namespace tuskv::embedded {
namespace {

/// A sealed segment gives back what it did not use when that is worth a system call.
constexpr std::uint64_t kUnusedBytesWorthCutting = std::uint64_t{64} << 10;

Status held_up_status() { return {Code::Timeout, "the deadline passed while the disk held up another write"}; }

}  // namespace

Log::Log(os::FileSystem* file_system, LogOptions options)
    : file_system_(file_system),
      options_(std::move(options)),
      supply_(file_system, {.directory = options_.directory,
                            .store_id = options_.store_id,
                            .next_ordinal = options_.next_ordinal,
                            .segment_bytes_min = options_.segment_bytes_min,
                            .segment_bytes_max = options_.segment_bytes_max}),
      sync_(*this, options_.last_sequence),
      recording_(file_system != nullptr && options_.durability != Durability::unlogged),
      last_(options_.last_sequence),
      announced_(options_.on_first_segment == nullptr || options_.durability == Durability::unlogged) {
  if (file_system_ == nullptr) return;
  started_ = os::start_thread(thread_, "looks after the log", [this] { run_thread(); });
  if (!started_.ok() || options_.durability != Durability::durable) return;
  started_ = os::start_thread(deadline_thread_, "keeps deadlines", [this] { run_deadline_thread(); });
}

Log::~Log() { stop_threads(); }

Status Log::check_writable() const {
  if (closed_) return {Code::Closed, "the log is closed"};
  return health();
}

Result<std::uint64_t> Log::append(RecordBuffer& record, std::int64_t& left_ms) {
  if (record.size_bytes() > kRecordBytesMax) {
    return Status(Code::TooLarge, "a batch makes a log record of " + std::to_string(record.size_bytes()) +
                                      " bytes; the limit is " + std::to_string(kRecordBytesMax));
  }
  for (;;) {
    if (!append_mutex_.lock_within(left_ms)) return held_up_status();
    if (!tail_unknown_) break;
    append_mutex_.unlock();
    TUSKV_RETURN_IF_ERROR(clean_tail(left_ms).with_outcome(Outcome::not_applied));
  }
  os::AdoptedLock lock(append_mutex_);
  TUSKV_RETURN_IF_ERROR(check_writable());
  TUSKV_RETURN_IF_ERROR(make_room(record, left_ms).with_outcome(Outcome::not_applied));
  const std::uint64_t sequence = last_.load(std::memory_order_relaxed) + 1;
  Status written = write_record(record, sequence);
  if (!written.ok()) {
    lock.unlock();
    const bool taken_back = clean_tail(left_ms).ok();
    return std::move(written).with_outcome(taken_back ? Outcome::not_applied : Outcome::unknown);
  }
  last_.store(sequence, std::memory_order_release);
  after_append();
  lock.unlock();
  record.give_back_memory();
  return sequence;
}

Status Log::write_record(RecordBuffer& record, std::uint64_t sequence) {
  const std::string_view bytes = record.finish(current_->header.segment_id, offset_, sequence, sync_.synced());
  Status status = current_->file->write_at(offset_, bytes);
  if (!status.ok()) {
    tail_unknown_ = true;
    return status;
  }
  offset_ += bytes.size();
  log_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
  return status;
}

/// Makes sure that no record can be found at the log's end; see the top of this file. Only a tail that needs it waits
/// for a sync under way.
Status Log::clean_tail(std::int64_t& left_ms) {
  {
    if (!append_mutex_.lock_within(left_ms)) return held_up_status();
    os::AdoptedLock lock(append_mutex_);
    if (!tail_unknown_) return {};
  }
  return sync_.exclusively(left_ms, [&]() -> Status {
    if (!append_mutex_.lock_within(left_ms)) return held_up_status();
    os::AdoptedLock lock(append_mutex_);
    if (!tail_unknown_) return {};  // another thread was faster
    if (current_->header.size_bytes != 0) {
      TUSKV_RETURN_IF_ERROR(current_->file->write_at(offset_, std::string(kRecordHeaderBytes, '\0')));
    } else {
      TUSKV_RETURN_IF_ERROR(current_->file->truncate(offset_));
    }
    TUSKV_RETURN_IF_ERROR(sync_.sync_file(*current_->file));
    tail_unknown_ = false;
    return {};
  });
}

void Log::after_append() {
  if (!prepare_requested_ && offset_ > current_->capacity_bytes / 2) {
    prepare_requested_ = true;
    request_prepare();
  }
  if (options_.durability == Durability::relaxed && !sync_requested_) {
    sync_requested_ = true;
    request_sync();
  }
}

Status Log::wait_synced(std::uint64_t sequence, std::int64_t timeout_ms) {
  if (file_system_ == nullptr) return {};
  return sync_.wait(sequence, timeout_ms);
}

bool Log::begin_round(SyncRound& round, std::int64_t left_ms) {
  if (!append_mutex_.lock_within(left_ms)) return false;
  os::AdoptedLock lock(append_mutex_);
  round.segments = std::exchange(ended_, {});
  round.ended = round.segments.size();
  if (current_ != nullptr && offset_ > round_offset_) {
    round.segments.push_back(current_);
    round_offset_ = offset_;
  }
  round.sequence = last_.load(std::memory_order_relaxed);
  return true;
}

void Log::end_round(const SyncRound& round) {
  if (round.ended == 0) return;
  os::MutexLock cutting(cut_mutex_);
  if (!may_cut_) return;  // the log is closed: its files may be another's by now
  for (std::size_t i = 0; i < round.ended; ++i) {
    const Segment& segment = *round.segments[i];
    if (segment.header.size_bytes < segment.end_bytes + kUnusedBytesWorthCutting) continue;
    // The seal is on the disk, so the file may be shorter than it was made. Only space is lost when this fails.
    [[maybe_unused]] const Status cut = segment.file->truncate(segment.end_bytes);
  }
}

}  // namespace tuskv::embedded
