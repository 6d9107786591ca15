// A log segment's file: its header, and how one comes into being. See segment.cc for the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "embedded/manifest.h"
#include "os/file_system.h"
#include "status.h"

namespace tuskv::embedded {

inline constexpr std::size_t kSegmentHeaderBytes = 64;
inline constexpr std::size_t kSegmentStoreIdAt = 16;  ///< in the header

struct SegmentHeader {
  StoreId store_id = {};
  std::uint64_t segment_id = 0;  ///< random; seeds the checksums of the records
  std::uint64_t ordinal = 0;
  std::uint64_t size_bytes = 0;  ///< what was reserved for the file; 0: it grows as it is written
};

std::string encode_segment_header(const SegmentHeader& header);
/// The header that starts segment `path`. Corruption when it is not that of segment `ordinal` of this store, Config
/// when its version is newer.
Result<SegmentHeader> decode_segment_header(std::string_view bytes, const std::string& path, const StoreId& store_id,
                                            std::uint64_t ordinal);

/// A segment that is written to.
struct Segment {
  std::unique_ptr<os::File> file = {};
  SegmentHeader header = {};
  std::uint64_t capacity_bytes = 0;  ///< records stay below
  std::uint64_t end_bytes = 0;       ///< set when it is sealed: where the seal ends
};

/// Makes segment `ordinal` durably, its name included, with room for `size_bytes`. Replaces one of that name, which
/// must hold no record; only when it fails with outcome `unknown` may that one have lost its name.
Result<Segment> make_segment(os::FileSystem& file_system, const std::string& directory, const StoreId& store_id,
                             std::uint64_t ordinal, std::uint64_t size_bytes);

/// Opens an existing segment for reading.
struct OpenedSegment {
  std::unique_ptr<os::File> file = {};
  SegmentHeader header = {};
  std::uint64_t file_bytes = 0;
};
Result<OpenedSegment> open_segment(os::FileSystem& file_system, const std::string& directory, const StoreId& store_id,
                                   std::uint64_t ordinal);

}  // namespace tuskv::embedded
