// Reads a log segment around damage, for check and repair. Recovery does not use it: there, damage ends the reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "embedded/manifest.h"
#include "embedded/part_file.h"
#include "embedded/record.h"
#include "os/file_system.h"
#include "status.h"

namespace tuskv::embedded {

/// Called for each valid record of changes; the bytes die with the call.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void record(const RecordHeader& header, std::string_view bytes) = 0;
};

struct SegmentScan {
  StoreId store_id = {};
  std::uint64_t records = 0;         ///< of changes
  std::uint64_t first_sequence = 0;  ///< 0: no record of changes
  std::uint64_t last_sequence = 0;
  std::uint64_t synced = 0;     ///< highest mark in any record
  bool is_ended = false;        ///< the last record is a seal or a close
  std::uint64_t end_bytes = 0;  ///< where the last valid record ends
  std::uint64_t file_bytes = 0;
  std::uint64_t tail_bytes = 0;  ///< behind that, without the zeros at the end of the file
  /// Bytes that no record starts at although a valid one follows, and sequences that are missing between two records.
  std::vector<FileDamage> damage = {};
  std::uint64_t missing_records = 0;  ///< by their sequences
};

/// Every valid record of segment `ordinal` at `path`, of whatever store. Corruption when the header does not verify:
/// then no record can.
Result<SegmentScan> scan_segment(os::FileSystem& file_system, const std::string& path, std::uint64_t ordinal,
                                 const StoreId* store_id, RecordSink* sink);

}  // namespace tuskv::embedded
