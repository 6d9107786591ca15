// The header of a log segment. Integers are little-endian; records (record.cc) follow from offset 64 on.
//
//   header  = "TUSKLOG1" version:u32 header_size:u32 store_id:16 segment_id:u64 ordinal:u64 size:u64 checksum:u64
//
// `checksum` is XXH3-64 of the 56 bytes before. `segment_id` is random, so that records of one segment never verify in
// another, were it an older segment of the same name. `size` is what the file was given when it was made: a file that
// is shorter, and does not end in a seal or close, was cut by somebody else. 0 where the file system cannot reserve.
//
// Invariant: a segment's name appears only after its size and header are durable (written under a temporary name,
// synced, renamed, directory synced). So an invalid header is always damage and never the trace of a crash, and a
// segment that was prepared but not used is a valid header with zeros behind it.
#include "embedded/segment.h"

#include <xxhash.h>

#include <random>
#include <utility>

#include "embedded/byte_order.h"
#include "embedded/format_version.h"

namespace tuskv::embedded {
namespace {

constexpr std::string_view kSegmentMagic = "TUSKLOG1";
constexpr std::uint32_t kSegmentVersion = 1;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kHeaderSizeAt = 12;
constexpr std::size_t kSegmentIdAt = 32;
constexpr std::size_t kOrdinalAt = 40;
constexpr std::size_t kSizeAt = 48;
constexpr std::size_t kChecksumAt = 56;

std::uint64_t checksum_of(std::string_view header) { return XXH3_64bits(header.data(), kChecksumAt); }

std::uint64_t random_id() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

Status write_durably(os::File& file, SegmentHeader& header) {
  Result<bool> reserved = file.allocate(header.size_bytes);
  if (!reserved.ok()) return std::move(reserved).status();
  if (!reserved.value()) header.size_bytes = 0;
  TUSKV_RETURN_IF_ERROR(file.write_at(0, encode_segment_header(header)));
  return file.sync();
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string bytes(kSegmentMagic);
  append_integer(bytes, kSegmentVersion);
  append_integer(bytes, static_cast<std::uint32_t>(kSegmentHeaderBytes));
  bytes.append(reinterpret_cast<const char*>(header.store_id.data()), header.store_id.size());
  append_integer(bytes, header.segment_id);
  append_integer(bytes, header.ordinal);
  append_integer(bytes, header.size_bytes);
  append_integer(bytes, checksum_of(bytes));
  return bytes;
}

Result<SegmentHeader> decode_segment_header(std::string_view bytes, const std::string& path, const StoreId& store_id,
                                            std::uint64_t ordinal) {
  const auto corrupt = [&path](const std::string& what) {
    return Status(Code::Corruption, path + " is damaged at offset 0: " + what);
  };
  if (bytes.size() < kSegmentHeaderBytes) return corrupt("the file ends within its header");
  if (!bytes.starts_with(kSegmentMagic)) return corrupt("it is not a log segment");
  if (checksum_of(bytes) != load_integer<std::uint64_t>(bytes, kChecksumAt)) {
    return corrupt("the checksum of the header does not match");
  }
  const auto version = load_integer<std::uint32_t>(bytes, kVersionAt);
  if (version > kSegmentVersion) return newer_format(path, version, kSegmentVersion);
  if (version < kSegmentVersion) return corrupt("the header's version");
  SegmentHeader header;
  std::memcpy(header.store_id.data(), bytes.data() + kSegmentStoreIdAt, header.store_id.size());
  header.segment_id = load_integer<std::uint64_t>(bytes, kSegmentIdAt);
  header.ordinal = load_integer<std::uint64_t>(bytes, kOrdinalAt);
  header.size_bytes = load_integer<std::uint64_t>(bytes, kSizeAt);
  if (load_integer<std::uint32_t>(bytes, kHeaderSizeAt) != kSegmentHeaderBytes) return corrupt("the header's size");
  if (header.store_id != store_id) return corrupt("it belongs to another store");
  if (header.ordinal != ordinal) return corrupt("it is segment " + std::to_string(header.ordinal));
  return header;
}

Result<Segment> make_segment(os::FileSystem& file_system, const std::string& directory, const StoreId& store_id,
                             std::uint64_t ordinal, std::uint64_t size_bytes) {
  const std::string path = directory + "/" + segment_name(ordinal);
  const std::string aside = path + kTemporarySuffix;
  Result<os::FileKind> leftover = file_system.kind(aside);
  if (!leftover.ok()) return std::move(leftover).status();
  if (leftover.value() != os::FileKind::missing) TUSKV_RETURN_IF_ERROR(file_system.remove_file(aside));
  Result<std::unique_ptr<os::File>> file = file_system.open(aside, os::OpenMode::create);
  if (!file.ok()) return std::move(file).status();
  Segment segment{
      .file = std::move(file).value(),
      .header = {.store_id = store_id, .segment_id = random_id(), .ordinal = ordinal, .size_bytes = size_bytes},
      .capacity_bytes = size_bytes};
  Status made = write_durably(*segment.file, segment.header);
  // One that says it has failed may have happened all the same, and a file of that name is no more.
  if (made.ok()) made = file_system.rename(aside, path).with_outcome(Outcome::unknown);
  if (!made.ok()) {
    // What cannot be removed either is removed by the next attempt, or the next opening.
    [[maybe_unused]] const Status removed = file_system.remove_file(aside);
    return made;
  }
  segment.file->set_path(path);
  TUSKV_RETURN_IF_ERROR(file_system.sync_directory(directory).with_outcome(Outcome::unknown));
  return segment;
}

Result<OpenedSegment> open_segment(os::FileSystem& file_system, const std::string& directory, const StoreId& store_id,
                                   std::uint64_t ordinal) {
  const std::string path = directory + "/" + segment_name(ordinal);
  Result<std::unique_ptr<os::File>> file = file_system.open(path, os::OpenMode::read);
  if (!file.ok()) return std::move(file).status();
  Result<std::uint64_t> size = file.value()->size();
  if (!size.ok()) return std::move(size).status();
  std::string bytes(kSegmentHeaderBytes, '\0');
  Result<std::size_t> got = file.value()->read_at(0, bytes.data(), bytes.size());
  if (!got.ok()) return std::move(got).status();
  Result<SegmentHeader> header =
      decode_segment_header(std::string_view(bytes).substr(0, got.value()), path, store_id, ordinal);
  if (!header.ok()) return std::move(header).status();
  return OpenedSegment{.file = std::move(file).value(), .header = header.value(), .file_bytes = size.value()};
}

}  // namespace tuskv::embedded
