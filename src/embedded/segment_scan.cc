// A record verifies only at its place in its segment, so behind damage the next valid one is found by trying every
// multiple of 8: nothing else can pass for a record. How that stays linear is told in log_survey.cc.
#include "embedded/segment_scan.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "embedded/segment.h"

namespace tuskv::embedded {
namespace {

Result<std::string> read_whole(os::FileSystem& file_system, const std::string& path) {
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (!file.ok()) return std::move(file).status();
  Result<std::uint64_t> size = file.value()->size();
  if (!size.ok()) return std::move(size).status();
  std::string bytes(size.value(), '\0');
  Result<std::size_t> got = file.value()->read_at(0, bytes.data(), bytes.size());
  if (!got.ok()) return std::move(got).status();
  bytes.resize(got.value());
  return bytes;
}

/// Without the zeros at its end.
std::size_t used_bytes(std::string_view bytes) {
  const std::size_t last = bytes.find_last_not_of('\0');
  return last == std::string_view::npos ? 0 : last + 1;
}

void add_record(SegmentScan& scan, const RecordHeader& header, std::uint64_t offset) {
  scan.synced = std::max(scan.synced, header.synced);
  scan.end_bytes = offset + header.length;
  scan.is_ended = header.kind != RecordKind::changes;
  if (scan.is_ended) return;
  if (scan.records != 0 && header.sequence > scan.last_sequence + 1) {
    const std::uint64_t missing = header.sequence - scan.last_sequence - 1;
    scan.missing_records += missing;
    scan.damage.push_back({.offset = offset, .what = std::to_string(missing) + " records before this one are missing"});
  }
  if (scan.records == 0) scan.first_sequence = header.sequence;
  scan.last_sequence = header.sequence;
  ++scan.records;
}

}  // namespace

Result<SegmentScan> scan_segment(os::FileSystem& file_system, const std::string& path, std::uint64_t ordinal,
                                 const StoreId* store_id, RecordSink* sink) {
  Result<std::string> read = read_whole(file_system, path);
  if (!read.ok()) return std::move(read).status();
  const std::string_view bytes = read.value();
  SegmentScan scan;
  if (bytes.size() >= kSegmentStoreIdAt + scan.store_id.size()) {
    std::memcpy(scan.store_id.data(), bytes.data() + kSegmentStoreIdAt, scan.store_id.size());
  }
  Result<SegmentHeader> segment =
      decode_segment_header(bytes, path, store_id != nullptr ? *store_id : scan.store_id, ordinal);
  if (!segment.ok()) return std::move(segment).status();
  scan.file_bytes = bytes.size();
  scan.end_bytes = kSegmentHeaderBytes;

  const std::size_t used = used_bytes(bytes);
  std::uint64_t futile_bytes = 0;
  std::uint64_t here = 0;  // the sequence of the record at `offset`, when it is known that one begins there
  for (std::uint64_t offset = kSegmentHeaderBytes; offset < used;) {
    RecordHeader header;
    const std::string_view rest = bytes.substr(offset);
    const bool looks_so = peek_record_header(rest, header) && header.length <= rest.size();
    if (looks_so && decode_record_header(rest, segment.value().segment_id, offset, header)) {
      if (offset != scan.end_bytes) {
        scan.damage.push_back(
            {.offset = scan.end_bytes,
             .what = std::to_string(offset - scan.end_bytes) + " bytes are no record, and records follow"});
      }
      add_record(scan, header, offset);
      if (header.kind == RecordKind::changes && sink != nullptr)
        sink->record(header, bytes.substr(offset, header.length));
      offset += header.length;
      here = header.sequence + 1;
      continue;
    }
    const bool is_expected = looks_so && header.kind == RecordKind::changes && header.sequence == here;
    if (is_expected && record_end_is_certain(rest, header)) {
      offset += header.length;
      ++here;
      continue;
    }
    if (looks_so) futile_bytes += header.length;
    if (futile_bytes > kFutileHashingMax * bytes.size()) {
      scan.damage.push_back({.offset = offset, .what = "too much only looks like records: not searched any further"});
      break;
    }
    offset += kRecordAlignment;
    here = 0;
  }
  scan.tail_bytes = used > scan.end_bytes ? used - scan.end_bytes : 0;
  return scan;
}

}  // namespace tuskv::embedded
