// Log records: what a committed batch leaves behind. See record.cc for the byte format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "status.h"

namespace tuskv::embedded {

enum class ChangeOp : std::uint8_t { put = 1, erase = 2, touch = 3, erase_range = 4 };

/// One effect, absolute and idempotent: no TTL, no condition. `erase_range` has its bounds in `key` and `value` (empty
/// `value`: no end).
struct Change {
  ChangeOp op = ChangeOp::put;
  std::string_view key = {};
  std::string_view value = {};
  std::int64_t expires_us = 0;  ///< 0: never
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
};

/// Stored keys are far shorter. An entry in memory uses the bit above for something else.
inline constexpr std::size_t kChangeKeyBytesMax = 0x7fff;

enum class RecordKind : std::uint32_t {
  changes = 1,
  seal = 2,   ///< the log goes on in the segment with the next ordinal
  close = 3,  ///< orderly end; whatever follows starts in a new segment
};

/// A record being filled, reused by its owner. Encoding needs no lock; `finish` stamps what is known only under the
/// log's mutex.
class RecordBuffer {
 public:
  /// Empties the buffer for another record.
  void start(RecordKind kind);
  void add(const Change& change);
  std::uint32_t change_count() const { return change_count_; }
  /// True when no change takes space for good: such a record may use the room that is kept back on a full disk.
  bool only_erases() const { return only_erases_; }
  /// Size of the finished record.
  std::size_t size_bytes() const;

  /// Completes header and checksum; returns the bytes to write at `offset` of the segment.
  std::string_view finish(std::uint64_t segment_id, std::uint64_t offset, std::uint64_t sequence, std::uint64_t synced);

  /// Frees the buffer of a large record, which must be started anew; keeps a small one.
  void give_back_memory();

 private:
  std::string bytes_;
  std::uint32_t change_count_ = 0;
  bool only_erases_ = true;
};

struct RecordHeader {
  std::uint32_t length = 0;  ///< whole record
  RecordKind kind = RecordKind::changes;
  std::uint64_t sequence = 0;
  std::uint64_t synced = 0;  ///< highest sequence known synced when this one was written
  std::uint32_t change_count = 0;
};

inline constexpr std::size_t kRecordHeaderBytes = 40;
inline constexpr std::size_t kRecordAlignment = 8;
/// The format's own limit is 4 GiB; a batch within its limits is always smaller than this.
inline constexpr std::size_t kRecordBytesMax = std::size_t{2} << 30;

/// What the bytes claim, without having verified anything but that it could be so; false when it could not.
bool peek_record_header(std::string_view bytes, RecordHeader& header);

/// Decodes and verifies the record that starts `bytes` (which may hold more); false when there is no valid record for
/// this segment and offset. Trusts nothing in `bytes`.
bool decode_record_header(std::string_view bytes, std::uint64_t segment_id, std::uint64_t offset, RecordHeader& header);

/// Whether header and changes agree on where the record that starts `bytes` ends, its checksum aside. `bytes` starts at
/// a place where the log has a record, so no user wrote the header: only that makes the answer worth something.
bool record_end_is_certain(std::string_view bytes, const RecordHeader& header);

/// A search for records hashes what only looks like one as well. What users stored decides how often that is, so a
/// search of a file gives up when it has hashed so many times the file's size for nothing.
inline constexpr std::uint64_t kFutileHashingMax = 16;

/// Walks the changes of a verified record.
class ChangeReader {
 public:
  /// `record`: the whole record, header included.
  ChangeReader(std::string_view record, std::uint32_t change_count);
  /// False at the end, or when the bytes do not parse: then `malformed()`.
  bool next(Change& change);
  bool malformed() const { return malformed_; }

 private:
  bool parse(Change& change);

  std::string_view rest_;
  std::uint32_t left_;
  bool malformed_ = false;
};

}  // namespace tuskv::embedded
