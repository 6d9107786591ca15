// Reading the log: one segment's records, and what a whole log consists of. Nothing here changes the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "embedded/manifest.h"
#include "embedded/record.h"
#include "embedded/segment.h"
#include "os/file_system.h"
#include "status.h"

namespace tuskv::embedded {

/// Walks the records of one segment, in blocks of bounded size whatever the file's.
class SegmentReader final {
 public:
  /// Corruption when the header is not that of segment `ordinal` of this store.
  static Result<std::unique_ptr<SegmentReader>> open(os::FileSystem& file_system, const std::string& directory,
                                                     const StoreId& store_id, std::uint64_t ordinal);
  explicit SegmentReader(OpenedSegment segment) : segment_(std::move(segment)) {}

  const SegmentHeader& header() const { return segment_.header; }
  const std::string& path() const { return segment_.file->path(); }
  std::uint64_t file_bytes() const { return segment_.file_bytes; }
  /// Of what is read next.
  std::uint64_t offset() const { return offset_; }

  /// Reads the record at offset() and moves behind it; false, without moving, when there is no valid one. `record` is
  /// valid until the next call.
  Result<bool> next(RecordHeader& header, std::string_view& record);
  /// Moves from offset() on to the next valid record that knew of `synced` or a later sequence being synced, and behind
  /// it; false at the end of the file. `here` is the sequence of the record at offset() if it is known, or 0.
  /// Corruption when the file has too much that only looks like a record.
  Result<bool> find(std::uint64_t synced, std::uint64_t here, RecordHeader& header, std::string_view& record);
  /// Where the last byte from `from` on that is not zero ends; `from` when there is none.
  Result<std::uint64_t> used_end(std::uint64_t from);

 private:
  /// What a place in the file holds.
  enum class Finding { nothing, bytes, record };
  Result<Finding> look(std::uint64_t offset, std::uint64_t sequence_min, RecordHeader& header,
                       std::string_view& record);
  Result<std::string_view> bytes_at(std::uint64_t offset, std::uint64_t size);

  OpenedSegment segment_;
  std::uint64_t offset_ = kSegmentHeaderBytes;
  std::string buffer_;
  std::uint64_t buffer_offset_ = 0;
};

/// "PATH is damaged at offset N: WHAT"
Status log_damage(const std::string& path, std::uint64_t offset, const std::string& what);

/// Which segments a log consists of, and what is known about it from elsewhere.
struct LogRange {
  std::string directory = {};
  StoreId store_id = {};
  std::uint64_t first_ordinal = 1;
  std::uint64_t last_ordinal = 0;    ///< known to exist, all lower ones complete and synced; below first_ordinal: none
  std::uint64_t first_sequence = 1;  ///< of the first record
  std::uint64_t durable_sequence = 0;  ///< every record up to it is known to have been synced
  /// The delta of a snapshot: exactly the segments up to last_ordinal, with every record up to durable_sequence. Later
  /// segments are not looked at.
  bool is_delta = false;
};

/// A segment as far as it is valid.
struct SegmentExtent {
  std::uint64_t ordinal = 0;
  std::uint64_t end_bytes = 0;            ///< behind the last valid record
  std::uint64_t file_bytes = 0;           ///< size of the file
  std::uint64_t first_sequence = 0;       ///< of its first record, if it has one
  std::optional<RecordKind> ending = {};  ///< seal or close, when it has one
};

struct LogSurvey {
  std::vector<SegmentExtent> segments = {};
  std::uint64_t last_sequence = 0;
  std::uint64_t records = 0;
  std::int64_t clock_high_us = 0;  ///< latest stamp of a change
  /// The last of `segments` has no valid end: what follows its extent was never known to be synced. Segments behind it
  /// hold nothing that counts.
  bool torn = false;
  std::uint64_t torn_bytes = 0;
  std::vector<std::uint64_t> unusable = {};  ///< ordinals of those segments, ascending
};

/// Reads and verifies every record and change. Corruption, naming file and offset, when something is missing that was
/// synced; see log_survey.cc for how that is told from a torn tail.
Result<LogSurvey> survey_log(os::FileSystem& file_system, const LogRange& range);

/// Ordinals of the segment files in a directory, ascending by number.
Result<std::vector<std::uint64_t>> list_segments(os::FileSystem& file_system, const std::string& directory);

class ChangeSink {
 public:
  virtual ~ChangeSink() = default;
  /// The views die with the call.
  virtual void change(const Change& change, std::uint64_t sequence) = 0;
};

/// Gives `sink` every change of the segments, each up to its extent, in order.
Status replay_segments(os::FileSystem& file_system, const std::string& directory, const StoreId& store_id,
                       const std::vector<SegmentExtent>& segments, ChangeSink& sink);

}  // namespace tuskv::embedded
