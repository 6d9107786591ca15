// The byte format of log records. Integers are little-endian; a record starts at a multiple of 8 in its segment.
//
//   record  = checksum:u64 length:u32 kind:u32 sequence:u64 synced:u64 change_count:u32 zero:u32 change* zero{0..7}
//   change  = op:u8 stamps:u8 key_size:u16 value_size:u32 stamp:i64{0..3} key value
//
// `checksum` is XXH3-64 of the bytes from 8 to `length`, padding included, seeded with the segment's random id plus the
// record's offset in the file. So it covers the length and the sequence, and a record only verifies where it was
// written: not in a copy elsewhere in the file, not in another or an older segment, and not inside a value that
// somebody wrote to look like a record. `length` is of the whole record and a multiple of 8.
//
// `stamps` says which of expires_us (1), created_us (2) and updated_us (4) follow, in this order; an absent one is
// zero. For erase_range, key and value are the bounds.
//
// A record of changes has the sequence of the one before it plus 1. Seal and close hold no changes and take no
// sequence: they repeat that of the last record, so the versions that users see stay dense.
#include "embedded/record.h"

#include <xxhash.h>

#include <bit>
#include <cassert>
#include <limits>

#include "embedded/byte_order.h"

namespace tuskv::embedded {
namespace {

constexpr std::size_t kRecordChecksumBytes = 8;
constexpr std::size_t kLengthAt = 8;
constexpr std::size_t kKindAt = 12;
constexpr std::size_t kSequenceAt = 16;
constexpr std::size_t kSyncedAt = 24;
constexpr std::size_t kChangeCountAt = 32;
constexpr std::size_t kZeroAt = 36;

constexpr std::size_t kChangeHeaderBytes = 8;
constexpr std::uint8_t kHasExpires = 1;
constexpr std::uint8_t kHasCreated = 2;
constexpr std::uint8_t kHasUpdated = 4;
constexpr std::uint8_t kStampBits = kHasExpires | kHasCreated | kHasUpdated;

/// A buffer larger than this goes back to the system after its record.
constexpr std::size_t kKeptBufferBytes = std::size_t{1} << 20;

constexpr std::size_t padded(std::size_t size) { return (size + kRecordAlignment - 1) & ~(kRecordAlignment - 1); }

std::uint64_t checksum_of(std::string_view record, std::uint64_t segment_id, std::uint64_t offset) {
  return XXH3_64bits_withSeed(record.data() + kRecordChecksumBytes, record.size() - kRecordChecksumBytes,
                              segment_id + offset);
}

}  // namespace

void RecordBuffer::start(RecordKind kind) {
  give_back_memory();
  bytes_.assign(kRecordHeaderBytes, '\0');
  store_integer(bytes_, kKindAt, static_cast<std::uint32_t>(kind));
  change_count_ = 0;
  only_erases_ = true;
}

void RecordBuffer::add(const Change& change) {
  assert(change.key.size() <= kChangeKeyBytesMax);
  assert(change.value.size() <= std::numeric_limits<std::uint32_t>::max());
  const auto stamps = static_cast<std::uint8_t>((change.expires_us != 0 ? kHasExpires : 0) |
                                                (change.created_us != 0 ? kHasCreated : 0) |
                                                (change.updated_us != 0 ? kHasUpdated : 0));
  append_integer(bytes_, static_cast<std::uint8_t>(change.op));
  append_integer(bytes_, stamps);
  append_integer(bytes_, static_cast<std::uint16_t>(change.key.size()));
  append_integer(bytes_, static_cast<std::uint32_t>(change.value.size()));
  for (const std::int64_t stamp : {change.expires_us, change.created_us, change.updated_us}) {
    if (stamp != 0) append_integer(bytes_, stamp);
  }
  bytes_.append(change.key).append(change.value);
  ++change_count_;
  only_erases_ = only_erases_ && (change.op == ChangeOp::erase || change.op == ChangeOp::erase_range);
}

void RecordBuffer::give_back_memory() {
  if (bytes_.capacity() > kKeptBufferBytes) bytes_ = {};
}

std::size_t RecordBuffer::size_bytes() const { return padded(bytes_.size()); }

std::string_view RecordBuffer::finish(std::uint64_t segment_id, std::uint64_t offset, std::uint64_t sequence,
                                      std::uint64_t synced) {
  bytes_.resize(size_bytes());
  assert(bytes_.size() <= kRecordBytesMax);
  store_integer(bytes_, kLengthAt, static_cast<std::uint32_t>(bytes_.size()));
  store_integer(bytes_, kSequenceAt, sequence);
  store_integer(bytes_, kSyncedAt, synced);
  store_integer(bytes_, kChangeCountAt, change_count_);
  store_integer(bytes_, 0, checksum_of(bytes_, segment_id, offset));
  return bytes_;
}

bool peek_record_header(std::string_view bytes, RecordHeader& header) {
  if (bytes.size() < kRecordHeaderBytes) return false;
  header.length = load_integer<std::uint32_t>(bytes, kLengthAt);
  const auto kind = load_integer<std::uint32_t>(bytes, kKindAt);
  header.kind = static_cast<RecordKind>(kind);
  header.sequence = load_integer<std::uint64_t>(bytes, kSequenceAt);
  header.synced = load_integer<std::uint64_t>(bytes, kSyncedAt);
  header.change_count = load_integer<std::uint32_t>(bytes, kChangeCountAt);
  const bool known_kind =
      kind >= static_cast<std::uint32_t>(RecordKind::changes) && kind <= static_cast<std::uint32_t>(RecordKind::close);
  return known_kind && header.length >= kRecordHeaderBytes && header.length % kRecordAlignment == 0 &&
         load_integer<std::uint32_t>(bytes, kZeroAt) == 0;
}

bool decode_record_header(std::string_view bytes, std::uint64_t segment_id, std::uint64_t offset,
                          RecordHeader& header) {
  if (!peek_record_header(bytes, header) || header.length > bytes.size()) return false;
  return checksum_of(bytes.substr(0, header.length), segment_id, offset) == load_integer<std::uint64_t>(bytes, 0);
}

bool record_end_is_certain(std::string_view bytes, const RecordHeader& header) {
  if (header.length > bytes.size()) return false;
  if (header.kind != RecordKind::changes) return header.length == kRecordHeaderBytes;
  ChangeReader changes(bytes.substr(0, header.length), header.change_count);
  for (Change change; changes.next(change);) {
  }
  return header.change_count != 0 && !changes.malformed();
}

ChangeReader::ChangeReader(std::string_view record, std::uint32_t change_count)
    : rest_(record.substr(kRecordHeaderBytes)), left_(change_count) {}

bool ChangeReader::next(Change& change) {
  if (left_ == 0) {
    malformed_ =
        malformed_ || rest_.size() >= kRecordAlignment || rest_.find_first_not_of('\0') != std::string_view::npos;
    return false;
  }
  malformed_ = !parse(change);
  if (malformed_) left_ = 0;
  return !malformed_;
}

bool ChangeReader::parse(Change& change) {
  if (rest_.size() < kChangeHeaderBytes) return false;
  const auto op = load_integer<std::uint8_t>(rest_, 0);
  const auto stamps = load_integer<std::uint8_t>(rest_, 1);
  const std::size_t key_size = load_integer<std::uint16_t>(rest_, 2);
  const std::size_t value_size = load_integer<std::uint32_t>(rest_, 4);
  if (op < static_cast<std::uint8_t>(ChangeOp::put) || op > static_cast<std::uint8_t>(ChangeOp::erase_range)) {
    return false;
  }
  if ((stamps & ~kStampBits) != 0) return false;
  change.op = static_cast<ChangeOp>(op);
  const bool is_range = change.op == ChangeOp::erase_range;
  if (key_size > kChangeKeyBytesMax || (key_size == 0 && !is_range)) return false;
  if (is_range && value_size > kChangeKeyBytesMax) return false;
  const std::size_t stamp_bytes = sizeof(std::int64_t) * static_cast<std::size_t>(std::popcount(stamps));
  if (rest_.size() < kChangeHeaderBytes + stamp_bytes + key_size + value_size) return false;
  std::size_t at = kChangeHeaderBytes;
  bool has_all_stamps = true;
  const auto take_stamp = [&](std::uint8_t bit) -> std::int64_t {
    if ((stamps & bit) == 0) return 0;
    const auto stamp = load_integer<std::int64_t>(rest_, at);
    at += sizeof(std::int64_t);
    has_all_stamps = has_all_stamps && stamp != 0;
    return stamp;
  };
  change.expires_us = take_stamp(kHasExpires);
  change.created_us = take_stamp(kHasCreated);
  change.updated_us = take_stamp(kHasUpdated);
  if (!has_all_stamps) return false;
  change.key = rest_.substr(at, key_size);
  change.value = rest_.substr(at + key_size, value_size);
  rest_.remove_prefix(at + key_size + value_size);
  --left_;
  return true;
}

}  // namespace tuskv::embedded
