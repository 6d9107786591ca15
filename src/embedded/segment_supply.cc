#include "embedded/segment_supply.h"

#include <algorithm>
#include <utility>

#include "embedded/record.h"

namespace tuskv::embedded {
namespace {

/// The smallest segment worth making when the disk has no room for a larger one.
constexpr std::uint64_t kSegmentBytesFloor = std::uint64_t{16} << 10;
constexpr std::uint64_t kSegmentAlignment = 4096;

/// What a segment must have for one record and the seal behind it.
std::uint64_t bytes_for(std::uint64_t record_bytes) { return kSegmentHeaderBytes + record_bytes + kRecordHeaderBytes; }

std::uint64_t aligned(std::uint64_t size) {
  return (size + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
}

}  // namespace

SegmentSupply::SegmentSupply(os::FileSystem* file_system, SegmentSupplyOptions options)
    : file_system_(file_system),
      options_(std::move(options)),
      next_ordinal_(options_.next_ordinal),
      next_bytes_(options_.segment_bytes_min) {}

Status SegmentSupply::prepare(std::uint64_t record_bytes, std::int64_t& left_ms) {
  if (!mutex_.lock_within(left_ms)) {
    return {Code::Timeout, "the deadline passed while the disk held up the making of a segment of the log"};
  }
  os::AdoptedLock lock(mutex_);
  const std::uint64_t least = bytes_for(record_bytes);
  if (prepared_ && prepared_->capacity_bytes >= least) return {};
  return make(least);
}

Status SegmentSupply::make(std::uint64_t least_bytes) {
  const std::uint64_t floor = aligned(std::max(least_bytes, std::min(kSegmentBytesFloor, options_.segment_bytes_min)));
  for (std::uint64_t size = std::max(next_bytes_, floor);; size = std::max(size / 2, floor)) {
    Result<Segment> made = make_segment(*file_system_, options_.directory, options_.store_id, next_ordinal_, size);
    if (made.ok()) {
      prepared_ = std::move(made).value();
      ready_.store(prepared_->capacity_bytes >= bytes_for(reserve_bytes()), std::memory_order_release);
      return {};
    }
    if (made.failure().outcome == Outcome::unknown) {
      prepared_.reset();  // what is written to a file without a name is lost
      ready_.store(false, std::memory_order_release);
    }
    if (made.failure().code != Code::NoSpace || size == floor) return std::move(made).status();
  }
}

Result<Segment> SegmentSupply::take() {
  os::MutexLock lock(mutex_);
  if (!prepared_) return Status(Code::Io, "the next segment of the log was lost while it was made anew");
  Segment segment = std::move(*prepared_);
  prepared_.reset();
  ready_.store(false, std::memory_order_release);
  ++next_ordinal_;
  next_bytes_ = std::min(next_bytes_ * 2, options_.segment_bytes_max);
  return segment;
}

std::uint64_t SegmentSupply::next_ordinal() const {
  os::MutexLock lock(mutex_);
  return next_ordinal_;
}

Status SegmentSupply::discard() {
  os::MutexLock lock(mutex_);
  if (!prepared_) return {};
  const std::string path = options_.directory + "/" + segment_name(next_ordinal_);
  prepared_.reset();
  ready_.store(false, std::memory_order_release);
  return file_system_->remove_file(path);
}

}  // namespace tuskv::embedded
