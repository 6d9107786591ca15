#include "embedded/log_reader.h"

#include <algorithm>
#include <utility>

#include "embedded/byte_order.h"

namespace tuskv::embedded {
namespace {

constexpr std::uint64_t kReadBytes = std::uint64_t{1} << 20;

/// Bytes at the start of `bytes` in which no record can begin because its length and kind would be zero. Most of what
/// follows the end of a log is like that.
std::uint64_t leading_hole(std::string_view bytes) {
  std::uint64_t at = 0;
  while (at + kRecordHeaderBytes <= bytes.size() && load_integer<std::uint64_t>(bytes, at + kRecordAlignment) == 0) {
    at += kRecordAlignment;
  }
  return at;
}

}  // namespace

Status log_damage(const std::string& path, std::uint64_t offset, const std::string& what) {
  return {Code::Corruption, path + " is damaged at offset " + std::to_string(offset) + ": " + what};
}

Result<std::unique_ptr<SegmentReader>> SegmentReader::open(os::FileSystem& file_system, const std::string& directory,
                                                           const StoreId& store_id, std::uint64_t ordinal) {
  Result<OpenedSegment> opened = open_segment(file_system, directory, store_id, ordinal);
  if (!opened.ok()) return std::move(opened).status();
  return std::make_unique<SegmentReader>(std::move(opened).value());
}

/// At least `size` bytes from `offset` on; the file is that long. So much memory is used only for a record that fits
/// the file.
Result<std::string_view> SegmentReader::bytes_at(std::uint64_t offset, std::uint64_t size) {
  const bool held = offset >= buffer_offset_ && offset + size <= buffer_offset_ + buffer_.size();
  if (!held) {
    const std::uint64_t wanted = std::min(segment_.file_bytes - offset, std::max(size, kReadBytes));
    if (buffer_.capacity() > kReadBytes && wanted <= kReadBytes) buffer_ = {};  // one large record came by
    buffer_.resize(wanted);
    buffer_offset_ = offset;
    Result<std::size_t> got = segment_.file->read_at(offset, buffer_.data(), wanted);
    if (!got.ok()) return std::move(got).status();
    buffer_.resize(got.value());
    if (got.value() < size) return log_damage(path(), offset + got.value(), "the file became shorter");
  }
  return std::string_view(buffer_).substr(offset - buffer_offset_);
}

/// `bytes`: they look like a record of `sequence_min` or a later one, and its checksum does not match.
Result<SegmentReader::Finding> SegmentReader::look(std::uint64_t offset, std::uint64_t sequence_min,
                                                   RecordHeader& header, std::string_view& record) {
  if (offset > segment_.file_bytes || segment_.file_bytes - offset < kRecordHeaderBytes) return Finding::nothing;
  Result<std::string_view> bytes = bytes_at(offset, kRecordHeaderBytes);
  if (!bytes.ok()) return std::move(bytes).status();
  if (!peek_record_header(bytes.value(), header)) return Finding::nothing;
  if (header.sequence < sequence_min || header.synced > header.sequence) return Finding::nothing;
  if (header.length > segment_.file_bytes - offset) return Finding::nothing;
  bytes = bytes_at(offset, header.length);
  if (!bytes.ok()) return std::move(bytes).status();
  record = bytes.value().substr(0, header.length);
  const bool valid = decode_record_header(record, segment_.header.segment_id, offset, header);
  return valid ? Finding::record : Finding::bytes;
}

Result<bool> SegmentReader::next(RecordHeader& header, std::string_view& record) {
  Result<Finding> found = look(offset_, 0, header, record);
  if (!found.ok()) return std::move(found).status();
  if (found.value() != Finding::record) return false;
  offset_ += header.length;
  return true;
}

/// From one record to the next as long as it is certain where that begins; otherwise to every place where one could.
Result<bool> SegmentReader::find(std::uint64_t synced, std::uint64_t here, RecordHeader& header,
                                 std::string_view& record) {
  std::uint64_t futile_bytes = 0;
  while (offset_ < segment_.file_bytes && segment_.file_bytes - offset_ >= kRecordHeaderBytes) {
    Result<std::string_view> bytes = bytes_at(offset_, kRecordHeaderBytes);
    if (!bytes.ok()) return std::move(bytes).status();
    if (const std::uint64_t zeros = leading_hole(bytes.value()); zeros != 0) {
      offset_ += zeros;
      here = 0;
      continue;
    }
    Result<Finding> found = look(offset_, synced, header, record);
    if (!found.ok()) return std::move(found).status();
    const std::uint64_t after = header.sequence + 1;  // of the record behind it
    const bool is_expected = here != 0 && here == (header.kind == RecordKind::changes ? header.sequence : after);
    if (found.value() == Finding::record ||
        (found.value() == Finding::bytes && is_expected && record_end_is_certain(record, header))) {
      offset_ += header.length;
      here = after;
      if (found.value() == Finding::record && header.synced >= synced) return true;
      continue;
    }
    if (found.value() == Finding::bytes) futile_bytes += header.length;
    if (futile_bytes > kFutileHashingMax * segment_.file_bytes) {
      return log_damage(path(), offset_, "too much of what is here only looks like records to tell what is missing");
    }
    offset_ += kRecordAlignment;
    here = 0;
  }
  return false;
}

Result<std::uint64_t> SegmentReader::used_end(std::uint64_t from) {
  std::uint64_t end = from;
  for (std::uint64_t at = from; at < segment_.file_bytes;) {
    Result<std::string_view> bytes = bytes_at(at, 1);
    if (!bytes.ok()) return std::move(bytes).status();
    const std::size_t last = bytes.value().find_last_not_of('\0');
    if (last != std::string_view::npos) end = at + last + 1;
    at += bytes.value().size();
  }
  return end;
}

Result<std::vector<std::uint64_t>> list_segments(os::FileSystem& file_system, const std::string& directory) {
  Result<std::vector<os::DirectoryEntry>> entries = file_system.list(directory);
  if (!entries.ok()) return std::move(entries).status();
  std::vector<std::uint64_t> ordinals;
  for (const os::DirectoryEntry& entry : entries.value()) {
    if (const std::uint64_t ordinal = parse_segment_name(entry.name); ordinal != 0) ordinals.push_back(ordinal);
  }
  std::sort(ordinals.begin(), ordinals.end());
  return ordinals;
}

Status replay_segments(os::FileSystem& file_system, const std::string& directory, const StoreId& store_id,
                       const std::vector<SegmentExtent>& segments, ChangeSink& sink) {
  for (const SegmentExtent& extent : segments) {
    Result<std::unique_ptr<SegmentReader>> opened =
        SegmentReader::open(file_system, directory, store_id, extent.ordinal);
    if (!opened.ok()) return std::move(opened).status();
    SegmentReader& reader = *opened.value();
    while (reader.offset() < extent.end_bytes) {
      RecordHeader header;
      std::string_view record;
      Result<bool> found = reader.next(header, record);
      if (!found.ok()) return std::move(found).status();
      if (!found.value()) return log_damage(reader.path(), reader.offset(), "a record that was valid is not any more");
      ChangeReader changes(record, header.change_count);
      for (Change change; changes.next(change);) sink.change(change, header.sequence);
    }
  }
  return {};
}

}  // namespace tuskv::embedded
